//! What is serialised fits its JSON schema, and every field of it stands there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot unwrap has failed"
)]

use autopack_domain::{
    json_schema,
    plan::{ReadOptions, read_plan},
    schemas,
};
use serde_json::{Value, json};

const PLAN: &str = r#"
schema: autopack/plan/v1
run: { id: demo-1, project: demo, goal: g, labels: { team: core }, priority: 3 }
tiers:
  - id: T1
    description: d
    budgets: { tokens: 10, ci_runs: 2 }
    phases:
      - id: P1
        goal: g
        priority: 7
        max_attempts: 2
        labels: { a: b }
        scope: { paths: [src/], protected_paths: [x/], approval_paths: [y/], read_only_context: [{ path: a, reason: r }], deliverables: [src/a], acceptance_criteria: [c] }
        builder: { kind: patch, patch: p.patch }
        gate: { setup: [fetch], steps: [{ run: t, kind: test, dir: d, env: { A: "1" } }] }
      - { id: P2, goal: g, builder: { kind: command, run: r, env: { A: "1" } }, gate: { steps: [] } }
      - { id: P3, goal: g, builder: { kind: model, model: m } }
      - { id: P4, goal: g, builder: { kind: replay, run: demo-0 } }
      - { id: P5, goal: g, builder: { kind: external } }
      - { id: P6, goal: g }
"#;

fn plan() -> Value {
    let plan = read_plan(PLAN, &ReadOptions::default()).unwrap().plan;
    serde_json::to_value(plan).unwrap()
}

/// Names that a value has and its schema does not.
fn strangers(root: &Value, schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.strip_prefix("#/$defs/").unwrap();
        return strangers(root, &root["$defs"][name], value, path, found);
    }
    if let Some(forms) = schema["oneOf"].as_array() {
        let form = forms
            .iter()
            .find(|form| form.get("$ref").is_some())
            .unwrap();
        return if value.is_null() {
        } else {
            strangers(root, form, value, path, found);
        };
    }
    match value {
        Value::Object(map) if schema.get("properties").is_some() => {
            for (name, value) in map {
                match schema["properties"].get(name) {
                    Some(below) => strangers(root, below, value, &format!("{path}.{name}"), found),
                    None => found.push(format!("{path}.{name}")),
                }
            }
        }
        Value::Array(list) => {
            for value in list {
                strangers(root, &schema["items"], value, &format!("{path}[]"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn a_normalised_plan_fits_its_schema_and_has_no_field_that_is_not_there() {
    let (schema, plan) = (schemas::plan(), plan());
    assert_eq!(json_schema::faults(&schema, &plan), Vec::<String>::new());
    let mut found = Vec::new();
    strangers(&schema, &schema, &plan, "$", &mut found);
    assert!(
        found.is_empty(),
        "not in libs/domain/src/schemas.rs: {found:#?}"
    );
}

#[test]
fn a_damaged_plan_does_not_fit() {
    let schema = schemas::plan();
    for (pointer, bad, words) in [
        (
            "/tiers/0/phases/0/complexity",
            json!("SIMPLE"),
            "is none of",
        ),
        (
            "/tiers/0/phases/0/scope",
            json!("src/"),
            "is string, not object",
        ),
        (
            "/tiers/0/phases/1/builder/kind",
            json!("magic"),
            "fits none",
        ),
        ("/run/budgets/tokens", json!(-1), "beyond the minimum"),
        ("/schema", json!("autopack/plan/v2"), "is not"),
    ] {
        let mut plan = plan();
        *plan.pointer_mut(pointer).unwrap() = bad;
        let found = json_schema::faults(&schema, &plan);
        assert!(
            found.iter().any(|f| f.contains(words)),
            "{pointer}: {found:?}"
        );
    }
}
