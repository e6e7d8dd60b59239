//! Runs in memory that nobody works on: the latest are kept, so that what follows a pause need not read them again.
//!
//! Invariant: their number is bounded, whatever was done with them meanwhile.

use std::collections::VecDeque;

use autopack_domain::{RunUid, run::RunAggregate};

/// Runs that have ended and are kept for the little that follows an end.
const ENDED: usize = 32;
/// Runs that wait for a person and are kept for their start.
const WAITING: usize = 384;
/// All that are kept.
pub(crate) const KEPT: usize = ENDED + WAITING;

/// Why nobody works on a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// It has ended.
    Ended,
    /// It is paused, or not started.
    Waiting,
}

impl Rest {
    /// `None`: the scheduler goes on with it by itself.
    pub(crate) fn of(run: &RunAggregate) -> Option<Self> {
        let at = &run.run;
        if at.state.is_terminal() {
            Some(Self::Ended)
        } else if at.paused || (at.frozen && !at.started) {
            Some(Self::Waiting)
        } else {
            None
        }
    }
}

/// Those that are kept, the first one first.
#[derive(Debug, Default)]
pub(crate) struct Resting {
    ended: VecDeque<RunUid>,
    waiting: VecDeque<RunUid>,
}

impl Resting {
    pub(crate) fn add(&mut self, rest: Rest, run: RunUid) {
        let queue = match rest {
            Rest::Ended => &mut self.ended,
            Rest::Waiting => &mut self.waiting,
        };
        if !queue.contains(&run) {
            queue.push_back(run);
        }
    }

    /// Takes out the first one that is too many, with what it was kept as.
    pub(crate) fn next_out(&mut self) -> Option<(Rest, RunUid)> {
        if self.ended.len() > ENDED {
            return self.ended.pop_front().map(|run| (Rest::Ended, run));
        }
        if self.waiting.len() > WAITING {
            return self.waiting.pop_front().map(|run| (Rest::Waiting, run));
        }
        None
    }
}
