//! The store as its users see it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

use autopack_artifacts::{ArtifactError, Artifacts, MAX_SIZE, PIECE};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};

fn store() -> (tempfile::TempDir, Artifacts) {
    let folder = tempfile::tempdir().unwrap();
    let store = Artifacts::open_local_unsynced(&folder.path().join("artifacts")).unwrap();
    (folder, store)
}

fn pieces(all: Vec<&'static [u8]>) -> impl futures::Stream<Item = Result<Bytes, String>> {
    stream::iter(all.into_iter().map(|p| Ok(Bytes::from_static(p))))
}

/// All files below a folder.
fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn what_is_put_is_read_back_under_its_digest() {
    let (folder, store) = store();
    let digest = store.put(Bytes::from_static(b"abc")).await.unwrap();
    assert_eq!(
        digest.hex,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(digest.size, 3);
    let streamed = store.put_stream(pieces(vec![b"a", b"bc"])).await.unwrap();
    assert_eq!(streamed, digest, "the same content is the same artifact");
    assert_eq!(files(folder.path()).len(), 1, "and is stored once");
    assert_eq!(store.stat(&digest.hex).await.unwrap(), Some(digest.clone()));
    assert_eq!(store.read(&digest.hex, 3).await.unwrap().as_ref(), b"abc");
    assert_eq!(
        store.read(&digest.hex, 2).await,
        Err(ArtifactError::TooLarge { max: 2 })
    );
}

#[tokio::test]
async fn an_empty_artifact_is_an_artifact() {
    let (_folder, store) = store();
    let digest = store.put_stream(pieces(vec![])).await.unwrap();
    assert_eq!(digest.size, 0);
    assert_eq!(store.put(Bytes::new()).await.unwrap(), digest);
    assert!(store.read(&digest.hex, 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_synced_store_keeps_what_it_got() {
    let folder = tempfile::tempdir().unwrap();
    let store = Artifacts::open_local(folder.path()).unwrap();
    let digest = store.put_stream(pieces(vec![b"kept"])).await.unwrap();
    let again = Artifacts::open_local(folder.path()).unwrap();
    assert_eq!(again.read(&digest.hex, 10).await.unwrap().as_ref(), b"kept");
}

#[tokio::test]
async fn large_artifacts_arrive_in_pieces() {
    let (_folder, store) = store();
    let content: Vec<u8> = (0..(PIECE * 3 + 17)).map(|i| (i % 251) as u8).collect();
    let digest = store.put(content.clone().into()).await.unwrap();
    let got: Vec<Bytes> = store
        .get(&digest.hex)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert!(got.len() > 3 && got.iter().all(|p| p.len() <= PIECE));
    assert_eq!(got.concat(), content);
}

#[tokio::test]
async fn damage_is_found_before_the_last_piece() {
    let (folder, store) = store();
    let content = vec![7_u8; PIECE * 2];
    let digest = store.put(content.clone().into()).await.unwrap();
    let file = files(folder.path()).remove(0);
    let mut damaged = content.clone();
    damaged[5] ^= 1;
    std::fs::write(&file, &damaged).unwrap();
    let got: Vec<_> = store.get(&digest.hex).await.unwrap().collect().await;
    assert!(matches!(
        got.last(),
        Some(Err(ArtifactError::Mismatch { .. }))
    ));
    let good: usize = got.iter().flatten().map(Bytes::len).sum();
    assert!(good < content.len(), "a reader never has it all");
    std::fs::write(&file, b"short").unwrap();
    assert!(store.read(&digest.hex, MAX_SIZE).await.is_err());
    store.put(content.clone().into()).await.unwrap();
    assert!(
        store.read(&digest.hex, MAX_SIZE).await.is_ok(),
        "putting it again mends a torn file"
    );
}

#[tokio::test]
async fn a_stream_that_breaks_or_lies_stores_nothing_under_the_claimed_name() {
    let (folder, store) = store();
    let broken = stream::iter(vec![
        Ok(Bytes::from_static(b"half")),
        Err("connection lost".to_owned()),
    ]);
    let error = store.put_stream(broken).await.unwrap_err();
    assert_eq!(error, ArtifactError::Source("connection lost".into()));
    assert!(files(folder.path()).is_empty());
    let claim = "0".repeat(64);
    let lie = store.put_stream_as(&claim, pieces(vec![b"x"])).await;
    assert!(matches!(lie, Err(ArtifactError::Mismatch { .. })));
    assert_eq!(store.stat(&claim).await.unwrap(), None);
}

#[tokio::test]
async fn an_endless_stream_is_cut_at_the_bound() {
    let (folder, store) = store();
    let piece = Bytes::from(vec![0_u8; 8 << 20]);
    let endless = stream::repeat_with(|| Ok::<_, String>(piece.clone()));
    let error = store.put_stream(endless).await.unwrap_err();
    assert_eq!(error, ArtifactError::TooLarge { max: MAX_SIZE });
    assert!(files(folder.path()).is_empty());
}

#[tokio::test]
async fn unknown_and_malformed_digests_are_told_apart() {
    let (_folder, store) = store();
    let unknown = "0".repeat(64);
    let missing = store.get(&unknown).await.map(|_| ());
    assert_eq!(missing, Err(ArtifactError::NotFound(unknown)));
    let malformed = store.get("../token").await.map(|_| ());
    assert_eq!(
        malformed,
        Err(ArtifactError::InvalidDigest("../token".into()))
    );
}

#[tokio::test]
async fn leftovers_of_a_killed_writer_are_removed_at_start() {
    let (folder, store) = store();
    let aside = folder.path().join("artifacts/unfinished");
    std::fs::create_dir_all(&aside).unwrap();
    std::fs::write(aside.join("00ff"), b"half").unwrap();
    std::fs::write(aside.join("00aa#1"), b"half").unwrap();
    let kept = store.put(Bytes::from_static(b"kept")).await.unwrap();
    let stored = files(&folder.path().join("artifacts/sha256")).remove(0);
    std::fs::write(stored.with_extension("x#1"), b"half").unwrap();
    assert_eq!(store.remove_unfinished().await.unwrap(), 3);
    assert_eq!(files(folder.path()), vec![stored]);
    assert!(store.stat(&kept.hex).await.unwrap().is_some());
}

#[tokio::test]
async fn many_writers_of_the_same_content_agree() {
    let (folder, store) = store();
    let puts = (0..16).map(|_| store.put_stream(pieces(vec![b"same ", b"content"])));
    let digests = futures::future::try_join_all(puts).await.unwrap();
    assert!(digests.iter().all(|d| *d == digests[0]));
    assert_eq!(files(folder.path()).len(), 1);
}
