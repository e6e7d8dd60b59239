//! Issues of a run's folder: from the phases' own files, else from the run's index.
//!
//! Invariant: a key counts once in a phase; what is no list of issues is a fault of its file.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
};

use autopack_domain::Fault;
use serde_json::Value;

use super::{FoundPhase, Reader};

/// Bytes of one file of issues.
const MAX_FILE: u64 = 16 << 20;
/// Issues of a run.
const MAX_ISSUES: usize = 50_000;
/// Files in the folder of issues.
const MAX_FILES: usize = 20_000;

/// An issue as its file tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FoundIssue {
    /// Its key.
    pub(crate) key: String,
    /// Its phase; empty: the run itself.
    pub(crate) phase: String,
    /// `minor` or `major`; older files hold other texts.
    pub(crate) severity: String,
    /// Who found it.
    pub(crate) source: String,
    /// Its category.
    pub(crate) category: String,
    /// For people.
    pub(crate) description: String,
    /// Reports, one at least.
    pub(crate) occurrences: u64,
    /// Where to look.
    pub(crate) evidence: Vec<String>,
}

/// The issues, and the tiers that their files name for phases.
pub(super) fn read(
    reader: &mut Reader<'_>,
    phases: &[FoundPhase],
) -> io::Result<(Vec<FoundIssue>, BTreeMap<String, String>)> {
    let (mut issues, mut tiers) = (Vec::new(), BTreeMap::new());
    let folder = match reader.folder.open(Path::new("issues")) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            reader.faults.push(Fault::new("issues", error.to_string()));
            None
        }
        found => found?,
    };
    let names = folder.map_or(Ok(Vec::new()), |folder| folder.entries(MAX_FILES + 1))?;
    if names.len() > MAX_FILES {
        let problem = format!("holds more than {MAX_FILES} entries");
        reader.faults.push(Fault::new("issues", problem));
        return Ok((issues, tiers));
    }
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
    if issues.len() > MAX_ISSUES {
        let problem = format!("more than {MAX_ISSUES} issues");
        reader.faults.push(Fault::new("issues", problem));
        issues.clear();
    }
    Ok((issues, tiers))
}

/// What the index knows and no file of a phase told.
fn of_index(value: &Value, phases: &[FoundPhase], issues: &mut Vec<FoundIssue>) {
    let told: BTreeSet<String> = issues.iter().map(|issue| issue.key.clone()).collect();
    for (key, entry) in value["issues_by_key"].as_object().into_iter().flatten() {
        if told.contains(key) {
            continue;
        }
        let seen = entry["seen_in_phases"].as_array();
        let seen: Vec<&str> = seen
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let known = |id: &&str| phases.iter().any(|phase| phase.id == *id);
        let mut places: Vec<&str> = seen.into_iter().filter(known).collect();
        places.dedup();
        if places.is_empty() {
            places.push("");
        }
        for (n, phase) in places.iter().enumerate() {
            let all = entry["occurrence_count"].as_u64().unwrap_or(1);
            issues.push(FoundIssue {
                key: key.clone(),
                phase: (*phase).to_owned(),
                severity: text(&entry["severity"]),
                category: text(&entry["category"]),
                // How often each phase saw it is not on record.
                occurrences: if n == 0 {
                    all.saturating_sub(places.len() as u64 - 1).max(1)
                } else {
                    1
                },
                ..FoundIssue::default()
            });
        }
    }
}

fn one(issue: &Value, phase: &str) -> Option<FoundIssue> {
    let evidence = issue["evidence_refs"].as_array().into_iter().flatten();
    Some(FoundIssue {
        key: issue["issue_key"]
            .as_str()
            .filter(|key| !key.is_empty())?
            .to_owned(),
        phase: phase.to_owned(),
        severity: text(&issue["severity"]),
        source: text(&issue["source"]),
        category: text(&issue["category"]),
        description: text(&issue["description"]),
        occurrences: issue["occurrence_count"].as_u64().unwrap_or(1).max(1),
        evidence: evidence
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A JSON object, or a fault.
fn json(reader: &mut Reader<'_>, file: &str) -> io::Result<Option<Value>> {
    let problem = match reader.folder.read(Path::new(file), MAX_FILE) {
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
