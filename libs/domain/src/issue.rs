//! Issues: what builders, auditors, probes and gates find, on three levels (SEMANTICS 3).
//!
//! Invariant: a key is stored once per phase, and counted once per phase, tier and run. Counts are computed from the
//! [`IssueBook`] after each change of it, never added up.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Fault, ids::AttemptUid, plan::closed, time::Timestamp};

closed!(
    /// How much an issue matters.
    Severity {
        /// Tolerated up to a limit.
        Minor = "minor",
        /// Makes its tier not clean.
        Major = "major",
    }
);
closed!(
    /// What the issues of a phase amount to.
    IssueState {
        /// None is open.
        NoIssues = "no_issues",
        /// Only minor ones are open.
        HasMinorIssues = "has_minor_issues",
        /// A major one is open.
        HasMajorIssues = "has_major_issues",
    }
);
closed!(
    /// Whether the issues of a tier are within its limits.
    Cleanliness {
        /// Within.
        Clean = "clean",
        /// Too many, or too grave.
        NotClean = "not_clean",
    }
);
closed!(
    /// What the minor issues of a run amount to.
    DebtStatus {
        /// None is open.
        Clean = "clean",
        /// Some, within the limit.
        HasMinorIssues = "has_minor_issues",
        /// More than the run tolerates.
        ExcessMinorIssues = "excess_minor_issues",
    }
);

/// Distinct keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IssueCounts {
    /// Open, and minor wherever they were seen.
    pub minor: u32,
    /// Open, and major somewhere.
    pub major: u32,
    /// Cleaned wherever they were seen.
    pub resolved: u32,
}

impl IssueCounts {
    /// Every distinct key that was ever seen.
    pub fn distinct(&self) -> u32 {
        self.minor + self.major + self.resolved
    }

    /// What they amount to for a phase.
    pub fn state(&self) -> IssueState {
        if self.major > 0 {
            IssueState::HasMajorIssues
        } else if self.minor > 0 {
            IssueState::HasMinorIssues
        } else {
            IssueState::NoIssues
        }
    }

    /// What they amount to for a tier that tolerates so many.
    pub fn cleanliness(&self, max_minor: u32, max_major: u32) -> Cleanliness {
        if self.minor > max_minor || self.major > max_major {
            Cleanliness::NotClean
        } else {
            Cleanliness::Clean
        }
    }

    /// What they amount to for a run that tolerates so many.
    pub fn debt(&self, max_minor: u32) -> DebtStatus {
        if self.minor > max_minor {
            DebtStatus::ExcessMinorIssues
        } else if self.minor > 0 {
            DebtStatus::HasMinorIssues
        } else {
            DebtStatus::Clean
        }
    }
}

/// Category of issues about what is stored.
pub const INTEGRITY: &str = "data_integrity";
/// Source of issues that the registry finds by itself.
pub const REGISTRY: &str = "registry";

/// Characters of a key, at most.
pub const MAX_KEY: usize = 200;
/// Characters of source and category, at most.
const MAX_WORD: usize = 64;
/// Characters of the description, at most.
pub const MAX_DESCRIPTION: usize = 2000;
/// References to evidence and affected paths, at most; later ones are left out.
pub const MAX_REFS: usize = 50;
/// Characters of a reference, at most.
const MAX_REF: usize = 500;

/// An issue as somebody reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewIssue {
    /// The only thing that tells issues apart; by custom `category__subject__problem`.
    pub key: String,
    /// How much it matters.
    pub severity: Severity,
    /// Who found it, such as `test`, `probe`, `ci`, `static_check`, `auditor`.
    pub source: String,
    /// Such as a task category.
    pub category: String,
    /// For people.
    pub description: String,
    /// Where to look: test ids, digests of artifacts, links.
    pub evidence: Vec<String>,
    /// Affected paths of the repository.
    pub paths: Vec<String>,
}

impl NewIssue {
    /// The registry's own: a stored value, by table, row and column, that it cannot read. Each place has its own key.
    pub fn unreadable((table, row, column): (&str, &str, &str), description: &str) -> Self {
        let key: String = format!("{INTEGRITY}__{table}__{column}__{row}")
            .chars()
            .map(|c| if c.is_control() || c == ' ' { '_' } else { c })
            .take(MAX_KEY)
            .collect();
        let mut description = description.to_owned();
        if let Some((end, _)) = description.char_indices().nth(MAX_DESCRIPTION) {
            description.truncate(end);
        }
        Self {
            key,
            severity: Severity::Major,
            source: REGISTRY.to_owned(),
            category: INTEGRITY.to_owned(),
            description,
            evidence: Vec::new(),
            paths: Vec::new(),
        }
    }

    /// Every fault, with field paths below `at`.
    pub fn faults(&self, at: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        if !is_key(&self.key) {
            let text = format!(
                "must be 1 to {MAX_KEY} characters without control characters or spaces at the ends"
            );
            faults.push(Fault::new(format!("{at}key"), text).example("docs__readme__stale"));
        }
        for (field, word) in [("source", &self.source), ("category", &self.category)] {
            if !is_word(word) {
                let text = format!("must be 1 to {MAX_WORD} of the characters A-Z a-z 0-9 . _ -");
                faults.push(Fault::new(format!("{at}{field}"), text).example("static_check"));
            }
        }
        if self.description.chars().count() > MAX_DESCRIPTION {
            let text = format!("has more than {MAX_DESCRIPTION} characters");
            faults.push(Fault::new(format!("{at}description"), text));
        }
        for (field, list) in [("evidence", &self.evidence), ("paths", &self.paths)] {
            if list.len() > MAX_REFS {
                let text = format!("has more than {MAX_REFS} entries");
                faults.push(Fault::new(format!("{at}{field}"), text));
            }
            for (n, one) in list.iter().enumerate() {
                if one.is_empty() || one.chars().count() > MAX_REF {
                    let text = format!("must be 1 to {MAX_REF} characters");
                    faults.push(Fault::new(format!("{at}{field}[{n}]"), text));
                }
            }
        }
        faults
    }
}

