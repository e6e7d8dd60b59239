//! Reads the tables of an older Autopack database.
//!
//! Invariant: the file itself is never opened as a database and never written: what is read is a private copy of it,
//! with its write-ahead log or journal. The file is not trusted: only ordinary tables are read, sizes are bounded, no
//! view, trigger or function of the file runs, and whatever its bytes are, the answer is rows or a [`LegacyError`].

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use autopack_domain::import::legacy::{Row, Table};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, QueryResult,
    Statement,
};

/// Bytes of a file at most.
pub const MAX_FILE: u64 = 1 << 30;
/// Tables of a file at most.
const MAX_TABLES: usize = 200;
/// Rows of a table at most.
const MAX_ROWS: usize = 500_000;
/// Columns of a table at most.
const MAX_COLUMNS: usize = 200;
/// Bytes of a value at most; a row with a larger one cannot be read.
const MAX_VALUE: usize = 256 * 1024;
/// What each SQLite file begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// What a journal ends with that names the journal of several databases.
const JOURNAL_MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

/// Why a file cannot be read as an older database.
#[derive(Debug, thiserror::Error)]
pub enum LegacyError {
    /// The file, or the copy of it.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It is too large.
    #[error("{path} has {size} bytes; {MAX_FILE} at most are read")]
    TooLarge {
        /// The file.
        path: String,
        /// Its size.
        size: u64,
    },
    /// It does not begin like one.
    #[error("{path} is no SQLite database: it does not begin with `SQLite format 3`")]
    NotSqlite {
        /// The file.
        path: String,
    },
    /// SQLite finds it broken.
    #[error("{path} is a SQLite database that is damaged or cut off: {detail}")]
    Damaged {
        /// The file.
        path: String,
        /// What SQLite says.
        detail: String,
    },
    /// Another program's.
    #[error("{path} is no database of an older Autopack: {detail}")]
    Foreign {
        /// The file.
        path: String,
        /// What is missing.
        detail: String,
    },
}

/// Copies the file, and what of it stands in its log or journal, into a folder of our own.
pub fn copy(file: &Path, folder: &Path) -> Result<PathBuf, LegacyError> {
    let at = |path: &Path| path.display().to_string();
    let fail = |path: &Path, source| LegacyError::File {
        path: path.display().to_string(),
        source,
    };
    let copied = folder.join("older.db");
    for suffix in ["", "-wal", "-journal"] {
        let beside = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        let (from, to) = (beside(file), beside(&copied));
        let found = match fs::metadata(&from) {
            Err(error) if !suffix.is_empty() && error.kind() == io::ErrorKind::NotFound => continue,
            found => found.map_err(|e| fail(&from, e))?,
        };
        if !found.is_file() {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "it is no file");
            return Err(fail(&from, error));
        }
        if found.len() > MAX_FILE {
            let path = at(&from);
            let size = found.len();
            return Err(LegacyError::TooLarge { path, size });
        }
        let mut source = fs::File::open(&from).map_err(|e| fail(&from, e))?;
        let mut target = fs::File::create_new(&to).map_err(|e| fail(&to, e))?;
        // It may grow while it is copied.
        let mut bounded = io::Read::take(&mut source, MAX_FILE);
        io::copy(&mut bounded, &mut target).map_err(|e| fail(&from, e))?;
        drop(target);
        // SQLite deletes the file that such a journal names, wherever it lies.
        if suffix == "-journal" && ends_with(&to, JOURNAL_MAGIC).map_err(|e| fail(&to, e))? {
            let detail = "its journal belongs to a transaction over several databases".to_owned();
            let path = at(&from);
            return Err(LegacyError::Damaged { path, detail });
        }
    }
    let mut head = [0; 16];
    let mut copy = fs::File::open(&copied).map_err(|e| fail(&copied, e))?;
    let whole = io::Read::read_exact(&mut copy, &mut head).is_ok();
    if whole && &head == MAGIC {
        return Ok(copied);
    }
    Err(LegacyError::NotSqlite { path: at(file) })
}

/// Whether these are the last bytes of a file.
fn ends_with(file: &Path, bytes: [u8; 8]) -> io::Result<bool> {
    use io::{Read as _, Seek as _};
    let mut file = fs::File::open(file)?;
    if file.metadata()?.len() < 8 {
        return Ok(false);
    }
    file.seek(io::SeekFrom::End(-8))?;
    let mut last = [0; 8];
    file.read_exact(&mut last)?;
    Ok(last == bytes)
}

/// Every ordinary table of a copy; `name` is what messages call it.
pub async fn read(copied: &Path, name: &str) -> Result<Vec<Table>, LegacyError> {
    let db = open(copied).await.map_err(|e| damaged(name, &e))?;
    let tables = tables(&db, name).await;
    let closed = db.close().await.map_err(|e| damaged(name, &e));
    let tables = tables?;
    closed.map(|()| tables)
}

async fn open(copied: &Path) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rw", copied.display()));
    // What is set below holds for this connection only.
    options.max_connections(1).sqlx_logging(false);
    let db = Database::connect(options).await?;
    for pragma in [
        "PRAGMA trusted_schema = OFF",
        "PRAGMA query_only = ON",
        "PRAGMA mmap_size = 0",
    ] {
        db.execute_unprepared(pragma).await?;
    }
    Ok(db)
}

fn damaged(name: &str, error: &DbErr) -> LegacyError {
    LegacyError::Damaged {
        path: name.to_owned(),
        detail: error.to_string(),
    }
}

