//! End to end: the real binary on real repositories, judged by what a user sees.
//!
//! Invariant: every test has its own repository and data directory, asserts exit codes, JSON, branches, trees and
//! files, and waits on conditions with an upper bound.
//!
//! - [`sixty`]: a plan of sixty patches, its tree, its trailers, and the untouched checkout
//! - [`outcomes`]: the table of bad outcomes, and of repositories that must succeed
//! - [`cli`]: plans, codes, several plans, a serving process
//! - [`submissions`]: results and audits from outside
//! - [`facts`]: what is recorded about runs and attempts
//! - [`wip`]: work that did not land
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests: a broken expectation is a failure"
)]

mod approvals;
mod cli;
mod dishonest;
mod facts;
mod outcomes;
mod rig;
mod sixty;
mod submissions;
mod wip;
