//! Agents' command lines: probed, started, read and ended by what their adapter's manifest says.
//!
//! Invariant: an agent runs in the sandbox only, with a home of its own and an environment of named variables; what it
//! says about its end is a claim, told as such.
//!
//! - `probe`: what a program says about itself
//! - `drive`: one agent from its start to the end of all that it started
//! - `stream`: its output, read while it grows, and archived within a bound
//! - `talk`: the way back to an agent that asks
//! - [`conform`]: the conformance kit

mod conform;
mod drive;
mod probe;
mod stream;
mod talk;

use autopack_adapters::Manifest;
use autopack_domain::plan::AgentSpec;

pub use conform::conform;
pub use drive::{Drive, Driven, Told, drive};
pub(crate) use probe::ask;
pub use probe::{Found, find};
pub(crate) use stream::archive;

/// The program of an agent: the plan's, else its adapter's.
pub fn program(agent: &AgentSpec) -> &str {
    if agent.program.is_empty() {
        &Manifest::of(agent.adapter).program
    } else {
        &agent.program
    }
}