async fn tables(db: &DatabaseConnection, name: &str) -> Result<Vec<Table>, LegacyError> {
    let check = rows(db, "PRAGMA quick_check(1)").await;
    let check = check.map_err(|e| damaged(name, &e))?;
    let answer = check.first().and_then(|row| text(row, "quick_check"));
    if answer.as_deref() != Some("ok") {
        return Err(LegacyError::Damaged {
            path: name.to_owned(),
            detail: answer.unwrap_or_else(|| "the check gave no answer".to_owned()),
        });
    }
    // A table of a module is not read: it would run code of ours on data of theirs.
    let listed = rows(
        db,
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
         AND upper(ltrim(sql)) NOT LIKE 'CREATE VIRTUAL%' ORDER BY name",
    );
    let listed = listed.await.map_err(|e| damaged(name, &e))?;
    let names: Vec<String> = listed.iter().filter_map(|row| text(row, "name")).collect();
    let foreign = |detail: String| LegacyError::Foreign {
        path: name.to_owned(),
        detail,
    };
    if names.len() > MAX_TABLES {
        let detail = format!(
            "it has {} tables, {MAX_TABLES} at most are read",
            names.len()
        );
        return Err(foreign(detail));
    }
    if names.iter().any(|name| name == "run_document") {
        let detail = "it is a database of this system; set database or --data-dir to it".to_owned();
        return Err(foreign(detail));
    }
    let mut found = Vec::with_capacity(names.len());
    for table in names {
        let columns = columns(db, &table).await.map_err(|e| damaged(name, &e))?;
        found.push((table, columns));
    }
    for (table, needed) in [
        ("runs", ["id", "state", "created_at"]),
        ("phases", ["run_id", "phase_id", "state"]),
    ] {
        let Some((_, columns)) = found.iter().find(|(name, _)| name == table) else {
            let names: Vec<&str> = found
                .iter()
                .take(20)
                .map(|(name, _)| name.as_str())
                .collect();
            let detail = format!("it has no table `{table}`, only: {}", names.join(", "));
            return Err(foreign(detail));
        };
        if let Some(missing) = needed
            .iter()
            .find(|c| !columns.iter().any(|known| known == *c))
        {
            return Err(foreign(format!(
                "its table `{table}` has no column `{missing}`"
            )));
        }
    }
    let mut tables = Vec::with_capacity(found.len());
    for (table, columns) in found {
        if columns.len() > MAX_COLUMNS {
            let detail = format!("its table `{table}` has more than {MAX_COLUMNS} columns");
            return Err(foreign(detail));
        }
        let rows = content(db, &table, &columns)
            .await
            .map_err(|e| damaged(name, &e))?;
        if rows.len() > MAX_ROWS {
            let detail = format!("its table `{table}` has more than {MAX_ROWS} rows");
            return Err(foreign(detail));
        }
        tables.push(Table { name: table, rows });
    }
    Ok(tables)
}

/// The stored columns of a table: computed ones are left out.
async fn columns(db: &DatabaseConnection, table: &str) -> Result<Vec<String>, DbErr> {
    let found = rows(db, &format!("PRAGMA table_info({})", quoted(table))).await?;
    Ok(found.iter().filter_map(|row| text(row, "name")).collect())
}

async fn content(
    db: &DatabaseConnection,
    table: &str,
    columns: &[String],
) -> Result<Vec<Row>, DbErr> {
    let mut chosen = Vec::with_capacity(columns.len());
    for (n, column) in columns.iter().enumerate() {
        let column = quoted(column);
        chosen.push(format!(
            "substr(CAST({column} AS BLOB), 1, {}) AS v{n}, typeof({column}) AS t{n}",
            MAX_VALUE + 1
        ));
    }
    let key = columns.iter().position(|c| c == "id" || c == "event_id");
    let order = key.map_or(String::new(), |n| {
        format!(" ORDER BY {}", quoted(&columns[n]))
    });
    let sql = format!(
        "SELECT {} FROM {}{order} LIMIT {}",
        chosen.join(", "),
        quoted(table),
        MAX_ROWS + 1
    );
    let found = rows(db, &sql).await?;
    let read = found.iter().enumerate().map(|(number, row)| {
        let mut read = row_of(row, columns);
        let named = key.and_then(|n| read.columns.get(&columns[n]));
        read.key = named.cloned().unwrap_or_else(|| format!("#{}", number + 1));
        read
    });
    Ok(read.collect())
}

fn row_of(row: &QueryResult, columns: &[String]) -> Row {
    let mut read = Row::default();
    let mut texts = BTreeMap::new();
    for (n, column) in columns.iter().enumerate() {
        let kind = text(row, &format!("t{n}")).unwrap_or_default();
        if kind == "null" {
            continue;
        }
        let bytes = row.try_get::<Option<Vec<u8>>>("", &format!("v{n}"));
        // A value of no bytes may come back as none.
        let bytes = bytes.ok().flatten().unwrap_or_default();
        let problem = if kind == "blob" {
            "holds bytes, not text"
        } else if bytes.len() > MAX_VALUE {
            "is too long"
        } else {
            match String::from_utf8(bytes) {
                Ok(value) => {
                    texts.insert(column.clone(), value);
                    continue;
                }
                Err(_) => "is not UTF-8",
            }
        };
        let column: String = column.chars().take(80).collect();
        read.unreadable
            .get_or_insert(format!("column {column} {problem}"));
    }
    read.columns = texts;
    read
}

async fn rows(db: &DatabaseConnection, sql: &str) -> Result<Vec<QueryResult>, DbErr> {
    db.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql))
        .await
}

fn text(row: &QueryResult, name: &str) -> Option<String> {
    row.try_get::<Option<String>>("", name).ok().flatten()
}

/// A name in quotes.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
