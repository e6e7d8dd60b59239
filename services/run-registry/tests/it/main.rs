//! The registry through its own RPCs, on a real database and the in-process bus. The tests play scheduler and worker.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot unwrap has failed"
)]

mod commands;
mod harness;
mod limits;
mod recovery;
mod watching;
