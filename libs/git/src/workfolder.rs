//! Work folders: pooled checkouts without a git folder of their own.
//!
//! Invariant: after [`OwnClone::checkout`] the folder holds the files of the tree, byte for byte as a checkout makes
//! them, and the kept caches; nothing else. What ran in it before cannot reach the next user.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::clean::{Layout, clean, normal};
use crate::clone::OwnClone;
use crate::error::GitError;
use crate::index::PooledIndex;
use crate::oid::Oid;

/// A folder for builds or gates and the private index that knows its files. One user at a time.
#[derive(Debug)]
pub struct WorkFolder {
    pub(crate) path: PathBuf,
    pub(crate) index: PooledIndex,
}

impl WorkFolder {
    /// A folder at `path` (made when first checked out), with its index file outside of it.
    pub fn new(path: impl Into<PathBuf>, index: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            index: PooledIndex::new(index),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tree that was checked out or snapshotted last, if that succeeded.
    pub fn holds(&self) -> Option<&Oid> {
        self.index.holds()
    }
}

impl OwnClone {
    /// Makes the folder hold exactly this tree or commit: modified and missing files are restored; untracked and
    /// ignored ones, nested repositories and `.git` are removed, except what is at or below the `keep` paths. End
    /// whatever runs in the folder first.
    pub async fn checkout(
        &self,
        tree: &Oid,
        work: &mut WorkFolder,
        keep: &[PathBuf],
    ) -> Result<(), GitError> {
        let layout = Layout::new(self.list_paths(tree).await?, keep)?;
        let folder = work.path.clone();
        fs::create_dir_all(&folder).map_err(|e| GitError::io("creating", &folder, e))?;
        let cleaned = tokio::task::spawn_blocking(move || clean(&folder, &layout)).await;
        cleaned.map_err(|e| GitError::io("cleaning", &work.path, std::io::Error::other(e)))??;
        work.index.forget()?;
        let first = self.read_into(tree, work).await;
        if first.is_err() {
            // A damaged index: begin with none.
            let _ = fs::remove_file(work.index.path());
            self.read_into(tree, work).await?;
        }
        work.index.set(tree);
        Ok(())
    }

    async fn read_into(&self, tree: &Oid, work: &WorkFolder) -> Result<(), GitError> {
        let call = self.in_folder("read-tree", work).writes();
        call.args(["--reset", "-u", "--no-recurse-submodules", tree.as_str()])
            .ok()
            .await
            .map(drop)
    }

    /// Which of these relative paths exist in the folder and are ignored by its `.gitignore` files, so that
    /// [`OwnClone::take_snapshot`] leaves them out. A tracked path never counts.
    pub async fn ignored_present(
        &self,
        work: &WorkFolder,
        paths: &[PathBuf],
    ) -> Result<Vec<PathBuf>, GitError> {
        let mut present = Vec::new();
        for path in paths {
            let raw = normal(path)?;
            if exists_without_links(&work.path, path) {
                present.push(raw);
            }
        }
        if present.is_empty() {
            return Ok(Vec::new());
        }
        let call = self
            .in_folder("check-ignore", work)
            .args(["-z", "--stdin"])
            .stdin(present.join(&0));
        let output = call.whole().await?;
        if !matches!(output.status, 0 | 1) {
            return Err(GitError::failed(
                "check-ignore",
                output.status,
                &output.stderr,
            ));
        }
        let paths = output
            .stdout
            .split(|b| *b == 0)
            .filter(|path| !path.is_empty());
        Ok(paths
            .map(|path| PathBuf::from(std::ffi::OsStr::from_bytes(path)))
            .collect())
    }

    /// A command with the folder as work tree and its private index.
    pub(crate) fn in_folder(&self, subcommand: &str, work: &WorkFolder) -> crate::call::Call {
        self.git
            .call(&work.path, subcommand)
            .git_dir(&self.dir)
            .env("GIT_WORK_TREE", &work.path)
            .index(work.index.path())
    }
}

/// Whether the path exists and no folder above it is a symbolic link.
fn exists_without_links(root: &Path, path: &Path) -> bool {
    let mut at = root.to_owned();
    let mut kind = None;
    for part in path.components() {
        if kind.is_some_and(|kind: fs::FileType| !kind.is_dir()) {
            return false;
        }
        at.push(part);
        match fs::symlink_metadata(&at) {
            Ok(meta) => kind = Some(meta.file_type()),
            Err(_) => return false,
        }
    }
    kind.is_some()
}
