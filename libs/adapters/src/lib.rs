//! Agent CLIs and model endpoints as data: how each is started or asked, and what its output means.
//!
//! Invariant: pure. Bytes in, events, claims and usage out; nothing here reads a file, a clock or an environment, and
//! no input makes it panic or grow without bound.
//!
//! - [`manifest`]: one file per adapter, compiled in
//! - [`probe`]: what a program's `--version` and `--help` say about it
//! - [`invoke`]: the command line, environment and standard input of one attempt
//! - [`Parser`]: output to [`Event`]s and a [`Report`]
//! - [`usage`]: tokens in one form, and the rule that checks them
//! - [`endpoint`]: model endpoints: what is sent to them, and what comes back
//! - [`kit`]: transcripts and faults that every adapter must survive

mod claim;
mod dialect;
pub mod endpoint;
mod event;
pub mod invoke;
pub mod kit;

mod lines;
pub mod manifest;
mod meter;
mod parser;
pub mod probe;
mod report;
pub mod usage;

pub use claim::{Claim, Why};
pub use event::{Event, Kind, Sample};
pub use manifest::Manifest;
pub use parser::Parser;
pub use report::{Anomaly, Report};
