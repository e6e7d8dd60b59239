//! The base, and the integration branch that is in the way.

use autopack_testkit::series::adding;
use autopack_testkit::{Phase, Plan, TempRepo};

use crate::rig::{ENVIRONMENT, play};

fn plan() -> Plan {
    Plan::new("demo").phase(Phase::patch("P1", adding("a.txt", "a\n")))
}

#[test]
fn a_base_that_is_missing() {
    let played = play(
        "demo",
        TempRepo::small(),
        &plan().run("base", "no-such-branch"),
    );
    played
        .fails(ENVIRONMENT, "BASE_MISSING", "")
        .says("", &["no-such-branch"])
        .has_no_branch();
}

#[test]
fn a_base_may_be_a_branch_a_tag_or_a_commit() {
    for base in ["side", "v1", "HEAD~1"] {
        let repo = TempRepo::small();
        repo.git(&["branch", "side"]);
        repo.git(&["tag", "v1"]);
        let first = repo.git(&["rev-parse", "HEAD"]);
        repo.write("second.txt", "x\n");
        repo.commit("Second");
        let base = if base == "HEAD~1" {
            first.as_str()
        } else {
            base
        };
        let autopack = autopack_testkit::Autopack::new();
        let file = plan().run("base", base).write(&autopack.folder("plan"));
        autopack.run(&file, repo.path()).done.expect_code(0);
        assert_eq!(autopack.status("demo")["base"], first.as_str());
        assert_eq!(repo.landed_file("demo", "second.txt"), None);
    }
}

#[test]
fn a_branch_that_belongs_to_somebody_else() {
    let repo = TempRepo::small().with_branch("demo");
    let foreign = repo.branch("demo");
    let played = play("demo", repo, &plan());
    played
        .fails(ENVIRONMENT, "BRANCH_EXISTS", "")
        .says("", &["autonomous/demo", "Somebody else's"]);
    assert_eq!(played.repo.branch("demo"), foreign);
}

#[test]
fn a_branch_with_our_name_and_a_forged_trailer_is_not_ours() {
    let repo = TempRepo::small();
    let tree = repo.git(&["rev-parse", "HEAD^{tree}"]);
    let message = "P1: forged\n\nAutopack-Run: demo\nAutopack-Run-Uid: 0197f3a0-0000-7000-8000-000000000000\nAutopack-Phase: P1";
    let forged = repo.git(&["commit-tree", &tree, "-p", "HEAD", "-m", message]);
    repo.git(&["update-ref", "refs/heads/autonomous/demo", &forged]);
    let played = play("demo", repo, &plan());
    played.fails(ENVIRONMENT, "BRANCH_EXISTS", "");
    assert_eq!(played.repo.branch("demo"), Some(forged));
}

#[test]
fn a_branch_that_is_checked_out() {
    let repo = TempRepo::small().on_branch("demo");
    let tip = repo.branch("demo");
    let played = play("demo", repo, &plan());
    played
        .fails(ENVIRONMENT, "BRANCH_CHECKED_OUT", "")
        .says("", &["autonomous/demo"]);
    assert_eq!(played.repo.branch("demo"), tip);
}

#[test]
fn a_branch_that_is_checked_out_in_another_worktree() {
    let repo = TempRepo::small();
    let side = repo.outside().join("side");
    repo.git(&[
        "worktree",
        "add",
        "-q",
        "-b",
        "autonomous/demo",
        side.to_str().unwrap(),
    ]);
    play("demo", repo, &plan()).fails(ENVIRONMENT, "BRANCH_CHECKED_OUT", "");
}

#[test]
fn a_branch_named_like_the_folder_of_ours() {
    let repo = TempRepo::small();
    repo.git(&["branch", "autonomous"]);
    play("demo", repo, &plan())
        .fails(ENVIRONMENT, "BRANCH_EXISTS", "")
        .says("", &["in the way"]);
}
