//! Opens a database: SQLite with WAL and full synchronous, or PostgreSQL; one writing connection, a few readers.
//!
//! Invariant: durability class D2: a reply is sent only after the commit was fsynced (synchronous = FULL).

use std::{path::Path, sync::Arc};

use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbErr};

use crate::{
    line::Line,
    place::{self, OpenOptions, Place},
};

/// Why the database cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the database {path}: {source}")]
pub struct OpenError {
    /// The file.
    pub path: String,
    /// The cause.
    #[source]
    pub source: DbErr,
}

/// The open database.
#[derive(Clone, Debug)]
pub struct Database {
    write: Write,
    /// Connections that read what is committed.
    pub read: DatabaseConnection,
}

#[derive(Clone, Debug)]
enum Write {
    Sqlite(DatabaseConnection),
    Postgres(Arc<Place>, Arc<str>),
}

/// Readers at a time; more only wait.
const READERS: u32 = 4;
/// Pages that a reader keeps, in KiB: what it reads again lies in the system's cache too, and there are several.
const READER_CACHE: u32 = 512;

impl Database {
    /// Opens, or creates, the SQLite file.
    pub async fn open_sqlite(file: &Path) -> Result<Self, OpenError> {
        let path = file.display().to_string();
        let fail = |source| OpenError {
            path: path.clone(),
            source,
        };
        let write = open(file, 1, "rwc").await.map_err(fail)?;
        for pragma in [
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "PRAGMA foreign_keys = ON",
            "PRAGMA wal_autocheckpoint = 4000",
            "PRAGMA journal_size_limit = 67108864",
            "PRAGMA cache_size = -4000",
        ] {
            write.execute_unprepared(pragma).await.map_err(fail)?;
        }
        let read = open(file, READERS, "ro").await.map_err(fail)?;
        let write = Write::Sqlite(write);
        Ok(Self { write, read })
    }

    /// Opens a PostgreSQL database (14 or later) by its `postgres://` address; connects when it is needed.
    pub async fn open_postgres(url: &str, options: &OpenOptions) -> Result<Self, OpenError> {
        let fail = |source| OpenError {
            path: masked(url),
            source,
        };
        let place = Place::parse(url, options).map_err(fail)?;
        let read = place::readers(url, &options.instance).await.map_err(fail)?;
        let write = Write::Postgres(Arc::new(place), Arc::from(url));
        Ok(Self { write, read })
    }

    /// The connection that writes; one at a time is of use.
    pub fn line(&self) -> Line {
        match &self.write {
            Write::Sqlite(db) => Line::sqlite(db.clone()),
            Write::Postgres(place, _) => Line::postgres(Arc::clone(place)),
        }
    }

    /// One session for migrations and roles. On PostgreSQL it is a new one, and the caller closes it.
    pub async fn admin(&self) -> Result<DatabaseConnection, DbErr> {
        match &self.write {
            Write::Sqlite(db) => Ok(db.clone()),
            Write::Postgres(_, url) => place::admin(url).await,
        }
    }

    /// Whether it is the embedded form.
    pub fn is_embedded(&self) -> bool {
        matches!(self.write, Write::Sqlite(_))
    }
}

/// An address without its password.
pub fn masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "(not an address)".to_owned();
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    // The last @ ends the credentials: a password may hold one.
    let shown = match rest.rsplit_once('@') {
        Some((credentials, place)) => {
            let user = credentials.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:***@{place}")
        }
        None => format!("{scheme}://{rest}"),
    };
    let kept: Vec<&str> = query
        .split('&')
        .filter(|p| !p.is_empty() && !p.starts_with("password") && !p.starts_with("ssl"))
        .collect();
    if kept.is_empty() {
        shown
    } else {
        format!("{shown}?{}", kept.join("&"))
    }
}

/// What one small commit costs here: the median of `rounds` single-row transactions on a file of their own,
/// with the same pragmas. For calibrating benchmarks (DURABILITY a.4).
pub async fn measure_commit(
    file: &Path,
    rounds: usize,
) -> Result<Vec<std::time::Duration>, OpenError> {
    let database = Database::open_sqlite(file).await?;
    let fail = |source| OpenError {
        path: file.display().to_string(),
        source,
    };
    let Write::Sqlite(db) = &database.write else {
        return Ok(Vec::new());
    };
    db.execute_unprepared(
        "CREATE TABLE IF NOT EXISTS calibration (id INTEGER PRIMARY KEY, body TEXT)",
    )
    .await
    .map_err(fail)?;
    let mut spans = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let start = std::time::Instant::now();
        db.execute_unprepared("BEGIN IMMEDIATE")
            .await
            .map_err(fail)?;
        db.execute_unprepared("INSERT INTO calibration (body) VALUES ('x')")
            .await
            .map_err(fail)?;
        db.execute_unprepared("COMMIT").await.map_err(fail)?;
        spans.push(start.elapsed());
    }
    Ok(spans)
}

async fn open(file: &Path, connections: u32, mode: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode={mode}", escape(file)));
    options
        .max_connections(connections)
        .min_connections(1)
        .sqlx_logging(false)
        .idle_timeout(None)
        .max_lifetime(None)
        // A file does not go away between two statements, and a test costs as much as the statement.
        .test_before_acquire(false)
        .acquire_timeout(std::time::Duration::from_secs(30));
    if mode == "ro" {
        options.map_sqlx_sqlite_opts(|o| o.pragma("cache_size", format!("-{READER_CACHE}")));
    }
    sea_orm::Database::connect(options).await
}

/// Percent-encodes what would end the path of a URL.
fn escape(file: &Path) -> String {
    file.display()
        .to_string()
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23")
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        for (url, shown) in [
            ("postgres://u:p@h:5432/db", "postgres://u:***@h:5432/db"),
            (
                "postgres://u:p@ss@h/db?password=x&host=/run",
                "postgres://u:***@h/db?host=/run",
            ),
            ("postgres://h/db", "postgres://h/db"),
            ("hunter2", "(not an address)"),
        ] {
            assert_eq!(masked(url), shown);
        }
    }
}
