//! One place to work at: a checkout and, outside of it, home, temporary files and what the host exchanges.
//!
//! Invariant: nothing that an earlier user left outside the checkout reaches the next one; the checkout itself is
//! reset by git's rules.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use autopack_git::WorkFolder;

use crate::host::make_private;

/// A build or gate folder of the pool.
pub(crate) struct Bench {
    root: PathBuf,
    pub(crate) work: WorkFolder,
}

impl Bench {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            work: WorkFolder::new(root.join("tree"), root.join("index")),
        }
    }

    /// The checkout.
    pub(crate) fn tree(&self) -> PathBuf {
        self.root.join("tree")
    }

    /// `HOME` of the command.
    pub(crate) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// `TMPDIR` of the command.
    pub(crate) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Files between host and builder.
    pub(crate) fn exchange(&self) -> PathBuf {
        self.root.join("exchange")
    }

    /// Says for which key the set-up in the checkout's kept folders was done.
    pub(crate) fn setup_mark(&self) -> PathBuf {
        self.root.join("set-up")
    }

    /// Empties everything but the checkout.
    pub(crate) async fn reset(&self) -> std::io::Result<()> {
        let folders = [self.home(), self.tmp(), self.exchange()];
        blocking(move || folders.iter().try_for_each(|folder| empty(folder))).await
    }

    /// Bytes on disk in the checkout.
    pub(crate) async fn checkout_bytes(&self) -> u64 {
        let tree = self.tree();
        tokio::task::spawn_blocking(move || disk_bytes(&tree))
            .await
            .unwrap_or(0)
    }
}

/// Runs file operations off the asynchronous threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(std::io::Error::other)?
}

/// An empty private folder, whatever was there.
fn empty(folder: &Path) -> std::io::Result<()> {
    match fs::symlink_metadata(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
        Ok(meta) if meta.is_dir() => {
            if fs::remove_dir_all(folder).is_err() {
                open_up(folder);
                fs::remove_dir_all(folder)?;
            }
        }
        Ok(_) => fs::remove_file(folder)?,
    }
    make_private(folder)
}

/// Removes a folder, whatever is in it; one that is gone is no fault.
pub(super) fn discard(folder: &Path) -> std::io::Result<()> {
    if fs::symlink_metadata(folder).is_err() {
        return Ok(());
    }
    empty(folder)?;
    fs::remove_dir(folder)
}

/// Gives back the right to empty folders that a command took from us.
fn open_up(folder: &Path) {
    let mut todo = vec![folder.to_owned()];
    while let Some(folder) = todo.pop() {
        let _ = fs::set_permissions(&folder, fs::Permissions::from_mode(0o700));
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                todo.push(entry.path());
            }
        }
    }
}

pub(super) fn disk_bytes(folder: &Path) -> u64 {
    let mut todo = vec![folder.to_owned()];
    let mut bytes = 0;
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            bytes += meta.blocks() * 512;
            if meta.is_dir() {
                todo.push(entry.path());
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reset_removes_what_nobody_may_enter() {
        let temp = tempfile::tempdir().unwrap();
        let bench = Bench::new(&temp.path().join("build-0"));
        bench.reset().await.unwrap();
        let hidden = bench.home().join("a/b");
        fs::create_dir_all(&hidden).unwrap();
        fs::write(hidden.join("f"), "x").unwrap();
        fs::set_permissions(bench.home().join("a"), fs::Permissions::from_mode(0o000)).unwrap();
        std::os::unix::fs::symlink("/etc", bench.tmp().join("link")).unwrap();
        bench.reset().await.unwrap();
        assert_eq!(fs::read_dir(bench.home()).unwrap().count(), 0);
        assert!(Path::new("/etc/passwd").exists());
    }
}
