//! Every kind of repository: what is odd about it is no reason to fail.

use autopack_testkit::series::adding;
use autopack_testkit::shape::POINTER;
use autopack_testkit::{Phase, Plan, TempRepo};

use crate::rig::{POLICY, Played, play};

/// A patch phase and a command phase, gated.
fn plan() -> Plan {
    Plan::new("demo")
        .phase(Phase::patch("P1", adding("new/a.txt", "a\n")).check("test -s new/a.txt"))
        .phase(
            Phase::command("P2", "mkdir -p new && echo b > new/b.txt").check("test -s new/b.txt"),
        )
}

#[track_caller]
fn succeeds_on(repo: TempRepo) -> Played {
    let played = play("demo", repo, &plan());
    played.succeeds();
    assert_eq!(played.landed().len(), 2);
    assert_eq!(
        played.repo.landed_file("demo", "new/b.txt").as_deref(),
        Some("b\n")
    );
    played
}

#[test]
fn dirty() {
    let played = succeeds_on(TempRepo::small().dirty());
    assert_eq!(
        played.repo.landed_file("demo", "staged.txt"),
        None,
        "what is not committed does not land"
    );
    assert!(played.repo.landed_file("demo", "conftest.py").is_some());
}

#[test]
fn detached() {
    succeeds_on(TempRepo::small().detached());
}

#[test]
fn bare() {
    succeeds_on(TempRepo::small().bare());
}

#[test]
fn shallow() {
    succeeds_on(TempRepo::small().shallow());
}

#[test]
fn worktree() {
    succeeds_on(TempRepo::small().worktree());
}

#[test]
fn a_folder_below_the_checkout_names_the_repository() {
    let repo = TempRepo::small();
    let autopack = autopack_testkit::Autopack::new();
    let plan = plan().write(&autopack.folder("plan"));
    autopack
        .run(&plan, &repo.path().join("app"))
        .done
        .expect_code(0);
    assert!(repo.branch("demo").is_some());
}

#[test]
fn lfs_pointers() {
    let played = succeeds_on(TempRepo::small().with_lfs_pointers());
    assert_eq!(
        played.repo.landed_file("demo", "assets/big.bin").as_deref(),
        Some(POINTER)
    );
}

#[test]
fn submodules() {
    let played = succeeds_on(TempRepo::small().with_submodule());
    let entry = |at: &str| played.repo.git(&["ls-tree", at, "vendor/lib"]);
    assert_eq!(entry("refs/heads/autonomous/demo"), entry("HEAD"));
}

#[test]
fn submodules_that_a_patch_moves() {
    let repo = TempRepo::small().with_submodule();
    let old = repo.git(&["rev-parse", "HEAD:vendor/lib"]);
    let new = "1".repeat(40);
    let patch = format!(
        "diff --git a/vendor/lib b/vendor/lib\nindex {old}..{new} 160000\n--- a/vendor/lib\n+++ b/vendor/lib\n@@ -1 +1 @@\n-Subproject commit {old}\n+Subproject commit {new}\n"
    );
    let plan = Plan::new("demo").phase(Phase::patch("P1", patch));
    play("demo", repo, &plan)
        .fails(POLICY, "SUBMODULE_CHANGED", "P1")
        .says("P1", &["vendor/lib"])
        .has_no_branch();
}

#[test]
fn nested_repositories_that_a_builder_makes() {
    let line = "mkdir nested && cd nested && git init -q . && echo x > x && git add -A && git -c user.name=a -c user.email=a@b commit -qm x";
    let plan = Plan::new("demo").phase(Phase::command("P1", line).set("max_attempts", 1));
    play("demo", TempRepo::small(), &plan)
        .fails(POLICY, "SUBMODULE_CHANGED", "P1")
        .says("P1", &["nested"])
        .has_no_branch();
}

#[test]
fn empty() {
    let played = play("demo", TempRepo::empty(), &plan());
    played.succeeds();
    let landed = played.landed();
    assert_eq!(landed.len(), 2);
    let parents = played
        .repo
        .git(&["rev-list", "--parents", "-n1", &landed[0].oid]);
    assert_eq!(parents, landed[0].oid, "the first commit is a root");
    assert_eq!(
        autopack_testkit::git::commit_of(played.repo.path(), "HEAD"),
        None
    );
}

#[test]
fn a_folder_that_is_no_repository_is_refused() {
    let autopack = autopack_testkit::Autopack::new();
    let folder = autopack.folder("plain");
    let plan = plan().write(&autopack.folder("plan"));
    for place in [folder.clone(), folder.join("none")] {
        let done = autopack.run(&plan, &place).done;
        done.expect_code(1);
        assert!(
            done.stderr.contains("REPOSITORY_INVALID"),
            "{}",
            done.stderr
        );
    }
    assert_eq!(autopack.read(&["runs"]).as_array().map(Vec::len), Some(0));
}
