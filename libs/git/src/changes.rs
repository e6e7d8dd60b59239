//! What differs between two trees.
//!
//! Invariant: this is computed from the objects by git, never taken from a patch's headers; a rename is a deletion
//! and an addition, so both paths are governed.

use crate::clone::OwnClone;
use crate::error::GitError;
use crate::oid::{Mode, Oid};

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// It was not there.
    Added,
    /// Content or mode differ.
    Modified,
    /// It is gone.
    Deleted,
    /// A file became a link or a submodule, or the reverse.
    TypeChanged,
}

/// One changed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// From the top, raw; see [`crate::utf8_path`].
    pub path: Vec<u8>,
    /// [`Mode::ABSENT`] when added.
    pub old_mode: Mode,
    /// [`Mode::ABSENT`] when deleted.
    pub new_mode: Mode,
    /// `None` when added.
    pub old_oid: Option<Oid>,
    /// `None` when deleted.
    pub new_oid: Option<Oid>,
    /// What happened.
    pub kind: ChangeKind,
}

/// What a tree changes and what it consists of that another tree does not have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreeDiff {
    /// All changed paths in git's order, with whether git takes either side for binary.
    pub changes: Vec<(Change, bool)>,
    /// Every tree and blob of the new tree that the base does not have at the same place, the new tree itself first
    /// and each before what it names. A submodule's commit is not among them.
    pub objects: Vec<Oid>,
}

/// A diff for readers, perhaps cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffText {
    /// Raw, because content is.
    pub bytes: Vec<u8>,
    /// Whether there is more.
    pub truncated: bool,
}

impl OwnClone {
    /// All changed paths from one tree or commit to another, in git's order.
    pub async fn list_changes(&self, base: &Oid, new: &Oid) -> Result<Vec<Change>, GitError> {
        if base == new {
            return Ok(Vec::new());
        }
        let call =
            self.read("diff-tree")
                .args(["-r", "-z", "--raw", "--no-renames", "--no-abbrev"]);
        let output = call.args([base.as_str(), new.as_str()]).ok().await?;
        Ok(parse(&output.stdout)?.0)
    }

    /// From one tree to another: all changed paths, which of them are binary, and the objects that are new, in one
    /// process. No attribute of a tree has a say in it: a bare clone reads none.
    pub async fn compare_trees(&self, base: &Oid, new: &Oid) -> Result<TreeDiff, GitError> {
        if base == new {
            return Ok(TreeDiff::default());
        }
        let call = self.read("diff-tree").args([
            "-r",
            "-t",
            "-z",
            "--raw",
            "--numstat",
            "--no-renames",
            "--no-abbrev",
            "--no-ext-diff",
            "--no-textconv",
        ]);
        let output = call.args([base.as_str(), new.as_str()]).ok().await?;
        // The raw records come first, the counts after them; a path never starts a record.
        let counts = start_of_counts(&output.stdout);
        let (raw, counts) = output.stdout.split_at(counts);
        let binary: std::collections::HashSet<&[u8]> = counts
            .split(|b| *b == 0)
            .filter_map(|record| record.strip_prefix(b"-\t-\t"))
            .collect();
        let (changes, below) = parse(raw)?;
        let mut objects = vec![new.clone()];
        objects.extend(below);
        let with_binary = |change: Change| {
            let is_binary = binary.contains(change.path.as_slice());
            (change, is_binary)
        };
        Ok(TreeDiff {
            changes: changes.into_iter().map(with_binary).collect(),
            objects,
        })
    }

    /// The difference as text for people, at most `max_bytes`; binary files are only named.
    pub async fn diff_text(
        &self,
        base: &Oid,
        new: &Oid,
        max_bytes: usize,
    ) -> Result<DiffText, GitError> {
        let call = self.read("diff-tree").args([
            "-r",
            "-p",
            "--no-ext-diff",
            "--no-textconv",
            "--no-color",
            "-M",
        ]);
        let output = call
            .args([base.as_str(), new.as_str()])
            .max_stdout(max_bytes)
            .output()
            .await?;
        if output.status != 0 && !output.truncated {
            return Err(GitError::failed("diff-tree", output.status, &output.stderr));
        }
        Ok(DiffText {
            bytes: output.stdout,
            truncated: output.truncated,
        })
    }

    /// The difference as a patch that [`OwnClone::apply_patch`] takes, binary files included; an error if it is larger
    /// than `max_bytes`.
    pub async fn diff_patch(
        &self,
        base: &Oid,
        new: &Oid,
        max_bytes: usize,
    ) -> Result<Vec<u8>, GitError> {
        let call =
            self.read("diff-tree")
                .args(["-r", "-p", "--binary", "--full-index", "--no-renames"]);
        let call = call.args([
            "--no-ext-diff",
            "--no-textconv",
            "--no-color",
            base.as_str(),
            new.as_str(),
        ]);
        Ok(call.max_stdout(max_bytes).ok().await?.stdout)
    }
}

/// Where the raw records end: they come in pairs of a header that starts with `:` and a path.
fn start_of_counts(stdout: &[u8]) -> usize {
    let mut at = 0;
    while stdout.get(at) == Some(&b':') {
        for _ in 0..2 {
            at += stdout[at..]
                .iter()
                .position(|b| *b == 0)
                .map_or(stdout.len() - at, |n| n + 1);
        }
    }
    at
}

/// Reads `:<mode> <mode> <oid> <oid> <status>\0<path>\0` records: the changed paths, and the trees and blobs that the
/// new side names. A folder is no change of its own.
fn parse(stdout: &[u8]) -> Result<(Vec<Change>, Vec<Oid>), GitError> {
    let mut fields = stdout.split(|b| *b == 0).filter(|field| !field.is_empty());
    let (mut changes, mut objects) = (Vec::new(), Vec::new());
    while let Some(header) = fields.next() {
        let wrong = || GitError::unexpected("a changed path", header);
        let path = fields.next().ok_or_else(wrong)?.to_vec();
        let words: Vec<&[u8]> = header
            .strip_prefix(b":")
            .ok_or_else(wrong)?
            .split(|b| *b == b' ')
            .collect();
        let [old_mode, new_mode, old_oid, new_oid, status] = words[..] else {
            return Err(wrong());
        };
        let kind = match status.first() {
            Some(b'A') => ChangeKind::Added,
            Some(b'M') => ChangeKind::Modified,
            Some(b'D') => ChangeKind::Deleted,
            Some(b'T') => ChangeKind::TypeChanged,
            _ => return Err(wrong()),
        };
        let side = |raw: &[u8]| Oid::parse_bytes(raw).map(|oid| (!oid.is_zero()).then_some(oid));
        let change = Change {
            path,
            old_mode: Mode::parse_bytes(old_mode)?,
            new_mode: Mode::parse_bytes(new_mode)?,
            old_oid: side(old_oid)?,
            new_oid: side(new_oid)?,
            kind,
        };
        if !change.new_mode.is_gitlink() {
            objects.extend(change.new_oid.clone());
        }
        match (change.old_mode, change.new_mode) {
            (Mode::TREE, Mode::TREE | Mode::ABSENT) | (Mode::ABSENT, Mode::TREE) => {}
            // A folder that took a file's place comes as two records; in one, a change would be lost.
            (Mode::TREE, _) | (_, Mode::TREE) => return Err(wrong()),
            _ => changes.push(change),
        }
    }
    Ok((changes, objects))
}
