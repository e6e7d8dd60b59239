//! The table of outcomes: each row a test, named after what is wrong.
//!
//! Invariant: a row asserts run state, phase cause, exit code, incident pack and branch (see [`crate::rig`]).
//!
//! Exhausted minutes are not here: the smallest budget is a whole minute; the state machine's own tests have it.
//!
//! - [`gates`]: red, missing, empty and slow gates
//! - [`changes`]: patches and change sets that may not land
//! - [`builders`]: programs that misbehave
//! - [`budgets`]: tokens and phases
//! - [`landing`]: phases side by side that meet on the branch
//! - [`repositories`]: every kind of repository
//! - [`branches`]: the base and the integration branch
//! - [`hostile`]: planted programs

mod branches;
mod budgets;
mod builders;
mod changes;
mod gates;
mod hostile;
mod landing;
mod repositories;
