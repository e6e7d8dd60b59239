//! The rules of the workspace that no single crate can check: arrows, bans, closed lists, documentation.
//!
//! - [`arrows`]: which crate may use which, and which packages must be used
//! - [`bans`]: what may stand in which sources
//! - [`lists`]: closed lists that stand in several places: states, failpoints, error codes
//! - [`generated`]: reference pages made from the sources; `UPDATE_DOCS=1` writes them
//! - [`docs_check`]: what README and docs name exists; their blocks run

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that finds no cargo, bash or binary has failed"
)]

mod arrows;
mod bans;
mod docs_check;
mod generated;
mod lists;
mod repo;
