//! The worker: executes leased jobs and reports each with its fence.
//!
//! Invariant: the worker decides nothing about a run. It changes the run's state only through the registry, writes one
//! branch of the target and nothing else of it, and leaves no process behind.
//!
//! - [`config`], [`ports`], [`failpoints`]: what a worker is given
//! - [`agents`]: agents' command lines, driven by their adapters
//! - [`checkout`]: a repository's gate in a checkout as it lies there
//! - [`models`]: models behind HTTP endpoints
//! - [`preflight`], [`Host`]: whether a plan can run here; needs no registry
//! - [`registry_client`]: the registry port over the wire
//! - [`Control`], `api`, `board`: its own service: status, slots, drain
//! - `profile`: what it says about itself
//! - `slot`, `heartbeat`, `leases`: one job from the bus to its acknowledgement
//! - `jobs`, `phase`: what is done for each kind of job
//! - `repo`, `pool`: our own clones, their folders and indexes

pub mod agents;
pub mod checkout;
pub mod config;
pub mod failpoints;
pub mod models;
pub mod ports;
pub mod preflight;
pub mod registry_client;

mod api;
mod board;
mod confinement;
mod context;
mod control;
mod error;
mod figures;
mod git_runner;
mod heartbeat;
mod host;
mod jobs;
mod leases;
mod phase;
mod pool;
mod profile;
mod remote;
mod repo;
mod slot;
mod spans;
mod text;
mod tools;
mod worker;

pub use api::Api;
pub use config::{CacheLimits, MirrorLimits, WorkerConfig};
pub use confinement::Confinement;
pub use control::Control;
pub use error::{CallError, WorkerError};
pub use git_runner::TrustedRunner;
pub use host::Host;
pub use ports::Ports;
pub use worker::Worker;

/// A worker from its configuration and ports; [`Worker::run`] starts it.
pub fn build(config: WorkerConfig, ports: Ports) -> Worker {
    Worker::new(config, ports, Control::new())
}

/// A worker behind a control that was made before, so that a server can serve it from the start.
pub fn build_with(config: WorkerConfig, ports: Ports, control: Control) -> Worker {
    Worker::new(config, ports, control)
}
