//! The command line: plans, codes, several plans, and a process that serves.

mod codes;
mod control;
mod doctor;
mod files;
mod import;
mod issues;
mod many;
mod parked;
mod plan_new;
mod plans;
mod preflight;
mod probe;
mod promote;
mod queue;
pub(crate) mod serving;
