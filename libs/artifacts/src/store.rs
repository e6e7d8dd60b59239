//! Puts blobs: hashed while they arrive, written aside, moved to their name at the end.
//!
//! Invariant: putting the same content again changes nothing and gives the same digest.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    path::{Path as FsPath, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use object_store::{
    ObjectStore, ObjectStoreExt as _, WriteMultipart, local::LocalFileSystem, path::Path,
};
use sha2::{Digest as _, Sha256};

use crate::{
    MAX_SIZE,
    digest::{Digest, hex, location},
    error::ArtifactError,
    sweep,
};

/// Where unfinished blobs are written.
pub(crate) const ASIDE: &str = "unfinished";
/// Parts written at the same time.
const PARTS: usize = 4;

/// A store of blobs; cheap to clone.
#[derive(Clone, Debug)]
pub struct Artifacts {
    pub(crate) store: Arc<dyn ObjectStore>,
    folder: Option<PathBuf>,
}

impl Artifacts {
    /// Opens, and makes if missing, a store in a local folder. A blob is on disk before `put` returns.
    pub fn open_local(folder: &FsPath) -> Result<Self, ArtifactError> {
        Self::local(folder, true)
    }

    /// The same without waiting for the disk: a blob may be lost if the machine stops.
    pub fn open_local_unsynced(folder: &FsPath) -> Result<Self, ArtifactError> {
        Self::local(folder, false)
    }

    /// A store over any object store.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self {
            store,
            folder: None,
        }
    }

    fn local(folder: &FsPath, fsync: bool) -> Result<Self, ArtifactError> {
        std::fs::create_dir_all(folder)
            .map_err(|error| ArtifactError::Store(format!("{}: {error}", folder.display())))?;
        let store = LocalFileSystem::new_with_prefix(folder)?.with_fsync(fsync);
        Ok(Self {
            store: Arc::new(store),
            folder: Some(folder.to_owned()),
        })
    }

    /// Stores bytes.
    pub async fn put(&self, content: Bytes) -> Result<Digest, ArtifactError> {
        let size = content.len() as u64;
        if size > MAX_SIZE {
            return Err(ArtifactError::TooLarge { max: MAX_SIZE });
        }
        let digest = Digest {
            hex: hex(&Sha256::digest(&content)),
            size,
        };
        if self.has(&digest).await? {
            return Ok(digest);
        }
        self.store
            .put(&location(&digest.hex)?, content.into())
            .await?;
        Ok(digest)
    }

    /// Stores a stream; after an error nothing is stored.
    pub async fn put_stream<S, E>(&self, content: S) -> Result<Digest, ArtifactError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: std::fmt::Display,
    {
        let aside = Path::from(format!("{ASIDE}/{:016x}", draw()));
        let digest = self.write_aside(&aside, content).await?;
        let moved = async {
            if self.has(&digest).await? {
                return self.store.delete(&aside).await;
            }
            let name = location(&digest.hex).map_err(|_| object_store::Error::NotImplemented {
                operation: "rename".into(),
                implementer: "digest".into(),
            })?;
            self.store.rename(&aside, &name).await
        };
        if let Err(error) = moved.await {
            let _ = self.store.delete(&aside).await;
            return Err(error.into());
        }
        Ok(digest)
    }

    /// Stores a stream that must have this digest.
    pub async fn put_stream_as<S, E>(
        &self,
        expected: &str,
        content: S,
    ) -> Result<Digest, ArtifactError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: std::fmt::Display,
    {
        location(expected)?;
        let digest = self.put_stream(content).await?;
        if digest.hex == expected {
            return Ok(digest);
        }
        // What was sent is a sound blob under its own name; only the claim was wrong.
        Err(ArtifactError::Mismatch {
            expected: expected.to_owned(),
            found: digest.hex,
        })
    }

    /// Digest and size of what is stored under this digest, without reading it.
    pub async fn stat(&self, digest: &str) -> Result<Option<Digest>, ArtifactError> {
        match self.store.head(&location(digest)?).await {
            Ok(meta) => Ok(Some(Digest {
                hex: digest.to_owned(),
                size: meta.size,
            })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes what interrupted writers left and returns how many files that were; only for the one
    /// process that owns the store, at its start. A remote store cleans up by its own rules.
    pub async fn remove_unfinished(&self) -> Result<usize, ArtifactError> {
        let Some(folder) = self.folder.clone() else {
            return Ok(0);
        };
        let swept = tokio::task::spawn_blocking(move || sweep::unfinished(&folder)).await;
        swept
            .map_err(|error| ArtifactError::Store(error.to_string()))?
            .map_err(|error| ArtifactError::Store(error.to_string()))
    }

    /// Whether it is stored in full; one of another size is damaged and is written again.
    async fn has(&self, digest: &Digest) -> object_store::Result<bool> {
        let Ok(name) = location(&digest.hex) else {
            return Ok(false);
        };
        match self.store.head(&name).await {
            Ok(meta) => Ok(meta.size == digest.size),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn write_aside<S, E>(&self, aside: &Path, content: S) -> Result<Digest, ArtifactError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: std::fmt::Display,
    {
        let mut writer = WriteMultipart::new(self.store.put_multipart(aside).await?);
        let mut hash = Sha256::new();
        let mut size = 0_u64;
        let mut content = std::pin::pin!(content);
        while let Some(piece) = content.next().await {
            let piece = match piece {
                Ok(piece) if size + piece.len() as u64 <= MAX_SIZE => piece,
                refused => {
                    let _ = writer.abort().await;
                    return Err(match refused {
                        Ok(_) => ArtifactError::TooLarge { max: MAX_SIZE },
                        Err(error) => ArtifactError::Source(error.to_string()),
                    });
                }
            };
            size += piece.len() as u64;
            hash.update(&piece);
            writer.wait_for_capacity(PARTS).await?;
            writer.put(piece);
        }
        writer.finish().await?;
        Ok(Digest {
            hex: hex(&hash.finalize()),
            size,
        })
    }
}

/// A name that no other writer draws.
fn draw() -> u64 {
    RandomState::new().build_hasher().finish()
}
