//! A tested tree reaches another branch as it was tested, or not at all.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use autopack_git::{
    GitError, Identity, Landed, Oid, Prepared, Promotion, PushOutcome, Strategy, Target, message,
};
use common::{World, git, repository};

const BRANCH: &str = "release";

/// A branch at the base, and a run's commit above the base.
async fn start() -> (World, Target, Oid, Oid) {
    let world = World::new().await;
    let dir = world.path("user");
    repository(&dir);
    let (target, base) = world.fetched(&dir).await;
    let moved = world.own.push(&target, &base, BRANCH, None).await.unwrap();
    assert_eq!(moved, PushOutcome::Moved);
    let tested = world.commit_adding(&base, "made.txt", "by the run").await;
    (world, target, base, tested)
}

async fn prepare(world: &World, tested: &Oid, tip: &Oid, strategy: Strategy) -> Prepared {
    let text = message::build("Promote demo-1", "", &[("Autopack-Run", "demo-1")]).unwrap();
    let who = Identity::default();
    let promotion = Promotion {
        tested,
        tip,
        strategy,
        message: &text,
        committer: &who,
        time: 1_700_000_000,
    };
    world.own.prepare_promotion(&promotion).await.unwrap()
}

fn ready(prepared: Prepared) -> Oid {
    match prepared {
        Prepared::Ready { commit } => commit,
        other => panic!("{other:?}"),
    }
}

const ALL: [Strategy; 3] = [Strategy::FastForward, Strategy::Merge, Strategy::Squash];

#[tokio::test]
async fn each_strategy_lands_the_tested_tree_and_it_is_read_back() {
    for strategy in ALL {
        let (world, target, base, tested) = start().await;
        let own = &world.own;
        let commit = ready(prepare(&world, &tested, &base, strategy).await);
        let trees = (
            own.tree_of(&commit).await.unwrap(),
            own.tree_of(&tested).await.unwrap(),
        );
        assert_eq!(trees.0, trees.1, "{strategy:?}");
        let before = own.landed(&target, BRANCH, &commit, &tested).await.unwrap();
        assert_eq!(
            before,
            Landed::Other {
                actual: Some(base.clone())
            }
        );
        let moved = own
            .push(&target, &commit, BRANCH, Some(&base))
            .await
            .unwrap();
        assert_eq!(moved, PushOutcome::Moved);
        let landed = own.landed(&target, BRANCH, &commit, &tested).await.unwrap();
        assert_eq!(landed, Landed::Tested, "{strategy:?}");
        let has_run = own.is_ancestor(&tested, &commit).await.unwrap();
        assert_eq!(has_run, strategy != Strategy::Squash, "{strategy:?}");
        assert!(own.is_ancestor(&base, &commit).await.unwrap());
        assert_eq!(own.ahead_behind(&tested, &base).await.unwrap(), (1, 0));
        let before = own.commits_to(&base).await.unwrap();
        assert_eq!(own.commits_to(&tested).await.unwrap(), before + 1);
        let beside = own.ahead_behind(&tested, &commit).await.unwrap();
        let expected = match strategy {
            Strategy::FastForward => (0, 0),
            Strategy::Merge => (0, 1),
            Strategy::Squash => (1, 1),
        };
        assert_eq!(beside, expected, "{strategy:?}");
        // Once more it is there already; a squash knows by the tree.
        for again in ALL {
            if strategy == Strategy::Squash && again != Strategy::Squash {
                continue;
            }
            let found = prepare(&world, &tested, &commit, again).await;
            assert_eq!(found, Prepared::AlreadyThere, "{strategy:?} then {again:?}");
        }
    }
}

#[tokio::test]
async fn what_no_gate_has_seen_is_not_made() {
    let (world, _target, base, tested) = start().await;
    let other = world.commit_adding(&base, "other.txt", "by somebody").await;
    assert_eq!(
        prepare(&world, &tested, &other, Strategy::FastForward).await,
        Prepared::Diverged
    );
    for strategy in [Strategy::Merge, Strategy::Squash] {
        let found = prepare(&world, &tested, &other, strategy).await;
        assert!(
            matches!(found, Prepared::Untested { .. }),
            "{strategy:?}: {found:?}"
        );
    }
    let same = world.commit_adding(&base, "made.txt", "otherwise").await;
    for strategy in [Strategy::Merge, Strategy::Squash] {
        let paths = vec![b"made.txt".to_vec()];
        let found = prepare(&world, &tested, &same, strategy).await;
        assert_eq!(found, Prepared::Conflict { paths }, "{strategy:?}");
    }
}

