//! JSON schemas of what is stored as JSON: plan (with a phase's scope), strategy, facts, artifacts, limits, ruleset.
//!
//! Invariant: lists of values come from the closed sets of this crate; a field that a stored value has stands here,
//! which a test compares with what is really serialised.

mod gate_tests;
mod handoff;

use serde_json::{Value, json};

pub use self::handoff::handoff;

use crate::plan::{
    Adapter, AnswerForm, BuilderSpec, Complexity, GateProfile, RunScope, SafetyProfile, StepKind,
    UnknownUsage,
};

/// What a phase may write, and must: `scope` of a phase.
pub fn scope() -> Value {
    json!({
        "title": "scope",
        "description": "What a phase may write, and must.",
        "type": "object",
        "properties": {
            "paths": nullable(&texts("What may be written; null: everything but protected paths; []: nothing.")),
            "protected_paths": texts("Never written, whatever `paths` says."),
            "approval_paths": texts("Written only with a person's word."),
            "read_only_context": {
                "description": "For the builder to read.",
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["path"],
                    "properties": { "path": filled("Relative to the repository."), "reason": text("Why.") }
                }
            },
            "deliverables": texts("Files that must exist in the result; a trailing `/` asks for one below."),
            "acceptance_criteria": texts("Free text for the builder.")
        },
        "required": ["paths"]
    })
}

/// `run_document.plan`: the normalised plan.
pub fn plan() -> Value {
    json!({
        "title": "plan",
        "description": "The normalised plan; every default is filled in.",
        "type": "object",
        "required": ["schema", "run", "tiers"],
        "properties": {
            "schema": { "const": crate::plan::SCHEMA_V1 },
            "run": { "$ref": "#/$defs/run" },
            "tiers": { "type": "array", "items": { "$ref": "#/$defs/tier" } }
        },
        "$defs": {
            "run": run(),
            "tier": {
                "type": "object",
                "required": ["id", "name", "phases"],
                "properties": {
                    "id": filled("Unique in the run."),
                    "name": text("For people."),
                    "description": text("For people."),
                    "tokens": nullable(&count("Cap on tokens; null: from the strategy.")),
                    "ci_runs": nullable(&count("Cap on gate runs; null: from the strategy.")),
                    "phases": { "type": "array", "items": { "$ref": "#/$defs/phase" } }
                }
            },
            "phase": phase(),
            "scope": scope(),
            "builder": builder(),
            "gate": gate(),
            "step": step(),
            "limits": limits()
        }
    })
}

fn run() -> Value {
    json!({
        "type": "object",
        "required": ["project", "goal", "base", "safety_profile", "run_scope", "budgets", "priority"],
        "properties": {
            "id": nullable(&filled("The id, if the user chose one.")),
            "project": text("Empty until the repository is known."),
            "goal": filled("One sentence: the goal anchor."),
            "base": filled("Branch, tag or commit."),
            "safety_profile": { "enum": SafetyProfile::spellings() },
            "run_scope": { "enum": RunScope::spellings() },
            "budgets": {
                "type": "object",
                "required": ["tokens", "phases", "minutes"],
                "properties": {
                    "tokens": count("Tokens of all builders together."),
                    "phases": count("Phases that may be dispatched."),
                    "minutes": count("Wall time since the first lease, pauses left out.")
                }
            },
            "priority": { "type": "integer", "minimum": 0, "maximum": 9 },
            "labels": text_map("Free labels.")
        }
    })
}

fn phase() -> Value {
    json!({
        "type": "object",
        "required": ["id", "name", "goal", "task_category", "complexity", "builder_mode", "depends_on", "scope", "allow_noop", "gate", "limits"],
        "properties": {
            "id": filled("Unique in the run."),
            "name": text("The commit's subject."),
            "goal": text("What the phase must achieve."),
            "description": text("For people."),
            "task_category": text("Chooses defaults; free text."),
            "complexity": { "enum": Complexity::spellings() },
            "builder_mode": text("Label for prompts and budgets."),
            "depends_on": texts("Phases that must be complete first."),
            "scope": { "$ref": "#/$defs/scope" },
            "builder": { "oneOf": [{ "type": "null" }, { "$ref": "#/$defs/builder" }] },
            "allow_noop": { "type": "boolean" },
            "gate": { "$ref": "#/$defs/gate" },
            "max_attempts": nullable(&count("Attempts; null: from the strategy.")),
            "tokens": nullable(&count("Cap on tokens; null: from the strategy.")),
            "limits": { "$ref": "#/$defs/limits" },
            "priority": { "type": ["integer", "null"], "minimum": 0, "maximum": 9 },
            "labels": text_map("Free labels.")
        }
    })
}

