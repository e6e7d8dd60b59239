//! run-registry: the truth, and the only writer of the database.
//!
//! A command in; state, events and idempotency record in one transaction; or a typed refusal out. It
//! decides whether a command is legal, never what runs next, and never touches a target repository.
//!
//! - [`config`]: what it is told
//! - [`app`]: one use case a file
//! - [`api`]: the gRPC services: decode, call `app`, encode
//! - [`tasks`]: relay of the event log, expiry of leases, offering again what the bus lost
//! - [`failpoints`]: the crash windows, by name

pub mod api;
pub mod app;
pub mod config;
pub mod failpoints;
pub mod tasks;

use std::sync::Arc;

use autopack_artifacts::Artifacts;
use autopack_bus::Bus;
use autopack_domain::{Reason, Refusal};
use autopack_runtime::{
    clock::Clock,
    ids::IdSource,
    supervise::{Kind, Supervisor},
};
use autopack_store_write::{Database, Writer};

pub use app::Core;
pub use config::RegistryConfig;

/// What the registry gets from outside.
#[derive(Clone)]
pub struct Ports {
    /// Wall and monotonic time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn IdSource>,
    /// Where jobs and events are published.
    pub bus: Arc<dyn Bus>,
    /// Where artifacts are stored.
    pub artifacts: Arc<Artifacts>,
    /// Called at each crash window.
    pub failpoint: fn(&str),
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ports")
    }
}

/// A registry that serves.
#[derive(Clone, Debug)]
pub struct Registry {
    /// The use cases.
    pub core: Arc<Core>,
}

impl Registry {
    /// Opens the database, takes it over, and starts the tasks under the supervisor.
    pub async fn start(
        config: RegistryConfig,
        ports: Ports,
        supervisor: &Supervisor,
    ) -> Result<Self, Refusal> {
        if let Some(folder) = config.database.parent() {
            std::fs::create_dir_all(folder).map_err(|e| {
                Refusal::new(
                    Reason::RegistryUnavailable,
                    format!("cannot create {}: {e}", folder.display()),
                )
            })?;
        }
        let unavailable =
            |e: &dyn std::fmt::Display| Refusal::new(Reason::RegistryUnavailable, e.to_string());
        let database = Database::open_sqlite(&config.database)
            .await
            .map_err(|e| unavailable(&e))?;
        autopack_migrations::migrate_sqlite(&database.write)
            .await
            .map_err(|e| match e {
                autopack_migrations::MigrationError::TooNew { .. } => {
                    Refusal::new(Reason::SchemaTooNew, e.to_string())
                }
                autopack_migrations::MigrationError::Database(_)
                | autopack_migrations::MigrationError::Changed { .. } => unavailable(&e),
            })?;
        let epoch = database.next_epoch().await.map_err(|e| unavailable(&e))?;
        let clock = Arc::clone(&ports.clock);
        let ids = Arc::clone(&ports.ids);
        let (writer, handle) = Writer::new(
            &database,
            epoch,
            api::event_encoder(),
            Arc::new(move || clock.now()),
            Arc::new(move || ids.uuid()),
            ports.failpoint,
        )
        .await
        .map_err(|e| unavailable(&e))?;
        let (policy, corrupt) = app::limits::stored_policy(&database)
            .await
            .map_err(|e| unavailable(&e))?;
        let ledger = Arc::new(app::ledger::Ledger::new(policy, epoch));
        let writer = writer.watched(Arc::clone(&ledger) as _);
        let core = Arc::new(
            Core::new(config, ports, database, handle, (ledger, corrupt), epoch)
                .await
                .map_err(|e| unavailable(&e))?,
        );
        let token = supervisor.token();
        let ending = token.clone();
        supervisor.spawn("registry.writer", Kind::Critical, async move {
            writer
                .run(ending.cancelled_owned())
                .await
                .map_err(|e| e.to_string())
        });
        core.take_over().await?;
        supervisor.spawn(
            "registry.relay",
            Kind::Critical,
            tasks::relay::run(Arc::clone(&core), token.clone()),
        );
        supervisor.spawn(
            "registry.leases",
            Kind::Critical,
            tasks::expire::run(Arc::clone(&core), token.clone()),
        );
        supervisor.spawn(
            "registry.offers",
            Kind::Critical,
            tasks::reoffer::run(Arc::clone(&core), token),
        );
        Ok(Self { core })
    }
}
