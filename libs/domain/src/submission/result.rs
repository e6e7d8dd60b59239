//! A builder's result, as it is submitted: one JSON document with a closed schema.
//!
//! Invariant: a document with a fault is refused as a whole, with every fault at its path; what is stored is the
//! document as it was understood.

use serde::{Deserialize, Serialize};

use super::{
    RESULT_V1,
    edit::{self, Edit},
    fields::{Object, read_document},
};
use crate::{
    Fault, Faults,
    issue::{NewIssue, Severity},
    plan::closed,
    usage::Usage,
};

const KEYS: &[&str] = &[
    "schema",
    "run_id",
    "phase_id",
    "builder",
    "status",
    "patch",
    "edits",
    "changed_files",
    "usage",
    "probes",
    "issues",
    "notes",
];
/// Files that a result may claim to change.
const MAX_FILES: usize = 2000;
/// Probes of a result.
const MAX_PROBES: usize = 100;
/// Characters of notes, and of what a probe printed.
const MAX_NOTES: usize = 10_000;

closed!(
    /// What the builder says of its result.
    ResultStatus {
        /// It is to be gated and landed.
        Success = "success",
        /// There is none: the attempt failed.
        Failed = "failed",
        /// Somebody else must look at it before it is gated.
        NeedsReview = "needs_review",
    }
);

/// The change itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A unified or git-format diff.
    Patch(String),
    /// Edits of files.
    Edits(Vec<Edit>),
}

/// A check that the builder ran for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Its name.
    #[serde(rename = "type")]
    pub kind: String,
    /// How it ended.
    pub exit_code: i64,
    /// The end of what it printed.
    #[serde(default)]
    pub output: String,
}

/// A result, understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuilderResult {
    /// Who built it.
    pub builder: String,
    /// What the builder says of it.
    pub status: ResultStatus,
    /// The change; none for a failure.
    pub content: Option<Content>,
    /// Files that it claims to change.
    pub changed_files: Vec<String>,
    /// What its own checks said.
    pub probes: Vec<Probe>,
    /// For people.
    pub notes: String,
    /// Tokens that it used.
    pub usage: Vec<Usage>,
    /// Issues that it suggests; recorded apart.
    #[serde(skip)]
    pub issues: Vec<NewIssue>,
}

/// Reads a result for this run and phase.
pub fn read_result(document: &str, run: &str, phase: &str) -> Result<BuilderResult, Vec<Fault>> {
    let text = (document, "result.json");
    read_document(text, (RESULT_V1, KEYS), (run, phase), |object, faults| {
        read(object, phase, faults)
    })
}

fn read(object: &Object<'_>, phase: &str, faults: &mut Faults) -> BuilderResult {
    let status = object.word(
        "status",
        ResultStatus::parse,
        ResultStatus::spellings(),
        Some(ResultStatus::Success),
        faults,
    );
    let mut result = BuilderResult {
        builder: object.identity("builder", faults),
        status: status.unwrap_or(ResultStatus::Success),
        content: content(object, status, faults),
        changed_files: object.paths("changed_files", MAX_FILES, faults),
        probes: probes(object, faults),
        notes: object.text("notes", MAX_NOTES, faults),
        usage: object.usage("usage", "builder", faults),
        issues: object.issues("issues", "builder", faults),
    };
    result.issues.extend(probe_issues(phase, &result.probes));
    result
}

/// Exactly one of `patch` and `edits`, and none for a failure.
fn content(
    object: &Object<'_>,
    status: Option<ResultStatus>,
    faults: &mut Faults,
) -> Option<Content> {
    let (patch, edits) = (object.get("patch"), object.get("edits"));
    if status == Some(ResultStatus::Failed) {
        if patch.is_some() || edits.is_some() {
            let key = if patch.is_some() { "patch" } else { "edits" };
            let problem = "a result with the status `failed` has no change";
            faults.push(Fault::new(object.at(key), problem));
        }
        return None;
    }
    match (patch, edits) {
        (Some(_), Some(_)) => {
            let problem = "give either `patch` or `edits`, not both";
            faults.push(Fault::new(object.at("edits"), problem));
            None
        }
        (None, None) => {
            let problem = "is missing, and so is `edits`: the result has no change";
            faults.push(Fault::new(object.at("patch"), problem).example("diff --git a/f b/f ..."));
            None
        }
        (Some(_), None) => {
            let text = object.text("patch", usize::MAX, faults);
            if text.trim().is_empty()
                && object
                    .get("patch")
                    .is_some_and(serde_json::Value::is_string)
            {
                let problem = "is empty; for a phase that may change nothing, submit `edits: []`";
                faults.push(Fault::new(object.at("patch"), problem));
            }
            Some(Content::Patch(text))
        }
        (None, Some(_)) => Some(Content::Edits(edit::read(object, faults))),
    }
}

fn probes(object: &Object<'_>, faults: &mut Faults) -> Vec<Probe> {
    let mut probes = Vec::new();
    for (value, at) in object.list("probes", MAX_PROBES, faults) {
        let Some(probe) = Object::read(value, &at, &["type", "exit_code", "output"], faults) else {
            continue;
        };
        let exit_code = probe.get("exit_code").and_then(serde_json::Value::as_i64);
        if exit_code.is_none() {
            let fault = Fault::new(probe.at("exit_code"), "must be a whole number");
            faults.push(fault.example("0"));
        }
        probes.push(Probe {
            kind: probe.needed("type", 100, "lint", faults),
            exit_code: exit_code.unwrap_or(0),
            output: probe.text("output", MAX_NOTES, faults),
        });
    }
    probes
}

/// A probe that failed is an issue of the phase; the gate decides all the same.
fn probe_issues(phase: &str, probes: &[Probe]) -> Vec<NewIssue> {
    let failed = probes.iter().filter(|probe| probe.exit_code != 0);
    failed
        .map(|probe| {
            let name: String = probe
                .kind
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
                .collect();
            let last = probe.output.lines().rfind(|line| !line.trim().is_empty());
            let said: String = last.unwrap_or_default().chars().take(500).collect();
            NewIssue {
                key: format!("probe__{phase}__{}", name.to_ascii_lowercase()),
                severity: Severity::Minor,
                source: "probe".to_owned(),
                category: "probe".to_owned(),
                description: format!(
                    "the builder's own check ended with {}: {said}",
                    probe.exit_code
                ),
                evidence: Vec::new(),
                paths: Vec::new(),
            }
        })
        .collect()
}