fn builder() -> Value {
    json!({
        "type": "object",
        "required": ["kind"],
        "properties": {
            "kind": { "enum": BuilderSpec::KINDS },
            "patches": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["path"],
                    "properties": {
                        "path": filled("Relative to the plan file, as written."),
                        "digest": text("SHA-256 of the content in hex.")
                    }
                }
            },
            "run": filled("Of `command`: handed to /bin/sh -c; of `replay`: an earlier run."),
            "env": text_map("Additional environment."),
            "timeout_seconds": count("Seconds until it is ended; of `external`: that a submission may take."),
            "audit": { "description": "Of `external`: whether somebody else approves each result.", "type": "boolean" },
            "model": text("The model's name."),
            "adapter": { "enum": Adapter::spellings() },
            "program": text("Of `agent`: the program; empty: the adapter's own."),
            "prompt": text("Of `agent` and `model`: text beside the phase's goal."),
            "args": texts("Of `agent`: arguments after the adapter's own."),
            "max_turns": nullable(&count("Of `agent`: its own cap on turns.")),
            "unknown_usage": { "enum": UnknownUsage::spellings() },
            "provider": text("Of `model`: whose endpoint is asked; empty: as the worker's list has it."),
            "answer": { "description": "Of `model`: the form of its answer.", "enum": AnswerForm::spellings() },
            "fallback": texts("Of `model`: models that take its place, in order."),
            "max_output": nullable(&count("Of `model`: most tokens of one answer.")),
            "context_tokens": count("Of `model`: most tokens of what it is shown."),
            "escalate": { "description": "Of `model`: whether a cut answer and failures raise budget and model.", "type": "boolean" },
            "batches": { "description": "Of `model`: whether a large phase is built in batches.", "type": "boolean" }
        }
    })
}

fn gate() -> Value {
    json!({
        "type": "object",
        "required": ["profile"],
        "properties": {
            "profile": { "enum": GateProfile::spellings() },
            "setup": { "type": "array", "items": { "$ref": "#/$defs/step" } },
            "steps": {
                "description": "null: inferred when the run is bootstrapped; []: no gate.",
                "type": ["array", "null"],
                "items": { "$ref": "#/$defs/step" }
            },
            "tests": gate_tests::rules()
        }
    })
}

fn step() -> Value {
    json!({
        "type": "object",
        "required": ["run", "kind", "timeout_seconds"],
        "properties": {
            "run": filled("Handed to /bin/sh -c."),
            "kind": { "enum": StepKind::spellings() },
            "dir": text("Folder inside the repository; empty: its root."),
            "timeout_seconds": count("Seconds until it is ended."),
            "env": text_map("Additional environment."),
            "report": gate_tests::report()
        }
    })
}

fn limits() -> Value {
    json!({
        "type": "object",
        "required": ["memory_mb", "disk_mb", "cpu_seconds", "processes", "file_kb", "files"],
        "properties": {
            "memory_mb": count("Resident memory of the process tree, MiB."),
            "disk_mb": count("Bytes written, MiB."),
            "cpu_seconds": count("Processor time of the tree."),
            "processes": count("Processes at a time."),
            "file_kb": count("Largest file of a change, KiB."),
            "files": count("Files of a change.")
        }
    })
}

