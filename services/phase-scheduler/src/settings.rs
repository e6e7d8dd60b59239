//! What the process of a scheduler is told.

use std::time::Duration;

use autopack_bus::BusSettings;
use autopack_domain::fault::Fault;
use autopack_runtime::service::{Common, RegistryAddress, Settings as ServiceSettings};
use autopack_wire::server::Principal;
use phase_scheduler::SchedulerConfig;
use serde::{Deserialize, Serialize};

/// Keys of `phase-scheduler`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    #[serde(flatten)]
    pub(crate) common: Common,
    /// The registry.
    pub(crate) registry: RegistryAddress,
    /// The bus.
    pub(crate) bus: BusSettings,
    /// How often every run is looked at even if nothing happens, in milliseconds.
    pub(crate) period_ms: u64,
    /// How often the list of runs and slots is read anew, in milliseconds.
    pub(crate) reload_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        let config = SchedulerConfig::default();
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self {
            common: Common::on(7879, 9879),
            registry: RegistryAddress::default(),
            bus: BusSettings::default(),
            period_ms: millis(config.period),
            reload_ms: millis(config.reload),
        }
    }
}

impl ServiceSettings for Settings {
    fn common(&self) -> &Common {
        &self.common
    }

    fn registry(&self) -> Option<&RegistryAddress> {
        Some(&self.registry)
    }

    fn role() -> Principal {
        Principal::Scheduler
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = self.bus.faults();
        for (key, millis) in [("period_ms", self.period_ms), ("reload_ms", self.reload_ms)] {
            if !(10..=3_600_000).contains(&millis) {
                let problem = format!("{millis}: must be from 10 to 3600000");
                faults.push(Fault::new(key, problem).example("1000"));
            }
        }
        faults
    }
}

impl Settings {
    /// What the scheduler itself is told.
    pub(crate) fn scheduler(&self) -> SchedulerConfig {
        SchedulerConfig {
            period: Duration::from_millis(self.period_ms),
            reload: Duration::from_millis(self.reload_ms),
            ..SchedulerConfig::default()
        }
    }
}
