//! Schema of what a phase has and awaits from outside.
//!
//! Invariant: lists of values come from the closed sets of this crate.

use serde_json::{Value, json};

use super::{count, filled, nullable, text};
use crate::{
    approval::{Guard, RiskLevel},
    submission::Awaited,
    usage::Provenance,
};

/// `phase.handoff`: where an `external` phase stands between its submissions.
pub fn handoff() -> Value {
    let usage = json!({
        "type": "object",
        "required": ["role", "total", "provenance"],
        "properties": {
            "provider": text("Such as a vendor's name."),
            "model": text("The model."),
            "role": filled("builder or auditor."),
            "purpose": text("Free text."),
            "total": count("All tokens."),
            "prompt": nullable(&count("Prompt tokens.")),
            "completion": nullable(&count("Completion tokens.")),
            "provenance": { "enum": Provenance::spellings() }
        }
    });
    json!({
        "title": "handoff",
        "description": "Where a phase stands between what comes from outside: submissions, audits, approvals.",
        "type": "object",
        "properties": {
            "wait": {
                "description": "What is waited for; null: nothing.",
                "type": ["object", "null"],
                "required": ["for", "until"],
                "properties": {
                    "for": { "enum": Awaited::spellings() },
                    "until": count("Past it the phase fails; microseconds since 1970.")
                }
            },
            "submission": {
                "description": "The result at hand; null: none.",
                "type": ["object", "null"],
                "required": ["builder", "digest", "size", "at"],
                "properties": {
                    "builder": filled("Who built it."),
                    "digest": filled("SHA-256 in hex of the artifact that holds the document."),
                    "size": count("Bytes of that artifact."),
                    "at": count("When it came; microseconds since 1970."),
                    "auditor": text("Who approved it; empty: nobody."),
                    "audit_digest": text("The artifact that holds the auditor's document.")
                }
            },
            "audit": { "description": "Somebody asked for an audit.", "type": "boolean" },
            "usage": { "description": "Tokens used outside and not booked yet.", "type": "array", "items": usage },
            "approval": approval()
        }
    })
}

/// The approval that a phase has or awaits.
fn approval() -> Value {
    json!({
        "description": "The approval that the phase has or awaits; null: none.",
        "type": ["object", "null"],
        "required": ["request", "attempt", "asked_at"],
        "properties": {
            "request": {
                "type": "object",
                "required": ["tree", "tip", "risk", "asks", "asked_by"],
                "properties": {
                    "tree": filled("The tree that is to be approved."),
                    "tip": text("The tip that it was built on; empty: there was none."),
                    "risk": { "enum": RiskLevel::spellings() },
                    "asks": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["guard", "detail"],
                            "properties": {
                                "guard": { "enum": Guard::spellings() },
                                "path": text("The path; empty: the change as a whole."),
                                "detail": text("The facts.")
                            }
                        }
                    },
                    "asked_by": filled("Who built it.")
                }
            },
            "attempt": count("Number of the attempt that asks."),
            "asked_at": count("When; microseconds since 1970."),
            "decision": {
                "description": "The word; null: it is awaited.",
                "type": ["object", "null"],
                "required": ["approved", "by", "at"],
                "properties": {
                    "approved": { "type": "boolean" },
                    "by": filled("Who says so."),
                    "note": text("Why."),
                    "at": count("When; microseconds since 1970.")
                }
            }
        }
    })
}
