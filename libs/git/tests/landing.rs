//! Commits, merges, compare-and-swap and private references.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use std::fs;

use autopack_git::{
    FLOOR, GitError, MergeResult, Oid, OwnClone, PushOutcome, Target, check_version, message,
    trailers,
};
use common::{World, git, repository, write};

const BRANCH: &str = "autonomous/demo-1";

async fn start() -> (World, Target, Oid) {
    let world = World::new().await;
    let dir = world.path("user");
    repository(&dir);
    let (target, base) = world.fetched(&dir).await;
    (world, target, base)
}

#[tokio::test]
async fn the_installed_git_is_new_enough() {
    let world = World::new().await;
    assert!(check_version(&world.git).await.unwrap() >= FLOOR);
}

#[tokio::test]
async fn a_lost_race_changes_nothing() {
    let (world, target, base) = start().await;
    let own = &world.own;
    let mine = world.commit_adding(&base, "mine", "1").await;
    let theirs = world.commit_adding(&base, "theirs", "2").await;
    assert_eq!(
        own.push(&target, &theirs, BRANCH, None).await.unwrap(),
        PushOutcome::Moved
    );
    let actual = PushOutcome::Rejected {
        actual: Some(theirs.clone()),
    };
    assert_eq!(
        own.push(&target, &mine, BRANCH, None).await.unwrap(),
        actual
    );
    assert_eq!(
        own.push(&target, &mine, BRANCH, Some(&base)).await.unwrap(),
        actual
    );
    assert_eq!(
        own.rewind(&target, BRANCH, &mine, &base).await.unwrap(),
        actual
    );
    assert_eq!(
        own.delete_branch(&target, BRANCH, &mine).await.unwrap(),
        actual
    );
    let absent = own
        .push(&target, &mine, "autonomous/other", Some(&base))
        .await
        .unwrap();
    assert_eq!(absent, PushOutcome::Rejected { actual: None });
    assert_eq!(
        own.rewind(&target, BRANCH, &theirs, &base).await.unwrap(),
        PushOutcome::Moved
    );
    assert_eq!(
        own.delete_branch(&target, BRANCH, &base).await.unwrap(),
        PushOutcome::Moved
    );
    assert_eq!(own.read_branch(&target, BRANCH).await.unwrap(), None);
}

#[tokio::test]
async fn of_concurrent_pushes_exactly_one_wins() {
    let (world, target, base) = start().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..6 {
        let commit = world.commit_adding(&base, &format!("f{n}"), "x").await;
        let (own, target) = (world.own.clone(), target.clone());
        tasks.spawn(async move { own.push(&target, &commit, BRANCH, None).await.unwrap() });
    }
    let outcomes = tasks.join_all().await;
    assert_eq!(
        outcomes
            .iter()
            .filter(|outcome| **outcome == PushOutcome::Moved)
            .count(),
        1
    );
}

#[tokio::test]
async fn a_branch_in_the_way_is_named() {
    let (world, target, base) = start().await;
    git(&world.path("user"), &["branch", "autonomous"]);
    let one = world.commit_adding(&base, "one", "1").await;
    let error = world
        .own
        .push(&target, &one, BRANCH, None)
        .await
        .unwrap_err();
    assert!(matches!(error, GitError::RefNameConflict { .. }), "{error}");
    assert!(matches!(
        world.own.push(&target, &one, "a..b", None).await,
        Err(GitError::BadRefName { .. })
    ));
}

#[tokio::test]
async fn packed_objects_are_handed_over_too() {
    let (world, target, base) = start().await;
    let one = world.commit_adding(&base, "one", "1").await;
    world
        .own
        .set_private_ref("demo-1", "tier/T1", &one)
        .await
        .unwrap();
    git(world.own.dir(), &["repack", "-q", "-a", "-d"]);
    assert_eq!(
        world.own.push(&target, &one, BRANCH, None).await.unwrap(),
        PushOutcome::Moved
    );
    assert_eq!(
        git(&world.path("user"), &["show", &format!("{BRANCH}:one")]),
        "1"
    );
    let left = fs::read_dir(world.own.dir()).unwrap();
    assert!(!left.into_iter().any(|e| {
        e.unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with("hand-over")
    }));
}

#[tokio::test]
async fn a_target_that_lost_old_objects_gets_them_again() {
    let (world, target, base) = start().await;
    let dir = world.path("user");
    // The base disappears from the target after it was fetched.
    git(&dir, &["checkout", "-q", "--orphan", "fresh"]);
    git(&dir, &["commit", "-q", "-m", "Fresh"]);
    git(&dir, &["branch", "-q", "-D", "main"]);
    git(&dir, &["reflog", "expire", "--expire=now", "--all"]);
    git(&dir, &["gc", "-q", "--prune=now"]);
    let one = world.commit_adding(&base, "one", "1").await;
    assert_eq!(
        world.own.push(&target, &one, BRANCH, None).await.unwrap(),
        PushOutcome::Moved
    );
    git(&dir, &["fsck", "--full", "--connectivity-only", BRANCH]);
}

