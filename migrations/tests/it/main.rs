//! The schema history on real databases, SQLite and PostgreSQL alike.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot unwrap has failed"
)]

mod base;
mod enums;
mod history;
mod role;
