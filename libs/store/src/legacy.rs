//! Reads the tables of an older Autopack database.
//!
//! Invariant: the file itself is never opened as a database and never written: what is read is a private copy of it,
//! with its write-ahead log or journal. The file is not trusted: only ordinary tables are read, sizes and time are
//! bounded, no view, trigger, constraint or function of the file runs, and whatever its bytes are, the answer is rows or
//! a [`LegacyError`].
//!
//! - [`tables`]: which tables there are, and that nothing in the file computes
//! - [`content`]: the rows of a table, within bounds

mod content;
mod tables;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use autopack_domain::import::legacy::Table;
use sea_orm::sqlx::{
    self, AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteRow},
};

/// Bytes of a file at most.
pub const MAX_FILE: u64 = 1 << 30;
/// Bytes of all rows together at most, with the names of their columns: a file may hold far less than its rows do.
pub const MAX_ROWS_BYTES: usize = 512 << 20;
/// Steps of the database's machine between two looks at the time.
const STEPS: i32 = 10_000;
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
    /// Its rows are more than is read.
    #[error(
        "the rows of {path} have more than {max} bytes together: the limit was reached in table `{table}`"
    )]
    TooMuch {
        /// The file.
        path: String,
        /// The table in which it was reached.
        table: String,
        /// The bound.
        max: usize,
    },
    /// Reading it takes longer than it may.
    #[error("reading {path} takes too long")]
    TooSlow {
        /// The file.
        path: String,
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

/// What a file may cost.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Bytes of all rows together, with the names of their columns.
    pub bytes: usize,
    /// Set by the caller when the time is over: whatever is being read ends with [`LegacyError::TooSlow`].
    pub late: Arc<AtomicBool>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            bytes: MAX_ROWS_BYTES,
            late: Arc::default(),
        }
    }
}

/// Every ordinary table of a copy; `name` is what messages call it.
pub async fn read(copied: &Path, name: &str, bounds: &Bounds) -> Result<Vec<Table>, LegacyError> {
    let source = Source { name, bounds };
    let mut db = open(copied, bounds).await.map_err(|e| source.failed(&e))?;
    let found = tables::find(&mut db, &source).await?;
    let mut left = bounds.bytes;
    let mut tables = Vec::with_capacity(found.len());
    for (table, columns) in found {
        let rows = content::read(&mut db, &source, &table, &columns, &mut left).await?;
        tables.push(Table { name: table, rows });
    }
    db.close().await.map_err(|e| source.failed(&e))?;
    Ok(tables)
}

/// One connection, which has few rows in memory at a time and asks now and then whether it may go on.
async fn open(copied: &Path, bounds: &Bounds) -> Result<SqliteConnection, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(copied)
        .row_buffer_size(1)
        .pragma("trusted_schema", "OFF")
        .pragma("ignore_check_constraints", "ON")
        .pragma("query_only", "ON")
        .pragma("mmap_size", "0")
        .disable_statement_logging();
    let mut db = options.connect().await?;
    let late = Arc::clone(&bounds.late);
    db.lock_handle()
        .await?
        .set_progress_handler(STEPS, move || !late.load(Ordering::Relaxed));
    Ok(db)
}

/// What is read, for messages.
struct Source<'a> {
    name: &'a str,
    bounds: &'a Bounds,
}

impl Source<'_> {
    /// What SQLite says of it; but what was told to end is not damaged.
    fn failed(&self, error: &sqlx::Error) -> LegacyError {
        let path = self.name.to_owned();
        if self.bounds.late.load(Ordering::Relaxed) {
            return LegacyError::TooSlow { path };
        }
        let detail = error.to_string();
        LegacyError::Damaged { path, detail }
    }

    fn foreign(&self, detail: String) -> LegacyError {
        let path = self.name.to_owned();
        LegacyError::Foreign { path, detail }
    }
}

async fn rows(db: &mut SqliteConnection, sql: String) -> Result<Vec<SqliteRow>, sqlx::Error> {
    sqlx::query(AssertSqlSafe(sql)).fetch_all(db).await
}

fn text(row: &SqliteRow, name: &str) -> Option<String> {
    row.try_get::<Option<String>, _>(name).ok().flatten()
}

/// A name in quotes.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
