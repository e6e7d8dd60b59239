//! run-registry: the truth, and the only writer of the database.
//!
//! A command in; state, events and idempotency record in one transaction; or a typed refusal out. It
//! decides whether a command is legal, never what runs next, and never touches a target repository.
//!
//! - [`config`]: what it is told
//! - [`serving`]: standby and active, for the distributed form; [`migrate`]: the schema, from the command line
//! - [`app`]: one use case a file
//! - [`api`]: the gRPC services: decode, call `app`, encode
//! - [`tasks`]: relay of the event log, expiry of leases, offering again what the bus lost,
//!   collecting what it gave up on, telling what ended to a collector of traces, looking at runs of the past
//! - `spans`: what the event log says as spans of a trace
//! - [`failpoints`]: the crash windows, by name

mod activate;
pub mod api;
pub mod app;
pub mod config;
pub mod failpoints;
pub mod migrate;
mod open;
pub mod serving;
mod spans;
pub mod tasks;

use std::sync::Arc;

use autopack_artifacts::Artifacts;
use autopack_bus::Bus;
use autopack_domain::Refusal;
use autopack_runtime::{
    clock::Clock,
    ids::IdSource,
    supervise::{Kind, Supervisor},
    telemetry::Recorder,
};

pub use app::Core;
pub use config::{DatabaseAt, RegistryConfig, SelfRepair};
pub use serving::{Activity, Serving};

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
    /// Where spans of runs, phases and attempts are sent; `None`: runs are not traced.
    pub traces: Option<Arc<Recorder>>,
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
    /// Opens the embedded database, takes it over, and starts the tasks under the supervisor.
    pub async fn start(
        config: RegistryConfig,
        ports: Ports,
        supervisor: &Supervisor,
    ) -> Result<Self, Refusal> {
        let database = open::open(&config).await?;
        let line = database.line();
        let taken = activate::take_over(config, ports, database, line)
            .await
            .map_err(activate::Failed::into_refusal)?;
        let ending = supervisor.token();
        let writer = taken.writer;
        supervisor.spawn("registry.writer", Kind::Critical, async move {
            writer
                .run(ending.cancelled_owned())
                .await
                .map_err(|e| e.to_string())
        });
        taken.core.check_itself().await?;
        taken.core.grant_leases().await?;
        for (name, task) in activate::tasks(&taken.core, &supervisor.token()) {
            supervisor.spawn(name, Kind::Critical, task);
        }
        Ok(Self { core: taken.core })
    }
}
