//! Runs one untrusted command: environment, limits, time-out, bounded output, the whole process tree ended.
//!
//! Invariant: every child process of the product starts in this crate, and none of them outlives the process that
//! asked for it. An untrusted command ([`Sandbox`]) runs below a supervisor process of its own: the supervisor is a
//! child subreaper, so orphans and double-forked daemons come back to it, and it holds the reading end of a pipe
//! whose writing end only the worker has, so that the death of the worker is seen at once. A trusted helper
//! ([`trusted`]) is started directly and dies with the worker by `PR_SET_PDEATHSIG`.
//!
//! With [`Files`] the command writes nothing but its own folders, does not see what is hidden, signals and traces nobody
//! outside; what the host allows of that is told as layers, and a layer can be required.
//!
//! What this does not stop: the command runs under the worker's user id. Without those layers it can read what that user
//! can read, the worker's own environment in `/proc` included, and can kill its supervisor; then its session is
//! killed, but a process that left the session survives. A supervisor that was stopped is noticed only by a running
//! future. Work handed to a daemon outside the tree (cron, a container engine) is outside too, as is what a command
//! does over a network that it may use.

mod capture;
pub mod env;
mod error;
mod outcome;
pub mod redact;
mod run;
mod size;
mod spec;
mod supervisor;
#[cfg(any(test, feature = "test-supervisor"))]
mod test_supervisor;
mod tree;
pub mod trusted;
mod wire;

pub use error::SandboxError;
pub use outcome::{CapturedOutput, End, Outcome, layer};
pub use run::{Sandbox, SandboxConfig};
pub use spec::{Confine, Files, Limits, Spec};
pub use supervisor::{SUPERVISOR_ARG, supervisor_main_if_requested};
pub use tokio_util::sync::CancellationToken;
