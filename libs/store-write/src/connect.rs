//! Opens the embedded database: WAL, full synchronous, one writing connection, a few readers.
//!
//! Invariant: durability class D2: a reply is sent only after the commit was fsynced (synchronous = FULL).

use std::path::Path;

use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbErr, Statement};

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
    /// The one connection that writes.
    pub write: DatabaseConnection,
    /// Connections that read what is committed.
    pub read: DatabaseConnection,
}

/// Readers at a time; more only wait.
const READERS: u32 = 4;

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
        Ok(Self { write, read })
    }

    /// Raises the registry's epoch: every earlier registry on this database is fenced from now on.
    pub async fn next_epoch(&self) -> Result<u64, DbErr> {
        self.write
            .execute_unprepared("UPDATE registry_epoch SET epoch = epoch + 1 WHERE id = 1")
            .await?;
        epoch(&self.write).await
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
    let db = &database.write;
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

/// The epoch in force.
pub(crate) async fn epoch(db: &DatabaseConnection) -> Result<u64, DbErr> {
    let statement = Statement::from_string(
        db.get_database_backend(),
        "SELECT epoch FROM registry_epoch WHERE id = 1",
    );
    let row = db
        .query_one_raw(statement)
        .await?
        .ok_or_else(|| DbErr::Custom("registry_epoch is empty".to_owned()))?;
    row.try_get::<i64>("", "epoch")
        .map(|e| u64::try_from(e).unwrap_or(0))
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
