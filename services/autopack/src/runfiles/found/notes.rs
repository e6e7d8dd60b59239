//! Issues of a run's folder: from the phases' own files, else from the run's index.
//!
//! Invariant: a key counts once in a phase; what is no list of issues is a fault of its file.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
};

use autopack_domain::{
    Fault,
    import::{HistoricalIssue, moment},
};
use serde_json::Value;

use super::{HistoricalPhase, Reader};

/// Bytes of one file of issues.
const MAX_FILE: u64 = 16 << 20;
/// Files in the folder of issues.
const MAX_FILES: usize = 20_000;

/// The issues, and the tiers that their files name for phases.
pub(super) fn read(
    reader: &mut Reader<'_>,
    phases: &[HistoricalPhase],
) -> io::Result<(Vec<HistoricalIssue>, BTreeMap<String, String>)> {
    let (mut issues, mut tiers) = (Vec::new(), BTreeMap::new());
    let names = reader.entries("issues", MAX_FILES)?;
    for entry in names {
        let name = entry.name.to_string_lossy().into_owned();
        if !(name.starts_with("phase_") && name.ends_with("_issues.json")) {
            continue;
        }
        let file = format!("issues/{name}");
        let Some(value) = json(reader, &file)? else {
            continue;
        };
        let Some(phase) = value["phase_id"].as_str() else {
            reader.faults.push(Fault::new(file, "has no `phase_id`"));
            continue;
        };
        if let Some(tier) = value["tier_id"].as_str() {
            tiers.insert(phase.to_owned(), tier.to_owned());
        }
        if !phases.iter().any(|known| known.id == phase) {
            let note = format!("{file} is of the phase `{phase}`, which has no file: left out");
            reader.notes.push(note);
            continue;
        }
        let mut seen = BTreeSet::new();
        for issue in value["issues"].as_array().into_iter().flatten() {
            if let Some(found) = one(issue, phase).filter(|found| seen.insert(found.key.clone())) {
                issues.push(found);
            }
        }
    }
    for file in ["run_issue_index.json", "issues/run_issue_index.json"] {
        if reader
            .folder
            .read(Path::new(file), 0)
            .is_ok_and(|found| found.is_none())
        {
            continue;
        }
        if let Some(value) = json(reader, file)? {
            of_index(&value, phases, &mut issues);
        }
    }
    Ok((issues, tiers))
}

/// What the index knows and no file of a phase told.
fn of_index(value: &Value, phases: &[HistoricalPhase], issues: &mut Vec<HistoricalIssue>) {
    let told: BTreeSet<String> = issues.iter().map(|issue| issue.key.clone()).collect();
    for (key, entry) in value["issues_by_key"].as_object().into_iter().flatten() {
        if told.contains(key) {
            continue;
        }
        let seen = entry["seen_in_phases"].as_array().into_iter().flatten();
        let known = |id: &&str| phases.iter().any(|phase| phase.id == *id);
        let seen = seen.filter_map(Value::as_str).filter(known);
        let mut places: Vec<&str> = seen.collect();
        places.sort_unstable();
        places.dedup();
        if places.is_empty() {
            places.push("");
        }
        let more = i64::try_from(places.len()).unwrap_or(1) - 1;
        for (n, phase) in places.iter().enumerate() {
            let all = entry["occurrence_count"].as_i64().unwrap_or(1);
            issues.push(HistoricalIssue {
                key: key.clone(),
                phase: (!phase.is_empty()).then(|| (*phase).to_owned()),
                severity: text(&entry["severity"]),
                // The index does not say who found it.
                source: "run_issue_index".to_owned(),
                category: text(&entry["category"]),
                // How often each phase saw it is not on record.
                occurrences: if n == 0 {
                    all.saturating_sub(more).max(1)
                } else {
                    1
                },
                ..HistoricalIssue::default()
            });
        }
    }
}

fn one(issue: &Value, phase: &str) -> Option<HistoricalIssue> {
    let texts = |key: &str| -> Vec<String> {
        let list = issue[key].as_array().into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let time = |key: &str| issue[key].as_str().and_then(moment::parse);
    let key = issue["issue_key"].as_str().filter(|key| !key.is_empty())?;
    Some(HistoricalIssue {
        phase: Some(phase.to_owned()),
        key: key.to_owned(),
        severity: text(&issue["severity"]),
        effective_severity: text(&issue["effective_severity"]),
        source: text(&issue["source"]),
        category: text(&issue["category"]),
        description: text(&issue["description"]),
        evidence: texts("evidence_refs"),
        paths: texts("paths"),
        occurrences: issue["occurrence_count"].as_i64().unwrap_or(1).max(1),
        first_seen_at: time("first_seen_at"),
        last_seen_at: time("last_seen_at"),
        resolved_at: time("resolved_at"),
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A JSON object, or a fault.
fn json(reader: &mut Reader<'_>, file: &str) -> io::Result<Option<Value>> {
    let problem = match reader.room.read(reader.folder, Path::new(file), MAX_FILE) {
        Ok(None) => return Ok(None),
        Ok(Some(content)) => match serde_json::from_slice::<Value>(&content) {
            Ok(value) if value.is_object() => return Ok(Some(value)),
            Ok(_) => "is no JSON object".to_owned(),
            Err(error) => format!("is no JSON: {error}"),
        },
        Err(error) if error.kind() == io::ErrorKind::InvalidData => error.to_string(),
        Err(error) => return Err(error),
    };
    reader.faults.push(Fault::new(file, problem));
    Ok(None)
}
