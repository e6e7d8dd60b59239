//! Runs whose files have to be written: those that the log names, and those that are parked because it failed.
//!
//! Invariant: a run leaves only when its files are written or it is gone; each failure makes its next try later, and keeps
//! no other run waiting. As many as are kept on disk may be parked: until some are written, the log is not read on.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Pause after the first failure; each further one doubles it.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST: Duration = Duration::from_mins(5);
/// Parked runs at most.
pub(super) const MOST: usize = 10_000;
/// Characters of a reason that are kept.
const SHOWN: usize = 200;

/// A run whose files could not be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parked {
    /// Uid of the run.
    pub(crate) uid: String,
    /// How often it failed in a row.
    pub(crate) failures: u32,
    /// Why it failed last.
    pub(crate) why: String,
}

/// What is left to be written.
#[derive(Debug, Default)]
pub(super) struct Waiting(BTreeMap<String, Wait>);

#[derive(Debug, Default)]
struct Wait {
    failures: u32,
    why: String,
    /// `None`: at once.
    due: Option<Instant>,
}

impl Waiting {
    /// The log names a run; one that is parked keeps its pause.
    pub(super) fn name(&mut self, uid: String) {
        self.0.entry(uid).or_default();
    }

    /// Takes up what was parked when a process ended: it is tried at once.
    pub(super) fn resume(&mut self, parked: &[Parked]) {
        for one in parked {
            let wait = self.0.entry(one.uid.clone()).or_default();
            (wait.failures, wait.why) = (one.failures, one.why.clone());
        }
    }

    /// Uids of what is to be tried now.
    pub(super) fn due(&self, now: Instant) -> Vec<String> {
        let due = |wait: &Wait| wait.due.is_none_or(|due| due <= now);
        let all = self.0.iter().filter(|(_, wait)| due(wait));
        all.map(|(uid, _)| uid.clone()).collect()
    }

    /// When the next one is to be tried; `None`: nothing waits.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        self.0.values().map(|wait| wait.due.unwrap_or(now)).min()
    }

    /// The files are written, or there is nothing to be written any more.
    pub(super) fn done(&mut self, uid: &str) {
        self.0.remove(uid);
    }

    /// They could not be written.
    pub(super) fn failed(&mut self, uid: &str, why: &str, now: Instant) {
        let wait = self.0.entry(uid.to_owned()).or_default();
        wait.failures = wait.failures.saturating_add(1);
        wait.why = why.chars().take(SHOWN).collect();
        let doubled = FIRST.saturating_mul(1 << (wait.failures - 1).min(16));
        wait.due = Some(now + doubled.min(LONGEST));
    }

    /// What failed, for the disk.
    pub(super) fn parked(&self) -> Vec<Parked> {
        let all = self.0.iter().filter(|(_, wait)| wait.failures > 0);
        all.map(|(uid, wait)| Parked {
            uid: uid.clone(),
            failures: wait.failures,
            why: wait.why.clone(),
        })
        .collect()
    }

    /// How many wait, parked or not.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_failure_delays_its_own_run_with_growing_pauses_and_is_never_forgotten() {
        let (mut waiting, start) = (Waiting::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        waiting.name("a".to_owned());
        waiting.name("b".to_owned());
        assert_eq!(waiting.due(start), ["a", "b"]);
        waiting.failed("a", &"x".repeat(1000), start);
        waiting.done("b");
        waiting.name("a".to_owned());
        assert_eq!(
            waiting.due(start),
            [""; 0],
            "its next event does not shorten the pause"
        );
        assert_eq!(waiting.next(start), Some(at(1)));
        assert_eq!(waiting.due(at(1)), ["a"]);
        for _ in 0..100 {
            waiting.failed("a", "x", start);
        }
        assert_eq!(waiting.next(start), Some(at(300)));
        let parked = waiting.parked();
        assert_eq!((parked[0].failures, parked[0].why.as_str()), (101, "x"));
        let mut next = Waiting::default();
        next.resume(&parked);
        assert_eq!(next.due(start), ["a"], "a new process tries at once");
        next.failed("a", "y", start);
        assert_eq!((next.parked()[0].failures, next.len()), (102, 1));
    }
}
