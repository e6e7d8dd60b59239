//! Issues and entries of backlogs.

use autopack_domain::{
    backlog::{BacklogEntry, BacklogStatus},
    issue::{Issue, NewIssue, Severity},
    plan::category,
};

use super::{
    at::{At, Decode},
    time::time_to_proto,
};
use crate::types;

impl From<&NewIssue> for types::NewIssue {
    fn from(issue: &NewIssue) -> Self {
        Self {
            key: issue.key.clone(),
            severity: issue.severity.as_str().to_owned(),
            source: issue.source.clone(),
            category: issue.category.clone(),
            description: issue.description.clone(),
            evidence: issue.evidence.clone(),
            paths: issue.paths.clone(),
        }
    }
}

impl Decode<types::NewIssue> for NewIssue {
    /// A severity that is left out is that of the category.
    fn decode(message: types::NewIssue, at: &At<'_>) -> Option<Self> {
        let severity = at.field("severity").word_optional(
            &message.severity,
            Severity::parse,
            Severity::spellings,
        );
        let usual = || Severity::parse(category(&message.category).severity);
        let issue = Self {
            severity: severity.flatten().or_else(usual).unwrap_or(Severity::Minor),
            key: message.key,
            source: message.source,
            category: message.category,
            description: message.description,
            evidence: message.evidence,
            paths: message.paths,
        };
        let mut prefix = at.path();
        if !prefix.is_empty() {
            prefix.push('.');
        }
        let faults = issue.faults(&prefix);
        let sound = faults.is_empty() && severity.is_some();
        for fault in faults {
            at.refuse::<()>(fault);
        }
        sound.then_some(issue)
    }
}

super::try_from_proto!(types::NewIssue => NewIssue);

/// An issue with the ids of its phase and tier; empty for one of the run itself.
pub fn issue_to_proto(issue: &Issue, (phase_id, tier_id): (String, String)) -> types::Issue {
    types::Issue {
        key: issue.key.clone(),
        phase_id,
        tier_id,
        severity: issue.severity.as_str().to_owned(),
        effective_severity: issue.effective.as_str().to_owned(),
        source: issue.source.clone(),
        category: issue.category.clone(),
        task_category: issue.task_category.clone(),
        complexity: issue.complexity.clone(),
        description: issue.description.clone(),
        evidence: issue.evidence.clone(),
        paths: issue.paths.clone(),
        occurrences: issue.occurrences,
        first_seen_time: Some(time_to_proto(issue.first_seen_at)),
        last_seen_time: Some(time_to_proto(issue.last_seen_at)),
        attempt_uid: issue.attempt.map_or_else(String::new, |a| a.to_string()),
        resolve_time: issue.resolved_at.map(time_to_proto),
    }
}

/// An entry with where it stands.
pub fn entry_to_proto(entry: &BacklogEntry, status: BacklogStatus) -> types::BacklogEntry {
    let effective = match status {
        BacklogStatus::NeedsCleanup => Severity::Major,
        BacklogStatus::Open | BacklogStatus::Resolved => entry.severity,
    };
    let (cleaned_run, clean_time) = entry
        .cleaned
        .as_ref()
        .map(|(run, at)| (run.clone(), time_to_proto(*at)))
        .unzip();
    let (close_note, close_time) = entry
        .closed
        .as_ref()
        .map(|(note, at)| (note.clone(), time_to_proto(*at)))
        .unzip();
    types::BacklogEntry {
        key: entry.key.clone(),
        category: entry.category.clone(),
        base_severity: entry.severity.as_str().to_owned(),
        effective_severity: effective.as_str().to_owned(),
        age_in_runs: entry.runs,
        age_in_tiers: u32::try_from(entry.tiers.len()).unwrap_or(u32::MAX),
        seen_in_tiers: entry.tiers.clone(),
        occurrences: entry.occurrences,
        paths: entry.paths.clone(),
        first_seen_run: entry.first_run.clone(),
        first_seen_time: Some(time_to_proto(entry.first_seen_at)),
        last_seen_run: entry.last_run.clone(),
        last_seen_time: Some(time_to_proto(entry.last_seen_at)),
        cleaned_run: cleaned_run.unwrap_or_default(),
        clean_time,
        status: status.as_str().to_owned(),
        close_note: close_note.unwrap_or_default(),
        close_time,
    }
}
