//! Agents from the plan to the branch, and the commands around their adapters.

use autopack_testkit::{Autopack, Phase, Plan, TempRepo};
use serde_json::json;

use crate::rig::{ENVIRONMENT, HUMAN, play};

/// An agent of this adapter; `program` is a file that is written beside the repository.
fn agent(id: &str, adapter: &str, program: &str) -> Phase {
    Phase::noop(id)
        .set(
            "builder",
            json!({ "kind": "agent", "adapter": adapter, "program": program }),
        )
        .set("max_attempts", 1)
}

/// A program in a folder of its own.
fn program(folder: &std::path::Path, script: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("agent.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_string_lossy().into_owned()
}

/// A goose that does its work and tells this end.
fn goose(work: &str, end: &str) -> String {
    format!(
        "case \"$*\" in *--version*) echo 1.9.0; exit;; *--help*) exit;; esac\ncat > /dev/null\n{work}\necho '{end}'"
    )
}

#[test]
fn an_agent_lands_and_its_tokens_are_settled() {
    let temp = tempfile::tempdir().unwrap();
    let end = r#"{"type":"complete","total_tokens":560,"input_tokens":500,"output_tokens":60}"#;
    let script = program(temp.path(), &goose("echo made > a.txt", end));
    let plan = Plan::new("demo").phase(agent("P1", "goose", &script));
    let played = play("demo", TempRepo::small(), &plan);
    played.succeeds();
    let attempts = played.autopack.attempts("demo");
    assert_eq!(attempts[0]["tokens_used"], 560, "{:#}", attempts[0]);
    let artifacts = attempts[0]["artifacts"].to_string();
    assert!(artifacts.contains("agent-stream"), "{artifacts}");
}

#[test]
fn an_agent_that_gives_up_has_failed_whatever_its_exit_code() {
    let temp = tempfile::tempdir().unwrap();
    let end = r#"{"type":"error","error":"segmentation fault"}"#;
    let script = program(temp.path(), &goose("echo made > a.txt", end));
    let plan = Plan::new("demo").phase(agent("P1", "goose", &script));
    play("demo", TempRepo::small(), &plan)
        .fails(HUMAN, "BUILDER_FAILED", "P1")
        .says("P1", &["goose gave up (error)", "segmentation fault"])
        .has_no_branch();
}

#[test]
fn an_agent_that_is_missing_is_found_before_the_first_lease() {
    let plan = Plan::new("demo").phase(agent("P1", "acp", "no-such-agent"));
    play("demo", TempRepo::small(), &plan)
        .fails(ENVIRONMENT, "PREFLIGHT_FAILED", "")
        .says("", &["no-such-agent"])
        .has_no_branch();
}

#[test]
fn adapters_are_listed_and_tested() {
    let autopack = Autopack::new();
    let list = autopack.read(&["adapters"]);
    let rows = list["adapters"].as_array().unwrap();
    let names: Vec<&str> = rows
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert!(
        names.contains(&"claude") && names.contains(&"acp"),
        "{names:?}"
    );
    assert_eq!(rows.last().unwrap()["state"], "named by the plan");
    let done = autopack.call(&["adapter", "test", "opencode"]);
    done.expect_code(0);
    for words in [
        "signals ignored",
        "100 MB of output",
        "transcript success (schema)",
        "0 failed",
    ] {
        assert!(done.stdout.contains(words), "{words}: {}", done.stdout);
    }
    assert!(!autopack.data().exists(), "neither needs a data directory");
    autopack.call(&["adapter", "test", "clod"]).expect_code(2);
}
