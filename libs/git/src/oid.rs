//! Object names and file modes, as git prints them.
//!
//! Invariant: an [`Oid`] is 40 or 64 lower-case hexadecimal digits, so it can stand in any command line.

use std::fmt;
use std::str::FromStr;

use crate::error::GitError;

/// The full name of an object: a commit, tree, blob or tag.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Oid(String);

impl Oid {
    /// Reads a full object name.
    pub fn parse(text: &str) -> Result<Self, GitError> {
        let hex = text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hex && (text.len() == 40 || text.len() == 64) {
            Ok(Self(text.to_owned()))
        } else {
            Err(GitError::BadOid {
                text: text.chars().take(80).collect(),
            })
        }
    }

    /// The same from raw output; surrounding white space is dropped.
    pub(crate) fn parse_bytes(bytes: &[u8]) -> Result<Self, GitError> {
        Self::parse(String::from_utf8_lossy(bytes).trim())
    }

    /// The hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is git's "no object".
    pub fn is_zero(&self) -> bool {
        self.0.bytes().all(|b| b == b'0')
    }

    /// "No object" in the format of this name.
    pub(crate) fn zero_like(&self) -> Self {
        Self("0".repeat(self.0.len()))
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Oid {
    type Err = GitError;

    fn from_str(text: &str) -> Result<Self, GitError> {
        Self::parse(text)
    }
}

/// The mode of a tree entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mode(pub u32);

impl Mode {
    /// No entry: the missing side of a change.
    pub const ABSENT: Self = Self(0);
    /// A plain file.
    pub const REGULAR: Self = Self(0o100_644);
    /// A file that may be executed.
    pub const EXECUTABLE: Self = Self(0o100_755);
    /// A symbolic link; the blob is its target.
    pub const SYMLINK: Self = Self(0o120_000);
    /// A submodule's commit.
    pub const GITLINK: Self = Self(0o160_000);
    /// A folder.
    pub const TREE: Self = Self(0o040_000);

    /// Reads octal digits.
    pub(crate) fn parse_bytes(bytes: &[u8]) -> Result<Self, GitError> {
        std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| u32::from_str_radix(text, 8).ok())
            .map(Self)
            .ok_or_else(|| GitError::unexpected("a file mode", bytes))
    }

    /// Whether the entry is a submodule.
    pub fn is_gitlink(self) -> bool {
        self == Self::GITLINK
    }

    /// Whether the entry is a symbolic link.
    pub fn is_symlink(self) -> bool {
        self == Self::SYMLINK
    }

    /// Whether the entry is a file, executable or not.
    pub fn is_file(self) -> bool {
        self.0 & 0o170_000 == 0o100_000
    }

    /// Whether the entry is an executable file.
    pub fn is_executable(self) -> bool {
        self.is_file() && self.0 & 0o111 != 0
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06o}", self.0)
    }
}
