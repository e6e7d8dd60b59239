//! The command line: plans, codes, several plans, and a process that serves.

mod codes;
mod control;
mod issues;
mod many;
mod plans;
mod queue;
pub(crate) mod serving;
