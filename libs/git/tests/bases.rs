//! From what the user typed to a commit: names, deletions, and precise errors.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use std::fs;

use autopack_git::{BaseError, FetchRefs, GitError, Target};
use common::{World, git, repository, write};

#[tokio::test]
async fn a_missing_base_lists_close_names() {
    let world = World::new().await;
    let dir = world.path("user");
    repository(&dir);
    git(&dir, &["branch", "release-1"]);
    git(&dir, &["tag", "-a", "-m", "t", "v1.0"]);
    let (target, main) = world.fetched(&dir).await;
    assert_eq!(world.own.resolve_base(&target, "v1.0").await.unwrap(), main);
    assert_eq!(
        world
            .own
            .resolve_base(&target, "refs/heads/release-1")
            .await
            .unwrap(),
        main
    );
    for missing in [
        "release1",
        "0123456789abcdef0123456789abcdef01234567",
        "--all",
        "a b\nc",
        "main^{tree}",
    ] {
        let error = world.own.resolve_base(&target, missing).await.unwrap_err();
        let BaseError::BaseMissing { close, .. } = &error else {
            panic!("{missing}: {error}")
        };
        assert!(close.len() <= 10);
        assert!(missing != "release1" || close[0] == "release-1", "{error}");
    }
}

#[tokio::test]
async fn a_fetch_mirrors_deletions_and_rewrites() {
    let world = World::new().await;
    let dir = world.path("user");
    repository(&dir);
    git(&dir, &["branch", "gone"]);
    let (target, _) = world.fetched(&dir).await;
    assert!(world.own.resolve_base(&target, "gone").await.is_ok());
    git(&dir, &["branch", "-q", "-D", "gone"]);
    git(&dir, &["commit", "-q", "--amend", "-m", "Rewritten"]);
    let (target, main) = world.fetched(&dir).await;
    assert_eq!(main.as_str(), git(&dir, &["rev-parse", "main"]));
    assert!(world.own.resolve_base(&target, "gone").await.is_err());
    git(&dir, &["branch", "later"]);
    let some = FetchRefs::Branches(vec!["later".to_owned(), "never".to_owned()]);
    world.own.fetch(&target, &some).await.unwrap();
    assert!(world.own.resolve_base(&target, "later").await.is_ok());
}

#[tokio::test]
async fn wrong_paths_get_precise_errors() {
    let world = World::new().await;
    fs::create_dir_all(world.path("plain")).unwrap();
    write(&world.path("plain"), "file", "x");
    let discover = async |path: &str| Target::discover(&world.git, path).await.unwrap_err();
    let plain = world.path("plain");
    assert!(matches!(
        discover(plain.to_str().unwrap()).await,
        GitError::NotARepository { .. }
    ));
    assert!(matches!(
        discover(plain.join("file").to_str().unwrap()).await,
        GitError::NotARepository { .. }
    ));
    assert!(matches!(
        discover(plain.join("none").to_str().unwrap()).await,
        GitError::TargetMissing { .. }
    ));
    assert!(matches!(
        discover("ext::sh -c id").await,
        GitError::UnsupportedUrl { .. }
    ));
}
