//! One entity a table; seen by this crate and `store-write` only.
#![allow(
    missing_docs,
    reason = "columns are described by the schema and the domain"
)]

pub mod attempt;
pub mod backlog;
pub mod database_identity;
pub mod event;
pub mod failure;
pub mod integration_status;
pub mod issue;
pub mod job;
pub mod lane;
pub mod phase;
pub mod project;
pub mod promotion;
pub mod relay_cursor;
pub mod repair;
pub mod request;
pub mod run;
pub mod run_document;
pub mod tier;
pub mod trace_cursor;
pub mod usage_event;
