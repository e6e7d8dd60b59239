//! The backlog of a project: what its runs found, and for how long.
//!
//! Invariant: an entry ages by distinct runs and distinct tiers, never by reports: a run counts once, when it sees
//! the key for the first time. `policy::backlog` says what the ages mean.

use crate::{
    issue::{MAX_REFS, Severity},
    plan::closed,
    time::Timestamp,
};

closed!(
    /// Where an entry stands.
    BacklogStatus {
        /// Seen, and not aged.
        Open = "open",
        /// Minor and aged: it counts as major until it is cleaned.
        NeedsCleanup = "needs_cleanup",
        /// Closed by an operator, or cleaned or no longer seen for long enough.
        Resolved = "resolved",
    }
);

/// A run saw a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The key.
    pub key: String,
    /// As reported, without ageing.
    pub severity: Severity,
    /// As reported.
    pub category: String,
    /// Affected paths.
    pub paths: Vec<String>,
    /// The id of the tier; `None` for an issue of the run itself.
    pub tier: Option<String>,
    /// The run had not seen the key before.
    pub new_in_run: bool,
    /// When.
    pub at: Timestamp,
}

/// What a project knows of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BacklogEntry {
    /// The key.
    pub key: String,
    /// As it was reported first.
    pub category: String,
    /// The gravest that was reported; ageing does not change it.
    pub severity: Severity,
    /// Distinct runs that saw it.
    pub runs: u32,
    /// Ids of distinct tiers that saw it, in the order of their first sight; at most 50 are told apart.
    pub tiers: Vec<String>,
    /// Reports.
    pub occurrences: u32,
    /// Affected paths, of all reports.
    pub paths: Vec<String>,
    /// The run that saw it first.
    pub first_run: String,
    /// When it was seen first.
    pub first_seen_at: Timestamp,
    /// The run that saw it last.
    pub last_run: String,
    /// When it was seen last.
    pub last_seen_at: Timestamp,
    /// The run and the time of its last cleaning, if it was not seen since.
    pub cleaned: Option<(String, Timestamp)>,
    /// An operator's reason to close it, and when, if it was not seen since.
    pub closed: Option<(String, Timestamp)>,
}

/// Characters of a reason, at most.
pub const MAX_NOTE: usize = 2000;

impl BacklogEntry {
    /// The entry after a sighting; `before` is `None` for a key that the project has not seen.
    pub fn after(before: Option<Self>, run: &str, sighting: Sighting) -> Self {
        let mut entry = before.unwrap_or_else(|| Self {
            key: sighting.key,
            category: sighting.category,
            severity: sighting.severity,
            runs: 0,
            tiers: Vec::new(),
            occurrences: 0,
            paths: Vec::new(),
            first_run: run.to_owned(),
            first_seen_at: sighting.at,
            last_run: String::new(),
            last_seen_at: sighting.at,
            cleaned: None,
            closed: None,
        });
        entry.severity = entry.severity.max(sighting.severity);
        entry.runs += u32::from(sighting.new_in_run);
        let wanted = sighting.tier.into_iter();
        grow(&mut entry.tiers, wanted);
        grow(&mut entry.paths, sighting.paths.into_iter());
        entry.occurrences = entry.occurrences.saturating_add(1);
        run.clone_into(&mut entry.last_run);
        entry.last_seen_at = entry.last_seen_at.max(sighting.at);
        entry.cleaned = None;
        entry.closed = None;
        entry
    }

    /// A phase whose task was to clean it is complete.
    pub fn clean(&mut self, run: &str, at: Timestamp) {
        self.cleaned = Some((run.to_owned(), at));
    }

    /// An operator closes it; the next sighting opens it again, with the age that it had.
    pub fn close(&mut self, note: &str, at: Timestamp) {
        self.closed = Some((note.to_owned(), at));
    }
}

fn grow(list: &mut Vec<String>, more: impl Iterator<Item = String>) {
    for one in more {
        if list.len() < MAX_REFS && !list.contains(&one) {
            list.push(one);
        }
    }
}
