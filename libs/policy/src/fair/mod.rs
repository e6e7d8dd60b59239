//! The queue over all runs: which ready phases are offered next, and what holds the others.
//!
//! Invariant: the same calls give the same offers; no limit is exceeded by what is offered; and nobody starves:
//! every wait has the bound below.
//!
//! Each lane has a window of offers and is shared by the projects that wait in it, by start-time fair queueing:
//! an offer moves its project's tag on by `1 / share`, the smallest tag is next, and a project that comes back
//! starts at the lane's clock, so nobody saves up turns. Over any time in which the same projects wait, offers
//! follow their shares.
//!
//! Within a project the smallest *deadline* is next: `max(ready since, last turn of its run) + (9 - priority) x
//! AGE_STEP`. One step of priority is worth a minute of waiting, without end: runs of equal priority take
//! turns, a more urgent one goes first, and a run that gets no turn grows more urgent by the minute. A ready phase
//! of priority `p` in a project with `n` runs and the share `s` of `S` is therefore offered after at most
//! `(9 - p) x AGE_STEP` and then `n` turns of its project, each of which comes within `S / s` offers and one
//! for every other project.
//!
//! The bus hands out urgent jobs first. So that an offer is not overtaken for ever, a phase of higher priority
//! is not offered while one of lower priority has been on offer for longer than the steps between them.
//!
//! - [`limits`]: the rules of project, run, label and lane; registry and scheduler ask the same functions
//! - [`tally`]: attempts on offer or in workers' hands, by project, run, label and lane
//! - [`offers`]: what lies in the stream, and who may pass it
//! - [`candidate`]: the ready phases of a run
//! - [`queue`]: turns, deadlines and windows
//! - [`order`]: the whole queue as a list

pub mod candidate;
mod lane;
pub mod limits;
pub mod offers;
pub mod order;
pub mod queue;
pub mod tally;

use std::time::Duration;

pub use candidate::Candidate;
pub use limits::Policy;
pub use queue::{Pick, Queue};
pub use tally::{Load, Tally};

/// The wait that is worth one step of priority.
pub const AGE_STEP: Duration = Duration::from_mins(1);
/// The largest priority.
pub const MAX_PRIORITY: u8 = 9;

/// Microseconds that a priority waits longer than the largest.
pub(crate) fn handicap(priority: u8) -> i64 {
    let steps = i64::from(MAX_PRIORITY.saturating_sub(priority));
    steps * AGE_STEP.as_micros() as i64
}
