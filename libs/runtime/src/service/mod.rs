//! What every service process is made of, around its own work.
//!
//! Invariant: the process answers health checks from before its first dependency until after its last task; it ends
//! within its deadline; telemetry never delays its work.
//!
//! | module | its part |
//! |---|---|
//! | [`args`] | flags and `healthcheck` |
//! | [`settings`] | keys that every service has |
//! | [`load`] | the configuration from all layers, secrets from files |
//! | [`keys`] | keys of callers, and our own |
//! | [`tls`] | TLS from files |
//! | [`ready`] | what the service waits for |
//! | [`process`] | what the service's own code is given |
//! | [`run`] | from `main` to the exit code |

pub mod args;
mod front;
mod healthcheck;
mod http;
pub mod keys;
pub mod load;
pub mod process;
pub mod ready;
pub mod run;
pub mod settings;
pub mod tls;

pub use args::{HealthcheckArgs, ServiceArgs};
pub use process::{Process, Service, StartError};
pub use ready::Readiness;
pub use run::{Program, healthcheck, main, once, plain};
pub use settings::{Common, RegistryAddress, Settings};
