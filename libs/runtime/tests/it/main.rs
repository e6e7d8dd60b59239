//! The plumbing as services use it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod collector;
mod config;
mod data_dir;
mod supervise;
mod telemetry;
mod tls;
