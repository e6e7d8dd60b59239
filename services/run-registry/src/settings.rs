//! What the process of a registry is told.
//!
//! Invariant: without a database that is named there is no registry; nothing is guessed.

use std::{path::PathBuf, time::Duration};

use autopack_bus::BusSettings;
use autopack_domain::fault::Fault;
use autopack_runtime::{
    paths::{database_identity, default_data_dir, mask_database_url},
    service::{Common, Settings as ServiceSettings, load::secret},
};
use autopack_wire::server::Principal;
use run_registry::RegistryConfig;
use serde::{Deserialize, Serialize};

/// Keys of `run-registry`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    #[serde(flatten)]
    pub(crate) common: Common,
    /// The database: `sqlite:///PATH`.
    pub(crate) database_url: String,
    /// File that holds the database's address.
    pub(crate) database_url_file: String,
    /// Holds the artifacts; empty: the state directory of the user.
    pub(crate) data_dir: String,
    /// How long a lease lasts without renewal, in milliseconds.
    pub(crate) lease_ms: u64,
    /// How often workers renew, in milliseconds; at most a third of the lease.
    pub(crate) heartbeat_ms: u64,
    /// The bus.
    pub(crate) bus: BusSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            common: Common::on(7878, 9878),
            database_url: String::new(),
            database_url_file: String::new(),
            data_dir: String::new(),
            lease_ms: 10_000,
            heartbeat_ms: 3_000,
            bus: BusSettings::default(),
        }
    }
}

impl ServiceSettings for Settings {
    fn common(&self) -> &Common {
        &self.common
    }

    fn role() -> Principal {
        Principal::User
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = self.bus.faults();
        if let Err(fault) = self.database() {
            faults.push(fault);
        }
        if self.heartbeat_ms == 0 || self.heartbeat_ms.saturating_mul(3) > self.lease_ms {
            let problem = format!(
                "{} ms: must be from 1 to a third of lease_ms, {}",
                self.heartbeat_ms, self.lease_ms
            );
            faults.push(Fault::new("heartbeat_ms", problem).example("3000"));
        }
        faults
    }
}

impl Settings {
    /// The database's address.
    fn database(&self) -> Result<String, Fault> {
        secret("database_url", &self.database_url, &self.database_url_file)?.ok_or_else(|| {
            Fault::new("database_url", "names no database; set DATABASE_URL")
                .example("sqlite:////var/lib/autopack/registry.sqlite")
        })
    }

    /// The folder of artifacts.
    pub(crate) fn artifacts(
        &self,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<PathBuf, Fault> {
        let data = match self.data_dir.as_str() {
            "" => default_data_dir(lookup).map(|path| path.join("registry")),
            path => Some(PathBuf::from(path)),
        };
        data.map(|path| path.join("artifacts")).ok_or_else(|| {
            Fault::new(
                "data_dir",
                "is not set, and neither is XDG_STATE_HOME nor HOME",
            )
        })
    }

    /// What the registry itself is told.
    pub(crate) fn registry(&self) -> Result<RegistryConfig, Fault> {
        let url = self.database()?;
        Ok(RegistryConfig {
            database_masked: mask_database_url(&url),
            database_identity: database_identity(&url),
            lease: Duration::from_millis(self.lease_ms),
            heartbeat: Duration::from_millis(self.heartbeat_ms),
            embedded: false,
            ..RegistryConfig::embedded(sqlite_file(&url)?)
        })
    }
}

/// The file of `sqlite:///PATH`.
fn sqlite_file(url: &str) -> Result<PathBuf, Fault> {
    url.strip_prefix("sqlite://")
        .or_else(|| url.strip_prefix("sqlite:"))
        .map(|rest| rest.split('?').next().unwrap_or_default())
        .map(|rest| {
            rest.strip_prefix('/')
                .filter(|r| r.starts_with('/'))
                .unwrap_or(rest)
        })
        .filter(|rest| !rest.is_empty() && !rest.contains(":memory:"))
        .map(PathBuf::from)
        .ok_or_else(|| {
            let masked = mask_database_url(url);
            Fault::new(
                "database_url",
                format!("`{masked}` is not an address of a database"),
            )
            .example("sqlite:////var/lib/autopack/registry.sqlite")
        })
}
