//! Probes of the live system: what is read back is what was written, and nothing is left behind.

use std::time::Duration;

use autopack_testkit::program::{Background, within};
use autopack_testkit::{Autopack, TempRepo};
use serde_json::Value;

/// How long a probe may take.
const BOUND: Duration = Duration::from_mins(2);

/// Every run of the probes' project, which must have ended.
fn ended(autopack: &Autopack) -> Vec<Value> {
    let runs = autopack.read(&["runs", "--project", "autopack-probe"]);
    let runs = runs.as_array().unwrap().clone();
    for run in &runs {
        let state = run["state"].as_str().unwrap();
        assert!(state.starts_with("DONE_"), "{run}");
    }
    runs
}

#[test]
fn a_live_system_passes_every_probe_and_no_run_goes_on() {
    let autopack = Autopack::new();
    let up = autopack.up(&["--workers", "2"]);
    for (probe, state, fact) in [
        ("run-state", "DONE_CANCELLED", "a paused run is paused"),
        ("issues", "DONE_CANCELLED", "distinct keys of a tier"),
        ("complete", "DONE_SUCCESS", "attempts with a worker's name"),
    ] {
        let answer = autopack.ask(&["doctor", "--probe", probe]);
        answer.done.expect_code(0);
        assert_eq!(
            answer.json["findings"],
            serde_json::json!([]),
            "{:#}",
            answer.json
        );
        assert_eq!(
            (&answer.json["probe"], &answer.json["state"]),
            (&probe.into(), &state.into())
        );
        let checks = answer.json["checks"].as_array().unwrap();
        assert!(checks.contains(&fact.into()), "{checks:?}");
        let text = autopack.call(&["doctor", "--probe", probe]);
        text.expect_code(0);
        assert!(text.stdout.contains("findings   0"), "{}", text.stdout);
    }
    assert_eq!(ended(&autopack).len(), 6);
    let clean = autopack.ask(&["doctor", "--verify"]);
    clean.done.expect_code(0);
    assert_eq!(
        clean.json["findings"],
        serde_json::json!([]),
        "{:#}",
        clean.json
    );
    up.stop().expect_code(0);
}

/// Keys that aged count as major: the probe expects what the system intends.
#[test]
fn a_probe_that_is_repeated_still_passes() {
    let autopack = Autopack::new();
    let up = autopack.up(&[]);
    for _ in 0..5 {
        autopack
            .ask(&["doctor", "--probe", "issues"])
            .done
            .expect_code(0);
    }
    up.stop().expect_code(0);
}

#[test]
fn a_system_that_nobody_works_for_fails_the_probe_by_name_and_keeps_no_run() {
    let autopack = Autopack::new();
    let answer = autopack.ask(&["doctor", "--probe", "complete"]);
    answer.done.expect_code(1);
    let finding = &answer.json["findings"][0];
    assert_eq!(finding["code"], "PROBE_FAILED");
    assert!(
        finding["what"]
            .as_str()
            .unwrap()
            .contains("no process works"),
        "{finding}"
    );
    assert!(
        finding["fix"].as_str().unwrap().contains("autopack up"),
        "{finding}"
    );
    assert_eq!(ended(&autopack).len(), 1);
    // Its states need no worker.
    autopack
        .ask(&["doctor", "--probe", "run-state"])
        .done
        .expect_code(0);
    autopack
        .call(&["doctor", "--probe", "nonsense"])
        .expect_code(2);
    autopack
        .call(&["doctor", "--probe", "issues", "--fix"])
        .expect_code(2);
}

#[test]
fn a_repository_that_no_worker_reaches_fails_the_probe_and_the_run_has_ended() {
    let autopack = Autopack::new();
    let repo = TempRepo::small();
    let place = repo.path().to_str().unwrap().to_owned();
    let up = autopack.up(&[]);
    let answer = autopack.ask(&["doctor", "--probe", "complete", "--repo", &place]);
    answer.done.expect_code(0);
    // No worker: what is submitted waits, until the probe gives up.
    up.stop().expect_code(0);
    let up = autopack.up(&["--workers", "1"]);
    let mut command = autopack.command(&[
        "doctor",
        "--probe",
        "complete",
        "--timeout",
        "1",
        "--repo",
        "http://127.0.0.1:1/none.git",
    ]);
    let mut probing = Background::start(&mut command);
    let done = probing.wait(BOUND);
    assert_eq!(done.code, Some(1), "{done:?}");
    assert_eq!(ended(&autopack).len(), 2);
    up.stop().expect_code(0);
}

#[test]
fn an_interrupted_probe_cancels_its_run() {
    let autopack = Autopack::new();
    let up = autopack.up(&[]);
    let mut command = autopack.command(&[
        "doctor",
        "--probe",
        "complete",
        "--repo",
        "http://127.0.0.1:1/none.git",
    ]);
    let mut probing = Background::start(&mut command);
    within(BOUND, "the probe's run", || {
        let runs = autopack.read(&["runs", "--project", "autopack-probe"]);
        (!runs.as_array().unwrap().is_empty()).then_some(())
    });
    probing.signal("INT");
    let done = probing.wait(BOUND);
    assert!(matches!(done.code, Some(130 | 1)), "{done:?}");
    assert_eq!(ended(&autopack).len(), 1);
    up.stop().expect_code(0);
}
