//! phase-scheduler: turns a run's snapshot into the next actions with a pure function, and asks the
//! registry for them.
//!
//! Writes no database and keeps no state that a restart would lose: views of runs are copies, filled by
//! events and read anew on a gap. Two schedulers are harmless, because every request names the version of the
//! run that it was decided on.
//!
//! - [`views`]: the copies, and which of them need a decision
//! - [`dispatch`]: decisions as requests to the registry
//! - [`tasks`]: the loop: woken by events and by a timer

pub mod dispatch;
pub mod tasks;
pub mod views;

use std::{sync::Arc, time::Duration};

use autopack_bus::Bus;
use autopack_runtime::clock::Clock;
use autopack_wire::client::Clients;
use tokio_util::sync::CancellationToken;

/// What the scheduler is told.
#[derive(Clone, Debug)]
pub struct SchedulerConfig {
    /// How often every run is looked at even if nothing happens.
    pub period: Duration,
    /// How often the list of runs and slots is read anew.
    pub reload: Duration,
    /// Offers of one request at most.
    pub window: usize,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            period: Duration::from_secs(1),
            reload: Duration::from_secs(5),
            window: 200,
        }
    }
}

/// What the scheduler gets from outside.
#[derive(Clone)]
pub struct Ports {
    /// The registry.
    pub clients: Clients,
    /// Where events come from.
    pub bus: Arc<dyn Bus>,
    /// Wall time for due times.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ports")
    }
}

/// A scheduler.
#[derive(Debug)]
pub struct Scheduler {
    config: SchedulerConfig,
    ports: Ports,
}

/// A scheduler on its ports.
pub fn build(config: SchedulerConfig, ports: Ports) -> Scheduler {
    Scheduler { config, ports }
}

impl Scheduler {
    /// Runs until the token is cancelled.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), String> {
        tasks::run(self.config, self.ports, shutdown).await
    }
}
