//! Shares, limits, lanes and the queue, from a second process.

use autopack_testkit::series::adding;
use autopack_testkit::{Autopack, Phase, Plan, TempRepo, within};

use super::serving::BOUND;
use crate::rig::SUCCESS;

#[test]
fn a_paused_lane_holds_a_run_says_why_and_lets_it_go_on() {
    let (repo, autopack) = (TempRepo::small(), Autopack::new());
    let _up = autopack.up(&[]);
    let paused = autopack.read(&["lane", "pause", "default"]);
    assert_eq!(paused["paused_lanes"][0], "default");
    let plan = Plan::new("demo").phase(Phase::patch("P1", adding("a.txt", "a\n")));
    let file = plan.write(&autopack.folder("plan"));
    let args = [
        "submit",
        file.to_str().unwrap(),
        "--repo",
        repo.path().to_str().unwrap(),
    ];
    autopack.read(&args);
    within(BOUND, "the phase waits in the queue", || {
        let queue = autopack.read(&["queue"]);
        (queue["total"] == 1 && queue["phases"][0]["holds"][0]["rule"] == "lane_paused")
            .then_some(())
    });
    let why = autopack.read(&["why", "demo", "P1"]);
    assert_eq!(why[0]["holds"][0]["rule"], "lane_paused");
    assert_eq!(why[0]["queue"]["position"], 1);
    let left = autopack.read(&["lane", "resume"]);
    assert_eq!(left["paused_lanes"].as_array().unwrap().len(), 0);
    let watched = autopack.ask(&["watch", "demo"]);
    watched.done.expect_code(0);
    assert_eq!(watched.json["state"], SUCCESS);
}

#[test]
fn limits_are_shown_and_changed_by_parts() {
    let autopack = Autopack::new();
    let _up = autopack.up(&[]);
    let change = [
        "limits",
        "app",
        "--share",
        "3",
        "--max-running",
        "8",
        "--label",
        "gpu=1:2",
    ];
    let limits = autopack.read(&change);
    assert_eq!(
        (&limits["share"], &limits["max_running"]),
        (&3.into(), &8.into())
    );
    let lifted = autopack.read(&["limits", "app", "--max-running", "0"]);
    assert!(lifted["max_running"].is_null());
    let shown = autopack.read(&["limits", "app"]);
    assert_eq!(
        (&shown["share"], &shown["labels"]["gpu=1"]),
        (&3.into(), &2.into())
    );
    let refused = autopack.call(&["limits", "app", "--share", "0", "--per-run", "999999"]);
    assert_ne!(refused.code, Some(0));
    assert!(
        refused.stderr.contains("share") && refused.stderr.contains("per_run"),
        "{}",
        refused.stderr
    );
}
