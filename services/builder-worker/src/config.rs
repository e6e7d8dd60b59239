//! What a worker process is told at its start.
//!
//! Invariant: every wait of the worker has its bound here or in the lease that the registry grants.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use autopack_policy::provider::Bounds;

use crate::confinement::Confinement;
use crate::models::List;

/// Configuration of one worker.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Holds `repos/`, `workspaces/`, `caches/` and `tmp/`; the caller holds its lock.
    pub data_dir: PathBuf,
    /// Jobs at a time.
    pub slots: usize,
    /// The worker's name, for people.
    pub name: String,
    /// A program that serves as the sandbox's supervisor.
    pub supervisor: PathBuf,
    /// `PATH` of git, builders and gates.
    pub path: OsString,
    /// What phases may ask for by `worker.KEY: VALUE` among their labels.
    pub labels: BTreeMap<String, String>,
    /// Tools that are announced where they are found, beside the usual ones.
    pub announce: Vec<String>,
    /// Where this worker's own service is reached; empty: nowhere.
    pub address: String,
    /// Once no slot has had a job for this long the announced tools are asked for their versions, in a busy worker after
    /// two minutes; `None`: never.
    pub versions_after: Option<Duration>,
    /// Lanes of the bus that this worker serves.
    pub lanes: Vec<String>,
    /// After this long without a sign the bus delivers a job again.
    pub ack_wait: Duration,
    /// With less free space in `data_dir` no job is begun.
    pub min_free_disk_mb: u64,
    /// How often a running builder's usage file is read.
    pub usage_poll: Duration,
    /// How long an agent may stay after it has said that it has ended; then it is asked to end, and as long after
    /// that it is killed.
    pub agent_grace: Duration,
    /// Providers and models that builders of kind `model` ask; `None`: as the environment has them.
    pub models: Option<List>,
    /// When a provider is left alone.
    pub providers: Bounds,
    /// How long a model's endpoint may be silent.
    pub model_silence: Duration,
    /// A provider that asks for no longer wait than this is waited for; else the phase is handed back with the wait.
    pub model_patience: Duration,
    /// What builders and gates may touch.
    pub confinement: Confinement,
    /// Variables of the worker's environment that builders and gates get; a trailing `*` is a prefix.
    pub env_passthrough: Vec<String>,
    /// Variables for git commands with a remote address, such as `SSH_AUTH_SOCK`.
    pub git_remote_env: Vec<(OsString, OsString)>,
    /// How long calls to an unavailable registry are repeated before the work is given up.
    pub registry_patience: Duration,
    /// How long a finished attempt's report is repeated.
    pub settle_patience: Duration,
    /// How long a landing waits for an open intent of another attempt before the lease is given back.
    pub landing_patience: Duration,
    /// How long one wait for the landing turn lasts; at most 30 s.
    pub turn_wait: Duration,
    /// How long running phases may go on after a shutdown or drain was asked for, before they are handed back.
    pub drain_grace: Duration,
    /// How long handing back may take before what still runs is dropped.
    pub drain: Duration,
    /// Bounds of the clones of target repositories.
    pub mirrors: MirrorLimits,
    /// Bounds of the caches of gates.
    pub caches: CacheLimits,
    /// First delay before a job is delivered again because the registry could not be reached.
    pub retry_delay: Duration,
}

/// Bounds of the clones of target repositories. A clone in use is never removed; what a removed one held besides the
/// target's own commits (snapshots, half-done work) is gone with it, so nothing is removed unless a bound is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MirrorLimits {
    /// Bytes that all clones and their folders may take; the longest unused go first.
    pub bytes: Option<u64>,
    /// A clone that was not used for so long is removed.
    pub age: Option<Duration>,
    /// How often the bounds are looked at.
    pub every: Duration,
}

impl Default for MirrorLimits {
    fn default() -> Self {
        Self {
            bytes: None,
            age: None,
            every: Duration::from_mins(1),
        }
    }
}

/// Bounds of the caches of gates. A cache in use is never removed; the longest unused go first, and are made anew when
/// they are needed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheLimits {
    /// How many there may be; `None`: any number.
    pub entries: Option<usize>,
    /// Bytes that all of them may take; `None`: no bound.
    pub bytes: Option<u64>,
    /// How often the bounds are looked at.
    pub every: Duration,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self {
            entries: Some(100),
            bytes: Some(10 << 30),
            every: Duration::from_mins(1),
        }
    }
}

/// Where toolchains live, certificates, proxies: what builders and gates need to start at all.
const PASSTHROUGH: &[&str] = &[
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "CARGO_HOME",
    "PYENV_ROOT",
    "PYENV_VERSION",
    "NVM_DIR",
    "GOROOT",
    "GOPROXY",
    "JAVA_HOME",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "PIP_INDEX_URL",
    "PIP_FIND_LINKS",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

impl WorkerConfig {
    /// A worker on this data directory, everything else at its default.
    pub fn new(data_dir: impl Into<PathBuf>, slots: usize) -> Self {
        Self {
            data_dir: data_dir.into(),
            slots,
            name: "builder-worker".to_owned(),
            labels: BTreeMap::new(),
            announce: Vec::new(),
            address: String::new(),
            versions_after: Some(Duration::from_secs(5)),
            supervisor: PathBuf::from("/proc/self/exe"),
            path: std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into()),
            lanes: vec![autopack_bus::subject::DEFAULT_LANE.to_owned()],
            ack_wait: Duration::from_secs(30),
            min_free_disk_mb: 256,
            usage_poll: Duration::from_secs(2),
            agent_grace: Duration::from_secs(10),
            models: None,
            providers: Bounds::default(),
            model_silence: Duration::from_mins(5),
            model_patience: Duration::from_secs(10),
            confinement: Confinement::default(),
            env_passthrough: PASSTHROUGH.iter().map(|name| (*name).to_owned()).collect(),
            git_remote_env: Vec::new(),
            registry_patience: Duration::from_secs(30),
            settle_patience: Duration::from_mins(1),
            landing_patience: Duration::from_secs(15),
            turn_wait: Duration::from_secs(10),
            drain_grace: Duration::ZERO,
            drain: Duration::from_secs(20),
            mirrors: MirrorLimits::default(),
            caches: CacheLimits::default(),
            retry_delay: Duration::from_millis(500),
        }
    }
}
