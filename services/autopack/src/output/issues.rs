//! Issues and backlogs, for people and as JSON.
//!
//! Invariant: texts that came from a builder or an auditor are cut to one line and stripped of control characters.

use autopack_wire::types;
use serde_json::{Value, json};

use super::{
    Ui, count,
    json::{some, time},
    one_line,
    table::Table,
    text::moment,
};

/// Distinct issues, such as `2 minor, 1 major`; empty for none.
pub(crate) fn counts(counts: Option<&types::IssueCounts>) -> String {
    let found = counts.copied().unwrap_or_default();
    let parts = [
        (found.major, "major"),
        (found.minor, "minor"),
        (found.resolved, "resolved"),
    ];
    let parts = parts.iter().filter(|(n, _)| *n > 0);
    let parts: Vec<String> = parts.map(|(n, word)| format!("{n} {word}")).collect();
    parts.join(", ")
}

/// Distinct issues as JSON.
pub(crate) fn counts_json(counts: Option<&types::IssueCounts>) -> Value {
    let found = counts.copied().unwrap_or_default();
    json!({
        "minor": found.minor,
        "major": found.major,
        "resolved": found.resolved,
        "distinct": found.minor + found.major + found.resolved,
    })
}

/// Issues of a run, one a line, and what they amount to.
pub(crate) fn table(
    ui: Ui,
    issues: &[types::Issue],
    all: Option<&types::IssueCounts>,
    debt: &str,
) -> String {
    let mut table = Table::new(&[
        "PHASE", "SEVERITY", "ISSUE", "SOURCE", "CATEGORY", "SEEN", "LAST", "WHAT",
    ]);
    for issue in issues {
        let severity = match (
            &issue.resolve_time,
            issue.severity == issue.effective_severity,
        ) {
            (Some(_), _) => "resolved".to_owned(),
            (None, true) => issue.severity.clone(),
            (None, false) => format!("{} (aged)", issue.effective_severity),
        };
        table.row([
            issue.phase_id.clone(),
            ui.state(&severity),
            one_line(&issue.key, 60),
            one_line(&issue.source, 20),
            one_line(&issue.category, 30),
            issue.occurrences.to_string(),
            moment(issue.last_seen_time.as_ref()),
            one_line(&issue.description, 60),
        ]);
    }
    let total = counts(all);
    match (table.is_empty(), total.is_empty()) {
        (_, true) => "no issue is open\n".to_owned(),
        (true, false) => format!("{total}; debt: {debt}\n"),
        (false, false) => format!("{}\n{total}; debt: {debt}\n", table.render()),
    }
}

/// An issue.
pub(crate) fn json(issue: &types::Issue) -> Value {
    json!({
        "key": issue.key,
        "phase": some(&issue.phase_id),
        "tier": some(&issue.tier_id),
        "severity": issue.severity,
        "effective_severity": issue.effective_severity,
        "source": issue.source,
        "category": issue.category,
        "task_category": some(&issue.task_category),
        "complexity": some(&issue.complexity),
        "description": some(&issue.description),
        "evidence": issue.evidence,
        "paths": issue.paths,
        "occurrences": issue.occurrences,
        "first_seen_time": time(issue.first_seen_time.as_ref()),
        "last_seen_time": time(issue.last_seen_time.as_ref()),
        "attempt": some(&issue.attempt_uid),
        "resolve_time": time(issue.resolve_time.as_ref()),
    })
}

/// Entries of a backlog, one a line; empty for none.
pub(crate) fn entries(ui: Ui, entries: &[types::BacklogEntry]) -> String {
    let mut table = Table::new(&[
        "ISSUE", "STATUS", "SEVERITY", "RUNS", "TIERS", "SEEN", "LAST RUN", "LAST",
    ]);
    for entry in entries {
        table.row([
            one_line(&entry.key, 60),
            ui.state(&entry.status),
            entry.base_severity.clone(),
            entry.age_in_runs.to_string(),
            entry.age_in_tiers.to_string(),
            entry.occurrences.to_string(),
            entry.last_seen_run.clone(),
            moment(entry.last_seen_time.as_ref()),
        ]);
    }
    if table.is_empty() {
        String::new()
    } else {
        table.render()
    }
}

/// A backlog with its rule.
pub(crate) fn backlog(ui: Ui, list: &[types::BacklogEntry], ages: (u32, u32)) -> String {
    let table = entries(ui, list);
    if table.is_empty() {
        return "no run of the project has found an issue\n".to_owned();
    }
    let rule = format!(
        "a minor issue counts as major after {} or {}",
        count(ages.0 as usize, "run"),
        count(ages.1 as usize, "tier")
    );
    format!("{table}\n{rule}\n")
}

/// An entry of a backlog.
pub(crate) fn entry(entry: &types::BacklogEntry) -> Value {
    json!({
        "key": entry.key,
        "status": entry.status,
        "category": entry.category,
        "base_severity": entry.base_severity,
        "effective_severity": entry.effective_severity,
        "age_in_runs": entry.age_in_runs,
        "age_in_tiers": entry.age_in_tiers,
        "seen_in_tiers": entry.seen_in_tiers,
        "occurrences": entry.occurrences,
        "paths": entry.paths,
        "first_seen_run": entry.first_seen_run,
        "first_seen_time": time(entry.first_seen_time.as_ref()),
        "last_seen_run": entry.last_seen_run,
        "last_seen_time": time(entry.last_seen_time.as_ref()),
        "cleaned_run": some(&entry.cleaned_run),
        "clean_time": time(entry.clean_time.as_ref()),
        "close_note": some(&entry.close_note),
        "close_time": time(entry.close_time.as_ref()),
    })
}
