//! Every shape of target: found, fetched, resolved and written to, without a trace beside the branch.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use std::fs;
use std::path::Path;

use autopack_git::{
    BaseError, FetchRefs, GitError, Oid, OwnClone, PushOutcome, Target, TargetKind,
};
use common::{World, git, picture, repository, try_git, write};

const BRANCH: &str = "autonomous/demo-1";

/// Lands one commit on the branch and shows that nothing else of the repository changed.
async fn land(world: &World, dir: &Path, base_name: &str) -> (Target, Oid) {
    let before = picture(dir, BRANCH);
    let target = world.discover(dir).await;
    world.own.fetch(&target, &FetchRefs::All).await.unwrap();
    let base = world.own.resolve_base(&target, base_name).await.unwrap();
    let one = world.commit_adding(&base, "one.txt", "one").await;
    let two = world.commit_adding(&one, "two.txt", "two").await;
    assert_eq!(
        world.own.push(&target, &one, BRANCH, None).await.unwrap(),
        PushOutcome::Moved
    );
    assert_eq!(
        world
            .own
            .push(&target, &two, BRANCH, Some(&one))
            .await
            .unwrap(),
        PushOutcome::Moved
    );
    assert_eq!(
        world.own.read_branch(&target, BRANCH).await.unwrap(),
        Some(two.clone())
    );
    assert_eq!(
        picture(dir, BRANCH),
        before,
        "the user's repository changed"
    );
    assert_eq!(git(dir, &["rev-parse", BRANCH]), two.to_string());
    let fsck = try_git(dir, &["fsck", "--full", "--strict"]);
    assert!(
        fsck.status.success(),
        "{}",
        String::from_utf8_lossy(&fsck.stderr)
    );
    assert_eq!(git(dir, &["show", &format!("{BRANCH}:two.txt")]), "two");
    (target, two)
}

#[tokio::test]
async fn a_dirty_checkout_stays_dirty() {
    let world = World::new().await;
    let dir = world.path("user");
    repository(&dir);
    write(&dir, "README.md", "changed, not staged\n");
    write(&dir, "staged.txt", "staged\n");
    git(&dir, &["add", "staged.txt"]);
    write(&dir, "untracked.txt", "untracked\n");
    let (target, _) = land(&world, &dir, "main").await;
    assert_eq!(
        target.location,
        dir.canonicalize().unwrap().to_str().unwrap()
    );
    assert!(git(&dir, &["status", "--porcelain"]).contains("A  staged.txt"));
}

#[tokio::test]
async fn a_detached_head_is_a_base() {
    let world = World::new().await;
    let dir = world.path("user");
    repository(&dir);
    git(&dir, &["checkout", "-q", "--detach"]);
    git(
        &dir,
        &["commit", "-q", "--allow-empty", "-m", "On no branch"],
    );
    let head = git(&dir, &["rev-parse", "HEAD"]);
    let (target, _) = land(&world, &dir, "HEAD").await;
    for name in [head.as_str(), &head[..10]] {
        assert_eq!(
            world
                .own
                .resolve_base(&target, name)
                .await
                .unwrap()
                .as_str(),
            head
        );
    }
}

#[tokio::test]
async fn a_bare_repository_works() {
    let world = World::new().await;
    repository(&world.path("seed"));
    git(
        world.temp.path(),
        &["clone", "-q", "--bare", "seed", "user.git"],
    );
    let (target, tip) = land(&world, &world.path("user.git"), "main").await;
    assert!(matches!(
        target.kind,
        TargetKind::LocalPath {
            bare: true,
            work_tree: None,
            ..
        }
    ));
    // A bare repository's HEAD is no checkout.
    git(
        &world.path("user.git"),
        &["symbolic-ref", "HEAD", &format!("refs/heads/{BRANCH}")],
    );
    assert_eq!(
        world.own.is_checked_out(&target, BRANCH).await.unwrap(),
        None
    );
    let next = world.commit_adding(&tip, "three.txt", "three").await;
    assert_eq!(
        world
            .own
            .push(&target, &next, BRANCH, Some(&tip))
            .await
            .unwrap(),
        PushOutcome::Moved
    );
}

