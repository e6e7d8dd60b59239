//! Hold, start, pause, resume, cancel, retry and added phases, from a second process.

use autopack_testkit::program::processes_with;
use autopack_testkit::repo::write;
use autopack_testkit::series::adding;
use autopack_testkit::{Autopack, Phase, Plan, TempRepo, within};
use serde_json::{Value, json};

use super::serving::{BOUND, flag, until, waits_for};
use crate::rig::{HUMAN, SUCCESS};

/// Submits a plan to the serving process.
#[track_caller]
fn submit(autopack: &Autopack, repo: &TempRepo, plan: &Plan, more: &[&str]) -> Value {
    let file = plan.write(&autopack.folder("plan"));
    let mut args = vec![
        "submit",
        file.to_str().unwrap(),
        "--repo",
        repo.path().to_str().unwrap(),
    ];
    args.extend(more);
    autopack.read(&args)
}

/// The rules that hold a phase back.
#[track_caller]
fn holds(autopack: &Autopack, phase: &str) -> Vec<String> {
    let found = autopack.read(&["why", "demo", phase]);
    let holds = found[0]["holds"].as_array().unwrap();
    holds
        .iter()
        .map(|hold| hold["rule"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_held_run_waits_for_its_start() {
    let (repo, autopack) = (TempRepo::small(), Autopack::new());
    let _up = autopack.up(&[]);
    let plan = Plan::new("demo")
        .phase(Phase::patch("P1", adding("a.txt", "a\n")))
        .phase(Phase::patch("P2", adding("b.txt", "b\n")));
    submit(&autopack, &repo, &plan, &["--hold"]);
    within(BOUND, "the run is frozen", || {
        (autopack.status("demo")["state"] == "RUN_CREATED").then_some(())
    });
    assert_eq!(holds(&autopack, "P1"), ["held"]);
    assert_eq!(holds(&autopack, "P2"), ["held", "depends_on"]);
    let text = autopack.call(&["why", "demo"]);
    assert!(
        text.stdout.contains("held: ") && text.stdout.contains("autopack start"),
        "{}",
        text.stdout
    );
    assert_eq!(autopack.read(&["start", "demo"])["held"], false);
    let watched = autopack.ask(&["watch", "demo"]);
    watched.done.expect_code(0);
    assert_eq!(watched.json["state"], SUCCESS);
    let again = autopack.call(&["start", "demo"]);
    assert!(
        again.code == Some(0) || again.stderr.contains("DONE_SUCCESS"),
        "the refusal names the state: {}",
        again.stderr
    );
    let summary = autopack.data().join("runs/demo/run_summary.md");
    within(
        BOUND,
        "the summary is written by the serving process",
        || summary.is_file().then_some(()),
    );
}

#[test]
fn a_pause_lets_running_attempts_finish_and_starts_no_other() {
    let (repo, autopack) = (TempRepo::small(), Autopack::new());
    let _up = autopack.up(&[]);
    let flag = flag(&autopack);
    let plan = Plan::new("demo")
        .phase(Phase::command("P1", &waits_for(&flag)))
        .phase(Phase::patch("P2", adding("b.txt", "b\n")));
    submit(&autopack, &repo, &plan, &[]);
    until(&autopack, "demo", "P1", "EXECUTING");
    assert_eq!(autopack.read(&["pause", "demo"])["paused"], true);
    std::fs::write(&flag, "").unwrap();
    until(&autopack, "demo", "P1", "COMPLETE");
    assert_eq!(holds(&autopack, "P2"), ["paused"]);
    assert_eq!(autopack.attempts("demo").len(), 1);
    assert_eq!(autopack.read(&["resume", "demo"])["paused"], false);
    autopack.ask(&["watch", "demo"]).done.expect_code(0);
}

#[test]
fn a_cancelled_run_ends_at_once_and_for_good() {
    let (repo, autopack) = (TempRepo::small(), Autopack::new());
    let _up = autopack.up(&[]);
    let mark = format!("e2e_cancelled_{}", std::process::id());
    let plan = Plan::new("demo")
        .phase(Phase::patch("P1", adding("a.txt", "a\n")))
        .phase(Phase::command("P2", &format!("sleep 300 # {mark}\ntrue")))
        .phase(Phase::patch("P3", adding("c.txt", "c\n")));
    submit(&autopack, &repo, &plan, &[]);
    until(&autopack, "demo", "P2", "EXECUTING");
    within(BOUND, "the builder runs", || {
        (!processes_with(&mark).is_empty()).then_some(())
    });
    autopack.read(&["cancel", "demo", "--why", "wrong base"]);
    let watched = autopack.ask(&["watch", "demo"]);
    watched.done.expect_code(1);
    assert_eq!(watched.json["state"], "DONE_CANCELLED");
    assert_eq!(watched.json["cause"], "CANCELLED");
    assert!(
        watched.json["detail"]
            .as_str()
            .unwrap_or_default()
            .contains("wrong base"),
        "{:#}",
        watched.json
    );
    within(BOUND, "no process of the run is left", || {
        processes_with(&mark).is_empty().then_some(())
    });
    assert_eq!(
        repo.landed("main", "demo").len(),
        1,
        "what had landed stays"
    );
    let refused = autopack.call(&["retry", "demo"]);
    refused.expect_code(1);
    assert!(refused.stderr.contains("RUN_STATE"), "{}", refused.stderr);
}

#[test]
fn a_failed_phase_runs_again_once_its_cause_is_gone() {
    let (repo, autopack) = (TempRepo::small(), Autopack::new());
    let up = autopack.up(&[]);
    let flag = flag(&autopack);
    let plan = Plan::new("demo")
        .tier("T1")
        .phase(
            Phase::patch("P1", adding("a.txt", "a\n"))
                .check(&format!("test -e '{}'", flag.display())),
        )
        .phase(Phase::patch("P2", adding("b.txt", "b\n")))
        .tier("T2")
        .phase(Phase::patch("P3", adding("c.txt", "c\n")));
    submit(&autopack, &repo, &plan, &[]);
    let watched = autopack.ask(&["watch", "demo"]);
    watched.done.expect_code(3);
    assert_eq!(
        (&watched.json["state"], &watched.json["cause"]),
        (&json!(HUMAN), &json!("GATE_FAILED"))
    );
    let incident = autopack.data().join("runs/demo/incident/README.md");
    within(BOUND, "the incident pack is written", || {
        incident.is_file().then_some(())
    });
    let revision = watched.json["revision"].as_u64().unwrap();
    std::fs::write(&flag, "").unwrap();
    let reopened = autopack.read(&["retry", "demo"]);
    assert_eq!(reopened["revision"], revision + 1);
    let watched = autopack.ask(&["watch", "demo"]);
    watched.done.expect_code(0);
    assert_eq!(watched.json["state"], SUCCESS);
    assert_eq!(repo.landed("main", "demo").len(), 3);
    within(BOUND, "the incident pack goes", || {
        (!incident.exists()).then_some(())
    });
    up.stop();
}

#[test]
fn a_retry_without_a_serving_process_is_taken_up_by_the_next_run() {
    let (repo, autopack) = (TempRepo::small(), Autopack::new());
    let flag = flag(&autopack);
    let line = format!("test -e '{}'", flag.display());
    let plan = Plan::new("demo")
        .phase(Phase::patch("P1", adding("a.txt", "a\n")).check(&line))
        .write(&autopack.folder("plan"));
    autopack.run(&plan, repo.path()).done.expect_code(3);
    std::fs::write(&flag, "").unwrap();
    let done = autopack.call(&["retry", "demo", "P1"]);
    done.expect_code(0);
    assert!(done.stderr.contains("autopack up"), "{}", done.stderr);
    autopack.run(&plan, repo.path()).done.expect_code(0);
    assert_eq!(autopack.status("demo")["state"], SUCCESS);
}

#[test]
fn a_phase_may_join_until_the_run_ends() {
    let (repo, autopack) = (TempRepo::small(), Autopack::new());
    let _up = autopack.up(&[]);
    let plan = Plan::new("demo").phase(Phase::patch("P1", adding("a.txt", "a\n")));
    submit(&autopack, &repo, &plan, &["--hold"]);
    within(BOUND, "the run is frozen", || {
        (autopack.status("demo")["state"] == "RUN_CREATED").then_some(())
    });
    let folder = autopack.folder("phase");
    write(&folder, "b.patch", adding("b.txt", "b\n"));
    write(
        &folder,
        "phase.yaml",
        "id: P2\ngoal: One more\nbuilder: { kind: patch, patch: b.patch }\ngate: { steps: [] }\n",
    );
    let file = folder.join("phase.yaml");
    autopack.read(&["add-phase", "demo", "T1", file.to_str().unwrap()]);
    write(&folder, "bad.yaml", "id: P1\ncolour: blue\n");
    let bad = autopack.call(&[
        "add-phase",
        "demo",
        "T1",
        folder.join("bad.yaml").to_str().unwrap(),
    ]);
    bad.expect_code(1);
    assert!(
        bad.stderr.contains("PLAN_INVALID") && bad.stderr.contains("colour"),
        "{}",
        bad.stderr
    );
    autopack.read(&["start", "demo"]);
    autopack.ask(&["watch", "demo"]).done.expect_code(0);
    assert_eq!(repo.landed("main", "demo").len(), 2);
    autopack
        .call(&["add-phase", "demo", "T1", file.to_str().unwrap()])
        .expect_code(1);
}
