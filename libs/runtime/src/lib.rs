//! Process plumbing: what every service needs before it can do its own job.
//!
//! Invariant: the system clock, random ids and the environment are read here only; each wait has a
//! deadline and each task an owner.
//!
//! | module | its part |
//! |---|---|
//! | `allocator` | the memory of every process |
//! | [`attributes`] | names of span and metric attributes |
//! | [`clock`] | the clock, and one for tests |
//! | [`config`] | defaults, file, environment, flags |
//! | [`data_dir`] | the data directory, its lock and its files |
//! | [`env_alias`] | variables of the deployment guide |
//! | [`failpoint`] | crashes for tests |
//! | [`ids`] | fresh ids and jitter |
//! | [`metrics`] | every metric, by name |
//! | [`paths`] | default places, masked addresses |
//! | [`service`] | a service's process, from arguments to exit code |
//! | [`signals`] | when the process is asked to end |
//! | [`supervise`] | tasks with an owner |
//! | [`switches`] | everything that can be switched on or off |
//! | [`telemetry`] | logs, traces, metrics, trace context |

#[cfg(target_os = "linux")]
mod allocator;
pub mod attributes;
pub mod clock;
pub mod config;
pub mod data_dir;
pub mod env_alias;
pub mod failpoint;
pub mod ids;
pub mod metrics;
pub mod paths;
pub mod service;
pub mod signals;
pub mod supervise;
pub mod switches;
pub mod telemetry;

pub use clock::{Clock, FakeClock, SystemClock};
pub use data_dir::{DataDir, Opened, RegistryFile};
pub use ids::{IdSource, Jitter, SeededIds, V7Ids};
pub use supervise::{Kind, Supervisor};
