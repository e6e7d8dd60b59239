//! The table of outcomes: each row a test, named after what is wrong.
//!
//! Invariant: a row asserts run state, phase cause, exit code, incident pack and branch (see [`crate::rig`]).
//!
//! - [`gates`]: red, missing, empty and slow gates
//! - [`integrity`]: tests that are weakened, flaky or promised
//! - [`changes`]: patches and change sets that may not land
//! - [`builders`]: programs that misbehave
//! - [`agents`]: coding agents and their adapters
//! - [`models`]: models asked over HTTP
//! - [`budgets`]: tokens, phases and minutes
//! - [`landing`]: phases side by side that meet on the branch
//! - [`repositories`]: every kind of repository
//! - [`branches`]: the base and the integration branch
//! - [`hostile`]: planted programs

mod agents;
mod branches;
mod budgets;
mod builders;
mod changes;
mod gates;
mod hostile;
mod integrity;
mod landing;
mod models;
mod repositories;