/// `run_document.strategy`: what was compiled from ruleset, backlog and plan, frozen with the run.
pub fn strategy() -> Value {
    json!({
        "title": "strategy",
        "description": "Limits and choices, frozen with the run.",
        "type": "object",
        "required": ["version", "safety_profile", "tokens", "phases", "minutes", "max_minor_issues", "aging_runs", "aging_tiers", "tier", "phase"],
        "properties": {
            "version": { "const": "v1" },
            "safety_profile": { "enum": SafetyProfile::spellings() },
            "tokens": count("Cap on tokens of the run."),
            "phases": count("Phases that may be dispatched."),
            "minutes": count("Minutes since the first lease."),
            "max_minor_issues": count("Distinct minor issues of the run."),
            "aging_runs": count("Runs after which an open minor issue counts as aged."),
            "aging_tiers": count("Tiers after which an open minor issue counts as aged."),
            "aged": {
                "description": "Keys of minor issues that had aged when the run was made; left out: none.",
                "type": "array",
                "items": { "type": "string" }
            },
            "tier": {
                "description": "Per tier, in plan order.",
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["tokens", "ci_runs", "max_minor_issues", "max_major_issues"],
                    "properties": {
                        "tokens": count("Cap on tokens."),
                        "ci_runs": count("Cap on gate runs."),
                        "max_minor_issues": count("Distinct minor issues tolerated."),
                        "max_major_issues": count("Major issues tolerated.")
                    }
                }
            },
            "phase": {
                "description": "Per phase, tier by tier in plan order.",
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["max_attempts", "max_infra", "tokens", "estimate", "backoff_seconds", "gate_profile", "auditor_profile", "auto_apply"],
                    "properties": {
                        "max_attempts": count("Attempts that may be charged."),
                        "max_infra": count("Infrastructure failures that may be charged."),
                        "tokens": count("Cap on tokens."),
                        "estimate": count("What is reserved for an attempt."),
                        "backoff_seconds": count("First back-off after a charged failure."),
                        "gate_profile": { "enum": GateProfile::spellings() },
                        "auditor_profile": text("Review focus; empty: none."),
                        "auto_apply": { "type": "boolean" }
                    }
                }
            }
        }
    })
}

/// `run.facts`: texts by name.
pub fn run_facts() -> Value {
    json!({
        "title": "facts",
        "description": "Facts for later comparison: texts by name.",
        "type": "object",
        "additionalProperties": { "type": "string" }
    })
}

/// `attempt.facts`: anything by name.
pub fn attempt_facts() -> Value {
    json!({ "title": "facts", "description": "Facts for later comparison, by name.", "type": "object" })
}

/// `attempt.artifacts`.
pub fn artifacts() -> Value {
    json!({
        "title": "artifacts",
        "description": "Files of the attempt that are kept.",
        "type": "array",
        "items": {
            "type": "object",
            "required": ["name", "digest", "size"],
            "properties": {
                "name": filled("Such as `output`, `diff`."),
                "digest": filled("SHA-256 in hex."),
                "size": count("Bytes.")
            }
        }
    })
}

/// `project.limits`; an empty text is no limit.
pub fn project_limits() -> Value {
    json!({
        "title": "limits",
        "description": "Attempts at a time.",
        "type": "object",
        "properties": {
            "max_running": count("Of the project."),
            "per_run": count("Of one run."),
            "labels": {
                "description": "Of phases with a label, by `label=value`.",
                "type": "object",
                "additionalProperties": count("Attempts at a time.")
            }
        },
        "additionalProperties": false
    })
}

/// `issue.paths` and its like: a list of texts.
pub fn list() -> Value {
    json!({ "type": "array", "items": { "type": "string" } })
}

/// `project.ruleset` and `project.backlog`; an empty text is none.
pub fn free_object() -> Value {
    json!({ "type": "object" })
}

fn text(description: &str) -> Value {
    json!({ "description": description, "type": "string" })
}

fn filled(description: &str) -> Value {
    json!({ "description": description, "type": "string", "minLength": 1 })
}

fn texts(description: &str) -> Value {
    json!({ "description": description, "type": "array", "items": { "type": "string" } })
}

fn text_map(description: &str) -> Value {
    json!({ "description": description, "type": "object", "additionalProperties": { "type": "string" } })
}

fn count(description: &str) -> Value {
    json!({ "description": description, "type": "integer", "minimum": 0 })
}

/// The same schema, or null.
fn nullable(schema: &Value) -> Value {
    let mut schema = schema.clone();
    let kind = schema["type"].clone();
    schema["type"] = json!([kind, "null"]);
    schema
}
