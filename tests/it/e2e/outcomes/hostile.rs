//! Programs planted in the user's repository: none of them runs.

use autopack_testkit::series::adding;
use autopack_testkit::traps::Traps;
use autopack_testkit::{Autopack, Phase, Plan, TempRepo};

use crate::rig::play_with;

#[track_caller]
fn nothing_runs(repo: TempRepo, traps: &Traps) {
    let autopack = Autopack::new();
    // The operator's own configuration has no part in it either.
    let config = "[core]\n\tfsmonitor = touch \"$HOME/canary\"; false\n\thooksPath = /nonexistent\n[commit]\n\tgpgSign = true\n";
    std::fs::write(autopack.home().join(".gitconfig"), config).unwrap();
    let plan = Plan::new("demo")
        .phase(Phase::patch("P1", adding("a.md", "a\n")).check("test -s a.md"))
        .phase(
            Phase::command("P2", "echo b > b.md; git status; git diff; git add -A")
                .check("grep -q b b.md"),
        )
        .phase(Phase::patch("P3", adding("c.md", "c\n")).after(&[]));
    let played = play_with(autopack, "demo", repo, &plan);
    played.succeeds();
    assert_eq!(traps.ran(), "");
    assert!(!played.autopack.home().join("canary").exists());
    assert_eq!(played.landed().len(), 3);
}

#[test]
fn hooks() {
    let repo = TempRepo::small();
    let traps = Traps::hooks(&repo);
    traps.are_live(&["branch", "probe"]);
    nothing_runs(repo, &traps);
}

#[test]
fn fsmonitor() {
    let repo = TempRepo::small();
    let traps = Traps::fsmonitor(&repo);
    traps.are_live(&["status"]);
    nothing_runs(repo, &traps);
}

#[test]
fn filters() {
    let repo = TempRepo::small();
    let traps = Traps::filters(&repo);
    // Unlike a checkout, this filters a file that is up to date, too.
    traps.are_live(&["cat-file", "--filters", "HEAD:README.md"]);
    nothing_runs(repo, &traps);
}

#[test]
fn receive_hooks_and_helpers() {
    let repo = TempRepo::small();
    let traps = Traps::receive(&repo);
    nothing_runs(repo, &traps);
}

#[test]
fn receive_hooks_of_a_bare_repository() {
    let repo = TempRepo::small().bare();
    let traps = Traps::receive(&repo);
    nothing_runs(repo, &traps);
}
