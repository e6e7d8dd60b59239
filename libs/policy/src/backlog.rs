//! What the ages of a project's backlog mean: which entries count as major, which are done with, and which phases
//! would clean them (SEMANTICS 3.4, 3.5).
//!
//! Invariant: evaluated when a run is created, from distinct runs and tiers; a run's own reports never age its issues.
//! Major issues do not age: they bar what they bar from the first report on.

use std::collections::BTreeSet;

use autopack_domain::{
    Timestamp,
    backlog::{BacklogEntry, BacklogStatus},
    issue::Severity,
    plan::SafetyProfile,
    run::issues::{CLEANS, CLEANUP},
};
use serde_json::{Value, json};

use crate::strategy::Ruleset;

/// From when on a minor issue counts as major: whichever is reached first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Distinct runs.
    pub runs: u32,
    /// Distinct tiers.
    pub tiers: u32,
}

/// Keys that a strategy names at most; the oldest come first.
pub const MAX_AGED: usize = 1000;
/// Phases that are proposed at a time.
pub const MAX_PROPOSALS: usize = 20;

impl Thresholds {
    /// Those of a ruleset for a safety profile; the built-in ones where it names none.
    pub fn of(ruleset: &Ruleset, profile: SafetyProfile) -> Self {
        let (runs, tiers) = match profile {
            SafetyProfile::Normal => (3, 2),
            SafetyProfile::SafetyCritical => (2, 1),
        };
        let ruled = |map: &std::collections::BTreeMap<String, u32>, builtin| {
            map.get(profile.as_str()).copied().unwrap_or(builtin)
        };
        Self {
            runs: ruled(&ruleset.aging_runs, runs),
            tiers: ruled(&ruleset.aging_tiers, tiers),
        }
    }

    /// Whether an entry is minor and has reached one of them.
    pub fn is_aged(&self, entry: &BacklogEntry) -> bool {
        let tiers = u32::try_from(entry.tiers.len()).unwrap_or(u32::MAX);
        entry.severity == Severity::Minor && (entry.runs >= self.runs || tiers >= self.tiers)
    }

    /// Where an entry stands. `successes`: when the project's latest successful runs were created, newest first, at
    /// least as many as [`Thresholds::runs`] if there are so many.
    ///
    /// A run that was created after the last sighting did not see the key: it would be the last sighting. So an entry
    /// that was cleaned is resolved by one such run after the cleaning, and any other by as many as it takes to age. One
    /// that an operator closed is resolved at once.
    pub fn status(&self, entry: &BacklogEntry, successes: &[Timestamp]) -> BacklogStatus {
        let since = |at: Timestamp| successes.iter().filter(|created| **created > at).count();
        let resolved = match &entry.cleaned {
            Some((_, at)) => since((*at).max(entry.last_seen_at)) > 0,
            None => since(entry.last_seen_at) >= self.runs as usize,
        };
        if resolved || entry.closed.is_some() {
            BacklogStatus::Resolved
        } else if self.is_aged(entry) && entry.cleaned.is_none() {
            BacklogStatus::NeedsCleanup
        } else {
            BacklogStatus::Open
        }
    }
}

/// Keys that count as major in the run that is created now.
pub fn aged(
    entries: &[BacklogEntry],
    thresholds: Thresholds,
    successes: &[Timestamp],
) -> BTreeSet<String> {
    entries
        .iter()
        .filter(|e| thresholds.status(e, successes) == BacklogStatus::NeedsCleanup)
        .take(MAX_AGED)
        .map(|e| e.key.clone())
        .collect()
}

/// Phases for the next plan, one for each of the oldest of these entries, in the form that a plan writes them. They name
/// no builder: the plan's default builds them.
pub fn cleanup_phases(entries: &[BacklogEntry]) -> Vec<Value> {
    let chosen = entries.iter().take(MAX_PROPOSALS);
    chosen.enumerate().map(|(n, e)| cleanup(n + 1, e)).collect()
}

fn cleanup(number: usize, entry: &BacklogEntry) -> Value {
    let seen = format!(
        "{} in runs: {}, in tiers: {}",
        entry.key,
        entry.runs,
        entry.tiers.len()
    );
    let mut phase = json!({
        "id": format!("cleanup-{number}"),
        "name": format!("Clean {}", entry.key),
        "goal": format!("Remove the cause of a minor issue that has grown old ({seen})."),
        "task_category": CLEANUP,
        "complexity": "medium",
        "depends_on": [],
        "labels": { CLEANS: entry.key },
    });
    if !entry.paths.is_empty() {
        phase["scope"] = json!({ "paths": entry.paths });
    }
    phase
}
