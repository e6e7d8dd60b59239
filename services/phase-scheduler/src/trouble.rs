//! Runs about which the registry says no: each waits longer before the next try.
//!
//! Invariant: a fault that repeats costs a bounded number of calls, whatever events arrive meanwhile; the first
//! refusal is answered by reading the run anew at once, because a copy is often just out of date.

use std::{collections::HashMap, time::Duration};

use autopack_domain::{RunUid, Timestamp};

/// The wait after the second refusal; doubles.
const FIRST: Duration = Duration::from_millis(200);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(30);
/// The longest wait after a limit held everything: another scheduler was faster, and its attempts end.
const LONGEST_HELD: Duration = Duration::from_secs(2);

/// The runs in trouble.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    runs: HashMap<RunUid, (u32, Timestamp)>,
}

impl Trouble {
    /// One more refusal; tells when to try again.
    pub(crate) fn strike(&mut self, run: RunUid, now: Timestamp) -> Timestamp {
        self.wait(run, now, 2, LONGEST)
    }

    /// Limits hold all that was asked for; tells when to try again.
    pub(crate) fn held(&mut self, run: RunUid, now: Timestamp) -> Timestamp {
        self.wait(run, now, 1, LONGEST_HELD)
    }

    fn wait(&mut self, run: RunUid, now: Timestamp, from: u32, longest: Duration) -> Timestamp {
        let (strikes, until) = self.runs.entry(run).or_insert((0, now));
        *strikes = strikes.saturating_add(1);
        *until = match strikes.checked_sub(from) {
            None => now,
            Some(doublings) => now.plus((FIRST * 2_u32.pow(doublings.min(16))).min(longest)),
        };
        *until
    }

    /// Whether the run must be left alone now.
    pub(crate) fn holds(&self, run: RunUid, now: Timestamp) -> bool {
        self.runs.get(&run).is_some_and(|(_, until)| *until > now)
    }

    /// How often in a row the registry said no, and until when the run is left alone.
    pub(crate) fn of(&self, run: RunUid) -> Option<(u32, Timestamp)> {
        self.runs.get(&run).copied()
    }

    /// Runs that are left alone now.
    pub(crate) fn waiting(&self, now: Timestamp) -> u64 {
        self.runs.values().filter(|(_, until)| *until > now).count() as u64
    }

    /// The registry did what was asked.
    pub(crate) fn clear(&mut self, run: RunUid) {
        self.runs.remove(&run);
    }
}
