//! Brings a database to the newest schema, or tells what is missing.
//!
//! Invariant: a migration is applied once, however many processes try: on PostgreSQL each transaction takes an
//! advisory lock first and looks again; an embedded database belongs to one process.

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, Statement,
    TransactionTrait,
};
use sha2::{Digest as _, Sha256};

use crate::history::{ALL, Migration};

/// Advisory lock of PostgreSQL: migrations of one database run one after another.
const LOCK: i64 = 0x4155_544f_5041_434c;

/// Why a database cannot be brought to this program's schema.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The database failed.
    #[error("migration of the database failed: {0}")]
    Database(#[from] DbErr),
    /// The database is newer than this program can read.
    #[error(
        "the database has schema {found}, which needs a program of schema {needs} or later; this one has {have}"
    )]
    TooNew {
        /// The stored version.
        found: i64,
        /// The oldest reader.
        needs: i64,
        /// Ours.
        have: i64,
    },
    /// A released migration was changed.
    #[error(
        "migration {version} in the database is not the one of this program (checksum differs)"
    )]
    Changed {
        /// Which.
        version: i64,
    },
    /// Rows hold a state that a migration neither keeps nor maps.
    #[error(
        "migration {version} does not know what becomes of {total} rows of {table}: {}; it keeps {}",
        rows.join(", "), allowed.join(", ")
    )]
    Unmapped {
        /// The migration.
        version: i64,
        /// The table.
        table: &'static str,
        /// How many rows.
        total: i64,
        /// The first of them, each as `key: value`.
        rows: Vec<String>,
        /// The states after the migration.
        allowed: Vec<String>,
    },
}

/// A migration that is not applied yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Its version.
    pub version: i64,
    /// Its name.
    pub name: &'static str,
}

/// Brings a database to [`crate::current`]. Harmless if it is there already.
pub async fn migrate(db: &DatabaseConnection) -> Result<Vec<Pending>, MigrationError> {
    migrate_to(db, ALL).await
}

/// The same; `before_commit` is called in the transaction of each migration, when all of it is done and nothing holds
/// yet: crash tests end the process there.
pub async fn migrate_with(
    db: &DatabaseConnection,
    before_commit: fn(),
) -> Result<Vec<Pending>, MigrationError> {
    along(db, ALL, before_commit).await
}

/// Brings a database along a history; returns what was applied. `db` has one connection.
pub async fn migrate_to(
    db: &DatabaseConnection,
    history: &[Migration],
) -> Result<Vec<Pending>, MigrationError> {
    along(db, history, || {}).await
}

