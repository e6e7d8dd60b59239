//! An auditor's word on a result, as it is submitted.
//!
//! Invariant: a suggested patch is one more claim: it goes through the same governed apply as the result itself.

use serde::{Deserialize, Serialize};

use super::{
    AUDIT_V1,
    fields::{Object, read_document},
};
use crate::{Fault, Faults, issue::NewIssue, plan::closed, usage::Usage};

const KEYS: &[&str] = &[
    "schema",
    "run_id",
    "phase_id",
    "auditor",
    "recommendation",
    "notes",
    "confidence",
    "issues",
    "patches",
    "usage",
];
/// Patches of one audit.
const MAX_PATCHES: usize = 20;
/// Characters of notes; they come with the next attempt's context.
const MAX_NOTES: usize = 4000;

closed!(
    /// What the auditor recommends.
    Recommendation {
        /// The result may be gated and landed.
        Approve = "approve",
        /// It goes back to the builder with the notes.
        Revise = "revise",
        /// A person must look.
        Escalate = "escalate",
    }
);

closed!(
    /// How sure the auditor is.
    Confidence {
        /// Not very.
        Low = "low",
        /// The default.
        Medium = "medium",
        /// Very.
        High = "high",
    }
);

/// A patch on top of the result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPatch {
    /// What it mends.
    pub description: String,
    /// A unified or git-format diff.
    pub patch: String,
}

/// An audit, understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditResult {
    /// Who audited.
    pub auditor: String,
    /// What follows.
    pub recommendation: Recommendation,
    /// For the builder and for people.
    pub notes: String,
    /// How sure the auditor is; shown, decides nothing.
    pub confidence: Confidence,
    /// Patches to apply after the result, in order; only with an approval.
    pub patches: Vec<AuditPatch>,
    /// Tokens that the audit used.
    pub usage: Vec<Usage>,
    /// Issues that it found; recorded apart.
    #[serde(skip)]
    pub issues: Vec<NewIssue>,
}

/// Reads an audit for this run and phase.
pub fn read_audit(document: &str, run: &str, phase: &str) -> Result<AuditResult, Vec<Fault>> {
    let text = (document, "audit.json");
    read_document(text, (AUDIT_V1, KEYS), (run, phase), read)
}

fn read(object: &Object<'_>, faults: &mut Faults) -> AuditResult {
    let recommendation = object.word(
        "recommendation",
        Recommendation::parse,
        Recommendation::spellings(),
        None,
        faults,
    );
    let confidence = object.word(
        "confidence",
        Confidence::parse,
        Confidence::spellings(),
        Some(Confidence::Medium),
        faults,
    );
    let audit = AuditResult {
        auditor: object.identity("auditor", faults),
        recommendation: recommendation.unwrap_or(Recommendation::Escalate),
        notes: object.text("notes", MAX_NOTES, faults),
        confidence: confidence.unwrap_or(Confidence::Medium),
        patches: patches(object, recommendation, faults),
        usage: object.usage("usage", "auditor", faults),
        issues: object.issues("issues", "auditor", faults),
    };
    let says_nothing = audit.notes.trim().is_empty();
    if says_nothing && recommendation.is_some_and(|r| r != Recommendation::Approve) {
        let problem = "is missing: say what is wrong";
        faults.push(Fault::new("notes", problem).example("The parser accepts a negative length."));
    }
    audit
}

fn patches(
    object: &Object<'_>,
    recommendation: Option<Recommendation>,
    faults: &mut Faults,
) -> Vec<AuditPatch> {
    let mut patches = Vec::new();
    let given = object.list("patches", MAX_PATCHES, faults);
    if !given.is_empty() && recommendation.is_some_and(|r| r != Recommendation::Approve) {
        let problem =
            "come with the recommendation `approve` only: they are applied on top of the result";
        faults.push(Fault::new(object.at("patches"), problem));
    }
    for (value, at) in given {
        if let Some(patch) = Object::read(value, &at, &["description", "patch"], faults) {
            patches.push(AuditPatch {
                description: patch.text("description", 1000, faults),
                patch: patch.needed("patch", usize::MAX, "diff --git a/f b/f ...", faults),
            });
        }
    }
    patches
}