#[tokio::test]
async fn a_shallow_repository_works() {
    let world = World::new().await;
    let seed = world.path("seed");
    repository(&seed);
    for n in 0..3 {
        git(
            &seed,
            &["commit", "-q", "--allow-empty", "-m", &format!("{n}")],
        );
    }
    let url = format!("file://{}", seed.display());
    git(
        world.temp.path(),
        &["clone", "-q", "--depth=1", &url, "user"],
    );
    let (target, tip) = land(&world, &world.path("user"), "main").await;
    assert!(matches!(
        target.kind,
        TargetKind::LocalPath { shallow: true, .. }
    ));
    let base = world.own.resolve_base(&target, "main").await.unwrap();
    assert_eq!(
        world
            .own
            .log_oneline(Some(&base), &tip, 10)
            .await
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn subfolders_and_worktrees_are_found() {
    let world = World::new().await;
    let dir = world.path("user");
    repository(&dir);
    git(&dir, &["worktree", "add", "-q", "-b", "side", "../linked"]);
    let sub = world.discover(&dir.join("src")).await;
    assert_eq!(sub, world.discover(&dir).await);
    let before = picture(&world.path("linked"), BRANCH);
    let (target, _) = land(&world, &dir, "side").await;
    assert_eq!(picture(&world.path("linked"), BRANCH), before);
    let linked = world.discover(&world.path("linked")).await;
    git(
        &world.path("linked"),
        &["commit", "-q", "--allow-empty", "-m", "side"],
    );
    world.own.fetch(&linked, &FetchRefs::All).await.unwrap();
    let head = world.own.resolve_base(&linked, "HEAD").await.unwrap();
    assert_eq!(head.as_str(), git(&dir, &["rev-parse", "side"]));
    let at = world
        .own
        .is_checked_out(&target, "side")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        at.canonicalize().unwrap(),
        world.path("linked").canonicalize().unwrap()
    );
}

#[tokio::test]
async fn a_checked_out_branch_is_never_moved() {
    let world = World::new().await;
    let dir = world.path("user");
    repository(&dir);
    let (target, tip) = land(&world, &dir, "main").await;
    let next = world.commit_adding(&tip, "three.txt", "three").await;
    git(&dir, &["checkout", "-q", BRANCH]);
    let root = dir.canonicalize().unwrap();
    let outcome = world
        .own
        .push(&target, &next, BRANCH, Some(&tip))
        .await
        .unwrap();
    assert_eq!(outcome, PushOutcome::CheckedOut { path: root.clone() });
    git(&dir, &["checkout", "-q", "main"]);
    git(&dir, &["worktree", "add", "-q", "../linked", BRANCH]);
    let outcome = world
        .own
        .push(&target, &next, BRANCH, Some(&tip))
        .await
        .unwrap();
    assert!(matches!(outcome, PushOutcome::CheckedOut { path } if path.ends_with("linked")));
    assert_eq!(git(&dir, &["rev-parse", BRANCH]), tip.to_string());
}

#[tokio::test]
async fn an_empty_repository_is_told_apart_and_takes_a_root_commit() {
    let world = World::new().await;
    let dir = world.path("user");
    fs::create_dir_all(&dir).unwrap();
    git(&dir, &["init", "-q"]);
    let target = world.discover(&dir).await;
    world.own.fetch(&target, &FetchRefs::All).await.unwrap();
    let error = world.own.resolve_base(&target, "main").await.unwrap_err();
    assert!(
        matches!(error, BaseError::EmptyRepository { .. }),
        "{error}"
    );
    let empty = world.own.empty_tree().unwrap();
    let patch = common::new_file_patch("a.txt", "a");
    let tree = world
        .own
        .apply_patch(&empty, &[patch], &mut world.index("i"))
        .await
        .unwrap();
    let root = world.commit(&tree, &[], "Root\n").await;
    assert_eq!(
        world.own.push(&target, &root, BRANCH, None).await.unwrap(),
        PushOutcome::Moved
    );
    assert_eq!(git(&dir, &["log", "--format=%s", BRANCH]), "Root");
    assert_eq!(
        world.own.list_changes(&empty, &tree).await.unwrap().len(),
        1
    );
    let mut work = world.work("w");
    world.own.checkout(&empty, &mut work, &[]).await.unwrap();
    assert_eq!(fs::read_dir(work.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn file_urls_are_local_and_sha256_is_told_apart() {
    let world = World::new().await;
    let dir = world.path("a b");
    repository(&dir);
    let url = format!("file://{}", dir.display()).replace(' ', "%20");
    let target = Target::discover(&world.git, &url).await.unwrap();
    assert!(matches!(target.kind, TargetKind::LocalPath { .. }));

    let long = world.path("long");
    fs::create_dir_all(&long).unwrap();
    git(&long, &["init", "-q", "--object-format=sha256"]);
    write(&long, "a", "a");
    git(&long, &["add", "a"]);
    git(&long, &["commit", "-q", "-m", "a"]);
    let target = world.discover(&long).await;
    let refused = world.own.fetch(&target, &FetchRefs::All).await.unwrap_err();
    assert!(
        matches!(refused, GitError::ObjectFormatMismatch { .. }),
        "{refused}"
    );
    let at = world.path("data/long.git");
    let own = OwnClone::open_or_create_as(&world.git, &at, target.object_format())
        .await
        .unwrap();
    let world = World { own, ..world };
    land(&world, &long, "main").await;
}

#[tokio::test]
async fn someone_elses_repository_is_readable() {
    let world = World::new().await;
    let dir = world.path("user");
    repository(&dir);
    // Only root can give a folder away; elsewhere this test has nothing to refuse.
    if std::os::unix::fs::chown(dir.join(".git"), Some(12_345), None).is_ok() {
        std::os::unix::fs::chown(&dir, Some(12_345), None).unwrap();
        assert!(
            !try_git(&dir, &["status"]).status.success(),
            "the refusal under test does not happen"
        );
    }
    let (_, base) = world.fetched(&dir).await;
    assert_eq!(base.as_str().len(), 40);
}

#[tokio::test]
async fn references_that_are_no_files_work() {
    let world = World::new().await;
    let dir = world.path("user");
    fs::create_dir_all(&dir).unwrap();
    // Git before 2.45 has no other kind.
    if !try_git(&dir, &["init", "-q", "--ref-format=reftable"])
        .status
        .success()
    {
        return;
    }
    repository(&dir);
    let (target, base) = world.fetched(&dir).await;
    let one = world.commit_adding(&base, "one", "1").await;
    assert_eq!(
        world.own.push(&target, &one, BRANCH, None).await.unwrap(),
        PushOutcome::Moved
    );
    assert_eq!(
        world.own.is_checked_out(&target, BRANCH).await.unwrap(),
        None
    );
    git(&dir, &["checkout", "-q", BRANCH]);
    let outcome = world
        .own
        .rewind(&target, BRANCH, &one, &base)
        .await
        .unwrap();
    assert_eq!(
        outcome,
        PushOutcome::CheckedOut {
            path: dir.canonicalize().unwrap()
        }
    );
}
