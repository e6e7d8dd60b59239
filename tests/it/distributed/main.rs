//! The services apart: real processes over TCP and NATS.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking, and start processes"
)]

mod auth;
mod config;
mod databases;
mod life;
mod make_up;
mod numbers;
mod own_numbers;
mod probes;
mod promote;
mod rig;
mod submissions;
mod telemetry;
mod traces;
