//! The one connection that writes; on PostgreSQL its session holds the lock of the active registry.
//!
//! Invariant: a call ends within a bound or the connection is given up, and with the session the server gives up
//! the lock; after a reconnection nothing is written before the lock is held again.

use std::{sync::Arc, time::Duration};

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement,
    sqlx::{
        self, AssertSqlSafe, ConnectOptions as _, Connection as _,
        postgres::{PgArguments, PgConnection},
    },
};

use crate::{
    literal,
    loss::{exec_error, is_lost},
    place::{CALL, CONNECT, LOCK, Place},
};

/// How often a file is looked after while nobody asks for anything: never, in effect.
const NEVER: Duration = Duration::from_hours(24);

/// What the row of the epoch says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The epoch in force.
    pub epoch: u64,
    /// Where its registry is reached; empty if it did not say.
    pub address: String,
    /// The last batch that was committed.
    pub(crate) last_batch: String,
}

/// What came of asking for the lock again.
pub(crate) enum Reclaim {
    /// It is held.
    Held(Standing),
    /// Another session holds it.
    Waiting(Standing),
}

/// The one connection that writes.
#[derive(Debug)]
pub struct Line {
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Sqlite(DatabaseConnection),
    Postgres(PgLine),
}

#[derive(Debug)]
struct PgLine {
    place: Arc<Place>,
    connection: Option<PgConnection>,
    /// The session of `connection` has the lock.
    held: bool,
}

impl Line {
    pub(crate) fn sqlite(connection: DatabaseConnection) -> Self {
        Self {
            inner: Inner::Sqlite(connection),
        }
    }

    pub(crate) fn postgres(place: Arc<Place>) -> Self {
        let line = PgLine {
            place,
            connection: None,
            held: false,
        };
        Self {
            inner: Inner::Postgres(line),
        }
    }

    /// Asks for the lock of the active registry; whether this session has it. An embedded database belongs to
    /// the process that holds the data directory, so there the answer is yes.
    pub async fn try_claim(&mut self) -> Result<bool, DbErr> {
        match &mut self.inner {
            Inner::Sqlite(_) => Ok(true),
            Inner::Postgres(line) => line.try_claim().await,
        }
    }

    /// The active registry, as the database knows it; `None` before the first migration.
    pub async fn standing(&mut self) -> Result<Option<Standing>, DbErr> {
        match &mut self.inner {
            Inner::Sqlite(db) => sqlite_standing(db).await.map(Some),
            Inner::Postgres(line) => line.standing().await,
        }
    }

    /// Raises the epoch: every earlier registry on this database is fenced from now on. `address` is what a
    /// standby tells its callers.
    pub async fn next_epoch(&mut self, address: &str) -> Result<u64, DbErr> {
        let name = match &self.inner {
            Inner::Sqlite(_) => "",
            Inner::Postgres(line) => &line.place.name,
        };
        let mut sql = String::from("UPDATE registry_epoch SET epoch = epoch + 1, instance = ");
        literal::quoted(&mut sql, name);
        sql.push_str(", address = ");
        literal::quoted(&mut sql, address);
        sql.push_str(" WHERE id = 1");
        self.execute(&sql).await?;
        let standing = self.standing().await?;
        standing
            .map(|s| s.epoch)
            .ok_or_else(|| DbErr::Custom("registry_epoch is missing".to_owned()))
    }

    /// Ends the session; the lock is free at once.
    pub async fn close(self) {
        if let Inner::Postgres(PgLine {
            connection: Some(connection),
            ..
        }) = self.inner
        {
            // The server notices an ended process anyway.
            let _ = tokio::time::timeout(CONNECT, connection.close()).await;
        }
    }

    pub(crate) fn is_embedded(&self) -> bool {
        matches!(self.inner, Inner::Sqlite(_))
    }

    pub(crate) fn backend(&self) -> DbBackend {
        match self.inner {
            Inner::Sqlite(_) => DbBackend::Sqlite,
            Inner::Postgres(_) => DbBackend::Postgres,
        }
    }

    /// How long the connection may be silent before [`Self::ping`] is due.
    pub(crate) fn beat(&self) -> Duration {
        match &self.inner {
            Inner::Sqlite(_) => NEVER,
            Inner::Postgres(line) => line.place.silence / 3,
        }
    }

    /// A sign of life, both ways.
    pub(crate) async fn ping(&mut self) -> Result<(), DbErr> {
        match &mut self.inner {
            Inner::Sqlite(_) => Ok(()),
            Inner::Postgres(line) => line.ping().await,
        }
    }

    /// One or more statements without values.
    pub(crate) async fn execute(&mut self, sql: &str) -> Result<(), DbErr> {
        match &mut self.inner {
            Inner::Sqlite(db) => db.execute_unprepared(sql).await.map(drop),
            Inner::Postgres(line) => line.execute(sql).await,
        }
    }

    /// Statements of SQLite with their values.
    pub(crate) async fn execute_raw(&mut self, statement: Statement) -> Result<(), DbErr> {
        match &mut self.inner {
            Inner::Sqlite(db) => db.execute_raw(statement).await.map(drop),
            Inner::Postgres(line) => line.execute(&statement.sql).await,
        }
    }

    /// One statement of PostgreSQL with its values; the session keeps it prepared.
    pub(crate) async fn execute_prepared(
        &mut self,
        sql: &str,
        values: PgArguments,
    ) -> Result<(), DbErr> {
        match &mut self.inner {
            Inner::Sqlite(_) => Err(DbErr::Custom("not a statement of SQLite's".to_owned())),
            Inner::Postgres(line) => line.execute_prepared(sql, values).await,
        }
    }

