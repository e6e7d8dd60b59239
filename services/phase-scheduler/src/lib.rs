//! phase-scheduler: turns a run's snapshot into the next actions with a pure function, and asks the
//! registry for them.
//!
//! Writes no database and keeps no state that a restart would lose: views of runs are copies, filled by
//! events and read anew on a gap. Two schedulers are harmless, because every request names the version of the
//! run that it was decided on.
//!
//! - [`views`]: the copies, and which of them need a decision
//! - [`state`]: views, queue and what is under way; pure
//! - [`trouble`]: runs that the registry refuses
//! - [`dispatch`]: decisions as requests to the registry; `figures`: what is counted
//! - [`tasks`]: the loop: woken by events, answers and a timer
//! - [`inquiry`], [`api`]: questions to the loop, and the service that asks them

pub mod api;
pub mod dispatch;
mod figures;
pub mod inquiry;
pub mod state;
pub mod tasks;
pub mod trouble;
pub mod views;

use std::{sync::Arc, time::Duration};

use autopack_bus::Bus;
use autopack_runtime::clock::Clock;
use autopack_wire::{
    client::Clients,
    scheduler::scheduler_service_server::{SchedulerService, SchedulerServiceServer},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

/// Questions that wait for the loop at most.
const INQUIRIES: usize = 64;

/// What the scheduler is told.
#[derive(Clone, Debug)]
pub struct SchedulerConfig {
    /// How often limits and lanes are asked for, and the longest pause of the loop.
    pub period: Duration,
    /// How often the list of runs and slots is read anew.
    pub reload: Duration,
    /// Offers of one pass at most.
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
    asked: mpsc::Sender<inquiry::Inquiry>,
    inquiries: mpsc::Receiver<inquiry::Inquiry>,
}

/// A scheduler on its ports.
pub fn build(config: SchedulerConfig, ports: Ports) -> Scheduler {
    let (asked, inquiries) = mpsc::channel(INQUIRIES);
    Scheduler {
        config,
        ports,
        asked,
        inquiries,
    }
}

impl Scheduler {
    /// Its own service: explain, list, pause. Answers while [`Self::run`] does.
    pub fn service(&self) -> SchedulerServiceServer<impl SchedulerService + use<>> {
        SchedulerServiceServer::new(api::Api {
            inquiries: self.asked.clone(),
            clients: self.ports.clients.clone(),
        })
    }

    /// [`Self::service`] as routes of its own.
    pub fn routes(&self) -> Routes {
        Routes::new(self.service())
    }

    /// Runs until the token is cancelled.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), String> {
        drop(self.asked);
        tasks::run(self.config, self.ports, self.inquiries, shutdown).await
    }
}
