//! Programs that misbehave.

use std::time::Duration;

use autopack_testkit::program::processes_with;
use autopack_testkit::{Phase, Plan, TempRepo, within};
use serde_json::json;

use crate::rig::{ENVIRONMENT, HUMAN, POLICY, play};

#[test]
fn a_builder_that_writes_nothing_has_failed() {
    let plan = Plan::new("demo")
        .phase(Phase::command("P1", "echo 'all done, trust me'").set("max_attempts", 2));
    let played = play("demo", TempRepo::small(), &plan);
    played.fails(HUMAN, "NO_CHANGE", "P1").has_no_branch();
    assert_eq!(played.phase("P1")["attempts"], 2);
    assert!(played.incident("phases/P1/output.txt").contains("trust me"));
}

#[test]
fn a_builder_that_may_change_nothing_succeeds_without_a_commit() {
    let plan = Plan::new("demo")
        .phase(Phase::command("P1", "true").set("allow_noop", true))
        .phase(Phase::noop("P2"));
    let played = play("demo", TempRepo::small(), &plan);
    played.succeeds().has_no_branch();
    assert_eq!(played.phase("P1")["outcome"], played.phase("P2")["outcome"]);
}

#[test]
fn a_builder_that_fails_has_failed() {
    let plan = Plan::new("demo").phase(
        Phase::command("P1", "echo x > a.txt; echo 'no way' >&2; exit 7").set("max_attempts", 1),
    );
    let played = play("demo", TempRepo::small(), &plan);
    played
        .fails(HUMAN, "BUILDER_FAILED", "P1")
        .says("P1", &["exit code 7", "no way"])
        .has_no_branch();
    assert!(
        played.incident("phases/P1/diff.patch").contains("a.txt"),
        "its work is kept to be looked at"
    );
}

#[test]
fn a_builder_that_hangs_is_ended() {
    let builder =
        json!({ "kind": "command", "run": "echo x > a.txt; sleep 300", "timeout_seconds": 1 });
    let plan = Plan::new("demo").phase(
        Phase::noop("P1")
            .set("builder", builder)
            .set("max_attempts", 1),
    );
    let played = play("demo", TempRepo::small(), &plan);
    played.fails(HUMAN, "BUILDER_TIMEOUT", "P1").has_no_branch();
    assert!(
        played.answer.done.took < Duration::from_secs(30),
        "{:?}",
        played.answer.done.took
    );
}

#[test]
fn a_builder_that_is_missing_is_found_before_the_first_lease() {
    let plan = Plan::new("demo").phase(Phase::command("P1", "no-such-agent --goal x"));
    play("demo", TempRepo::small(), &plan)
        .fails(ENVIRONMENT, "PREFLIGHT_FAILED", "")
        .says("", &["no-such-agent"])
        .has_no_branch();
}

#[test]
fn a_builder_may_not_weaken_the_tests_that_judge_it() {
    for line in [
        "rm conftest.py",
        "echo 'collect_ignore = [\"tests\"]' > conftest.py",
        "echo 'exit 0' > check.sh",
    ] {
        let plan = Plan::new("demo").phase(
            Phase::command("P1", line)
                .check("./check.sh")
                .set("max_attempts", 1),
        );
        play("demo", TempRepo::small(), &plan)
            .fails(POLICY, "GATE_FILES_CHANGED", "P1")
            .has_no_branch();
    }
}

#[test]
fn the_same_file_may_change_where_scope_names_it() {
    let plan = Plan::new("demo").phase(
        Phase::command("P1", "echo '# more' >> conftest.py")
            .check("./check.sh")
            .scope(&["conftest.py"]),
    );
    play("demo", TempRepo::small(), &plan).succeeds();
}

#[test]
fn what_a_builder_leaves_running_is_ended_with_it() {
    let mark = format!("e2e_left_behind_{}", std::process::id());
    let line = format!(
        "echo x > a.txt; setsid /bin/sh -c 'sleep 300 # {mark}; true' </dev/null >/dev/null 2>&1 & \
         (setsid setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 1; done # {mark}' &) ; echo started"
    );
    let plan = Plan::new("demo").phase(Phase::command("P1", &line));
    let played = play("demo", TempRepo::small(), &plan);
    played.succeeds();
    assert!(
        played.answer.done.took < Duration::from_mins(1),
        "{:?}",
        played.answer.done.took
    );
    within(
        Duration::from_secs(5),
        "no process of the builder is left",
        || processes_with(&mark).is_empty().then_some(()),
    );
}

