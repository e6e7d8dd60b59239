//! Phases side by side that meet on the branch.

use std::path::Path;

use autopack_testkit::series::adding;
use autopack_testkit::{Autopack, Phase, Plan, TempRepo, git};
use serde_json::json;

use crate::cli::serving::{BOUND, flag, until, waits_for};
use crate::rig::{ENVIRONMENT, HUMAN, play_with};

/// A builder that goes on only when the other one has started, so that both are built on the same tip.
fn meets(outside: &Path, me: &str, other: &str, then: &str) -> Phase {
    let dir = outside.display();
    let line =
        format!("touch '{dir}/{me}'; while [ ! -e '{dir}/{other}' ]; do sleep 0.02; done; {then}");
    Phase::command(me, &line).after(&[])
}

#[test]
fn the_first_conflict_costs_nothing_and_the_second_attempt_starts_from_the_new_tip() {
    let autopack = Autopack::new().sharing("outside");
    let outside = autopack.folder("outside");
    let plan = Plan::new("demo")
        .phase(meets(
            &outside,
            "left",
            "right",
            "sed -i 's/Two/Two left/' README.md",
        ))
        .phase(meets(
            &outside,
            "right",
            "left",
            "sed -i 's/^Two/& right/' README.md",
        ));
    let played = play_with(autopack, "demo", TempRepo::small(), &plan);
    played.succeeds();
    let readme = played.repo.landed_file("demo", "README.md").unwrap();
    assert!(
        readme.contains("left") && readme.contains("right"),
        "{readme}"
    );
    let attempts = played.autopack.attempts("demo");
    let causes: Vec<&str> = attempts
        .iter()
        .filter_map(|attempt| attempt["cause"].as_str())
        .collect();
    assert_eq!(causes, ["MERGE_CONFLICT"]);
    for id in ["left", "right"] {
        assert_eq!(
            played.phase(id)["attempts_charged"],
            0,
            "{:#}",
            played.phase(id)
        );
    }
}

#[test]
fn changes_that_merge_are_gated_once_more_together() {
    let autopack = Autopack::new().sharing("outside");
    let outside = autopack.folder("outside");
    let gate = "test ! -e left.txt || test ! -e right.txt";
    let plan = Plan::new("demo")
        .phase(
            meets(&outside, "left", "right", "echo x > left.txt")
                .check(gate)
                .set("max_attempts", 2),
        )
        .phase(
            meets(&outside, "right", "left", "echo x > right.txt")
                .check(gate)
                .set("max_attempts", 2),
        );
    let played = play_with(autopack, "demo", TempRepo::small(), &plan);
    played.answer.done.expect_code(3);
    assert_eq!(played.status["state"], HUMAN);
    played.is_green(gate);
    assert_eq!(played.landed().len(), 1);
    let attempts = played.autopack.attempts("demo");
    let causes: Vec<&str> = attempts
        .iter()
        .filter_map(|attempt| attempt["cause"].as_str())
        .collect();
    assert_eq!(causes[0], "GATE_FAILED_AFTER_MERGE", "{causes:?}");
}

#[test]
fn parallel_changes_that_agree_both_land() {
    let autopack = Autopack::new().sharing("outside");
    let outside = autopack.folder("outside");
    let plan = Plan::new("demo")
        .phase(meets(&outside, "left", "right", "echo x > left.txt").check("test -e left.txt"))
        .phase(meets(&outside, "right", "left", "echo x > right.txt").check("test -e right.txt"));
    let played = play_with(autopack, "demo", TempRepo::small(), &plan);
    played
        .succeeds()
        .is_green("test -e left.txt && test -e right.txt");
    let merges = played
        .repo
        .git(&["rev-list", "--merges", "--count", "autonomous/demo"]);
    assert_eq!(merges, "0", "the branch is a line");
    assert_eq!(played.autopack.attempts("demo").len(), 2);
}

#[test]
fn a_branch_that_somebody_moves_meanwhile_is_left_alone() {
    let (repo, autopack) = (TempRepo::small(), Autopack::new());
    let flag = flag(&autopack);
    let plan = Plan::new("demo")
        .phase(Phase::patch("P1", adding("a.txt", "a\n")))
        .phase(Phase::command("P2", &waits_for(&flag)))
        .write(&autopack.folder("plan"));
    let mut run = autopack.run_beside(&plan, repo.path(), &[]);
    until(&autopack, "demo", "P2", "EXECUTING");
    let tip = repo.branch("demo").unwrap();
    let tree = git::tree_of(repo.path(), &tip);
    let moved = repo.git(&["commit-tree", &tree, "-p", &tip, "-m", "Somebody else's"]);
    repo.git(&["update-ref", "refs/heads/autonomous/demo", &moved]);
    std::fs::write(&flag, "").unwrap();
    run.wait(BOUND).expect_code(3);
    let status = autopack.status("demo");
    assert_eq!(
        (&status["state"], &status["cause"]),
        (&json!(ENVIRONMENT), &json!("BRANCH_MOVED")),
        "{status:#}"
    );
    assert_eq!(repo.branch("demo"), Some(moved));
}
