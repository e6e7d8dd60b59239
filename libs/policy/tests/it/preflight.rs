//! Preflight: each limit, each fact, and that all faults come at once.

use std::collections::BTreeMap;

use autopack_domain::PhaseId;
use autopack_domain::plan::Plan;
use autopack_policy::govern::TOTAL_BYTES;
use autopack_policy::preflight::{PatchFacts, PreflightFacts, preflight};
use serde_json::{Value, json};

use crate::strings;

fn phase(id: &str, scope: Value) -> Value {
    json!({
        "id": id, "name": id, "goal": "g", "task_category": "tests", "complexity": "low",
        "builder_mode": "m", "depends_on": [], "scope": scope, "builder": { "kind": "external" },
        "allow_noop": false, "gate": { "profile": "normal", "setup": [], "steps": null },
        "max_attempts": null, "tokens": null, "priority": null,
        "limits": {
            "memory_mb": 4096, "disk_mb": 4096, "cpu_seconds": 3600, "processes": 512, "file_kb": 10240, "files": 100
        },
    })
}

fn plan(phases: Vec<Value>) -> Plan {
    let plan = json!({
        "schema": "autopack/plan/v1",
        "run": {
            "id": null, "project": "p", "goal": "g", "base": "main", "safety_profile": "normal",
            "run_scope": "multi_tier", "budgets": { "tokens": 1, "phases": 25, "minutes": 1 }, "priority": 5
        },
        "tiers": [{ "id": "T1", "name": "T1", "tokens": null, "ci_runs": null, "phases": phases }],
    });
    serde_json::from_value(plan).unwrap()
}

fn id(text: &str) -> PhaseId {
    serde_json::from_value(json!(text)).unwrap()
}

fn open() -> Value {
    json!({ "paths": null })
}

fn patch(files: u64, bytes: u64) -> PatchFacts {
    PatchFacts { files, bytes }
}

#[test]
fn a_plan_without_findings_passes() {
    let facts = PreflightFacts {
        tree_paths: Some(strings(&["src/a.rs"])),
        patches: BTreeMap::from([(id("a"), patch(100, TOTAL_BYTES))]),
        disk_free_mb: Some(100_000),
        ..PreflightFacts::default()
    };
    let result = preflight(
        &plan(vec![phase("a", json!({ "paths": ["src/**"] }))]),
        &facts,
    );
    assert!(
        result.faults.is_empty() && result.warnings.is_empty(),
        "{result:?}"
    );
}

#[test]
fn patches_are_limited_by_phase_and_by_plan() {
    let phases: Vec<Value> = (0..6).map(|i| phase(&format!("p{i}"), open())).collect();
    let with = |one: PatchFacts| PreflightFacts {
        patches: (0..6).map(|i| (id(&format!("p{i}")), one)).collect(),
        ..PreflightFacts::default()
    };
    let result = preflight(&plan(phases.clone()), &with(patch(101, 1)));
    assert_eq!(result.faults.len(), 7);
    assert_eq!(result.faults[2].path, "tiers[0].phases[2].builder");
    assert_eq!(
        preflight(&plan(phases.clone()), &with(patch(83, 1)))
            .faults
            .len(),
        0
    );
    assert_eq!(
        preflight(&plan(phases.clone()), &with(patch(84, 1)))
            .faults
            .len(),
        1
    );
    assert_eq!(
        preflight(&plan(phases), &with(patch(1, TOTAL_BYTES / 5)))
            .faults
            .len(),
        1
    );
}

#[test]
fn all_faults_come_at_once_with_their_paths() {
    let facts = PreflightFacts {
        missing_tools: BTreeMap::from([(id("b"), strings(&["uv", "node"]))]),
        no_gate: BTreeMap::from([(id("a"), "no toolchain was recognised".to_owned())]),
        disk_free_mb: Some(10),
        ..PreflightFacts::default()
    };
    let bad = json!({ "paths": [".autopack/x", "/abs"], "protected_paths": ["../x"] });
    let result = preflight(&plan(vec![phase("a", open()), phase("b", bad)]), &facts);
    let paths: Vec<&str> = result
        .faults
        .iter()
        .map(|fault| fault.path.as_str())
        .collect();
    assert_eq!(
        paths,
        [
            "tiers[0].phases[0].gate.steps",
            "tiers[0].phases[1].scope.paths[1]",
            "tiers[0].phases[1].scope.protected_paths[0]",
            "tiers[0].phases[1].scope.paths[0]",
            "tiers[0].phases[1]",
            "tiers[0].phases[1]",
            "run",
        ]
    );
    assert!(
        result.faults[0]
            .allowed
            .iter()
            .any(|hint| hint.contains("`[]`"))
    );
}

#[test]
fn warnings_do_not_stop_a_run() {
    let scope =
        json!({ "paths": ["src", "lib/"], "protected_paths": ["gen/"], "deliverables": ["gen/x"] });
    let facts = PreflightFacts {
        tree_paths: Some(strings(&["src/a.rs"])),
        disk_free_mb: Some(1000),
        ..PreflightFacts::default()
    };
    let mut phases: Vec<Value> = (0..20)
        .map(|i| phase(&format!("p{i}"), json!({ "paths": [] })))
        .collect();
    phases.push(phase("last", scope));
    let result = preflight(&plan(phases), &facts);
    assert!(result.faults.is_empty(), "{result:?}");
    let paths: Vec<&str> = result
        .warnings
        .iter()
        .map(|fault| fault.path.as_str())
        .collect();
    assert_eq!(
        paths,
        [
            "tiers[0].phases[20].scope.deliverables[0]",
            "tiers[0].phases[20].scope.paths[0]",
            "tiers",
            "run",
            "tiers",
        ]
    );
    assert_eq!(result.warnings[1].example, "src/");
}
