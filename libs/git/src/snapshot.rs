//! The change set that a builder left in its folder, as a tree.
//!
//! Invariant: git looks at the folder with our own git folder, configuration and index. It never starts a process in
//! a nested repository and never reads one's configuration; submodules of the base stay as they are.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::changes::{Change, ChangeKind};
use crate::clone::OwnClone;
use crate::error::{GitError, detail};
use crate::oid::{Mode, Oid};
use crate::workfolder::WorkFolder;

/// What a folder holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// All tracked files, and untracked ones that are not ignored.
    pub tree: Oid,
    /// How it differs from the base.
    pub changes: Vec<Change>,
    /// Submodules of the base whose folder is not empty: what is in there is not part of the tree.
    pub populated_submodules: Vec<Vec<u8>>,
}

/// Why a folder gives no tree.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The builder made repositories inside the folder; git would record them as submodules that nobody can fetch.
    #[error(
        "the folder has nested git repositories: {}; remove their .git, or ignore them",
        list(paths)
    )]
    NestedRepository {
        /// Their folders, raw, without the last slash.
        paths: Vec<Vec<u8>>,
    },
    /// Git refuses a path of the folder: on some file system it is the repository's own.
    #[error("the folder has a path that git refuses: {detail}")]
    ForbiddenPath {
        /// What git said.
        detail: String,
    },
    /// Git cannot read a file of the folder.
    #[error("a file in the folder cannot be read as a file, folder or link: {detail}")]
    Unreadable {
        /// Git's words, which name it.
        detail: String,
    },
    /// The git layer failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

