//! Work that did not land is not lost: it is listed, and made again as a branch.

use autopack_testkit::{Autopack, Phase, Plan, TempRepo, git};
use serde_json::{Value, json};

use crate::rig::{HUMAN, play, play_with};

/// A text, an executable, and bytes that are no text.
const FILES: &[&str] = &["made/text", "made/run.sh", "made/bytes"];
const BUILDER: &str = r"mkdir -p made; echo 'it'\''s' > made/text
printf '#!/bin/sh\n' > made/run.sh; chmod +x made/run.sh
head -c 5000 /dev/urandom > made/bytes";

fn gated(id: &str, run: &str) -> Phase {
    Phase::command(id, run)
        .check("false")
        .set("max_attempts", 2)
}

#[test]
fn the_very_tree_of_a_failed_attempt_is_made_again_as_a_new_branch() {
    let repo = TempRepo::small();
    let played = play(
        "demo",
        repo,
        &Plan::new("demo").phase(gated("P1", BUILDER).scope(FILES)),
    );
    assert_eq!(played.status["state"], HUMAN, "{:#}", played.status);
    let autopack = &played.autopack;
    let kept = autopack.read(&["wip", "list", "demo"]);
    let kept = kept.as_array().unwrap();
    let numbers: Vec<&Value> = kept.iter().map(|one| &one["attempt"]).collect();
    assert_eq!(numbers, [&json!(1), &json!(2)], "{kept:#?}");
    assert_eq!(kept[0]["cause"], "GATE_FAILED");
    assert_ne!(kept[0]["tree"], kept[1]["tree"], "random bytes differ");

    let checkout = || played.repo.git(&["status", "--porcelain", "--branch"]);
    let before = checkout();
    let last = autopack.read(&["wip", "restore", "demo", "P1"]);
    assert_eq!(last["branch"], "wip/demo/P1-2");
    let first = ["wip", "restore", "demo", "P1", "--attempt", "1"];
    autopack.call(&first).expect_code(0);
    let dir = played.repo.path();
    for (n, branch) in ["wip/demo/P1-1", "wip/demo/P1-2"].iter().enumerate() {
        assert_eq!(git::tree_of(dir, branch), kept[n]["tree"]);
        let parent = git::commit_of(dir, &format!("{branch}^")).unwrap();
        assert_eq!(parent, kept[n]["tip"]);
    }
    let made = git::git(dir, &["ls-tree", "wip/demo/P1-2", "made/"]);
    assert!(
        made.lines().count() == 3 && made.contains("100755"),
        "{made}"
    );
    assert_eq!(checkout(), before, "no checkout is touched");

    let again = autopack.call(&first);
    again.expect_code(1);
    assert!(
        again
            .stderr
            .contains("there is a branch wip/demo/P1-1 already")
    );
    let other = [&first[..], &["--branch", "look/at-this"]].concat();
    autopack.call(&other).expect_code(0);
    let absent = autopack.call(&["wip", "restore", "demo", "P1", "--attempt", "9"]);
    absent.expect_code(1);
    assert!(absent.stderr.contains("autopack wip list demo"));
}

/// A secret of the worker's in the work: nothing exact can be stored of it, and nothing inexact is.
#[test]
fn work_with_a_secret_is_kept_by_the_reference_alone() {
    let repo = TempRepo::small();
    let plan = Plan::new("demo").phase(gated(
        "P1",
        "echo 'token=ghp_0123456789abcdefghijklmnopqrstuvwxyzAB' > s",
    ));
    // The scan would refuse it before.
    let autopack = Autopack::new().with("AUTOPACK_DISABLE_SECRET_SCAN", "1");
    let played = play_with(autopack, "demo", repo, &plan);
    let kept = played.autopack.read(&["wip", "list", "demo"]);
    assert_eq!(kept, json!([]));
    let attempts = played.autopack.attempts("demo");
    let warned = attempts[0]["facts"]["warnings"].to_string();
    assert!(warned.contains("attempt/P1/1 alone"), "{warned}");
}
