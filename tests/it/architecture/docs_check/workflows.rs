//! The workflow templates for target repositories: sound YAML, and commands and flags that exist.

use serde_json::Value;

use super::cli;
use crate::repo;

/// Every template, by name.
fn templates() -> Vec<(String, Value, String)> {
    let folder = repo::root().join("examples/workflows");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("examples/workflows") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a text");
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let tree: Value =
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        found.push((name, tree, text));
    }
    assert!(found.len() >= 2);
    found
}

/// The steps of all jobs.
fn steps(tree: &Value) -> Vec<Value> {
    let jobs = tree["jobs"].as_object().expect("jobs");
    let of = |job: &Value| {
        assert!(job["timeout-minutes"].is_u64(), "a bound in time: {job:#}");
        job["steps"].as_array().expect("steps").clone()
    };
    jobs.values().flat_map(of).collect()
}

fn lines(tree: &Value) -> Vec<String> {
    let steps = steps(tree);
    let runs = steps.iter().filter_map(|step| step["run"].as_str());
    runs.flat_map(str::lines).map(str::to_owned).collect()
}

#[test]
fn workflow_templates_name_only_commands_and_flags_that_exist() {
    for (name, tree, _) in templates() {
        let lines = lines(&tree);
        assert!(!lines.is_empty(), "{name}");
        for line in lines {
            assert!(line.starts_with("autopack "), "{name}: {line}");
            assert_eq!(cli::fault(&line), None, "{name}");
            assert!(
                !line.contains("${{"),
                "{name}: an input in a command line: {line}"
            );
        }
        assert!(
            tree["permissions"].is_object(),
            "{name} says what its token may"
        );
    }
}

#[test]
fn the_gate_is_strict_where_the_message_says_so_and_promotion_cannot_end_green_in_vain() {
    let all = templates();
    let of = |wanted: &str| {
        &all.iter()
            .find(|(name, ..)| name == wanted)
            .expect(wanted)
            .1
    };
    let gate = of("autopack-gate.yml");
    let preflight = gate["jobs"]["preflight"].clone();
    let refs = preflight["if"].as_str().expect("a condition");
    assert!(refs.contains("refs/heads/autonomous/"), "{refs}");
    for (profile, says) in [("normal", "!contains("), ("strict", "contains(")] {
        let steps = preflight["steps"].as_array().expect("steps");
        let line = format!("autopack preflight --profile {profile}");
        let step = steps.iter().find(|step| step["run"] == line.as_str());
        let when = step.expect(profile)["if"].as_str().expect("a condition");
        assert!(when.contains(says) && when.contains("[strict]"), "{when}");
    }
    let promote = of("autopack-promote.yml");
    assert!(promote["on"]["workflow_dispatch"]["inputs"]["run_id"].is_object());
    for step in steps(promote) {
        assert!(step["continue-on-error"].is_null(), "{step:#}");
        let run = step["run"].as_str().unwrap_or_default();
        assert!(!run.contains("||") && !run.contains("; true"), "{run}");
    }
    assert!(
        lines(promote)
            .iter()
            .any(|line| line.contains("--pull-request"))
    );
}
