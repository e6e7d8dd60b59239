//! Phases that are built and audited outside, with the real binary from start to end.

use std::path::PathBuf;
use std::time::Duration;

use autopack_testkit::program::{Background, Done};
use autopack_testkit::series::adding;
use autopack_testkit::{Autopack, Phase, Plan, TempRepo, git, within};
use serde_json::{Value, json};

use crate::rig::{HUMAN, SUCCESS};

/// How long anything here may take.
const BOUND: Duration = Duration::from_mins(1);
const GATE: &str = "test \"$(cat made.txt)\" = good";

/// A run whose first phase is built outside, and a process that serves it.
struct Scene {
    autopack: Autopack,
    repo: TempRepo,
    plan: PathBuf,
}

fn external(id: &str) -> Phase {
    Phase::noop(id).set("builder", json!({ "kind": "external" }))
}

impl Scene {
    fn new(plan: &Plan) -> Self {
        let (autopack, repo) = (Autopack::new(), TempRepo::small());
        let plan = plan.write(&autopack.folder("plan"));
        Self {
            autopack,
            repo,
            plan,
        }
    }

    /// `autopack run` beside the test, until its phase waits.
    #[track_caller]
    fn run(&self) -> Background {
        let run = self.autopack.run_beside(&self.plan, self.repo.path(), &[]);
        self.until_awaited("P1", "submission");
        run
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.autopack.folder("submitted").join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Submits a patch that makes a file.
    fn submit(&self, phase: &str, file: &str, content: &str, more: &[&str]) -> Done {
        let patch = self.file("made.patch", &adding(file, content));
        let mut args = vec![
            "submit-result",
            "demo",
            phase,
            "--builder",
            "bot-7",
            "--patch",
            &patch,
        ];
        args.extend(more);
        self.autopack.call(&args)
    }

    /// A phase; the run may not be there yet.
    fn phase(&self, id: &str) -> Option<Value> {
        let status = self.autopack.ask(&["status", "demo"]).json;
        let phases = status["phases"].as_array()?;
        phases.iter().find(|phase| phase["id"] == id).cloned()
    }

    #[track_caller]
    fn until_awaited(&self, phase: &str, what: &str) {
        within(BOUND, &format!("{phase} waits for the {what}"), || {
            let found = self.phase(phase)?;
            (found["handoff"]["awaited"] == what).then_some(())
        });
    }

    /// Waits until the phase waits for the next submission after this failure.
    #[track_caller]
    fn until_failed_once(&self, phase: &str, cause: &str) -> Value {
        within(BOUND, &format!("{phase} waits again after {cause}"), || {
            let found = self.phase(phase)?;
            let waits = found["handoff"]["awaited"] == "submission";
            (waits && found["cause"] == cause).then_some(found)
        })
    }
}

#[test]
fn a_submitted_patch_is_gated_and_lands_and_the_run_says_what_it_waits_for() {
    let plan = Plan::new("demo")
        .phase(external("P1").check(GATE).scope(&["made.txt"]))
        .phase(Phase::patch("P2", adding("after.txt", "x\n")));
    let scene = Scene::new(&plan);
    let mut run = scene.run();
    let why = scene.autopack.read(&["why", "demo", "P1"]);
    assert_eq!(
        why.pointer("/0/holds/0/rule")
            .or(why.pointer("/phases/0/holds/0/rule")),
        Some(&json!("submission")),
        "{why:#}"
    );

    // A red gate uses the submission up; the next one is awaited.
    scene
        .submit("P1", "made.txt", "bad\n", &["--tokens", "70"])
        .expect_code(0);
    let red = scene.until_failed_once("P1", "GATE_FAILED");
    assert_eq!(
        (&red["attempts"], &red["tokens"]["settled"]),
        (&json!(1), &json!(70))
    );
    let more = [
        "--tokens",
        "30",
        "--request-id",
        "one",
        "--changed-file",
        "other.txt",
        "--json",
    ];
    let first = scene.submit("P1", "made.txt", "good\n", &more);
    first.expect_code(0);
    let told: Value = serde_json::from_str(&first.stdout).unwrap();
    assert_eq!(told["handoff"]["submission"]["builder"], "bot-7");
    let done = run.wait(BOUND);
    done.expect_code(0);
    assert!(
        done.stderr.contains("P1: waits for the submission until"),
        "{}",
        done.stderr
    );
    assert!(
        done.stderr.contains("autopack submit-result demo P1"),
        "{}",
        done.stderr
    );

    let base = git::commit_of(scene.repo.path(), "main").unwrap();
    let landed = scene.repo.landed(&base, "demo");
    assert_eq!(landed.len(), 2);
    assert_eq!(landed[0].trailer("Autopack-Builder"), "external");
    assert_eq!(landed[0].trailer("Autopack-Attempt"), "2");
    assert_eq!(
        scene.repo.landed_file("demo", "made.txt").as_deref(),
        Some("good\n")
    );
    let attempts = scene.autopack.attempts("demo");
    let second = attempts
        .iter()
        .find(|a| a["phase"] == "P1" && a["number"] == 2)
        .unwrap();
    assert_eq!(second["facts"]["submitted_by"], "bot-7");
    assert_eq!(second["tokens_used"], 30);
    let kept = second["artifacts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|a| a["name"] == "submission")
        .unwrap();
    let kept = scene.autopack.artifact(kept["digest"].as_str().unwrap());
    assert!(kept.contains("made.txt"), "{kept}");
    // The claim about the changed files was wrong: told, and no failure.
    let issues = scene.autopack.read(&["issues", "demo"]);
    assert_eq!(
        issues["issues"][0]["key"],
        "submission__P1__changed_files_differ"
    );
    assert!(
        second["facts"]["warnings"]
            .to_string()
            .contains("other.txt"),
        "{second:#}"
    );
    // The same request again answers, and submits nothing.
    scene
        .submit("P1", "made.txt", "good\n", &more)
        .expect_code(0);
    let late = scene.submit("P1", "made.txt", "good\n", &[]);
    late.expect_code(1);
    assert!(late.stderr.contains("RUN_STATE"), "{}", late.stderr);
}

#[test]
fn a_submission_is_governed_like_any_other_change() {
    let plan = Plan::new("demo").phase(external("P1").scope(&["src/"]).set("max_attempts", 4));
    let scene = Scene::new(&plan);
    let mut run = scene.run();
    for (file, cause) in [("made.txt", "OUT_OF_SCOPE"), ("src/../x", "PATH_ESCAPE")] {
        scene.submit("P1", file, "x\n", &[]).expect_code(0);
        let found = scene.until_failed_once("P1", cause);
        assert_ne!(found["detail"], Value::Null);
    }
    let broken = scene.file("broken.patch", "this is no patch\n");
    let args = [
        "submit-result",
        "demo",
        "P1",
        "--builder",
        "bot",
        "--patch",
        &broken,
    ];
    scene.autopack.call(&args).expect_code(0);
    scene.until_failed_once("P1", "SUBMISSION_UNUSABLE");
    let faulty = scene.file(
        "faulty.json",
        r#"{"builder": "b", "patch": "x", "phase_id": "P2", "tokens_used": 3}"#,
    );
    let refused = scene
        .autopack
        .call(&["submit-result", "demo", "P1", "--document", &faulty]);
    refused.expect_code(1);
    for word in ["SUBMISSION_INVALID", "phase_id", "tokens_used"] {
        assert!(refused.stderr.contains(word), "{}", refused.stderr);
    }
    scene
        .submit("P1", "elsewhere.txt", "x\n", &[])
        .expect_code(0);
    run.wait(BOUND).expect_code(3);
    let status = scene.autopack.status("demo");
    assert_eq!(status["cause"], "OUT_OF_SCOPE");
    assert_eq!(status["state"], "DONE_FAILED_POLICY_VIOLATION");
    assert_eq!(scene.repo.branch("demo"), None);
}

#[test]
fn edits_are_applied_to_the_files_of_the_tip() {
    let plan = Plan::new("demo")
        .phase(Phase::patch("P0", adding("notes.txt", "one\ntwo\nthree\n")))
        .phase(external("P1").after(&["P0"]).set("max_attempts", 3));
    let scene = Scene::new(&plan);
    let mut run = scene.run();
    let submit = |edits: &Value| {
        let file = scene.file("edits.json", &edits.to_string());
        let args = [
            "submit-result",
            "demo",
            "P1",
            "--builder",
            "bot",
            "--edits",
            &file,
        ];
        scene.autopack.call(&args).expect_code(0);
    };
    submit(&json!([{ "op": "delete", "path": "notes.txt", "start_line": 3, "end_line": 4 }]));
    let found = scene.until_failed_once("P1", "SUBMISSION_UNUSABLE");
    assert!(
        found["detail"].as_str().unwrap().contains("3 lines"),
        "{found:#}"
    );
    submit(&json!([
        { "op": "replace", "path": "notes.txt", "start_line": 2, "end_line": 2, "content": "TWO\nmore", "context_before": "one" },
        { "op": "append", "path": "notes.txt", "content": "four" },
        { "op": "create", "path": "docs/a b.txt", "content": "new\n" },
        { "op": "remove", "path": "README.md" }
    ]));
    run.wait(BOUND).expect_code(0);
    let landed = |path: &str| scene.repo.landed_file("demo", path);
    assert_eq!(
        landed("notes.txt").as_deref(),
        Some("one\nTWO\nmore\nthree\nfour\n")
    );
    assert_eq!(landed("docs/a b.txt").as_deref(), Some("new\n"));
    assert_eq!(landed("README.md"), None);
}

#[test]
fn an_audited_result_lands_with_the_auditors_patch_and_never_without_an_audit() {
    let plan = Plan::new("demo")
        .phase(external("P1").set("builder", json!({ "kind": "external", "audit": true })));
    let scene = Scene::new(&plan);
    let mut run = scene.run();
    scene.submit("P1", "made.txt", "good\n", &[]).expect_code(0);
    scene.until_awaited("P1", "audit");
    let audit = |args: &[&str]| {
        let mut all = vec!["audit", "demo", "P1"];
        all.extend(args);
        scene.autopack.call(&all)
    };
    let own = audit(&["approve", "--auditor", "BOT-7"]);
    own.expect_code(1);
    assert!(own.stderr.contains("SAME_IDENTITY"), "{}", own.stderr);
    audit(&["revise", "--auditor", "ada", "--notes", "no tests"]).expect_code(0);
    let sent_back = scene.until_failed_once("P1", "AUDIT_REVISED");
    assert_eq!(sent_back["detail"], "ada: no tests");
    scene.submit("P1", "made.txt", "good\n", &[]).expect_code(0);
    let patch = scene.file("test.patch", &adding("tests/made.txt", "tested\n"));
    audit(&[
        "approve",
        "--auditor",
        "ada",
        "--patch",
        &patch,
        "--tokens",
        "5",
    ])
    .expect_code(0);
    run.wait(BOUND).expect_code(0);
    assert_eq!(
        scene.repo.landed_file("demo", "tests/made.txt").as_deref(),
        Some("tested\n")
    );
    let attempts = scene.autopack.attempts("demo");
    assert_eq!(attempts.len(), 1, "what was not approved was never tried");
    assert_eq!(attempts[0]["facts"]["audited_by"], "ada");
    assert_eq!(attempts[0]["tokens_used"], 5);
}

#[test]
fn an_escalated_result_and_an_overdue_one_fail_the_phase_for_a_person() {
    let soon = json!({ "kind": "external", "timeout_seconds": 1 });
    let plan = Plan::new("demo")
        .phase(external("P1").after(&[]))
        .phase(external("P2").after(&[]).set("builder", soon));
    let scene = Scene::new(&plan);
    let mut run = scene.run();
    let audit = |args: &[&str]| scene.autopack.call(args).expect_code(0).stdout.clone();
    audit(&["audit", "demo", "P1", "request"]);
    scene.submit("P1", "made.txt", "x\n", &[]).expect_code(0);
    audit(&[
        "audit",
        "demo",
        "P1",
        "escalate",
        "--auditor",
        "ada",
        "--notes",
        "licence",
    ]);
    run.wait(BOUND).expect_code(3);
    let status = scene.autopack.status("demo");
    assert_eq!(status["state"], HUMAN);
    let causes: Vec<&Value> = status["phases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["cause"])
        .collect();
    assert_eq!(causes, ["AUDIT_ESCALATED", "SUBMISSION_OVERDUE"]);
    let explained = scene.autopack.call(&["explain", "SUBMISSION_OVERDUE"]);
    explained.expect_code(0);
}

#[test]
fn states_are_set_by_hand_only_where_a_command_leads_there() {
    let plan = Plan::new("demo")
        .phase(external("P1"))
        .phase(Phase::noop("P2"));
    let scene = Scene::new(&plan);
    let mut run = scene.run();
    let set = |state: &str| {
        scene
            .autopack
            .call(&["set-phase", "demo", "P1", state, "--why", "by hand"])
    };
    let refused = set("COMPLETE");
    refused.expect_code(1);
    assert!(
        refused.stderr.contains("PHASE_STATE") && refused.stderr.contains("FAILED, SKIPPED"),
        "{}",
        refused.stderr
    );
    set("NONSENSE").expect_code(2);
    set("SKIPPED").expect_code(0);
    run.wait(BOUND).expect_code(0);
    assert_eq!(scene.autopack.status("demo")["state"], SUCCESS);
    assert_eq!(scene.phase("P1").unwrap()["cause"], "SKIPPED_BY_REQUEST");
    assert_eq!(scene.phase("P2").unwrap()["state"], "COMPLETE");
}

#[test]
fn a_crash_between_submission_and_landing_loses_nothing() {
    for place in ["after_build", "after_gate", "after_prepare", "after_push"] {
        let plan = Plan::new("demo").phase(external("P1").check(GATE));
        let mut scene = Scene::new(&plan);
        scene.autopack = scene
            .autopack
            .with("AUTOPACK_FAILPOINT", &format!("worker.{place}=1"));
        let mut run = scene.run();
        // The process may die before it has answered.
        scene.submit("P1", "made.txt", "good\n", &["--tokens", "7"]);
        assert_ne!(run.wait(BOUND).code, Some(0), "{place}");
        scene.autopack = scene.autopack.with("AUTOPACK_FAILPOINT", "");
        let answer = scene.autopack.run(&scene.plan, scene.repo.path());
        answer.done.expect_code(0);
        let landed = scene.repo.landed_file("demo", "made.txt");
        assert_eq!(landed.as_deref(), Some("good\n"));
        let phase = scene.phase("P1").unwrap();
        assert_eq!(phase["tokens"]["settled"], 7, "{place}: {phase:#}");
    }
}
