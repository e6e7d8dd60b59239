//! A tree with single files of another.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use autopack_git::{Mode, Oid, PooledIndex, Replaced};
use common::{World, repository};

#[tokio::test]
async fn files_of_another_tree_replace_those_of_the_base() {
    let world = World::new().await;
    let dir = world.path("user");
    repository(&dir);
    let (_, base) = world.fetched(&dir).await;
    let own = &world.own;
    let base = own.tree_of(&base).await.unwrap();
    let entries = own.list_tree(&base, None).await.unwrap();
    let oid = |path: &str| -> (Mode, Oid) {
        let found = entries.iter().find(|e| e.path == path.as_bytes()).unwrap();
        (found.mode, found.oid.clone())
    };
    let file = |path: &str, of: Option<&str>| Replaced {
        path: path.as_bytes().to_vec(),
        file: of.map(oid),
    };
    let mut index = PooledIndex::new(world.path("overlay-index"));
    let files = [
        file("README.md", Some("src/lib.rs")),
        file("run.sh", None),
        file("no-such-file", None),
        // A file in place of a folder.
        file("src", Some("README.md")),
        file("tests/new name.rs", Some("src/lib.rs")),
    ];
    let tree = own.overlay(&base, &files, &mut index).await.unwrap();
    let now = own.list_tree(&tree, None).await.unwrap();
    let at = |path: &str| {
        now.iter()
            .find(|e| e.path == path.as_bytes())
            .map(|e| e.oid.clone())
    };
    assert_eq!(at("README.md"), Some(oid("src/lib.rs").1));
    assert_eq!(at("src"), Some(oid("README.md").1));
    assert_eq!(at("tests/new name.rs"), Some(oid("src/lib.rs").1));
    assert!(at("run.sh").is_none() && at("src/lib.rs").is_none());
    let same = own.overlay(&base, &[], &mut index).await.unwrap();
    assert_eq!(same, base);
    assert_eq!(
        index.holds(),
        Some(&base),
        "the index is known to hold what it holds"
    );
}
