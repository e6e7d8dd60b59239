//! Private index files, pooled between phases.
//!
//! Invariant: a [`PooledIndex`] knows which tree its file holds, or that it does not know; after any failure it does
//! not know, and the next use reads the tree anew.

use std::path::{Path, PathBuf};

use crate::clone::OwnClone;
use crate::error::GitError;
use crate::oid::Oid;

/// An index file of our own and the tree it is known to hold. One user at a time: methods take it by `&mut`.
#[derive(Debug)]
pub struct PooledIndex {
    path: PathBuf,
    holds: Option<Oid>,
}

impl PooledIndex {
    /// An index at `path`, in the data directory; whatever the file holds is not believed.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            holds: None,
        }
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tree that the file holds, if that is known.
    pub fn holds(&self) -> Option<&Oid> {
        self.holds.as_ref()
    }

    /// Records what the file holds after a command that succeeded.
    pub(crate) fn set(&mut self, tree: &Oid) {
        self.holds = Some(tree.clone());
    }

    /// Call before a command that changes the file; a lock that a killed command left is removed.
    pub(crate) fn forget(&mut self) -> Result<(), GitError> {
        self.holds = None;
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| GitError::io("creating", folder, e))?;
        }
        let mut lock = self.path.clone().into_os_string();
        lock.push(".lock");
        match std::fs::remove_file(&lock) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(GitError::io("removing", PathBuf::from(lock), e))
            }
            _ => Ok(()),
        }
    }
}

impl OwnClone {
    /// Makes the index hold a tree, doing nothing if it does already.
    pub async fn load_index(&self, index: &mut PooledIndex, tree: &Oid) -> Result<(), GitError> {
        if index.holds.as_ref() == Some(tree) {
            return Ok(());
        }
        index.forget()?;
        let read = |call: crate::call::Call| call.index(&index.path).writes();
        // `-m` keeps what is known about files on disk; a damaged file is replaced.
        let kept = read(self.read("read-tree"))
            .args(["-m", tree.as_str()])
            .whole()
            .await?;
        if kept.status != 0 {
            let _ = std::fs::remove_file(&index.path);
            read(self.read("read-tree")).arg(tree.as_str()).ok().await?;
        }
        index.set(tree);
        Ok(())
    }

    /// Writes the index as a tree.
    pub(crate) async fn write_index(&self, index: &mut PooledIndex) -> Result<Oid, GitError> {
        let output = self.write("write-tree").index(&index.path).ok().await?;
        let tree = Oid::parse_bytes(&output.stdout)?;
        index.set(&tree);
        Ok(tree)
    }
}
