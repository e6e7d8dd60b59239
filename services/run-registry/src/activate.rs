//! What makes a registry the active one: schema, epoch, writer, use cases, tasks.
//!
//! Invariant: the epoch is raised over the session that writes, and nothing is served before.

use std::{pin::Pin, sync::Arc};

use autopack_domain::Refusal;
use autopack_migrations::MigrationError;
use autopack_store::StoreError;
use autopack_store_write::{Database, Line, Writer, is_connection_lost};
use tokio_util::sync::CancellationToken;

use crate::{Core, Ports, RegistryConfig, api, app, migrate, tasks};

/// A task of an active registry.
pub(crate) type Task = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// A database that was taken over; its writer does not run yet.
pub(crate) struct Taken {
    pub(crate) core: Arc<Core>,
    pub(crate) writer: Writer,
}

/// Why it was not taken over.
pub(crate) enum Failed {
    /// The connection was lost; worth another try.
    Lost(Refusal),
    /// Time does not heal it.
    Refused(Refusal),
}

impl Failed {
    pub(crate) fn into_refusal(self) -> Refusal {
        match self {
            Self::Lost(refusal) | Self::Refused(refusal) => refusal,
        }
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        let lost = matches!(&error, StoreError::Database(e) if is_connection_lost(e));
        let refusal = app::store_refusal(error);
        if lost {
            Self::Lost(refusal)
        } else {
            Self::Refused(refusal)
        }
    }
}

impl From<MigrationError> for Failed {
    fn from(error: MigrationError) -> Self {
        let lost = matches!(&error, MigrationError::Database(e) if is_connection_lost(e));
        let refusal = migrate::refusal(error);
        if lost {
            Self::Lost(refusal)
        } else {
            Self::Refused(refusal)
        }
    }
}

/// Takes the database over; `line` holds the lock of the active registry.
pub(crate) async fn take_over(
    config: RegistryConfig,
    ports: Ports,
    database: Database,
    mut line: Line,
) -> Result<Taken, Failed> {
    migrate::up_to_date(&database).await?;
    let epoch = line.next_epoch(&config.advertised).await;
    let epoch = epoch.map_err(StoreError::from)?;
    let clock = Arc::clone(&ports.clock);
    let ids = Arc::clone(&ports.ids);
    let (writer, handle) = Writer::new(
        &database,
        line,
        epoch,
        api::event_encoder(),
        Arc::new(move || clock.now()),
        Arc::new(move || ids.uuid()),
        ports.failpoint,
    )
    .await?;
    let identity = autopack_store::identity::read(&database.read).await?;
    let (policy, corrupt) = app::limits::stored_policy(&database).await?;
    let ledger = Arc::new(app::ledger::Ledger::new(policy, epoch));
    let writer = writer.watched(Arc::clone(&ledger) as _);
    let core = Core::new(
        config,
        ports,
        database,
        handle,
        (ledger, corrupt),
        (epoch, identity),
    )
    .await?;
    tracing::info!(
        epoch,
        database_identity = core.identity,
        "this registry is active"
    );
    Ok(Taken {
        core: Arc::new(core),
        writer,
    })
}

/// The tasks beside the writer, by name.
pub(crate) fn tasks(core: &Arc<Core>, token: &CancellationToken) -> [(&'static str, Task); 7] {
    let (core, token) = (|| Arc::clone(core), || token.clone());
    [
        (
            "registry.relay",
            Box::pin(tasks::relay::run(core(), token())),
        ),
        (
            "registry.leases",
            Box::pin(tasks::expire::run(core(), token())),
        ),
        (
            "registry.offers",
            Box::pin(tasks::reoffer::run(core(), token())),
        ),
        (
            "registry.dead_letters",
            Box::pin(tasks::dead_letters::run(core(), token())),
        ),
        (
            "registry.traces",
            Box::pin(tasks::traces::run(core(), token())),
        ),
        (
            "registry.unreadable",
            Box::pin(tasks::unreadable::run(core(), token())),
        ),
        (
            "registry.check",
            Box::pin(tasks::check::run(core(), token())),
        ),
    ]
}
