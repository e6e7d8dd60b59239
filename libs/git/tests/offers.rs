//! Objects that go to the target ahead of the push that names them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::Ordering;

use autopack_git::{FetchRefs, Oid, PushOutcome, Target};
use common::{World, executable, git, new_file_patch, repository, write};

const BRANCH: &str = "autonomous/demo-1";

/// A target whose branch holds one commit of ours, which is returned with its tree.
async fn landed() -> (World, Target, Oid, Oid) {
    let world = World::new().await;
    let dir = world.path("user");
    repository(&dir);
    let (target, base) = world.fetched(&dir).await;
    let tip = world.commit_adding(&base, "one", "1").await;
    let outcome = world.own.push(&target, &tip, BRANCH, None).await.unwrap();
    assert_eq!(outcome, PushOutcome::Moved);
    let tree = world.own.tree_of(&tip).await.unwrap();
    (world, target, tip, tree)
}

/// A commit on the tip that adds `deep/er/<name>`, with the objects that are new in it.
async fn next(world: &World, tip: &Oid, tree: &Oid, name: &str) -> (Oid, Vec<Oid>) {
    let mut index = world.index("next");
    let patch = new_file_patch(&format!("deep/er/{name}"), name);
    let new = world.own.apply_patch(tree, &[patch], &mut index).await;
    let new = new.unwrap();
    let diff = world.own.compare_trees(tree, &new).await.unwrap();
    let commit = world
        .commit(&new, std::slice::from_ref(tip), "Next\n")
        .await;
    (commit, diff.objects)
}

fn started(world: &World) -> usize {
    world.runner.started.load(Ordering::Relaxed)
}

fn has(world: &World, oid: &Oid) -> bool {
    let dir = world.path("user");
    let found = common::try_git(&dir, &["cat-file", "-e", oid.as_str()]);
    found.status.success()
}