    /// Makes sure that the session lives and holds the lock, over a new connection if need be. One try.
    pub(crate) async fn reclaim(&mut self) -> Result<Reclaim, DbErr> {
        let gone = || DbErr::Custom("registry_epoch is missing".to_owned());
        match &mut self.inner {
            Inner::Sqlite(db) => sqlite_standing(db).await.map(Reclaim::Held),
            Inner::Postgres(line) => {
                let held = line.try_claim().await?;
                let standing = line.standing().await?.ok_or_else(gone)?;
                Ok(if held {
                    Reclaim::Held(standing)
                } else {
                    Reclaim::Waiting(standing)
                })
            }
        }
    }
}

impl PgLine {
    /// The connection, made if there is none.
    async fn connect(&mut self) -> Result<&mut PgConnection, DbErr> {
        if self.connection.is_none() {
            let made = tokio::time::timeout(CONNECT, self.place.writer.connect()).await;
            let made = made
                .unwrap_or_else(|_| Err(timed_out()))
                .map_err(exec_error)?;
            self.connection = Some(made);
        }
        self.connection
            .as_mut()
            .ok_or_else(|| DbErr::Custom("the connection was lost".to_owned()))
    }

    /// Bounds a call; a connection that failed is given up. Without the bound a half-open one would hang.
    fn judge<T>(
        &mut self,
        outcome: Result<Result<T, sqlx::Error>, tokio::time::error::Elapsed>,
    ) -> Result<T, DbErr> {
        let outcome = outcome.unwrap_or_else(|_| Err(timed_out()));
        if outcome.as_ref().is_err_and(is_lost) {
            self.connection = None;
            self.held = false;
        }
        outcome.map_err(exec_error)
    }

    /// The session that holds the lock. A transaction never moves to another one: a lost connection is an error of its
    /// own.
    fn session(&mut self) -> Result<&mut PgConnection, DbErr> {
        let connection = self.connection.as_mut().filter(|_| self.held);
        connection.ok_or_else(|| {
            exec_error(sqlx::Error::Io(std::io::Error::from(
                std::io::ErrorKind::NotConnected,
            )))
        })
    }

    async fn execute(&mut self, sql: &str) -> Result<(), DbErr> {
        let call = sqlx::raw_sql(AssertSqlSafe(sql)).execute(self.session()?);
        let outcome = tokio::time::timeout(CALL, call).await;
        self.judge(outcome).map(drop)
    }

    async fn execute_prepared(&mut self, sql: &str, values: PgArguments) -> Result<(), DbErr> {
        let call = sqlx::query_with(AssertSqlSafe(sql), values).execute(self.session()?);
        let outcome = tokio::time::timeout(CALL, call).await;
        self.judge(outcome).map(drop)
    }

    async fn ping(&mut self) -> Result<(), DbErr> {
        let connection = self.connect().await?;
        let outcome = tokio::time::timeout(CONNECT, connection.ping()).await;
        self.judge(outcome)
    }

    async fn try_claim(&mut self) -> Result<bool, DbErr> {
        let instance = self.place.name.clone();
        let connection = self.connect().await?;
        let claim = async {
            // Held once already, it is not taken a second time: one unlock would not free it.
            let held: bool = sqlx::query_scalar(AssertSqlSafe(format!(
                "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() \
                 AND classid::bigint = {} AND objid::bigint = {}) OR pg_try_advisory_lock({LOCK})",
                LOCK >> 32,
                LOCK & 0xffff_ffff,
            )))
            .fetch_one(&mut *connection)
            .await?;
            if !held {
                // A session of this very process that the server still believes in: its peer is gone.
                sqlx::query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE application_name = $1 AND datname = current_database() AND pid <> pg_backend_pid()",
                )
                .bind(instance)
                .execute(&mut *connection)
                .await?;
            }
            Ok(held)
        };
        let outcome = tokio::time::timeout(CONNECT, claim).await;
        self.held = self.judge(outcome)?;
        Ok(self.held)
    }

    async fn standing(&mut self) -> Result<Option<Standing>, DbErr> {
        let connection = self.connect().await?;
        let read = async {
            let known: bool = sqlx::query_scalar(
                "SELECT EXISTS (SELECT 1 FROM information_schema.columns WHERE table_schema = current_schema() \
                 AND table_name = 'registry_epoch' AND column_name = 'last_batch')",
            )
            .fetch_one(&mut *connection)
            .await?;
            if !known {
                return Ok(None);
            }
            let row: (i64, String, String) = sqlx::query_as(
                "SELECT epoch, address, last_batch FROM registry_epoch WHERE id = 1",
            )
            .fetch_one(&mut *connection)
            .await?;
            Ok(Some(Standing {
                epoch: u64::try_from(row.0).unwrap_or(0),
                address: row.1,
                last_batch: row.2,
            }))
        };
        let outcome = tokio::time::timeout(CONNECT, read).await;
        self.judge(outcome)
    }
}

fn timed_out() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(
        std::io::ErrorKind::TimedOut,
        "the database did not answer in time",
    ))
}

async fn sqlite_standing(db: &DatabaseConnection) -> Result<Standing, DbErr> {
    let statement = Statement::from_string(
        DbBackend::Sqlite,
        "SELECT epoch, address, last_batch FROM registry_epoch WHERE id = 1",
    );
    let row = db
        .query_one_raw(statement)
        .await?
        .ok_or_else(|| DbErr::Custom("registry_epoch is empty".to_owned()))?;
    Ok(Standing {
        epoch: u64::try_from(row.try_get::<i64>("", "epoch")?).unwrap_or(0),
        address: row.try_get("", "address")?,
        last_batch: row.try_get("", "last_batch")?,
    })
}
