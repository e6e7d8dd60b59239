//! Codes, usage errors, completions, and JSON on everything that reads.

use std::path::Path;

use autopack_testkit::series::adding;
use autopack_testkit::{Autopack, Phase, Plan, TempRepo};

use crate::rig::play;

/// Codes of a file of the catalogue.
fn catalogue(file: &str, table: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../libs/domain/catalogue")
        .join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let tree: toml::Table = text.parse().unwrap();
    let entries = tree[table].as_array().unwrap();
    entries
        .iter()
        .map(|entry| entry["code"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_code_of_the_catalogue_has_a_page() {
    let autopack = Autopack::new();
    let mut codes = catalogue("causes.toml", "cause");
    codes.extend(catalogue("reasons.toml", "reason"));
    codes.extend(catalogue("findings.toml", "finding"));
    assert!(codes.len() > 70, "{}", codes.len());
    for code in &codes {
        let done = autopack.call(&["explain", code]);
        done.expect_code(0);
        assert!(
            done.stdout.starts_with(&format!("{code}: ")) && done.stdout.contains("remedy"),
            "{}",
            done.stdout
        );
    }
    let list = autopack.read(&["explain"]);
    let listed: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|page| page["code"].as_str().unwrap())
        .collect();
    assert_eq!(listed, codes);
    assert!(!autopack.data().exists(), "a page needs no data directory");
}

#[test]
fn an_unknown_code_gets_the_closest() {
    let autopack = Autopack::new();
    let done = autopack.call(&["explain", "GATE_FAILD"]);
    done.expect_code(1);
    assert!(done.stderr.contains("GATE_FAILED"), "{}", done.stderr);
    let done = autopack.call(&["explain", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"]);
    done.expect_code(1);
    assert!(done.stderr.contains("lists all codes"), "{}", done.stderr);
}

#[test]
fn wrong_use_exits_2_and_says_how_to_go_on() {
    let autopack = Autopack::new();
    let repo = TempRepo::small();
    let dir = repo.path().to_str().unwrap();
    let plan = Plan::new("demo")
        .phase(Phase::noop("P1"))
        .write(&autopack.folder("plan"));
    let plan = plan.to_str().unwrap();
    for args in [
        &["frobnicate"][..],
        &["run"],
        &["run", plan],
        &["run", plan, "--repo", dir, "--workers", "0"],
        &["run", plan, "--repo", dir, "--run-id", "not an id"],
        &["run", plan, plan, "--repo", dir, "--run-id", "two"],
        &["run", plan, "--repo", dir, "--builder", "robot"],
        &["runs", "--state", "DONE_MAYBE"],
        &["runs", "--registry", "ftp://127.0.0.1:1"],
        &["up", "--listen", "0.0.0.0:1"],
        &["--quiet", "--verbose", "runs"],
    ] {
        let done = autopack.call(args);
        done.expect_code(2);
        assert!(
            !done.stderr.is_empty() && done.stdout.is_empty(),
            "{args:?}"
        );
    }
    autopack.call(&["--help"]).expect_code(0);
    assert!(
        autopack
            .call(&["--version"])
            .expect_code(0)
            .stdout
            .starts_with("autopack ")
    );
}

#[test]
fn completions_are_printed_for_every_shell() {
    let autopack = Autopack::new();
    for shell in ["bash", "zsh", "fish"] {
        let done = autopack.call(&["completions", shell]);
        done.expect_code(0);
        assert!(
            done.stdout.contains("autopack") && done.stdout.contains("validate"),
            "{shell}"
        );
    }
}

#[test]
fn everything_that_reads_prints_json() {
    let plan =
        Plan::new("demo").phase(Phase::command("P1", "echo x > x; echo hello").check("test -s x"));
    let played = play("demo", TempRepo::small(), &plan);
    let autopack = &played.autopack;
    assert_eq!(played.answer.json["run"], "demo");
    assert_eq!(played.answer.json["existing"], false);
    assert!(Path::new(played.answer.json["summary"].as_str().unwrap()).is_file());
    let file = played.plan.to_str().unwrap();
    let digest = autopack.attempts("demo")[0]["artifacts"][0]["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    for args in [
        &["runs"][..],
        &["runs", "--state", "done_success", "--limit", "1"],
        &["status", "demo"],
        &["watch", "demo"],
        &["attempts", "demo", "P1"],
        &["why", "demo"],
        &["info"],
        &["explain", "GATE_FAILED"],
        &["plan", "validate", file],
        &["plan", "explain", file],
        &["doctor", "--verify"],
    ] {
        assert!(!autopack.read(args).is_null(), "{args:?}");
        let text = autopack.call(args);
        text.expect_code(0);
        assert!(
            !text.stdout.trim_start().starts_with('{'),
            "{args:?} without --json is for people"
        );
    }
    assert!(autopack.artifact(&digest).contains("hello"));
    // By uid as well as by id.
    let uid = played.status["uid"].as_str().unwrap();
    assert_eq!(autopack.status(uid), played.status);
}

#[test]
fn refusals_have_a_code_a_remedy_and_json() {
    let played = play(
        "demo",
        TempRepo::small(),
        &Plan::new("demo").phase(Phase::patch("P1", adding("a", "a\n"))),
    );
    for (args, code) in [
        (&["status", "none"][..], "RUN_NOT_FOUND"),
        (&["why", "demo", "P9"], "PHASE_NOT_FOUND"),
        (&["attempts", "demo", "P9"], "PHASE_NOT_FOUND"),
        (&["retry", "demo"], "RUN_STATE"),
        (&["pause", "demo"], "RUN_STATE"),
        (&["cancel", "demo"], "RUN_STATE"),
        (&["artifact", &"0".repeat(64)], "ARTIFACT_NOT_FOUND"),
    ] {
        let text = played.autopack.call(args);
        text.expect_code(1);
        assert!(
            text.stderr.contains(code) && text.stderr.contains("hint: "),
            "{args:?}: {}",
            text.stderr
        );
        let told: serde_json::Value =
            serde_json::from_str(played.autopack.ask(args).done.stderr.trim()).unwrap();
        assert_eq!(told["error"]["code"], code);
    }
}

#[test]
fn another_plan_under_the_same_id_is_refused_and_new_makes_another() {
    let played = play(
        "demo",
        TempRepo::small(),
        &Plan::new("demo").phase(Phase::patch("P1", adding("a", "a\n"))),
    );
    let other = Plan::new("demo")
        .phase(Phase::patch("P1", adding("b", "b\n")))
        .write(&played.autopack.folder("other"));
    let (plan, repo) = (
        other.to_str().unwrap(),
        played.repo.path().to_str().unwrap(),
    );
    let refused = played.autopack.call(&["run", plan, "--repo", repo]);
    refused.expect_code(1);
    assert!(refused.stderr.contains("RUN_EXISTS"), "{}", refused.stderr);
    let answer = played.autopack.ask(&["run", plan, "--repo", repo, "--new"]);
    answer.done.expect_code(0);
    let id = answer.json["run"].as_str().unwrap();
    assert_ne!(id, "demo");
    assert!(played.repo.branch(id).is_some());
    assert_eq!(played.autopack.read(&["runs"]).as_array().unwrap().len(), 2);
}
