//! The description of the schema and the self-check, on both databases.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot unwrap has failed"
)]

mod audit;
mod base;
mod legacy;
mod parts;
mod plans;
mod schema;
mod totals;