async fn along(
    db: &DatabaseConnection,
    history: &[Migration],
    before_commit: fn(),
) -> Result<Vec<Pending>, MigrationError> {
    let mut done = Vec::new();
    let pending = pending_of(db, history).await?;
    if pending.is_empty() {
        return Ok(done);
    }
    let embedded = db.get_database_backend() == DbBackend::Sqlite;
    if embedded {
        // A table that is made anew takes the place of the old one: its references stay as they are.
        db.execute_unprepared("PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON")
            .await?;
    }
    let mut outcome = Ok(());
    for migration in history {
        match step(db, migration, history, before_commit).await {
            Ok(true) => done.push(Pending {
                version: migration.version,
                name: migration.name,
            }),
            Ok(false) => {}
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
    }
    if embedded {
        db.execute_unprepared("PRAGMA legacy_alter_table = OFF; PRAGMA foreign_keys = ON")
            .await?;
    }
    outcome.map(|()| done)
}

/// What [`migrate`] would apply; refuses what it would refuse. Changes nothing.
pub async fn pending(db: &DatabaseConnection) -> Result<Vec<Pending>, MigrationError> {
    pending_of(db, ALL).await
}

async fn pending_of(
    db: &DatabaseConnection,
    history: &[Migration],
) -> Result<Vec<Pending>, MigrationError> {
    let known = has_table(db, "schema_compat").await?;
    if known {
        check_compat(db, history).await?;
    }
    let mut pending = Vec::new();
    for migration in history {
        if !known || !is_applied(db, migration).await? {
            pending.push(Pending {
                version: migration.version,
                name: migration.name,
            });
        }
    }
    Ok(pending)
}

/// One migration, unless it is there; whether it was applied now.
async fn step(
    db: &DatabaseConnection,
    migration: &Migration,
    history: &[Migration],
    before_commit: fn(),
) -> Result<bool, MigrationError> {
    let transaction = db.begin().await?;
    let backend = transaction.get_database_backend();
    if backend == DbBackend::Postgres {
        let sql = format!(
            "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s'; SELECT pg_advisory_xact_lock({LOCK})"
        );
        transaction.execute_unprepared(&sql).await?;
    }
    let (text, tail) = match backend {
        DbBackend::Postgres => ("TEXT COLLATE \"C\"", ""),
        _ => ("TEXT", " WITHOUT ROWID"),
    };
    transaction
        .execute_unprepared(&format!(
            "CREATE TABLE IF NOT EXISTS schema_migration (version BIGINT PRIMARY KEY, name {text} NOT NULL, checksum {text} NOT NULL){tail};
             CREATE TABLE IF NOT EXISTS schema_compat (id BIGINT PRIMARY KEY CHECK (id = 1), version BIGINT NOT NULL, min_reader BIGINT NOT NULL){tail};"
        ))
        .await?;
    check_compat(&transaction, history).await?;
    if is_applied(&transaction, migration).await? {
        transaction.rollback().await?;
        return Ok(false);
    }
    transaction
        .execute_unprepared(migration.sql(backend))
        .await?;
    for change in migration.states {
        change.apply(&transaction, migration.version).await?;
    }
    record(&transaction, migration).await?;
    before_commit();
    transaction.commit().await?;
    tracing::info!(
        version = migration.version,
        name = migration.name,
        "migrated the database"
    );
    Ok(true)
}

async fn record(db: &DatabaseTransaction, migration: &Migration) -> Result<(), DbErr> {
    let backend = db.get_database_backend();
    let values = [
        migration.version.into(),
        migration.name.into(),
        checksum(migration, backend).into(),
    ];
    let sql = "INSERT INTO schema_migration (version, name, checksum) VALUES ($1, $2, $3)";
    db.execute_raw(Statement::from_sql_and_values(backend, sql, values))
        .await?;
    let (version, needs) = compat(db).await?.unwrap_or((0, 0));
    let sql = "INSERT INTO schema_compat (id, version, min_reader) VALUES (1, $1, $2)
        ON CONFLICT (id) DO UPDATE SET version = excluded.version, min_reader = excluded.min_reader";
    let values = [
        migration.version.max(version).into(),
        migration.min_reader.max(needs).into(),
    ];
    db.execute_raw(Statement::from_sql_and_values(backend, sql, values))
        .await?;
    Ok(())
}

async fn check_compat<C: ConnectionTrait>(
    db: &C,
    history: &[Migration],
) -> Result<(), MigrationError> {
    let have = history.last().map_or(0, |m| m.version);
    match compat(db).await? {
        Some((found, needs)) if needs > have => Err(MigrationError::TooNew { found, needs, have }),
        _ => Ok(()),
    }
}

async fn compat<C: ConnectionTrait>(db: &C) -> Result<Option<(i64, i64)>, DbErr> {
    let sql = "SELECT version, min_reader FROM schema_compat WHERE id = 1";
    let row = db
        .query_one_raw(Statement::from_string(db.get_database_backend(), sql))
        .await?;
    row.map(|r| Ok((r.try_get("", "version")?, r.try_get("", "min_reader")?)))
        .transpose()
}

/// Whether the migration is there; an error if it is there with another text.
async fn is_applied<C: ConnectionTrait>(
    db: &C,
    migration: &Migration,
) -> Result<bool, MigrationError> {
    let backend = db.get_database_backend();
    let statement = Statement::from_sql_and_values(
        backend,
        "SELECT checksum FROM schema_migration WHERE version = $1",
        [migration.version.into()],
    );
    let Some(row) = db.query_one_raw(statement).await? else {
        return Ok(false);
    };
    let stored: String = row.try_get("", "checksum")?;
    if stored == checksum(migration, backend) {
        return Ok(true);
    }
    Err(MigrationError::Changed {
        version: migration.version,
    })
}

async fn has_table(db: &DatabaseConnection, name: &str) -> Result<bool, DbErr> {
    let backend = db.get_database_backend();
    let sql = match backend {
        DbBackend::Postgres => {
            "SELECT 1 AS found FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = $1"
        }
        _ => "SELECT 1 AS found FROM sqlite_master WHERE type = 'table' AND name = $1",
    };
    let statement = Statement::from_sql_and_values(backend, sql, [name.into()]);
    Ok(db.query_one_raw(statement).await?.is_some())
}

fn checksum(migration: &Migration, backend: DbBackend) -> String {
    use std::fmt::Write as _;
    let mut hash = Sha256::new();
    hash.update(migration.sql(backend).as_bytes());
    for change in migration.states {
        hash.update(format!("{change:?}").as_bytes());
    }
    hash.finalize()
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}
