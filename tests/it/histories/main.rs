//! The published release history of real packages, rebuilt release by release.
//!
//! Each package is a chain of patch phases in one tier, in a folder of one repository, gated by its own offline check;
//! the chains run beside each other. Nothing of the packages is kept in this repository: their ordinary clients
//! download them into `target/histories`.
//!
//! - [`packages`]: which releases; [`download`]: how they are fetched; [`chains`]: repository and plan; [`rebuild`]:
//!   the test
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "the test starts the registries' clients and prints how long things take"
)]

mod chains;
mod download;
mod packages;
mod rebuild;
