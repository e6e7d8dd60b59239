//! telemetry: turns events and usage into metrics and answers. It reads, and writes nothing.
//!
//! Invariant: nobody waits for it. Its numbers are a function of the registry's log: what the bus lost is read back, an
//! event counts once, and a restart comes to the same numbers as far as the history is read.
//!
//! - [`ledger`]: events to numbers; pure
//! - [`feed`]: events from the bus
//! - [`refill`]: what the bus lost, from the registry
//! - [`usage`]: tokens from the registry's facts
//! - [`figures`]: the numbers as metrics
//! - [`api`]: the RPCs

pub mod api;
pub mod feed;
pub mod figures;
pub mod ledger;
pub mod refill;
pub mod usage;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use autopack_bus::Bus;
use autopack_runtime::{Clock, Kind, Supervisor};
use autopack_wire::client::Clients;
use tokio::sync::mpsc;

pub use ledger::Ledger;

/// Runs that wait to be read back, at most; what does not fit is found by the next comparison.
const WAITING: usize = 1024;

/// What the service is told.
#[derive(Clone, Debug)]
pub struct TelemetryConfig {
    /// Runs of the past that are read at the start, newest first.
    pub history_runs: usize,
    /// How often the registry's runs are compared with what is known.
    pub compare: Duration,
}

/// What the service gets from outside.
#[derive(Clone)]
pub struct Ports {
    /// The registry.
    pub clients: Clients,
    /// Where events come from.
    pub bus: Arc<dyn Bus>,
    /// Wall time, for ages.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ports")
    }
}

/// What the parts of the service share.
#[derive(Clone, Debug)]
pub struct Shared {
    pub(crate) config: TelemetryConfig,
    pub(crate) ports: Ports,
    ledger: Arc<Mutex<Ledger>>,
    pub(crate) behind: mpsc::Sender<refill::Behind>,
}

impl Shared {
    /// The ledger, for a moment.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the tasks; the result answers RPCs.
pub fn start(config: TelemetryConfig, ports: Ports, tasks: &Supervisor) -> Shared {
    let (behind, waiting) = mpsc::channel(WAITING);
    let shared = Shared {
        config,
        ports,
        ledger: Arc::default(),
        behind,
    };
    let token = tasks.token();
    tasks.spawn(
        "telemetry.feed",
        Kind::Critical,
        feed::run(shared.clone(), token.clone()),
    );
    tasks.spawn(
        "telemetry.refill",
        Kind::Critical,
        refill::run(shared.clone(), waiting, token.clone()),
    );
    tasks.spawn(
        "telemetry.compare",
        Kind::Critical,
        refill::compare(shared.clone(), token),
    );
    figures::observe(&shared);
    shared
}