#[test]
fn two_hundred_megabytes_of_output_are_bounded() {
    let line = "echo x > a.txt; echo first-line; head -c 200000000 /dev/zero | tr '\\0' 'x' | fold -w 99; echo last-line";
    let plan = Plan::new("demo").phase(Phase::command("P1", line));
    let played = play("demo", TempRepo::small(), &plan);
    played.succeeds();
    let attempts = played.autopack.attempts("demo");
    let artifacts = attempts[0]["artifacts"].as_array().unwrap();
    let output = artifacts
        .iter()
        .find(|artifact| artifact["name"] == "output")
        .unwrap();
    assert!(output["size"].as_u64().unwrap() < 2_000_000, "{output}");
    let text = played.autopack.artifact(output["digest"].as_str().unwrap());
    assert!(
        text.contains("last-line") && text.contains("[..."),
        "the end and a mark: {}",
        &text[..text.len().min(300)]
    );
    let stored: u64 = played
        .autopack
        .files(&[])
        .iter()
        .map(|file| std::fs::metadata(file).unwrap().len())
        .sum();
    assert!(stored < 60_000_000, "{stored} bytes in the data directory");
    let peak = played.answer.done.peak_memory;
    assert!(peak > 0 && peak < 250_000_000, "{peak} bytes of memory");
}

#[test]
fn a_builder_that_fills_the_disk_is_ended() {
    let line = "i=0; while [ $i -lt 400 ]; do head -c 1000000 /dev/zero > big.$i; i=$((i+1)); done; sleep 300";
    let plan =
        Plan::new("demo").phase(Phase::command("P1", line).set("limits", json!({ "disk_mb": 20 })));
    let played = play("demo", TempRepo::small(), &plan);
    played
        .fails(ENVIRONMENT, "DISK_LIMIT", "P1")
        .says("P1", &["limits.disk_mb"])
        .has_no_branch();
    let kept: u64 = played
        .autopack
        .files(&[])
        .iter()
        .map(|file| std::fs::metadata(file).unwrap().len())
        .sum();
    assert!(
        kept < 300_000_000,
        "{kept} bytes are left in the data directory"
    );
}

#[track_caller]
fn is_over(phase: Phase, limit: &str) {
    let plan = Plan::new("demo").phase(phase.set("max_attempts", 1));
    play("demo", TempRepo::small(), &plan)
        .fails(HUMAN, "RESOURCE_LIMIT", "P1")
        .says("P1", &[limit])
        .has_no_branch();
}

#[test]
fn a_builder_that_starts_too_many_processes_is_ended() {
    let line = "i=0; while [ $i -lt 60 ]; do sleep 300 & i=$((i+1)); done; sleep 300";
    is_over(
        Phase::command("P1", line).set("limits", json!({ "processes": 20 })),
        "limits.processes",
    );
}

#[test]
fn a_builder_that_burns_processor_time_is_ended() {
    let line = "while :; do :; done";
    is_over(
        Phase::command("P1", line).set("limits", json!({ "cpu_seconds": 1 })),
        "limits.cpu_seconds",
    );
}

#[test]
fn a_builder_that_eats_memory_is_ended() {
    let line = "python3 -c 'x = bytearray(400_000_000); import time; time.sleep(300)'";
    is_over(
        Phase::command("P1", line).set("limits", json!({ "memory_mb": 100 })),
        "limits.memory_mb",
    );
}

#[test]
fn a_builder_cannot_reach_the_users_repository_by_git() {
    let line = "git log --oneline | head -3; git remote -v; git commit -qam x --allow-empty; git push origin HEAD:main; \
                git config core.fsmonitor 'touch /tmp/never'; echo x > a.txt";
    let played = play(
        "demo",
        TempRepo::small(),
        &Plan::new("demo").phase(Phase::command("P1", line)),
    );
    played.succeeds();
    assert_eq!(played.landed().len(), 1);
}

#[test]
fn secrets_of_the_environment_do_not_reach_a_builder() {
    let autopack = autopack_testkit::Autopack::new()
        .with("SECRET_TOKEN", "s3cr3t-value")
        .with("OPENAI_API_KEY", "sk-e2e-1234567890abcdef");
    let printed = format!("ghp_{}", "a1B2".repeat(9));
    let plan = Plan::new("demo").phase(Phase::command(
        "P1",
        &format!("env > env.txt; echo token {printed}"),
    ));
    let played = crate::rig::play_with(autopack, "demo", TempRepo::small(), &plan);
    played.succeeds();
    let seen = played.repo.landed_file("demo", "env.txt").unwrap();
    assert!(
        !seen.contains("s3cr3t-value") && !seen.contains("sk-e2e"),
        "{seen}"
    );
    for name in [
        "AUTOPACK_RUN_ID=demo",
        "AUTOPACK_PHASE_ID=P1",
        "AUTOPACK_ATTEMPT=1",
        "AUTOPACK_GOAL_FILE=",
        "AUTOPACK_USAGE_FILE=",
    ] {
        assert!(seen.contains(name), "{name} is missing in {seen}");
    }
    let attempts = played.autopack.attempts("demo");
    let output = played
        .autopack
        .artifact(attempts[0]["artifacts"][0]["digest"].as_str().unwrap());
    assert!(
        output.contains("token [redacted]") && !output.contains(&printed),
        "{output}"
    );
}
