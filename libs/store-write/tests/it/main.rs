//! The writer on real databases: what it stores, what it survives, what it costs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot unwrap has failed"
)]

mod base;
mod cost;
mod issues;
mod left;
mod lock;
mod texts;
mod unknown;
