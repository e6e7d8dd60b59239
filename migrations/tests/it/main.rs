//! The schema history on real databases, SQLite and PostgreSQL alike.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::single_match_else,
    clippy::panic,
    reason = "a test that cannot unwrap has failed"
)]

mod base;
mod closed_sets;
mod enums;
mod history;
mod role;
