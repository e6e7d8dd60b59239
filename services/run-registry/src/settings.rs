//! What the process of a registry is told.
//!
//! Invariant: without a database that is named there is no registry; nothing is guessed.

use std::{path::PathBuf, time::Duration};

use autopack_bus::BusSettings;
use autopack_domain::fault::Fault;
use autopack_runtime::{
    paths::{default_data_dir, mask_database_url},
    service::{Common, Settings as ServiceSettings, load::secret},
};
use autopack_wire::server::Principal;
use run_registry::{RegistryConfig, SelfRepair};
use serde::{Deserialize, Serialize};

const EXAMPLE: &str = "postgres://autopack:PASSWORD@db/autopack";

/// Keys of `run-registry`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    #[serde(flatten)]
    pub(crate) common: Common,
    /// The database: `postgres://USER:PASSWORD@HOST/DATABASE`.
    pub(crate) database_url: String,
    /// Where clients reach this registry, for the answers of a standby; empty: `http://` and `listen`.
    pub(crate) advertised: String,
    /// File that holds the database's address.
    pub(crate) database_url_file: String,
    /// Holds the artifacts; empty: the state directory of the user.
    pub(crate) data_dir: String,
    /// How long a lease lasts without renewal, in milliseconds.
    pub(crate) lease_ms: u64,
    /// How often workers renew, in milliseconds; at most a third of the lease.
    pub(crate) heartbeat_ms: u64,
    /// What the self-check mends at the start: `off`, `report` or `safe`.
    pub(crate) self_repair: String,
    /// The bus.
    pub(crate) bus: BusSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            common: Common::on(7878, 9878),
            database_url: String::new(),
            database_url_file: String::new(),
            advertised: String::new(),
            data_dir: String::new(),
            lease_ms: 10_000,
            heartbeat_ms: 3_000,
            self_repair: SelfRepair::default().as_str().to_owned(),
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
        if let Err(fault) = self.registry() {
            faults.push(fault);
        }
        if self.heartbeat_ms == 0 || self.heartbeat_ms.saturating_mul(3) > self.lease_ms {
            let problem = format!(
                "{} ms: must be from 1 to a third of lease_ms, {}",
                self.heartbeat_ms, self.lease_ms
            );
            faults.push(Fault::new("heartbeat_ms", problem).example("3000"));
        }
        if SelfRepair::parse(&self.self_repair).is_none() {
            let problem = format!("`{}` is not known", self.self_repair);
            let fault = Fault::new("self_repair", problem);
            faults.push(fault.allowed(SelfRepair::SPELLINGS).example("report"));
        }
        faults
    }
}

impl Settings {
    /// The database's address.
    fn database(&self) -> Result<String, Fault> {
        secret("database_url", &self.database_url, &self.database_url_file)?.ok_or_else(|| {
            Fault::new("database_url", "names no database; set DATABASE_URL").example(EXAMPLE)
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
        let advertised = if self.advertised.is_empty() {
            format!("http://{}", self.common.listen)
        } else {
            self.advertised.clone()
        };
        let config = RegistryConfig::distributed(Some(&url), &advertised)
            .map_err(|refusal| Fault::new("database_url", refusal.to_string()).example(EXAMPLE))?;
        Ok(RegistryConfig {
            database_masked: mask_database_url(&url),
            lease: Duration::from_millis(self.lease_ms),
            heartbeat: Duration::from_millis(self.heartbeat_ms),
            self_repair: SelfRepair::parse(&self.self_repair).unwrap_or_default(),
            ..config
        })
    }
}