fn list(paths: &[Vec<u8>]) -> String {
    paths
        .iter()
        .map(|path| path.escape_ascii().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

/// What git sees in the folder before anything is added.
struct Seen {
    gitlinks: Vec<Vec<u8>>,
    nested: Vec<Vec<u8>>,
    has_attributes: bool,
}

impl OwnClone {
    /// Records the folder as a tree: tracked files, and untracked ones that its `.gitignore` files do not ignore. End
    /// whatever runs in the folder first.
    pub async fn take_snapshot(
        &self,
        work: &mut WorkFolder,
        base: &Oid,
    ) -> Result<Snapshot, SnapshotError> {
        self.load_index(&mut work.index, base).await?;
        let seen = self.look(work).await?;
        if !seen.nested.is_empty() {
            return Err(SnapshotError::NestedRepository { paths: seen.nested });
        }
        let on_disk = |path: &[u8]| work.path.join(OsStr::from_bytes(path));
        let folders: Vec<Vec<u8>> = seen
            .gitlinks
            .iter()
            .filter(|path| is_folder(&on_disk(path)))
            .cloned()
            .collect();
        let filled = |path: &&Vec<u8>| {
            fs::read_dir(on_disk(path)).is_ok_and(|mut entries| entries.next().is_some())
        };
        let populated_submodules = folders.iter().filter(filled).cloned().collect();
        work.index.forget()?;
        self.add_all(work, &folders).await?;
        let mut tree = self.write_index(&mut work.index).await?;
        let mut changes = self.list_changes(base, &tree).await?;
        let mends = self.mends(work, &seen, &changes).await?;
        if !mends.is_empty() {
            work.index.forget()?;
            let call = self
                .in_folder("update-index", work)
                .writes()
                .args(["-z", "--index-info"]);
            call.stdin(mends).ok().await?;
            tree = self.write_index(&mut work.index).await?;
            changes = self.list_changes(base, &tree).await?;
        }
        Ok(Snapshot {
            tree,
            changes,
            populated_submodules,
        })
    }

    /// Asks for the index and the untracked paths at once. An untracked path that ends in a slash is a repository.
    async fn look(&self, work: &WorkFolder) -> Result<Seen, GitError> {
        let call = self.in_folder("ls-files", work);
        let output = call
            .args(["-z", "-t", "--stage", "--others", "--exclude-standard"])
            .ok()
            .await?;
        let mut seen = Seen {
            gitlinks: Vec::new(),
            nested: Vec::new(),
            has_attributes: false,
        };
        for record in output
            .stdout
            .split(|b| *b == 0)
            .filter(|record| !record.is_empty())
        {
            let path = if let Some(other) = record.strip_prefix(b"? ") {
                if let Some(folder) = other.strip_suffix(b"/") {
                    seen.nested.push(folder.to_vec());
                }
                other
            } else {
                let wrong = || GitError::unexpected("an index entry", record);
                let tab = record.iter().position(|b| *b == b'\t').ok_or_else(wrong)?;
                let words: Vec<&[u8]> = record[..tab].split(|b| *b == b' ').collect();
                let [_, mode, _, _] = words[..] else {
                    return Err(wrong());
                };
                if Mode::parse_bytes(mode)?.is_gitlink() {
                    seen.gitlinks.push(record[tab + 1..].to_vec());
                }
                &record[tab + 1..]
            };
            seen.has_attributes |= path == b".gitattributes" || path.ends_with(b"/.gitattributes");
        }
        Ok(seen)
    }

    /// `git add --all` on everything but the folders of the base's submodules: in a populated one git would start
    /// `git status`, which obeys that repository's configuration.
    async fn add_all(
        &self,
        work: &WorkFolder,
        submodules: &[Vec<u8>],
    ) -> Result<(), SnapshotError> {
        let mut specs = b":/\0".to_vec();
        for path in submodules {
            specs.extend([b":(top,exclude,literal)".as_slice(), path, b"\0"].concat());
        }
        let call = self.in_folder("add", work).writes();
        let call = call
            .args(["--all", "--pathspec-from-file=-", "--pathspec-file-nul"])
            .stdin(specs);
        let output = call.whole().await?;
        if output.status == 0 {
            return Ok(());
        }
        let words = detail(&output.stderr);
        if words.contains("invalid path") {
            return Err(SnapshotError::ForbiddenPath { detail: words });
        }
        let unreadable = [
            "Permission denied",
            "unable to index file",
            "can only add regular files",
            "unable to stat",
        ];
        if unreadable.iter().any(|sign| words.contains(sign)) {
            return Err(SnapshotError::Unreadable { detail: words });
        }
        Err(GitError::failed("add", output.status, &output.stderr).into())
    }

    /// Index records that undo what is no change of the builder's: files whose bytes are those of the base and that
    /// git's line-end rules would rewrite, and submodules that vanished with their empty folder. A submodule counts
    /// as removed when `.gitmodules` changes too or something else stands in its place.
    async fn mends(
        &self,
        work: &WorkFolder,
        seen: &Seen,
        changes: &[Change],
    ) -> Result<Vec<u8>, GitError> {
        let mut records = Vec::new();
        let mut put = |mode: Mode, oid: &Oid, path: &[u8]| {
            records.extend([format!("{mode} {oid} 0\t").as_bytes(), path, b"\0"].concat());
        };
        let modules_changed = changes.iter().any(|change| change.path == b".gitmodules");
        let occupied: HashSet<&[u8]> = changes
            .iter()
            .filter(|c| c.new_oid.is_some())
            .map(|change| change.path.as_slice())
            .collect();
        for change in changes.iter().filter(|change| change.old_mode.is_gitlink()) {
            let replaced =
                occupied.contains(change.path.as_slice()) && !change.new_mode.is_gitlink();
            if let Some(oid) = change
                .old_oid
                .as_ref()
                .filter(|_| !replaced && !modules_changed)
            {
                put(change.old_mode, oid, &change.path);
            }
        }
        if !seen.has_attributes {
            return Ok(records);
        }
        let rewritten =
            |change: &&Change| change.kind == ChangeKind::Modified && change.new_mode.is_file();
        let modified: Vec<&Change> = changes
            .iter()
            .filter(rewritten)
            .filter(|change| !change.path.contains(&b'\n') && is_plain_file(work, &change.path))
            .collect();
        if modified.is_empty() {
            return Ok(records);
        }
        let stdin: Vec<u8> = modified
            .iter()
            .flat_map(|change| [change.path.as_slice(), b"\n"].concat())
            .collect();
        let call = self
            .in_folder("hash-object", work)
            .args(["--no-filters", "--stdin-paths"])
            .stdin(stdin);
        let output = call.ok().await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        for (change, raw) in modified.iter().zip(text.lines()) {
            if let Some(old) = change.old_oid.as_ref().filter(|old| old.as_str() == raw) {
                put(change.new_mode, old, &change.path);
            }
        }
        Ok(records)
    }
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

fn is_plain_file(work: &WorkFolder, path: &[u8]) -> bool {
    let full = work.path.join(OsStr::from_bytes(path));
    fs::symlink_metadata(full).is_ok_and(|meta| meta.is_file())
}
