//! The registry through its own RPCs, on a real database and the in-process bus. The tests play scheduler and worker.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot unwrap has failed"
)]

mod aging;
mod approvals;
mod audits;
mod bus;
mod commands;
mod harness;
mod history;
mod identity;
mod import;
mod issues;
mod limits;
mod loss;
mod promotion_refusals;
mod promotions;
mod recovery;
mod relay;
mod reports;
mod requests;
mod self_check;
mod self_check_pages;
mod sequences;
mod set_aside;
mod standby;
mod submissions;
mod watching;
mod workers;