fn is_key(text: &str) -> bool {
    let plain = text.trim() == text && !text.chars().any(char::is_control);
    plain && (1..=MAX_KEY).contains(&text.chars().count())
}

fn is_word(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=MAX_WORD).contains(&text.len()) && text.bytes().all(plain)
}

/// An issue of one phase, or of the run itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Its key.
    pub key: String,
    /// The gravest that was reported.
    pub severity: Severity,
    /// With ageing: a minor one that was aged when the run was created counts as major.
    pub effective: Severity,
    /// Who found it first.
    pub source: String,
    /// As it was reported first.
    pub category: String,
    /// The task category of its phase; empty for the run's own.
    pub task_category: String,
    /// The complexity of its phase; empty for the run's own.
    pub complexity: String,
    /// As it was reported last.
    pub description: String,
    /// Where to look, of all reports.
    pub evidence: Vec<String>,
    /// Affected paths, of all reports.
    pub paths: Vec<String>,
    /// Reports.
    pub occurrences: u32,
    /// The first report.
    pub first_seen_at: Timestamp,
    /// The last report.
    pub last_seen_at: Timestamp,
    /// The attempt that reported it last.
    pub attempt: Option<AttemptUid>,
    /// When it was cleaned; a later report opens it again.
    pub resolved_at: Option<Timestamp>,
}

impl Issue {
    /// A first report. `phase` is task category and complexity of its phase.
    pub fn first(
        new: NewIssue,
        phase: (&str, &str),
        aged: bool,
        attempt: Option<AttemptUid>,
        now: Timestamp,
    ) -> Self {
        Self {
            effective: effective(new.severity, aged),
            key: new.key,
            severity: new.severity,
            source: new.source,
            category: new.category,
            task_category: phase.0.to_owned(),
            complexity: phase.1.to_owned(),
            description: new.description,
            evidence: distinct(Vec::new(), new.evidence),
            paths: distinct(Vec::new(), new.paths),
            occurrences: 1,
            first_seen_at: now,
            last_seen_at: now,
            attempt,
            resolved_at: None,
        }
    }

    /// Another report of it: nothing that was known is lost, and it never matters less.
    pub fn again(
        &mut self,
        new: NewIssue,
        aged: bool,
        attempt: Option<AttemptUid>,
        now: Timestamp,
    ) {
        self.severity = self.severity.max(new.severity);
        self.effective = self.effective.max(effective(self.severity, aged));
        if !new.description.is_empty() {
            self.description = new.description;
        }
        self.evidence = distinct(std::mem::take(&mut self.evidence), new.evidence);
        self.paths = distinct(std::mem::take(&mut self.paths), new.paths);
        self.occurrences = self.occurrences.saturating_add(1);
        self.last_seen_at = now;
        self.attempt = attempt.or(self.attempt);
        self.resolved_at = None;
    }
}

fn effective(severity: Severity, aged: bool) -> Severity {
    if aged { Severity::Major } else { severity }
}

/// Both lists without repetitions, the older entries first.
fn distinct(known: Vec<String>, more: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    known
        .into_iter()
        .chain(more)
        .filter(|one| seen.insert(one.clone()))
        .take(MAX_REFS)
        .collect()
}

/// Where an issue belongs: a phase by its index, or the run itself.
pub type Place = Option<usize>;

/// The issues of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IssueBook {
    issues: BTreeMap<(Place, String), Issue>,
}

impl IssueBook {
    /// Every issue with its place: the run's own first, then by phase and key.
    pub fn iter(&self) -> impl Iterator<Item = (Place, &Issue)> {
        self.issues
            .iter()
            .map(|((place, _), issue)| (*place, issue))
    }

    /// One issue.
    pub fn get(&self, place: Place, key: &str) -> Option<&Issue> {
        self.issues.get(&(place, key.to_owned()))
    }

    /// One issue, to change it.
    pub fn get_mut(&mut self, place: Place, key: &str) -> Option<&mut Issue> {
        self.issues.get_mut(&(place, key.to_owned()))
    }

    /// Stores an issue in place of the one before.
    pub fn put(&mut self, place: Place, issue: Issue) {
        self.issues.insert((place, issue.key.clone()), issue);
    }

    /// Whether the key was seen anywhere in the run.
    pub fn knows(&self, key: &str) -> bool {
        self.issues.keys().any(|(_, known)| known == key)
    }

    /// How many there are, over all places.
    pub fn len(&self) -> usize {
        self.issues.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.issues.is_empty()
    }

    /// Distinct keys over the places that are asked for; a key is as grave as its gravest open issue.
    pub fn counts(&self, wanted: impl Fn(Place) -> bool) -> IssueCounts {
        let mut keys: BTreeMap<&str, Option<Severity>> = BTreeMap::new();
        for ((place, key), issue) in &self.issues {
            if wanted(*place) {
                let open = issue.resolved_at.is_none().then_some(issue.effective);
                let worst = keys.entry(key).or_default();
                *worst = (*worst).max(open);
            }
        }
        let mut counts = IssueCounts::default();
        for worst in keys.into_values() {
            match worst {
                Some(Severity::Minor) => counts.minor += 1,
                Some(Severity::Major) => counts.major += 1,
                None => counts.resolved += 1,
            }
        }
        counts
    }
}
