//! What the process of a worker is told.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, time::Duration};

use autopack_bus::BusSettings;
use autopack_domain::fault::Fault;
use autopack_runtime::{
    paths::default_data_dir,
    service::{Common, RegistryAddress, Settings as ServiceSettings},
};
use autopack_wire::server::Principal;
use builder_worker::{CacheLimits, Confinement, MirrorLimits, WorkerConfig};
use serde::{Deserialize, Serialize};

/// Variables that git needs to reach a remote repository.
const GIT_REMOTE: &[&str] = &[
    "SSH_AUTH_SOCK",
    "SSH_ASKPASS",
    "GIT_ASKPASS",
    "GIT_SSH_COMMAND",
    "GIT_SSH",
    "GIT_TERMINAL_PROMPT",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// How long handing back may take once the grace is over, in seconds.
const HAND_BACK: u64 = 5;

fn some(number: u64) -> Option<u64> {
    (number > 0).then_some(number)
}

/// Keys of `builder-worker`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    #[serde(flatten)]
    pub(crate) common: Common,
    /// The registry.
    pub(crate) registry: RegistryAddress,
    /// The bus.
    pub(crate) bus: BusSettings,
    /// Clones, workspaces and caches; one worker at a time. Empty: the state directory of the user.
    pub(crate) data_dir: String,
    /// Phases at a time; 0: half the processors, 2 at least, 8 at most.
    pub(crate) slots: usize,
    /// Name of this worker, for people; empty: the program's and the process's.
    pub(crate) name: String,
    /// Lanes of the bus that it serves.
    pub(crate) lanes: Vec<String>,
    /// After a signal, how long running phases may take before they are handed back, in seconds.
    pub(crate) drain_seconds: u64,
    /// Labels that phases can ask for, such as `gpu = "1"`.
    pub(crate) labels: BTreeMap<String, String>,
    /// Programs to announce beside the toolchains that are looked for anyway.
    pub(crate) announce: Vec<String>,
    /// Where others reach this worker's own service, such as `http://worker-1:7880`; empty: not announced.
    pub(crate) advertised: String,
    /// Whether builders and gates are kept to their own folders.
    pub(crate) sandbox_files: bool,
    /// Folders besides their own that they may write.
    pub(crate) sandbox_write: Vec<PathBuf>,
    /// Folders and files that they do not see, besides the data directory and the user's credentials.
    pub(crate) sandbox_hide: Vec<PathBuf>,
    /// Layers of the sandbox without which no builder and no gate is started, such as `landlock`.
    pub(crate) sandbox_require: Vec<String>,
    /// Whether the steps of a gate may use the network; its set-up always may.
    pub(crate) gate_network: bool,
    /// Whether builders may use the network.
    pub(crate) builder_network: bool,
    /// Size of the clones of target repositories from which on unused ones go, in MiB; 0: no bound.
    pub(crate) clones_mib: u64,
    /// Age of unused clones from which on they go, in hours; 0: no bound.
    pub(crate) clones_hours: u64,
    /// Size of the caches of gates from which on the longest unused go, in MiB; 0: no bound.
    pub(crate) caches_mib: u64,
    /// Number of caches of gates from which on the longest unused go; 0: no bound.
    pub(crate) caches_entries: u64,
}

impl Default for Settings {
    fn default() -> Self {
        let config = WorkerConfig::new(PathBuf::new(), 1);
        Self {
            common: Common::on(7880, 9880),
            registry: RegistryAddress::default(),
            bus: BusSettings::default(),
            data_dir: String::new(),
            slots: 0,
            name: String::new(),
            lanes: config.lanes,
            drain_seconds: 15,
            labels: BTreeMap::new(),
            announce: config.announce,
            advertised: String::new(),
            sandbox_files: config.confinement.files,
            sandbox_write: config.confinement.write,
            sandbox_hide: config.confinement.hide,
            sandbox_require: config.confinement.require,
            gate_network: config.confinement.gate_network,
            builder_network: config.confinement.builder_network,
            clones_mib: 0,
            clones_hours: 0,
            caches_mib: config.caches.bytes.unwrap_or(0) >> 20,
            caches_entries: config.caches.entries.unwrap_or(0) as u64,
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
        Principal::Worker
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = self.bus.faults();
        faults.extend(self.confinement().faults("sandbox_"));
        if self.slots > 256 {
            faults.push(Fault::new("slots", "must be at most 256").example("4"));
        }
        if self.lanes.is_empty() {
            faults.push(Fault::new("lanes", "names no lane").example("[\"default\"]"));
        }
        if self.drain_seconds + HAND_BACK + 3 > self.common.shutdown_seconds {
            let problem = format!(
                "{}: must be at least 8 less than shutdown_seconds, {}",
                self.drain_seconds, self.common.shutdown_seconds
            );
            faults.push(Fault::new("drain_seconds", problem).example("20"));
        }
        faults
    }
}

impl Settings {
    /// The data directory.
    pub(crate) fn data_dir(
        &self,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<PathBuf, Fault> {
        let found = match self.data_dir.as_str() {
            "" => default_data_dir(lookup).map(|path| path.join("worker")),
            path => Some(PathBuf::from(path)),
        };
        found.ok_or_else(|| {
            Fault::new(
                "data_dir",
                "is not set, and neither is XDG_STATE_HOME nor HOME",
            )
        })
    }

    fn confinement(&self) -> Confinement {
        Confinement {
            files: self.sandbox_files,
            gate_network: self.gate_network,
            builder_network: self.builder_network,
            write: self.sandbox_write.clone(),
            hide: self.sandbox_hide.clone(),
            require: self.sandbox_require.clone(),
        }
    }

    /// What the worker itself is told.
    pub(crate) fn worker(&self, data_dir: PathBuf, fallback_name: String) -> WorkerConfig {
        let slots = match self.slots {
            0 => std::thread::available_parallelism()
                .map_or(2, |n| n.get() / 2)
                .clamp(2, 8),
            slots => slots,
        };
        let name = Some(self.name.clone()).filter(|name| !name.is_empty());
        let remote = GIT_REMOTE
            .iter()
            .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
        WorkerConfig {
            name: name.unwrap_or(fallback_name),
            lanes: self.lanes.clone(),
            drain_grace: Duration::from_secs(self.drain_seconds),
            drain: Duration::from_secs(HAND_BACK),
            labels: self.labels.clone(),
            confinement: self.confinement(),
            announce: self.announce.clone(),
            address: self.advertised.clone(),
            mirrors: MirrorLimits {
                bytes: some(self.clones_mib).map(|mib| mib << 20),
                age: some(self.clones_hours).map(Duration::from_hours),
                ..MirrorLimits::default()
            },
            caches: CacheLimits {
                bytes: some(self.caches_mib).map(|mib| mib << 20),
                entries: some(self.caches_entries)
                    .map(|most| usize::try_from(most).unwrap_or(usize::MAX)),
                ..CacheLimits::default()
            },
            git_remote_env: remote.collect(),
            ..WorkerConfig::new(data_dir, slots)
        }
    }
}
