//! The issue files: of a phase, of a run, of a project.
//!
//! Invariant: every key of the older system is there and means the same; others are only added.

use std::collections::BTreeMap;

use autopack_wire::types;
use serde_json::{Map, Value, json};

use super::gather::Facts;
use crate::{
    output::json::{some, time},
    view::micros,
};

/// The issues of a phase; `None`: it has none.
pub(super) fn phase(facts: &Facts, phase: &types::Phase) -> Option<Value> {
    let own: Vec<Value> = facts
        .issues
        .iter()
        .filter(|issue| issue.phase_id == phase.id)
        .map(|i| issue(i, &facts.view.run.id))
        .collect();
    let counts = phase.issues.unwrap_or_default();
    (!own.is_empty()).then(|| {
        json!({
            "phase_id": phase.id,
            "tier_id": facts.view.tier_id(phase),
            "issues": own,
            "minor_issue_count": counts.minor,
            "major_issue_count": counts.major,
            "issue_state": phase.issue_state,
        })
    })
}

fn issue(issue: &types::Issue, run: &str) -> Value {
    json!({
        "issue_key": issue.key,
        "severity": issue.severity,
        "effective_severity": issue.effective_severity,
        "source": issue.source,
        "category": issue.category,
        "task_category": some(&issue.task_category),
        "complexity": some(&issue.complexity),
        "expected_fail": false,
        "occurrence_count": issue.occurrences,
        "first_seen_run": run,
        "last_seen_run": run,
        "evidence_refs": issue.evidence,
        "description": issue.description,
        "paths": issue.paths,
        "first_seen_at": time(issue.first_seen_time.as_ref()),
        "last_seen_at": time(issue.last_seen_time.as_ref()),
        "resolved_at": time(issue.resolve_time.as_ref()),
    })
}

/// The issues of a run by key: each counts once, wherever it was seen.
pub(super) fn index(facts: &Facts) -> Value {
    let mut by_key: BTreeMap<&str, Vec<&types::Issue>> = BTreeMap::new();
    for issue in &facts.issues {
        by_key.entry(&issue.key).or_default().push(issue);
    }
    let entries: Map<String, Value> = by_key
        .into_iter()
        .map(|(key, seen)| (key.to_owned(), entry(facts, seen)))
        .collect();
    json!({ "run_id": facts.view.run.id, "issues_by_key": entries })
}

fn entry(facts: &Facts, mut seen: Vec<&types::Issue>) -> Value {
    let at = |time: &Option<prost_types::Timestamp>| time.as_ref().map_or(0, micros);
    seen.sort_by_key(|issue| (at(&issue.first_seen_time), &issue.phase_id));
    let place = |id: &str| facts.view.phases.iter().find(|phase| phase.id == id);
    let index = |issue: &types::Issue| place(&issue.phase_id).map(|phase| phase.index);
    let last = seen
        .iter()
        .max_by_key(|issue| (at(&issue.last_seen_time), &issue.phase_id));
    let distinct = |field: fn(&types::Issue) -> &str| {
        let mut list: Vec<&str> = Vec::new();
        for text in seen.iter().map(|issue| field(issue)) {
            if !text.is_empty() && !list.contains(&text) {
                list.push(text);
            }
        }
        list
    };
    let gravest = |field: fn(&types::Issue) -> &str| {
        let major = seen.iter().any(|issue| field(issue) == "major");
        if major { "major" } else { "minor" }
    };
    let open = seen.iter().any(|issue| issue.resolve_time.is_none());
    json!({
        "category": seen.first().map(|issue| &issue.category),
        "severity": gravest(|issue| &issue.severity),
        "effective_severity": gravest(|issue| &issue.effective_severity),
        "first_phase_index": seen.first().and_then(|issue| index(issue)),
        "last_phase_index": last.and_then(|issue| index(issue)),
        "occurrence_count": seen.iter().map(|issue| u64::from(issue.occurrences)).sum::<u64>(),
        "seen_in_tiers": distinct(|issue| &issue.tier_id),
        "seen_in_phases": distinct(|issue| &issue.phase_id),
        "resolved": !open,
    })
}

/// What a project knows of its issues.
pub(super) fn backlog(facts: &Facts) -> Value {
    let entries: BTreeMap<&str, Value> = facts
        .backlog
        .iter()
        .map(|e| {
            let entry = json!({
                "category": e.category,
                "base_severity": e.base_severity,
                "age_in_runs": e.age_in_runs,
                "age_in_tiers": e.age_in_tiers,
                "first_seen_run_id": some(&e.first_seen_run),
                "last_seen_run_id": some(&e.last_seen_run),
                "last_seen_at": time(e.last_seen_time.as_ref()),
                "seen_in_tiers": e.seen_in_tiers,
                "status": e.status,
                "effective_severity": e.effective_severity,
                "occurrences": e.occurrences,
                "paths": e.paths,
            });
            (e.key.as_str(), entry)
        })
        .collect();
    json!({ "project_id": facts.view.run.project, "issues_by_key": entries })
}
