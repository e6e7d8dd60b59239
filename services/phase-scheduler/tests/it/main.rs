//! The scheduler against a registry that the tests play, on a clock that jumps from wait to wait.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot unwrap has failed"
)]

mod copies;
mod faults;
mod figures;
mod queue;
mod stub;
