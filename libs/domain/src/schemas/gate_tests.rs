//! The schemas of a gate's `tests` and of a step's `report`.
//!
//! Invariant: as in the parent; a plan that says nothing of tests stores neither.

use serde_json::{Value, json};

use super::{count, filled, text, texts};
use crate::plan::{KnownFailures, ReportKind};

pub(super) fn rules() -> Value {
    json!({
        "description": "What may happen to tests; left out: the default rules.",
        "type": "object",
        "required": ["integrity", "known_failures", "reruns"],
        "properties": {
            "integrity": { "description": "Whether tests are compared with those of the base.", "type": "boolean" },
            "may_remove": texts("Tests that the phase may remove."),
            "may_skip": texts("Tests that the phase may switch off."),
            "may_empty": texts("Tests that may lose all that they assert."),
            "promised": texts("Tests that are red before the change and green with it."),
            "quarantine": {
                "description": "Tests that are known to be flaky.",
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["id", "until"],
                    "properties": {
                        "id": filled("The test, or a pattern with `*`."),
                        "until": filled("The last day, YYYY-MM-DD."),
                        "reason": text("Why.")
                    }
                }
            },
            "known_failures": { "enum": KnownFailures::spellings() },
            "reruns": count("How often a red step is run again on the same tree.")
        }
    })
}

pub(super) fn report() -> Value {
    json!({
        "description": "How the results are read; left out: as the command line suggests.",
        "type": "object",
        "required": ["kind"],
        "properties": {
            "kind": { "enum": ReportKind::spellings() },
            "path": text("A file or folder that the step writes; empty: what it prints.")
        }
    })
}