#[tokio::test]
async fn a_branch_that_moved_meanwhile_keeps_what_it_has() {
    let (world, target, base, tested) = start().await;
    let own = &world.own;
    let commit = ready(prepare(&world, &tested, &base, Strategy::Merge).await);
    let other = world.commit_adding(&base, "other.txt", "by somebody").await;
    own.push(&target, &other, BRANCH, Some(&base))
        .await
        .unwrap();
    let late = own
        .push(&target, &commit, BRANCH, Some(&base))
        .await
        .unwrap();
    let actual = Some(other);
    assert_eq!(
        late,
        PushOutcome::Rejected {
            actual: actual.clone()
        }
    );
    let landed = own.landed(&target, BRANCH, &commit, &tested).await.unwrap();
    assert_eq!(landed, Landed::Other { actual });
}

/// A name that stands for another branch would become a branch of its own, or move the other one.
#[tokio::test]
async fn a_symbolic_branch_is_refused_by_name_and_nothing_moves() {
    let (world, target, base, tested) = start().await;
    let (own, dir) = (&world.own, world.path("user"));
    git(
        &dir,
        &["symbolic-ref", "refs/heads/alias", "refs/heads/release"],
    );
    git(
        &dir,
        &["symbolic-ref", "refs/heads/other", "refs/heads/alias"],
    );
    git(&dir, &["branch", "folder/inside"]);
    let before = git(
        &dir,
        &[
            "for-each-ref",
            "--format=%(refname) %(objectname) %(symref)",
        ],
    );
    let url = Target::url(&format!("file://{}", dir.display())).unwrap();
    for (branch, expected) in [
        ("alias", Some("refs/heads/release")),
        ("other", Some("refs/heads/release")),
        ("release", None),
        ("folder", None),
        ("no-such", None),
    ] {
        let found = own.symbolic_branch(&target, branch).await.unwrap();
        assert_eq!(found.as_deref(), expected, "{branch}");
        let found = own.symbolic_branch(&url, branch).await.unwrap();
        assert_eq!(found.is_some(), expected.is_some(), "{branch} by its URL");
        if expected.is_some() {
            let error = own.push(&target, &tested, branch, Some(&base)).await;
            let error = error.unwrap_err();
            assert!(matches!(error, GitError::SymbolicBranch { .. }), "{error}");
            assert!(
                error.to_string().contains("name release instead"),
                "{error}"
            );
        }
    }
    let after = git(
        &dir,
        &[
            "for-each-ref",
            "--format=%(refname) %(objectname) %(symref)",
        ],
    );
    assert_eq!(before, after);
}

/// `HEAD` may name the branch by another name: its files would be left behind all the same.
#[tokio::test]
async fn a_branch_that_is_checked_out_by_another_name_is_not_moved() {
    let (world, target, base, tested) = start().await;
    let (own, dir) = (&world.own, world.path("user"));
    git(
        &dir,
        &["symbolic-ref", "refs/heads/alias", "refs/heads/release"],
    );
    git(&dir, &["symbolic-ref", "HEAD", "refs/heads/alias"]);
    let found = own.is_checked_out(&target, BRANCH).await.unwrap();
    assert_eq!(found, Some(dir.clone()));
    let linked = world.path("linked");
    git(&dir, &["checkout", "-q", "main"]);
    assert_eq!(own.is_checked_out(&target, BRANCH).await.unwrap(), None);
    git(
        &dir,
        &[
            "worktree",
            "add",
            "-q",
            "--detach",
            linked.to_str().unwrap(),
        ],
    );
    git(&linked, &["symbolic-ref", "HEAD", "refs/heads/alias"]);
    let outcome = own
        .push(&target, &tested, BRANCH, Some(&base))
        .await
        .unwrap();
    assert_eq!(outcome, PushOutcome::CheckedOut { path: linked });
    assert_eq!(git(&dir, &["rev-parse", BRANCH]), base.to_string());
}

/// What a look compares was fetched, so a branch that moved since is seen where it was.
#[tokio::test]
async fn a_branch_is_shown_as_it_was_fetched() {
    let (world, target, base, tested) = start().await;
    let own = &world.own;
    own.fetch(&target, &autopack_git::FetchRefs::All)
        .await
        .unwrap();
    let fetched = Some(base.clone());
    assert_eq!(own.fetched_branch(BRANCH).await.unwrap(), fetched);
    own.push(&target, &tested, BRANCH, Some(&base))
        .await
        .unwrap();
    assert_eq!(own.fetched_branch(BRANCH).await.unwrap(), fetched);
    assert_eq!(own.fetched_branch("no-such").await.unwrap(), None);
}