fn names(list: &str) -> BTreeSet<String> {
    list.lines().map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn new_objects_are_complete_and_each_stands_before_what_it_names() {
    let world = World::new().await;
    let dir = world.path("user");
    repository(&dir);
    write(&dir, "becomes-folder", "x");
    write(&dir, "becomes-file/a/b", "x");
    write(&dir, "goes/away", "y");
    write(&dir, "kept/deep/file", "z");
    git(&dir, &["add", "-A"]);
    git(&dir, &["commit", "-q", "-m", "Before"]);
    let before = git(&dir, &["rev-parse", "HEAD^{tree}"]);
    for gone in ["becomes-file", "goes"] {
        fs::remove_dir_all(dir.join(gone)).unwrap();
    }
    fs::remove_file(dir.join("becomes-folder")).unwrap();
    write(&dir, "becomes-folder/in/side", "new");
    write(&dir, "becomes-file", "new too");
    write(&dir, "kept/deep/more", [0_u8, 1, 2]);
    write(&dir, "same/one/f", "twice");
    write(&dir, "same/two/f", "twice");
    executable(&dir.join("README.md"));
    std::os::unix::fs::symlink("README.md", dir.join("link")).unwrap();
    git(&dir, &["add", "-A"]);
    let submodule = git(&dir, &["rev-parse", "HEAD"]);
    let entry = format!("160000,{submodule},module");
    git(&dir, &["update-index", "--add", "--cacheinfo", &entry]);
    git(&dir, &["commit", "-q", "-m", "After"]);
    let after = git(&dir, &["rev-parse", "HEAD^{tree}"]);
    let target = world.discover(&dir).await;
    world.own.fetch(&target, &FetchRefs::All).await.unwrap();

    let (before, after) = (Oid::parse(&before).unwrap(), Oid::parse(&after).unwrap());
    let diff = world.own.compare_trees(&before, &after).await.unwrap();
    let changes = world.own.list_changes(&before, &after).await.unwrap();
    let compared: Vec<_> = diff
        .changes
        .iter()
        .map(|(change, _)| change.clone())
        .collect();
    assert_eq!(compared, changes);
    let binary: Vec<_> = diff.changes.iter().filter(|(_, binary)| *binary).collect();
    assert_eq!(binary.len(), 1);
    assert_eq!(binary[0].0.path, b"kept/deep/more");

    let walked = git(
        &dir,
        &[
            "rev-list",
            "--objects",
            "--no-object-names",
            after.as_str(),
            &format!("^{before}"),
        ],
    );
    let found: BTreeSet<String> = diff.objects.iter().map(Oid::to_string).collect();
    let walked = names(&walked);
    assert!(walked.is_subset(&found), "{walked:?} {found:?}");
    assert!(!found.contains(&submodule));
    for (n, oid) in diff.objects.iter().enumerate() {
        if git(&dir, &["cat-file", "-t", oid.as_str()]) != "tree" {
            continue;
        }
        let below = git(
            &dir,
            &["ls-tree", "-r", "-t", "--object-only", oid.as_str()],
        );
        let new = names(&below).into_iter().filter(|oid| walked.contains(oid));
        for inner in new {
            let after = diff.objects[n..].iter().any(|oid| oid.as_str() == inner);
            assert!(after, "{inner} of {oid} is not after it");
        }
    }
    assert_eq!(
        world.own.compare_trees(&after, &after).await.unwrap(),
        <_>::default()
    );
}

#[tokio::test]
async fn an_offered_commit_lands_with_one_process() {
    let (world, target, tip, tree) = landed().await;
    let dir = world.path("user");
    let (commit, objects) = next(&world, &tip, &tree, "two").await;
    let refs = git(&dir, &["for-each-ref"]);
    let before = started(&world);
    let offer = world
        .own
        .offer(&target, &commit, Some(&tip), Some(&objects));
    let offer = offer.await.unwrap();
    assert_eq!(started(&world), before);
    assert!(has(&world, &commit));
    assert_eq!(git(&dir, &["for-each-ref"]), refs);
    let outcome = world.own.push_offered(&target, &offer, BRANCH).await;
    assert_eq!(outcome.unwrap(), PushOutcome::Moved);
    assert_eq!(started(&world), before + 1);
    git(
        &dir,
        &["fsck", "--strict", "--no-dangling", "--connectivity-only"],
    );
    assert_eq!(
        git(&dir, &["show", &format!("{BRANCH}:deep/er/two")]),
        "two"
    );
    // The same offer again finds the branch elsewhere.
    let outcome = world.own.push_offered(&target, &offer, BRANCH).await;
    let actual = Some(commit);
    assert_eq!(outcome.unwrap(), PushOutcome::Rejected { actual });
}

#[tokio::test]
async fn an_offer_without_loose_objects_walks_history() {
    let (world, target, tip, tree) = landed().await;
    let (commit, objects) = next(&world, &tip, &tree, "two").await;
    let own = &world.own;
    own.set_private_ref("demo-1", "x", &commit).await.unwrap();
    git(own.dir(), &["repack", "-q", "-a", "-d"]);
    let offer = own.offer(&target, &commit, Some(&tip), Some(&objects));
    let offer = offer.await.unwrap();
    assert!(has(&world, &commit));
    let outcome = own.push_offered(&target, &offer, BRANCH).await.unwrap();
    assert_eq!(outcome, PushOutcome::Moved);
    git(
        &world.path("user"),
        &["fsck", "--no-dangling", "--connectivity-only"],
    );
}

#[tokio::test]
async fn an_offer_for_a_new_branch_brings_the_parent_too() {
    let (world, target, tip, tree) = landed().await;
    let dir = world.path("user");
    let (commit, objects) = next(&world, &tip, &tree, "two").await;
    // The parent disappears from the target: what is new in the commit alone would not do.
    git(&dir, &["branch", "-q", "-D", BRANCH]);
    git(&dir, &["reflog", "expire", "--expire=now", "--all"]);
    git(&dir, &["gc", "-q", "--prune=now"]);
    assert!(!has(&world, &tip));
    let offer = world.own.offer(&target, &commit, None, Some(&objects));
    let offer = offer.await.unwrap();
    let outcome = world.own.push_offered(&target, &offer, BRANCH).await;
    assert_eq!(outcome.unwrap(), PushOutcome::Moved);
    git(&dir, &["fsck", "--no-dangling", "--connectivity-only"]);
}
