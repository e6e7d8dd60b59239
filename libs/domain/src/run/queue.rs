//! What the queue wants to know of a phase: labels, lane, priority, and since when it is ready.
//!
//! Invariant: all of it follows from plan and records, so every copy of the run gives the same answer.

use std::collections::BTreeMap;

use super::{Run, RunAggregate};
use crate::{
    attempt::Attempt,
    lane::{DEFAULT, LABEL, name},
    time::Timestamp,
};

/// Facts of an attempt that tell the relay where its job belongs.
const LANE: &str = "lane";
const PRIORITY: &str = "priority";

impl RunAggregate {
    /// The labels of a phase: its own over its run's.
    pub fn labels(&self, phase: usize) -> BTreeMap<&str, &str> {
        let own = &self.spec(phase).labels;
        let all = self.plan.run.labels.iter().chain(own);
        all.map(|(k, v)| (k.as_str(), v.as_str())).collect()
    }

    /// The lane of a phase: what the label `lane` names, else the default lane.
    pub fn lane(&self, phase: usize) -> String {
        let own = self.spec(phase).labels.get(LABEL);
        let label = own.or_else(|| self.plan.run.labels.get(LABEL));
        name(label.map_or("", String::as_str))
    }

    /// The priority of a phase: its own, else its run's.
    pub fn priority(&self, phase: usize) -> u8 {
        self.spec(phase).priority.unwrap_or(self.run.priority)
    }

    /// Whether phases may differ in lane, labels or priority.
    pub fn has_mixed_phases(&self) -> bool {
        let mut specs = self.plan.tiers.iter().flat_map(|t| &t.phases);
        specs.any(|s| s.priority.is_some() || !s.labels.is_empty())
    }

    /// Since when nothing of the run itself held the phase back: its start, the last of what it depends on, the
    /// end of the tier before, the end of a back-off.
    pub fn ready_since(&self, phase: usize) -> Timestamp {
        let p = &self.phases[phase];
        let mut since = self.run.started_at.unwrap_or(self.run.created_at);
        let before = self.depends(phase).iter();
        let depends = before.filter_map(|&on| self.phases[on].completed_at);
        let tier = p
            .tier
            .checked_sub(1)
            .and_then(|t| self.tiers[t].completed_at);
        for at in depends.chain(tier).chain(p.not_before) {
            since = since.max(at);
        }
        since
    }

    /// What the attempt keeps of its place in the queue: only what differs from the run's defaults.
    pub(super) fn queue_facts(&self, phase: usize) -> serde_json::Map<String, serde_json::Value> {
        let mut facts = serde_json::Map::new();
        let lane = self.lane(phase);
        if lane != DEFAULT {
            facts.insert(LANE.to_owned(), lane.into());
        }
        let priority = self.priority(phase);
        if priority != self.run.priority {
            facts.insert(PRIORITY.to_owned(), priority.into());
        }
        facts
    }
}

impl Attempt {
    /// The lane that its job was offered in.
    pub fn lane(&self) -> &str {
        let lane = self.facts.get(LANE).and_then(serde_json::Value::as_str);
        lane.unwrap_or(DEFAULT)
    }

    /// The priority that its job was offered with.
    pub fn priority(&self, run: &Run) -> u8 {
        let own = self.facts.get(PRIORITY).and_then(serde_json::Value::as_u64);
        own.and_then(|p| u8::try_from(p).ok())
            .unwrap_or(run.priority)
    }
}
