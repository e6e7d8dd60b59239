//! The git release on this machine, checked once at start.
//!
//! Invariant: nothing else in this crate asks for the version; below the floor nothing runs.

use std::fmt;
use std::path::Path;

use crate::call::Git;
use crate::error::GitError;

/// The oldest release with all that we use (`merge-tree --write-tree`, `cat-file -z`).
pub const FLOOR: Version = Version {
    major: 2,
    minor: 38,
    patch: 0,
};

/// A git release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 2 in 2.38.1.
    pub major: u32,
    /// 38 in 2.38.1.
    pub minor: u32,
    /// 1 in 2.38.1.
    pub patch: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Version {
    /// Reads what `git --version` prints; vendors' suffixes are ignored.
    pub fn parse(text: &str) -> Option<Self> {
        let word = text
            .trim()
            .strip_prefix("git version ")?
            .split_whitespace()
            .next()?;
        let mut parts = word.split('.').map(|part| {
            let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<u32>().ok()
        });
        let major = parts.next().flatten()?;
        let minor = parts.next().flatten()?;
        let patch = parts.next().flatten().unwrap_or(0);
        Some(Self {
            major,
            minor,
            patch,
        })
    }
}

/// Asks for the version and refuses one below [`FLOOR`].
pub async fn check_version(git: &Git) -> Result<Version, GitError> {
    let output = git.call(Path::new("/"), "--version").ok().await?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match Version::parse(&text) {
        Some(found) if found >= FLOOR => Ok(found),
        Some(found) => Err(GitError::VersionTooOld { found }),
        None => Err(GitError::VersionUnreadable {
            text: text.chars().take(200).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_plain_and_vendor_versions() {
        assert_eq!(
            Version::parse("git version 2.47.3\n"),
            Some(Version {
                major: 2,
                minor: 47,
                patch: 3
            })
        );
        let apple = Version::parse("git version 2.39.5 (Apple Git-154)");
        assert_eq!(
            apple,
            Some(Version {
                major: 2,
                minor: 39,
                patch: 5
            })
        );
        let candidate = Version::parse("git version 2.50.0-rc1");
        assert_eq!(
            candidate,
            Some(Version {
                major: 2,
                minor: 50,
                patch: 0
            })
        );
        assert_eq!(Version::parse("git version 2.38.GIT"), Some(FLOOR));
        assert_eq!(Version::parse("hub 2"), None);
    }

    #[test]
    fn the_floor_is_exact() {
        assert!(
            Version {
                major: 2,
                minor: 37,
                patch: 9
            } < FLOOR
        );
        assert!(
            Version {
                major: 2,
                minor: 38,
                patch: 0
            } >= FLOOR
        );
    }
}
