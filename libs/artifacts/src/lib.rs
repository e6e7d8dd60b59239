//! Content-addressed blobs: patches, logs, plan files.
//!
//! Invariant: what is read under a digest has that digest, or the reader gets an error before the last
//! piece; a blob appears whole or not at all, and is never changed.
//!
//! | module | its part |
//! |---|---|
//! | [`digest`] | the name of a blob |
//! | [`error`] | what can go wrong |
//! | [`store`] | putting |
//! | `read` | getting, checked on the way |
//! | `sweep` | what interrupted writers left |

pub mod digest;
pub mod error;
mod read;
pub mod store;
mod sweep;

pub use digest::Digest;
pub use error::ArtifactError;
pub use read::Pieces;
pub use store::Artifacts;

/// Largest blob.
pub const MAX_SIZE: u64 = 256 << 20;
/// Largest piece that a reader gets.
pub const PIECE: usize = 256 << 10;
