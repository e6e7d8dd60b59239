//! Names of branches and references, and our private references.
//!
//! Invariant: a name that came from outside passes [`check_branch_name`] before it stands in a command.

use crate::clone::OwnClone;
use crate::error::GitError;
use crate::oid::Oid;

/// Where fetched references live. A run id starts with a letter or digit, so no run can own this folder.
pub(crate) const TARGET_PREFIX: &str = "refs/autopack/_target/";

/// One of our references: `refs/autopack/<run>/<name>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateRef {
    /// What follows `refs/autopack/<run>/`, such as `tier/T1` or `attempt/P1.1/2`.
    pub name: String,
    /// What it holds.
    pub oid: Oid,
}

/// Refuses names that git would refuse, by the rules of `git help check-ref-format`.
pub fn check_branch_name(name: &str) -> Result<(), GitError> {
    let bad_byte = |b: u8| b <= b' ' || b == 0x7f || b"~^:?*[\\".contains(&b);
    let bad_part = |part: &str| {
        part.is_empty()
            || part.starts_with('.')
            || part.ends_with('.')
            || std::path::Path::new(part)
                .extension()
                .is_some_and(|e| e == "lock")
    };
    let bad = name.is_empty()
        || name.len() > 1_000
        || name.starts_with('-')
        || name == "@"
        || name.contains("..")
        || name.contains("@{")
        || name.bytes().any(bad_byte)
        || name.split('/').any(bad_part);
    if bad {
        Err(GitError::BadRefName {
            name: name.chars().take(200).collect(),
        })
    } else {
        Ok(())
    }
}

/// The full reference of a branch.
pub fn branch_ref(branch: &str) -> Result<String, GitError> {
    check_branch_name(branch)?;
    Ok(format!("refs/heads/{branch}"))
}

/// The full reference of a private name.
fn private_ref(run: &str, name: &str) -> Result<String, GitError> {
    check_branch_name(name)?;
    check_branch_name(run)?;
    if run.contains('/') || run.starts_with('_') {
        return Err(GitError::BadRefName {
            name: run.to_owned(),
        });
    }
    Ok(format!("refs/autopack/{run}/{name}"))
}

impl OwnClone {
    /// The commit of a branch of the target as it was fetched last: an object of this clone.
    pub async fn fetched_branch(&self, branch: &str) -> Result<Option<Oid>, GitError> {
        check_branch_name(branch)?;
        let full = format!("{TARGET_PREFIX}heads/{branch}");
        let found = list(self, &full).await?;
        let own = found.into_iter().find(|(name, _)| *name == full);
        Ok(own.map(|(_, oid)| oid))
    }

    /// Points `refs/autopack/<run>/<name>` at an object, which keeps it and all it needs.
    ///
    /// Those that are asked for while git writes another one are written by one command. A caller that goes away
    /// leaves the rest to the next one.
    pub async fn set_private_ref(&self, run: &str, name: &str, oid: &Oid) -> Result<(), GitError> {
        let full = private_ref(run, name)?;
        self.ref_writes.set(self, full, oid.clone()).await
    }

    /// Reads one private reference.
    pub async fn private_ref(&self, run: &str, name: &str) -> Result<Option<Oid>, GitError> {
        let full = private_ref(run, name)?;
        let found = list(self, &full).await?;
        Ok(found
            .into_iter()
            .find(|(name, _)| *name == full)
            .map(|(_, oid)| oid))
    }

    /// All private references of a run, by name.
    pub async fn private_refs(&self, run: &str) -> Result<Vec<PrivateRef>, GitError> {
        let marker = private_ref(run, "x")?;
        let prefix = &marker[..marker.len() - 1];
        let found = list(self, prefix).await?;
        let strip = |(full, oid): (String, Oid)| {
            full.strip_prefix(prefix).map(|name| PrivateRef {
                name: name.to_owned(),
                oid,
            })
        };
        Ok(found.into_iter().filter_map(strip).collect())
    }

    /// Removes a private reference; a missing one is no error.
    pub async fn delete_private_ref(&self, run: &str, name: &str) -> Result<(), GitError> {
        let full = private_ref(run, name)?;
        self.write("update-ref")
            .args(["-d", full.as_str()])
            .ok()
            .await
            .map(drop)
    }
}

/// References at or below `prefix`, with what they point at.
pub(crate) async fn list(own: &OwnClone, prefix: &str) -> Result<Vec<(String, Oid)>, GitError> {
    let call = own
        .read("for-each-ref")
        .args(["--format=%(objectname) %(refname)", prefix]);
    parse(&call.ok().await?.stdout)
}

/// Reads lines of `<oid> <reference>`; a reference that is no text is skipped.
pub(crate) fn parse(stdout: &[u8]) -> Result<Vec<(String, Oid)>, GitError> {
    let mut found = Vec::new();
    for line in stdout
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
    {
        let at = line.iter().position(u8::is_ascii_whitespace);
        let at = at.ok_or_else(|| GitError::unexpected("a reference", line))?;
        let oid = Oid::parse_bytes(&line[..at])?;
        if let Ok(name) = std::str::from_utf8(&line[at + 1..]) {
            found.push((name.to_owned(), oid));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_git_accepts() {
        for name in ["main", "autonomous/demo-1", "a.b/c_d", "ümlaut", "x@y"] {
            assert!(check_branch_name(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn refuses_what_git_refuses() {
        let bad = [
            "", "-x", "a..b", "a b", "a\nb", "a/", "/a", "a//b", ".a", "a/.b", "a.lock", "a.", "@",
            "a@{1}",
        ];
        for name in bad
            .into_iter()
            .chain(["a:b", "a?b", "a*b", "a[b", "a\\b", "a~1", "a^", "x.lock/y"])
        {
            assert!(check_branch_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_run_cannot_own_the_fetched_references() {
        assert!(private_ref("_target", "heads/main").is_err());
        assert!(private_ref("a/b", "x").is_err());
    }
}
