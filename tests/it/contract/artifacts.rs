//! Artifacts: streams in and out.

use autopack_domain::Reason as R;
use autopack_wire::registry as pb;
use prost::Message as _;

use crate::book::{Book, Caller};

/// SHA-256 of `hello`.
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

/// Bytes of a message, a little below what a message may have.
const PIECE: usize = (8 << 20) - 16;

/// Messages of that size that are more than an artifact of 256 MiB.
const MOST: usize = 33;

pub(crate) async fn call(book: &mut Book) {
    let method = "ArtifactService/PutArtifact";
    let (path, _) = Book::find(method);
    let piece = |data: Vec<u8>| pb::PutArtifactRequest { data: data.into() }.encode_to_vec();
    // The same again stores nothing more.
    for _ in 0..2 {
        let pieces = vec![piece(b"hel".to_vec()), piece(b"lo".to_vec())];
        let answer = book.send(path, Caller::Allowed, pieces).await;
        let stored = answer.map(|bytes| pb::PutArtifactResponse::decode(&bytes[..]).unwrap());
        let stored = book.note_answer(method, stored).unwrap_or_default();
        assert_eq!((stored.digest.as_str(), stored.size), (HELLO, 5));
    }

    // Larger than an artifact may be, in messages as large as they may be.
    let bodies = (0..MOST).map(move |_| piece(vec![0; PIECE]));
    let answer = book.send_all(path, Caller::Allowed, bodies).await;
    book.note_refusal(path, R::LimitExceeded, answer);

    let absent = "0".repeat(64);
    let get = |digest: &str| pb::GetArtifactRequest {
        digest: digest.into(),
    };
    let method = "ArtifactService/GetArtifact";
    let found: pb::GetArtifactResponse = book.ok(method, get(HELLO)).await;
    assert_eq!(&found.data[..], b"hello");
    book.refused(method, R::ArtifactNotFound, get(&absent))
        .await;
    book.refused(method, R::ArgumentInvalid, get("../../etc/passwd"))
        .await;

    let stat = |digest: &str| pb::StatArtifactRequest {
        digest: digest.into(),
    };
    let method = "ArtifactService/StatArtifact";
    let found: pb::StatArtifactResponse = book.ok(method, stat(HELLO)).await;
    assert_eq!((found.exists, found.size), (true, 5));
    let found: pb::StatArtifactResponse = book.ok(method, stat(&absent)).await;
    assert!(!found.exists);
    book.refused(method, R::ArgumentInvalid, stat("HELLO"))
        .await;
}
