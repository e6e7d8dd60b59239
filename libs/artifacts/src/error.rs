//! What can go wrong with a blob.

/// A failed call to the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactError {
    /// Not 64 lower-case hex digits.
    #[error("`{0}` is not a digest: SHA-256 in 64 lower-case hex digits")]
    InvalidDigest(String),
    /// Nothing is stored under this digest.
    #[error("no artifact of digest {0} is stored")]
    NotFound(String),
    /// Larger than a blob, or than the reader's bound.
    #[error("the artifact has more than {max} bytes")]
    TooLarge {
        /// The bound.
        max: u64,
    },
    /// What is stored, or was sent, has another digest.
    #[error("the artifact {expected} is damaged: its content has digest {found}")]
    Mismatch {
        /// The digest asked for.
        expected: String,
        /// The digest of the content.
        found: String,
    },
    /// The sender of a stream gave up; nothing was stored.
    #[error("the artifact was not sent to its end: {0}")]
    Source(String),
    /// The store cannot be written: no space, or no permission.
    #[error("the artifact store failed: {0}")]
    Store(String),
}

impl From<object_store::Error> for ArtifactError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { path, .. } => Self::NotFound(path),
            other => Self::Store(other.to_string()),
        }
    }
}
