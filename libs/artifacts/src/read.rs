//! Gets blobs and checks them on the way.
//!
//! Invariant: the last piece is held back until the digest is known to be right.

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _, stream::BoxStream};
use object_store::ObjectStoreExt as _;
use sha2::{Digest as _, Sha256};

use crate::{
    PIECE,
    digest::{hex, location},
    error::ArtifactError,
    store::Artifacts,
};

/// The pieces of a blob, each at most [`PIECE`] bytes; an error is the last item.
pub type Pieces = BoxStream<'static, Result<Bytes, ArtifactError>>;

impl Artifacts {
    /// Opens a blob for reading.
    pub async fn get(&self, digest: &str) -> Result<Pieces, ArtifactError> {
        let found = self.store.get(&location(digest)?).await;
        let found = found.map_err(|error| match error {
            object_store::Error::NotFound { .. } => ArtifactError::NotFound(digest.to_owned()),
            other => other.into(),
        })?;
        let pieces = found.into_stream().flat_map(|chunk| {
            let cut = match chunk {
                Ok(chunk) => cut(chunk).into_iter().map(Ok).collect(),
                Err(error) => vec![Err(ArtifactError::from(error))],
            };
            futures::stream::iter(cut)
        });
        Ok(checked(digest.to_owned(), pieces.boxed()).boxed())
    }

    /// Reads a whole blob of at most this many bytes.
    pub async fn read(&self, digest: &str, max: u64) -> Result<Bytes, ArtifactError> {
        let mut pieces = self.get(digest).await?;
        let mut all = BytesMut::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            if (all.len() + piece.len()) as u64 > max {
                return Err(ArtifactError::TooLarge { max });
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }
}

fn cut(mut chunk: Bytes) -> Vec<Bytes> {
    let mut pieces = Vec::with_capacity(chunk.len() / PIECE + 1);
    while chunk.len() > PIECE {
        pieces.push(chunk.split_to(PIECE));
    }
    pieces.push(chunk);
    pieces
}

struct Reading {
    expected: String,
    pieces: Pieces,
    hash: Sha256,
    held: Option<Bytes>,
    ended: bool,
}

/// Passes pieces on one behind, so that damage is known before the last.
fn checked(expected: String, pieces: Pieces) -> impl Stream<Item = Result<Bytes, ArtifactError>> {
    let start = Reading {
        expected,
        pieces,
        hash: Sha256::new(),
        held: None,
        ended: false,
    };
    futures::stream::unfold(start, |mut reading| async move {
        while !reading.ended {
            match reading.pieces.next().await {
                Some(Ok(piece)) => {
                    reading.hash.update(&piece);
                    if let Some(held) = reading.held.replace(piece) {
                        return Some((Ok(held), reading));
                    }
                }
                Some(Err(error)) => {
                    reading.ended = true;
                    return Some((Err(error), reading));
                }
                None => {
                    reading.ended = true;
                    let found = hex(&reading.hash.finalize_reset());
                    if found != reading.expected {
                        let expected = reading.expected.clone();
                        return Some((Err(ArtifactError::Mismatch { expected, found }), reading));
                    }
                    let held = reading.held.take()?;
                    return Some((Ok(held), reading));
                }
            }
        }
        None
    })
}
