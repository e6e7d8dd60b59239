//! A tree with single files taken from elsewhere.
//!
//! Invariant: nothing is written but objects that nobody names, and the index of the caller.

use crate::clone::OwnClone;
use crate::error::GitError;
use crate::index::PooledIndex;
use crate::oid::{Mode, Oid};

/// A file that replaces the one at its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// From the root, raw.
    pub path: Vec<u8>,
    /// Mode and content; `None`: the file goes.
    pub file: Option<(Mode, Oid)>,
}

impl OwnClone {
    /// The tree `base` with these files in place of its own. Where a file stands in the way of a folder, or a folder
    /// of a file, it goes.
    pub async fn overlay(
        &self,
        base: &Oid,
        files: &[Replaced],
        index: &mut PooledIndex,
    ) -> Result<Oid, GitError> {
        self.load_index(index, base).await?;
        if files.is_empty() {
            return Ok(base.clone());
        }
        let mut stdin = Vec::new();
        for replaced in files {
            let (mode, oid) = match &replaced.file {
                Some((mode, oid)) => (mode.0, oid.as_str().to_owned()),
                None => (0, "0".repeat(base.as_str().len())),
            };
            stdin.extend_from_slice(format!("{mode:o} {oid}\t").as_bytes());
            stdin.extend_from_slice(&replaced.path);
            stdin.push(0);
        }
        let path = index.path().to_owned();
        index.forget()?;
        self.write("update-index")
            .args(["--replace", "-z", "--index-info"])
            .index(&path)
            .stdin(stdin)
            .ok()
            .await?;
        self.write_index(index).await
    }
}
