//! A target full of traps: nothing of it ever runs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use std::fs;

use autopack_git::{FetchRefs, PushOutcome, Target, ThrowawayObjects};
use common::hostile::set_traps;
use common::{World, executable, git, picture, repository, try_git, write};

const BRANCH: &str = "autonomous/demo-1";
const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";

#[tokio::test]
async fn no_trap_of_a_local_target_runs() {
    let world = World::new().await;
    let dir = world.path("user");
    repository(&dir);
    write(
        &dir,
        ".gitattributes",
        "*.bin filter=lfs diff=lfs merge=lfs -text\n*.md diff=trap merge=trap\n",
    );
    write(&dir, "big.bin", POINTER);
    git(&dir, &["add", "-A"]);
    git(&dir, &["commit", "-q", "-m", "Pointers"]);
    let canary = set_traps(&dir.join(".git"), &world.path("canary"));
    try_git(&dir, &["status"]);
    try_git(&dir, &["branch", "probe"]);
    assert!(
        canary.ran().contains("reference-transaction"),
        "the traps are not live"
    );
    fs::remove_file(&canary.0).unwrap();
    git(
        &dir,
        &["-c", "core.hooksPath=/dev/null", "branch", "-D", "probe"],
    );
    let before = picture(&dir, BRANCH);

    let (target, base) = world.fetched(&dir).await;
    let mut work = world.work("w");
    world.own.checkout(&base, &mut work, &[]).await.unwrap();
    assert_eq!(
        fs::read_to_string(work.path().join("big.bin")).unwrap(),
        POINTER
    );
    write(work.path(), "more.bin", POINTER);
    write(
        work.path(),
        "README.md",
        "# Demo\n\nOne\nTwo and a half\nThree\n",
    );
    let snapshot = world.own.take_snapshot(&mut work, &base).await.unwrap();
    assert_eq!(snapshot.changes.len(), 2);
    world
        .own
        .diff_text(&base, &snapshot.tree, 10_000)
        .await
        .unwrap();
    let commit = world
        .commit(&snapshot.tree, std::slice::from_ref(&base), "x\n")
        .await;
    let other = world.commit_adding(&base, "o", "o").await;
    world.own.merge(None, &commit, &other).await.unwrap();
    assert_eq!(
        world
            .own
            .push(&target, &commit, BRANCH, None)
            .await
            .unwrap(),
        PushOutcome::Moved
    );
    assert_eq!(
        world
            .own
            .rewind(&target, BRANCH, &commit, &base)
            .await
            .unwrap(),
        PushOutcome::Moved
    );
    assert_eq!(
        world
            .own
            .delete_branch(&target, BRANCH, &base)
            .await
            .unwrap(),
        PushOutcome::Moved
    );
    assert_eq!(canary.ran(), "");
    assert_eq!(picture(&dir, BRANCH), before);
}

#[tokio::test]
async fn no_trap_runs_behind_a_file_url_either() {
    let world = World::new().await;
    repository(&world.path("seed"));
    git(
        world.temp.path(),
        &["clone", "-q", "--bare", "seed", "user.git"],
    );
    let dir = world.path("user.git");
    let canary = set_traps(&dir, &world.path("canary"));
    // With the hooks off, git refuses such a push: safe, and of no use here.
    git(&dir, &["config", "--unset", "receive.procReceiveRefs"]);
    let _ = fs::remove_file(&canary.0);
    let target = Target::url(&format!("file://{}", dir.display())).unwrap();
    world.own.fetch(&target, &FetchRefs::All).await.unwrap();
    let base = world.own.resolve_base(&target, "main").await.unwrap();
    let one = world.commit_adding(&base, "one", "1").await;
    let two = world.commit_adding(&one, "two", "2").await;
    let own = &world.own;
    assert_eq!(
        own.push(&target, &one, BRANCH, None).await.unwrap(),
        PushOutcome::Moved
    );
    let taken = own.push(&target, &two, BRANCH, None).await.unwrap();
    assert_eq!(
        taken,
        PushOutcome::Rejected {
            actual: Some(one.clone())
        }
    );
    let stale = own.push(&target, &two, BRANCH, Some(&base)).await.unwrap();
    assert_eq!(
        stale,
        PushOutcome::Rejected {
            actual: Some(one.clone())
        }
    );
    assert_eq!(
        own.push(&target, &two, BRANCH, Some(&one)).await.unwrap(),
        PushOutcome::Moved
    );
    assert_eq!(
        own.rewind(&target, BRANCH, &two, &one).await.unwrap(),
        PushOutcome::Moved
    );
    assert_eq!(
        own.read_branch(&target, BRANCH).await.unwrap(),
        Some(one.clone())
    );
    assert_eq!(
        own.delete_branch(&target, BRANCH, &one).await.unwrap(),
        PushOutcome::Moved
    );
    assert_eq!(own.read_branch(&target, BRANCH).await.unwrap(), None);
    assert_eq!(canary.ran(), "");
}

