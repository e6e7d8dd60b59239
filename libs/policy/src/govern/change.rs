//! Change sets as git reports them, and the facts about the trees that they are judged by.
//!
//! Invariant: a rename is a deletion and an addition (`--no-renames`), so no rule has to look at two
//! paths; the older check saw a rename's target only sometimes (SEMANTICS 5.1, traps).

use std::collections::BTreeSet;

/// Git mode of a symbolic link.
pub const LINK_MODE: u32 = 0o120_000;
/// Git mode of a submodule entry.
pub const SUBMODULE_MODE: u32 = 0o160_000;

/// What happened to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// New.
    Added,
    /// Other content or other permissions.
    Modified,
    /// Gone.
    Deleted,
    /// A file became a link, or the reverse.
    TypeChanged,
}

/// One changed path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// As git stores it.
    pub path: Vec<u8>,
    /// What happened.
    pub kind: ChangeKind,
    /// Git mode before; 0 for an added path.
    pub old_mode: u32,
    /// Git mode after; 0 for a deleted path.
    pub new_mode: u32,
    /// Size of the new content in bytes; 0 for a deleted path.
    pub size: u64,
    /// Whether git takes the old or the new content for binary.
    pub is_binary: bool,
    /// Where a new link points.
    pub link_target: Option<Vec<u8>>,
}

impl Change {
    /// The path for people.
    pub fn shown_path(&self) -> String {
        let text = String::from_utf8_lossy(&self.path);
        text.chars()
            .map(|c| if c.is_control() { '\u{fffd}' } else { c })
            .collect()
    }
}

/// Everything that a builder changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeSet {
    /// The changed paths, in any order.
    pub entries: Vec<Change>,
}

/// What has to be known about the trees besides the change set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeFacts {
    /// Every path of the candidate tree.
    pub paths: Vec<String>,
    /// Every path that is a symbolic link in the base or in the candidate.
    pub links: BTreeSet<String>,
    /// Folders of the builder's workspace, below its root, that hold a repository of their own.
    pub nested_repositories: BTreeSet<String>,
}

/// Whether the mode is one that git writes for a file, a link or a submodule.
pub(crate) fn is_known_mode(mode: u32) -> bool {
    matches!(
        mode,
        0o100_644 | 0o100_664 | 0o100_755 | LINK_MODE | SUBMODULE_MODE
    )
}
