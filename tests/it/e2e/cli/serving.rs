//! Processes that share one data directory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use autopack_testkit::series::adding;
use autopack_testkit::{Autopack, Phase, Plan, TempRepo, within};
use serde_json::json;

use crate::rig::SUCCESS;

/// How long anything here may take.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

/// A builder that waits for a file outside of everything.
pub(crate) fn waits_for(flag: &Path) -> String {
    format!(
        "while [ ! -e '{}' ]; do sleep 0.05; done; echo x > \"$AUTOPACK_PHASE_ID.txt\"",
        flag.display()
    )
}

pub(crate) fn flag(autopack: &Autopack) -> PathBuf {
    autopack.folder("outside").join("flag")
}

/// Waits until a phase is in this state; the run may not be there yet.
#[track_caller]
pub(crate) fn until(autopack: &Autopack, run: &str, phase: &str, state: &str) {
    within(BOUND, &format!("{phase} is {state}"), || {
        let status = autopack.ask(&["status", run]).json;
        let mut phases = status["phases"].as_array().into_iter().flatten();
        phases
            .find(|found| found["id"] == phase && found["state"] == state)
            .map(drop)
    });
}

#[test]
fn a_second_run_becomes_a_client_of_the_first() {
    let repo = TempRepo::small();
    let autopack = Autopack::new();
    let flag = flag(&autopack);
    let slow = Plan::new("first")
        .phase(Phase::command("P1", &waits_for(&flag)))
        .write(&autopack.folder("first"));
    let quick = Plan::new("second")
        .phase(Phase::patch("P1", adding("second.txt", "x\n")))
        .write(&autopack.folder("second"));
    let mut first = autopack.run_beside(&slow, repo.path(), &["--workers", "2"]);
    until(&autopack, "first", "P1", "EXECUTING");
    assert_eq!(autopack.read(&["info"])["served"], true);

    let answer = autopack.run(&quick, repo.path());
    answer.done.expect_code(0);
    assert_eq!(answer.json["state"], SUCCESS);
    assert!(first.is_running());

    std::fs::write(&flag, "").unwrap();
    first.wait(BOUND).expect_code(0);
    assert!(repo.branch("first").is_some() && repo.branch("second").is_some());
    assert!(!autopack.data().join("registry.json").exists());
    assert_eq!(autopack.read(&["info"])["served"], false);
}

#[test]
fn an_interrupted_run_hands_back_and_the_same_command_continues_it() {
    let repo = TempRepo::small();
    let autopack = Autopack::new();
    let flag = flag(&autopack);
    let plan = Plan::new("demo")
        .phase(Phase::patch("P1", adding("a.txt", "a\n")))
        .phase(Phase::command("P2", &waits_for(&flag)))
        .write(&autopack.folder("plan"));
    let mut first = autopack.run_beside(&plan, repo.path(), &[]);
    until(&autopack, "demo", "P2", "EXECUTING");
    first.signal("INT");
    first.wait(BOUND).expect_code(130);
    let landed = repo.branch("demo");
    std::fs::write(&flag, "").unwrap();
    let answer = autopack.run(&plan, repo.path());
    answer.done.expect_code(0);
    assert_eq!(answer.json["existing"], true);
    let again = autopack.status("demo");
    assert_eq!(again["phases"][0]["attempts"], 1);
    let attempts = autopack.attempts("demo");
    let of_p2: Vec<&str> = attempts
        .iter()
        .filter(|a| a["phase"] == "P2")
        .map(|a| a["state"].as_str().unwrap())
        .collect();
    assert_eq!(of_p2, ["HANDED_OVER", "SUCCEEDED"]);
    assert_eq!(
        again["phases"][1]["attempts_charged"], 0,
        "a hand-over is not charged"
    );
    assert_eq!(
        repo.git(&["rev-parse", "autonomous/demo~1"]),
        landed.unwrap()
    );
}

#[test]
fn a_data_directory_is_served_once_and_cleanly_left() {
    let autopack = Autopack::new();
    let up = autopack.up(&[]);
    let second = autopack.call(&["up", "--listen", "127.0.0.1:0"]);
    second.expect_code(1);
    assert!(
        second.stderr.contains("DATA_DIR_BUSY") && second.stderr.contains(&up.id().to_string()),
        "{}",
        second.stderr
    );
    let file = std::fs::read_to_string(autopack.data().join("registry.json")).unwrap();
    let file: serde_json::Value = serde_json::from_str(&file).unwrap();
    assert_eq!(file["pid"], up.id());
    let tcp = format!("http://{}", file["tcp"].as_str().unwrap());
    assert_eq!(autopack.read(&["runs", "--registry", &tcp]), json!([]));
    let socket = format!("unix:{}", file["socket"].as_str().unwrap());
    assert_eq!(autopack.read(&["runs", "--registry", &socket]), json!([]));
    let stranger = Autopack::new().call(&["runs", "--registry", &tcp]);
    stranger.expect_code(1);
    assert!(
        stranger.stderr.contains("UNAUTHENTICATED"),
        "{}",
        stranger.stderr
    );
    up.stop().expect_code(0);
    assert!(!autopack.data().join("registry.json").exists());
}

#[test]
fn the_data_directory_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let repo = TempRepo::small();
    let autopack = Autopack::new();
    let plan = Plan::new("demo")
        .phase(Phase::command("P1", "echo x > x"))
        .write(&autopack.folder("plan"));
    autopack.run(&plan, repo.path()).done.expect_code(0);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(autopack.data()), 0o700);
    for name in ["token", "runs/demo/run_summary.md"] {
        assert_eq!(mode(&autopack.data().join(name)), 0o600, "{name}");
    }
}