#[tokio::test]
async fn a_url_with_a_checkout_refuses_its_current_branch() {
    let world = World::new().await;
    let dir = world.path("user");
    repository(&dir);
    git(
        &dir,
        &["config", "receive.denyCurrentBranch", "updateInstead"],
    );
    let target = Target::url(&format!("file://{}", dir.display())).unwrap();
    world.own.fetch(&target, &FetchRefs::All).await.unwrap();
    let base = world.own.resolve_base(&target, "HEAD").await.unwrap();
    let one = world.commit_adding(&base, "one", "1").await;
    let outcome = world
        .own
        .push(&target, &one, "main", Some(&base))
        .await
        .unwrap();
    assert!(
        matches!(outcome, PushOutcome::CheckedOut { .. }),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn what_a_builder_plants_in_its_git_folder_is_inert() {
    let world = World::new().await;
    let dir = world.path("user");
    repository(&dir);
    write(&dir, ".gitattributes", "*.md filter=lfs\n");
    git(&dir, &["add", "-A"]);
    git(&dir, &["commit", "-q", "-m", "Attributes"]);
    let (_, base) = world.fetched(&dir).await;
    let mut work = world.work("w");
    world.own.checkout(&base, &mut work, &[]).await.unwrap();
    let how = autopack_git::Throwaway {
        message: "Base\n",
        time: 1_700_000_000,
        objects: ThrowawayObjects::Shared,
    };
    world.own.init_throwaway(&work, how).await.unwrap();
    assert_eq!(git(work.path(), &["status", "--porcelain"]), "");
    assert_eq!(git(work.path(), &["branch", "--show-current"]), "work");
    let canary = set_traps(&work.path().join(".git"), &world.path("canary"));
    write(work.path(), "README.md", "changed\n");
    write(
        work.path(),
        ".gitmodules",
        "[submodule \"x\"]\n\tpath = src\n\turl = ext::touch /tmp/x\n",
    );
    let snapshot = world.own.take_snapshot(&mut work, &base).await.unwrap();
    assert_eq!(snapshot.changes.len(), 2);
    assert_eq!(
        world
            .own
            .ignored_present(&work, &["README.md".into()])
            .await
            .unwrap()
            .len(),
        0
    );
    world.own.checkout(&base, &mut work, &[]).await.unwrap();
    assert!(!work.path().join(".git").exists());
    assert_eq!(canary.ran(), "");
}

#[tokio::test]
async fn a_populated_submodule_is_not_entered() {
    let world = World::new().await;
    let (inner, dir) = (world.path("inner"), world.path("user"));
    repository(&inner);
    repository(&dir);
    git(
        &dir,
        &[
            "submodule",
            "--quiet",
            "add",
            inner.to_str().unwrap(),
            "sub",
        ],
    );
    git(&dir, &["commit", "-q", "-m", "Submodule"]);
    let before = picture(&dir, BRANCH);
    let (target, base) = world.fetched(&dir).await;
    let mut work = world.work("w");
    world.own.checkout(&base, &mut work, &[]).await.unwrap();
    assert_eq!(fs::read_dir(work.path().join("sub")).unwrap().count(), 0);
    // An empty or missing folder is no change.
    assert_eq!(
        world
            .own
            .take_snapshot(&mut work, &base)
            .await
            .unwrap()
            .changes,
        []
    );
    fs::remove_dir(work.path().join("sub")).unwrap();
    assert_eq!(
        world
            .own
            .take_snapshot(&mut work, &base)
            .await
            .unwrap()
            .changes,
        []
    );
    // A repository with traps in its place: still no change, and nothing runs.
    git(
        work.path(),
        &["clone", "-q", inner.to_str().unwrap(), "sub"],
    );
    write(&work.path().join("sub"), ".gitattributes", "* filter=lfs\n");
    let canary = set_traps(&work.path().join("sub/.git"), &world.path("canary"));
    // Newer than its index entry, so that `git status` in there would read it through the filter.
    let readme = work.path().join("sub/README.md");
    let same = fs::read(&readme).unwrap();
    fs::remove_file(&readme).unwrap();
    fs::write(&readme, same).unwrap();
    let snapshot = world.own.take_snapshot(&mut work, &base).await.unwrap();
    assert_eq!(snapshot.changes, []);
    assert_eq!(snapshot.populated_submodules, [b"sub".to_vec()]);
    assert_eq!(canary.ran(), "");
    // At another commit than the base names: likewise.
    let sub = work.path().join("sub");
    let moved = git(
        &sub,
        &[
            "commit-tree",
            "HEAD^{tree}",
            "--no-gpg-sign",
            "-m",
            "Moved on",
        ],
    );
    git(
        &sub,
        &[
            "-c",
            "core.hooksPath=/dev/null",
            "update-ref",
            "HEAD",
            &moved,
        ],
    );
    let _ = fs::remove_file(&canary.0);
    assert_eq!(
        world.own.take_snapshot(&mut work, &base).await.unwrap(),
        snapshot
    );
    assert_eq!(canary.ran(), "");
    world.own.checkout(&base, &mut work, &[]).await.unwrap();
    assert_eq!(fs::read_dir(work.path().join("sub")).unwrap().count(), 0);
    // Removed together with its declaration, it is gone.
    fs::remove_dir(work.path().join("sub")).unwrap();
    fs::remove_file(work.path().join(".gitmodules")).unwrap();
    let removed = world.own.take_snapshot(&mut work, &base).await.unwrap();
    assert_eq!(removed.changes.len(), 2);
    let one = world.commit_adding(&base, "one", "1").await;
    assert_eq!(
        world.own.push(&target, &one, BRANCH, None).await.unwrap(),
        PushOutcome::Moved
    );
    assert_eq!(picture(&dir, BRANCH), before);
}

#[tokio::test]
async fn a_promisor_remote_of_the_target_is_never_asked() {
    let world = World::new().await;
    let dir = world.path("user");
    repository(&dir);
    let script = world.path("trap.sh");
    fs::write(
        &script,
        format!("#!/bin/sh\ntouch '{}'\n", world.path("canary").display()),
    )
    .unwrap();
    executable(&script);
    let blob = git(&dir, &["rev-parse", "HEAD:README.md"]);
    fs::remove_file(dir.join(".git/objects").join(&blob[..2]).join(&blob[2..])).unwrap();
    for (key, value) in [
        ("extensions.partialClone", "origin"),
        ("core.repositoryFormatVersion", "1"),
        ("remote.origin.url", "file:///nowhere"),
        ("remote.origin.uploadpack", script.to_str().unwrap()),
        ("remote.origin.promisor", "true"),
    ] {
        git(&dir, &["config", key, value]);
    }
    let target = world.discover(&dir).await;
    assert!(world.own.fetch(&target, &FetchRefs::All).await.is_err());
    assert!(!world.path("canary").exists());
}
