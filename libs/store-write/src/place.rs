//! Where a PostgreSQL database is, and how sessions on it are set up.
//!
//! Invariant: durability class D2: `synchronous_commit` stays on, whatever server or role say. A registry that
//! hangs loses its session, and with it the lock, after a bounded silence.

use std::time::Duration;

use sea_orm::{
    ConnectOptions, DatabaseConnection, DbErr, RuntimeErr,
    sqlx::{ConnectOptions as _, postgres::PgConnectOptions},
};

/// Advisory lock of the active registry; held by the session that writes.
pub(crate) const LOCK: i64 = 0x4155_544f_5041_434b;
/// A statement may take this long.
const STATEMENT: Duration = Duration::from_secs(30);
/// A row's or table's lock may be waited for this long.
const ROW_LOCK: Duration = Duration::from_secs(10);
/// After this a call is given up with its connection: the server would have ended the statement before.
pub(crate) const CALL: Duration = Duration::from_secs(35);
/// A connection may take this long to be made, and a question of one row to be answered.
pub(crate) const CONNECT: Duration = Duration::from_secs(5);
/// Statements that the writer's session keeps prepared: batches differ by the tables that they write.
const STATEMENTS: usize = 64;
/// Readers at a time; more only wait.
const READERS: u32 = 8;
/// A reader that rested this long is tried before it is used: it may have been cut off.
const RESTED: Duration = Duration::from_secs(1);

/// How a registry opens a PostgreSQL database.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Name of the process, unique among registries: its sessions carry it.
    pub instance: String,
    /// A writing session that is silent for this long is ended by the server, and another registry takes over.
    /// While it has nothing to do, the active registry gives a sign of life each third of it.
    pub silence: Duration,
}

/// Where the database is.
#[derive(Debug)]
pub(crate) struct Place {
    /// Options of the session that writes.
    pub(crate) writer: PgConnectOptions,
    /// Its `application_name`.
    pub(crate) name: String,
    pub(crate) silence: Duration,
}

/// A session of PostgreSQL's keeps this name at most.
const NAME: usize = 63;

impl Place {
    pub(crate) fn parse(url: &str, options: &OpenOptions) -> Result<Self, DbErr> {
        let parsed: PgConnectOptions = url
            .parse()
            .map_err(|e| DbErr::Conn(RuntimeErr::SqlxError(std::sync::Arc::new(e))))?;
        let mut name = format!("run-registry {}", options.instance);
        name.truncate(NAME);
        let silence = options.silence.as_millis().to_string();
        let writer = common(parsed)
            .application_name(&name)
            .options([("idle_session_timeout", silence.as_str())])
            .options([("idle_in_transaction_session_timeout", silence.as_str())])
            .options([("lock_timeout", ROW_LOCK.as_millis().to_string())])
            // What a batch does is the same whatever its values are: it is planned once.
            .options([("plan_cache_mode", "force_generic_plan")])
            .statement_cache_capacity(STATEMENTS);
        Ok(Self {
            writer,
            name,
            silence: options.silence,
        })
    }
}

/// What every session has: bounds, and a server that notices a peer that is gone.
fn common(options: PgConnectOptions) -> PgConnectOptions {
    options
        .options([
            ("standard_conforming_strings", "on"),
            ("synchronous_commit", "on"),
            ("jit", "off"),
            ("tcp_keepalives_idle", "10"),
            ("tcp_keepalives_interval", "5"),
            ("tcp_keepalives_count", "3"),
            ("tcp_user_timeout", "25000"),
        ])
        .options([("statement_timeout", STATEMENT.as_millis().to_string())])
        .disable_statement_logging()
}

/// The readers. They connect when they are needed, and again when they were cut off.
pub(crate) async fn readers(url: &str, instance: &str) -> Result<DatabaseConnection, DbErr> {
    let mut name = format!("run-registry-read {instance}");
    name.truncate(NAME);
    let mut options = ConnectOptions::new(url.to_owned());
    options
        .max_connections(READERS)
        .min_connections(0)
        .sqlx_logging(false)
        .test_before_acquire(false)
        .test_before_acquire_if_idle_for(RESTED)
        .acquire_timeout(CONNECT)
        .connect_lazy(true)
        .map_sqlx_postgres_opts(move |found| {
            common(found)
                .application_name(&name)
                .options([("default_transaction_read_only", "on")])
        });
    sea_orm::Database::connect(options).await
}

/// One session for migrations and roles.
pub(crate) async fn admin(url: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url.to_owned());
    options
        .max_connections(1)
        .sqlx_logging(false)
        .acquire_timeout(CONNECT)
        .map_sqlx_postgres_opts(|found| common(found).application_name("run-registry migrate"));
    sea_orm::Database::connect(options).await
}