#[tokio::test]
async fn trailers_are_ours_alone() {
    let (world, _, base) = start().await;
    let tree = world.own.tree_of(&base).await.unwrap();
    let ours = [
        ("Autopack-Run", "demo-1"),
        ("Autopack-Run-Uid", "uid-1"),
        ("Autopack-Phase", "P1.1"),
    ];
    let evil = "text\n\nAutopack-Run-Uid: uid-2\nAutopack-Phase: P9";
    let text = message::build(
        &format!("P1.1: {evil}"),
        &format!("{evil}\n---\n{evil}"),
        &ours,
    )
    .unwrap();
    let one = world
        .commit(&tree, std::slice::from_ref(&base), &text)
        .await;
    let two = world
        .commit(
            &tree,
            std::slice::from_ref(&one),
            "Foreign\n\nAutopack-Run-Uid: uid-2\n",
        )
        .await;
    let found = world
        .own
        .find_commits(Some(&base), &two, "uid-1")
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (&found[0].oid, &found[0].tree, &found[0].parents),
        (&one, &tree, &vec![base.clone()])
    );
    assert_eq!(
        trailers::get(&found[0].trailers, "Autopack-Phase"),
        Some("P1.1")
    );
    let foreign = world
        .own
        .find_commits(Some(&base), &two, "uid-2")
        .await
        .unwrap();
    assert_eq!(
        foreign.iter().map(|commit| &commit.oid).collect::<Vec<_>>(),
        [&two]
    );
    assert!(
        world
            .own
            .find_commits(Some(&two), &two, "uid-1")
            .await
            .unwrap()
            .is_empty()
    );
    // Git agrees on where the trailers are.
    let by_git = git(
        world.own.dir(),
        &[
            "log",
            "-1",
            "--format=%(trailers:only,unfold)",
            one.as_str(),
        ],
    );
    assert_eq!(
        by_git,
        "Autopack-Run: demo-1\nAutopack-Run-Uid: uid-1\nAutopack-Phase: P1.1"
    );
    let who = git(
        world.own.dir(),
        &["log", "-1", "--format=%an <%ae> %cn %at %ct", one.as_str()],
    );
    assert_eq!(
        who,
        "Autopack <autopack@localhost> Autopack 1700000000 1700000000"
    );
    let log = world.own.log_oneline(Some(&base), &two, 10).await.unwrap();
    assert_eq!(
        log.iter()
            .map(|line| line.subject.as_str())
            .next_back()
            .unwrap()
            .split(':')
            .next(),
        Some("P1.1")
    );
}

#[tokio::test]
async fn merges_are_clean_or_name_the_conflict() {
    let (world, _, base) = start().await;
    let own = &world.own;
    let (a, b) = (
        world.commit_adding(&base, "a", "1").await,
        world.commit_adding(&base, "b", "2").await,
    );
    let MergeResult::Clean { tree } = own.merge(None, &a, &b).await.unwrap() else {
        panic!("conflict")
    };
    assert_eq!(own.list_changes(&base, &tree).await.unwrap().len(), 2);
    let again = world.commit_adding(&base, "a", "other").await;
    let conflict = MergeResult::Conflict {
        paths: vec![b"a".to_vec()],
    };
    assert_eq!(own.merge(None, &a, &again).await.unwrap(), conflict);
    // A base of the caller's choice: onto `a` itself, `again` only changes one line.
    assert!(matches!(
        own.merge(Some(&a), &a, &again).await.unwrap(),
        MergeResult::Clean { .. }
    ));
    let roots = [
        world.commit(&tree, &[], "r\n").await,
        world
            .commit(&own.tree_of(&a).await.unwrap(), &[], "r\n")
            .await,
    ];
    assert!(matches!(
        own.merge(None, &roots[0], &roots[1]).await.unwrap(),
        MergeResult::Clean { .. }
    ));
    assert!(own.is_ancestor(&base, &a).await.unwrap());
    assert!(!own.is_ancestor(&a, &b).await.unwrap());
}

#[tokio::test]
async fn private_references_come_and_go() {
    let (world, _, base) = start().await;
    let own = &world.own;
    own.set_private_ref("target", "tier/T1", &base)
        .await
        .unwrap();
    own.set_private_ref("target", "attempt/P1.1/2", &base)
        .await
        .unwrap();
    let names: Vec<_> = own
        .private_refs("target")
        .await
        .unwrap()
        .into_iter()
        .map(|r| r.name)
        .collect();
    assert_eq!(names, ["attempt/P1.1/2", "tier/T1"]);
    assert_eq!(
        own.private_ref("target", "tier/T1").await.unwrap(),
        Some(base)
    );
    own.delete_private_ref("target", "tier/T1").await.unwrap();
    own.delete_private_ref("target", "tier/T1").await.unwrap();
    assert_eq!(own.private_ref("target", "tier/T1").await.unwrap(), None);
}

#[tokio::test]
async fn stale_locks_of_our_clone_are_removed_on_opening() {
    let (world, target, base) = start().await;
    let own = world.own.dir().to_owned();
    let locks = [
        "packed-refs.lock",
        "config.lock",
        "HEAD.lock",
        "shallow.lock",
        "refs/autopack/demo-1/tier/T1.lock",
    ];
    for lock in locks {
        write(&own, lock, "");
    }
    write(&own, "objects/pack/tmp_pack_x", "");
    let user_lock = world.path("user/.git/index.lock");
    fs::write(&user_lock, "").unwrap();
    let again = OwnClone::open_or_create(&world.git, &own).await.unwrap();
    assert!(locks.iter().all(|lock| !own.join(lock).exists()));
    again
        .fetch(&target, &autopack_git::FetchRefs::All)
        .await
        .unwrap();
    again
        .set_private_ref("demo-1", "tier/T1", &base)
        .await
        .unwrap();
    assert!(user_lock.exists(), "the user's locks are not ours");
}
