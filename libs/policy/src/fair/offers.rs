//! What lies in the stream: offers that no worker has taken, and who may pass them.
//!
//! Invariant: a phase passes an offer of lower priority only as long as that offer is younger than the steps
//! between the two priorities; after [`super::AGE_STEP`] times nine nothing passes it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use autopack_domain::{AttemptUid, RunUid, Timestamp, run::RunAggregate, states::AttemptState};

use super::handicap;
use crate::dispatch::Hold;

/// One offer in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The attempt.
    pub attempt: AttemptUid,
    /// The lane it was offered in.
    pub lane: String,
    /// The priority it was offered with.
    pub priority: u8,
    /// Since when.
    pub since: Timestamp,
}

impl Offer {
    /// The offers of a run that no worker has taken.
    pub fn of(run: &RunAggregate) -> Vec<Self> {
        let waiting = run.attempts.values();
        let waiting = waiting.filter(|a| a.state == AttemptState::Offered);
        waiting
            .map(|a| Self {
                attempt: a.uid,
                lane: a.lane().to_owned(),
                priority: a.priority(&run.run),
                since: a.offered_at,
            })
            .collect()
    }
}

/// All offers, by lane and priority, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Offers {
    runs: HashMap<RunUid, Vec<Offer>>,
    lanes: BTreeMap<String, BTreeMap<u8, BTreeSet<(Timestamp, AttemptUid)>>>,
}

impl Offers {
    /// Replaces the offers of a run.
    pub(super) fn set(&mut self, run: RunUid, offers: Vec<Offer>) {
        for old in self.runs.remove(&run).into_iter().flatten() {
            let Some(lane) = self.lanes.get_mut(&old.lane) else {
                continue;
            };
            if let Some(set) = lane.get_mut(&old.priority) {
                set.remove(&(old.since, old.attempt));
                if set.is_empty() {
                    lane.remove(&old.priority);
                }
            }
            if lane.is_empty() {
                self.lanes.remove(&old.lane);
            }
        }
        for new in &offers {
            if !self.lanes.contains_key(&new.lane) {
                self.lanes.insert(new.lane.clone(), BTreeMap::new());
            }
            if let Some(lane) = self.lanes.get_mut(&new.lane) {
                let set = lane.entry(new.priority).or_default();
                set.insert((new.since, new.attempt));
            }
        }
        if !offers.is_empty() {
            self.runs.insert(run, offers);
        }
    }

    /// Whether an offer has waited too long to be passed by this priority.
    pub(super) fn bars(&self, lane: &str, priority: u8, now: Timestamp) -> bool {
        self.oldest(lane, priority, now).is_some()
    }

    /// The same, for people.
    pub(super) fn hold(&self, lane: &str, priority: u8, now: Timestamp) -> Option<Hold> {
        let (lower, since) = self.oldest(lane, priority, now)?;
        Some(Hold {
            rule: "overtaking",
            facts: format!(
                "a phase of priority {lower} has been on offer in lane {lane} for {} s and is not passed any more",
                (now.0 - since.0) / 1_000_000
            ),
            remedy: "a worker takes that offer",
        })
    }

    fn oldest(&self, lane: &str, priority: u8, now: Timestamp) -> Option<(u8, Timestamp)> {
        let below = self.lanes.get(lane)?.range(..priority);
        let mut first = below.filter_map(|(p, set)| Some((*p, set.first()?.0)));
        first.find(|(p, since)| since.0 + handicap(*p) < now.0 + handicap(priority))
    }
}
