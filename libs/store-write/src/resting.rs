//! Runs in memory that nobody works on: the latest are kept, so that what follows need not read them again.
//!
//! Invariant: their number is bounded, whatever was done with them meanwhile.

use std::collections::VecDeque;

use autopack_domain::{RunUid, run::RunAggregate};

/// Runs that have ended and are kept for the little that follows an end.
const ENDED: usize = 32;
/// Runs that were not started and are kept for their start.
const HELD: usize = 384;
/// All that are kept.
pub(crate) const KEPT: usize = ENDED + HELD;

/// Why nobody works on a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// It has ended.
    Ended,
    /// It is not started.
    Held,
    /// It is paused: nobody knows for how long.
    Paused,
}

impl Rest {
    /// `None`: the scheduler goes on with it by itself.
    pub(crate) fn of(run: &RunAggregate) -> Option<Self> {
        let at = &run.run;
        if at.state.is_terminal() {
            Some(Self::Ended)
        } else if at.paused {
            Some(Self::Paused)
        } else if at.frozen && !at.started {
            Some(Self::Held)
        } else {
            None
        }
    }
}

/// Those that are kept, the first one first.
#[derive(Debug, Default)]
pub(crate) struct Resting {
    ended: VecDeque<RunUid>,
    held: VecDeque<RunUid>,
}

impl Resting {
    /// Whether the run is kept; else it leaves the memory.
    pub(crate) fn keeps(&mut self, rest: Rest, run: RunUid) -> bool {
        let queue = match rest {
            Rest::Ended => &mut self.ended,
            Rest::Held => &mut self.held,
            Rest::Paused => return false,
        };
        if !queue.contains(&run) {
            queue.push_back(run);
        }
        true
    }

    /// Takes out the first one that is too many, with what it was kept as.
    pub(crate) fn next_out(&mut self) -> Option<(Rest, RunUid)> {
        if self.ended.len() > ENDED {
            return self.ended.pop_front().map(|run| (Rest::Ended, run));
        }
        if self.held.len() > HELD {
            return self.held.pop_front().map(|run| (Rest::Held, run));
        }
        None
    }
}
