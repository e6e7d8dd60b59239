//! Forward-only schema history. Owns no entity.
//!
//! Invariant: a migration that was released never changes (its checksum is stored), each runs in its own
//! transaction, and a database with a newer schema is refused unless it declares this reader compatible.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement, TransactionTrait};
use sha2::{Digest as _, Sha256};

/// One step of the history.
#[derive(Debug)]
pub struct Migration {
    /// 1, 2, 3, ...
    pub version: i64,
    /// The oldest program version's schema number that can read the result.
    pub min_reader: i64,
    /// For people.
    pub name: &'static str,
    /// The statements for SQLite.
    pub sqlite: &'static str,
}

/// Every migration, in order.
pub const ALL: &[Migration] = &[
    Migration {
        version: 1,
        min_reader: 1,
        name: "initial",
        sqlite: include_str!("../sql/0001_initial.sqlite.sql"),
    },
    Migration {
        version: 2,
        min_reader: 1,
        name: "lanes",
        sqlite: include_str!("../sql/0002_lanes.sqlite.sql"),
    },
];

/// The schema version of this program.
pub fn current() -> i64 {
    ALL.last().map_or(0, |m| m.version)
}

/// Why a database cannot be brought to this program's schema.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The database failed.
    #[error("migration of the database failed")]
    Database(#[from] DbErr),
    /// The database is newer than this program can read.
    #[error(
        "the database has schema {found}, which needs a program of schema {needs}; this one has {have}"
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
}

/// Brings a SQLite database to [`current`]. Harmless if it is there already.
pub async fn migrate_sqlite(db: &DatabaseConnection) -> Result<(), MigrationError> {
    db.execute_unprepared(
        "CREATE TABLE IF NOT EXISTS schema_migration (version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS schema_compat (id BIGINT PRIMARY KEY CHECK (id = 1), version BIGINT NOT NULL, min_reader BIGINT NOT NULL) WITHOUT ROWID;",
    )
    .await?;
    if let Some((found, needs)) = compat(db).await?
        && needs > current()
    {
        return Err(MigrationError::TooNew {
            found,
            needs,
            have: current(),
        });
    }
    for migration in ALL {
        let sum = checksum(migration.sqlite);
        match stored_checksum(db, migration.version).await? {
            Some(stored) if stored == sum => continue,
            Some(_) => {
                return Err(MigrationError::Changed {
                    version: migration.version,
                });
            }
            None => {}
        }
        let transaction = db.begin().await?;
        transaction.execute_unprepared(migration.sqlite).await?;
        let backend = transaction.get_database_backend();
        transaction
            .execute_raw(Statement::from_sql_and_values(
                backend,
                "INSERT INTO schema_migration (version, name, checksum) VALUES (?, ?, ?)",
                [migration.version.into(), migration.name.into(), sum.into()],
            ))
            .await?;
        transaction
            .execute_raw(Statement::from_sql_and_values(
                backend,
                "INSERT INTO schema_compat (id, version, min_reader) VALUES (1, ?, ?)
                 ON CONFLICT (id) DO UPDATE SET version = excluded.version, min_reader = excluded.min_reader",
                [migration.version.into(), migration.min_reader.into()],
            ))
            .await?;
        transaction.commit().await?;
        tracing::info!(
            version = migration.version,
            name = migration.name,
            "migrated the database"
        );
    }
    Ok(())
}

async fn compat(db: &DatabaseConnection) -> Result<Option<(i64, i64)>, DbErr> {
    let sql = "SELECT version, min_reader FROM schema_compat WHERE id = 1";
    let row = db
        .query_one_raw(Statement::from_string(db.get_database_backend(), sql))
        .await?;
    row.map(|r| Ok((r.try_get("", "version")?, r.try_get("", "min_reader")?)))
        .transpose()
}

async fn stored_checksum(db: &DatabaseConnection, version: i64) -> Result<Option<String>, DbErr> {
    let statement = Statement::from_sql_and_values(
        db.get_database_backend(),
        "SELECT checksum FROM schema_migration WHERE version = ?",
        [version.into()],
    );
    db.query_one_raw(statement)
        .await?
        .map(|r| r.try_get("", "checksum"))
        .transpose()
}

fn checksum(text: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(text.as_bytes())
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}
