//! What the process of the telemetry service is told.

use std::time::Duration;

use autopack_bus::BusSettings;
use autopack_domain::fault::Fault;
use autopack_runtime::service::{Common, RegistryAddress, Settings as ServiceSettings};
use autopack_wire::server::Principal;
use serde::{Deserialize, Serialize};
use telemetry::TelemetryConfig;

/// Keys of `telemetry`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    #[serde(flatten)]
    pub(crate) common: Common,
    /// The registry.
    pub(crate) registry: RegistryAddress,
    /// The bus.
    pub(crate) bus: BusSettings,
    /// Runs of the past that are read at the start, newest first.
    pub(crate) history_runs: usize,
    /// How often the registry's runs are compared with what is known, in seconds.
    pub(crate) compare_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            common: Common::on(7881, 9881),
            registry: RegistryAddress::default(),
            bus: BusSettings::default(),
            history_runs: 1000,
            compare_seconds: 30,
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
        Principal::Telemetry
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = self.bus.faults();
        if !(1..=3600).contains(&self.compare_seconds) {
            faults.push(Fault::new("compare_seconds", "must be from 1 to 3600").example("30"));
        }
        if self.history_runs > 50_000 {
            faults.push(Fault::new("history_runs", "must be at most 50000").example("1000"));
        }
        faults
    }
}

impl Settings {
    /// What the service itself is told.
    pub(crate) fn telemetry(&self) -> TelemetryConfig {
        TelemetryConfig {
            history_runs: self.history_runs,
            compare: Duration::from_secs(self.compare_seconds),
        }
    }
}
