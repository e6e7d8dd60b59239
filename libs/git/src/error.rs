//! What can go wrong with any git command.
//!
//! Invariant: each text names the thing and says what to do; raw git output is quoted, bounded, at the end.

use std::path::{Path, PathBuf};

use crate::runner::RunnerError;
use crate::version::{FLOOR, Version};

/// Longest quotation of git's own words in an error.
const DETAIL: usize = 2_000;

/// Commands that speak with the target.
const REMOTE: &[&str] = &["fetch", "push", "ls-remote"];
/// What git, ssh and servers say of credentials.
const DENIED: &[&str] = &[
    "Authentication failed",
    "Permission denied (",
    "Host key verification failed",
    "could not read Username",
    "could not read Password",
    "The requested URL returned error: 401",
    "The requested URL returned error: 403",
    "Too many authentication failures",
];

/// A failure of the git layer itself, as opposed to a refusal that a caller handles by its own error type.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// The command has no result.
    #[error(transparent)]
    Runner(#[from] RunnerError),
    /// Git is older than what we are tested with.
    #[error("git {found} is too old: install git {} or later", FLOOR)]
    VersionTooOld {
        /// What is installed.
        found: Version,
    },
    /// The first lines of `git --version` make no sense.
    #[error(
        "`git --version` printed {text:?}: check that `git` on PATH is git {} or later",
        FLOOR
    )]
    VersionUnreadable {
        /// What was printed.
        text: String,
    },
    /// The target's path does not exist.
    #[error("{} does not exist: give the path of a git repository, or a URL", path.display())]
    TargetMissing {
        /// As given.
        path: PathBuf,
    },
    /// The target's path is no repository, nor inside one.
    #[error("{} is not a git repository, nor inside one: run `git init` there or give another path", path.display())]
    NotARepository {
        /// As given.
        path: PathBuf,
    },
    /// The repository exists and git cannot open it.
    #[error("git cannot open the repository at {}: {detail}", path.display())]
    UnusableRepository {
        /// As given.
        path: PathBuf,
        /// Git's words.
        detail: String,
    },
    /// A URL of a kind that we refuse.
    #[error(
        "{url:?} is not a supported repository URL: use https, http, ssh, git, file, or user@host:path"
    )]
    UnsupportedUrl {
        /// As given.
        url: String,
    },
    /// Our clone and the target name objects differently.
    #[error(
        "the repository uses {target} object names and the clone {own}: open a clone of its own with that format"
    )]
    ObjectFormatMismatch {
        /// The target's.
        target: String,
        /// Ours.
        own: String,
    },
    /// A name that git would refuse for a branch.
    #[error("{name:?} is not a valid branch or reference name: see `git help check-ref-format`")]
    BadRefName {
        /// As given.
        name: String,
    },
    /// A branch cannot exist beside another: `a` and `a/b`.
    #[error(
        "branch {branch} cannot be created because another branch is in its way; rename that one: {detail}"
    )]
    RefNameConflict {
        /// Ours.
        branch: String,
        /// Git's words, which name the other.
        detail: String,
    },
    /// A branch that is only another name for one.
    #[error(
        "branch {branch} is a symbolic reference to {target}; it does not move by itself: name {} instead",
        target.strip_prefix("refs/heads/").unwrap_or(target)
    )]
    SymbolicBranch {
        /// The name that was asked for.
        branch: String,
        /// The full reference that it stands for.
        target: String,
    },
    /// The receiving side read the push and does not want it; the branch is where it was.
    #[error("{location} declined the push to {branch}: {detail}")]
    PushDeclined {
        /// The repository.
        location: String,
        /// The branch.
        branch: String,
        /// The words of the receiving side.
        detail: String,
    },
    /// Not an object name.
    #[error("{text:?} is not a full object name (40 or 64 hexadecimal digits)")]
    BadOid {
        /// As given.
        text: String,
    },
    /// A path that leaves its folder, or is none.
    #[error(
        "{path:?} is not a path inside the repository: give a relative path without `..` or `.git`"
    )]
    BadPath {
        /// As given.
        path: String,
    },
    /// A path that is no text.
    #[error("the path {path} is not valid UTF-8: rename the file")]
    PathNotUtf8 {
        /// With escapes.
        path: String,
    },
    /// An object that should be there.
    #[error("object {name} is not in the clone: fetch the repository again")]
    ObjectMissing {
        /// As asked for.
        name: String,
    },
    /// A command printed more than we hold in memory.
    #[error("git {command} printed more than {limit} bytes: narrow the request or raise the limit")]
    OutputTooLarge {
        /// The subcommand.
        command: String,
        /// The cap.
        limit: usize,
    },
    /// A command printed what we cannot read.
    #[error(
        "git printed {text:?} where {expected} was expected: check that the git on PATH is an unmodified release"
    )]
    UnexpectedOutput {
        /// What should have been there.
        expected: &'static str,
        /// What was.
        text: String,
    },
    /// A file operation of our own failed.
    #[error("{action} {} failed: {source}; check space and permissions", path.display())]
    Io {
        /// What we did.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Any other non-zero exit.
    #[error("git {command} failed with status {status}: {detail}")]
    Failed {
        /// The subcommand.
        command: String,
        /// Its exit status.
        status: i32,
        /// Git's words.
        detail: String,
    },
}

impl GitError {
    /// Whether the target refused the credentials that it was shown, or asked for some that we do not have.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Failed { command, detail, .. }
            if REMOTE.contains(&command.as_str()) && DENIED.iter().any(|sign| detail.contains(sign)))
    }

    /// Whether the push was answered by a refusal: of this branch, or of the credentials.
    pub fn is_declined(&self) -> bool {
        matches!(self, Self::PushDeclined { .. })
            || (self.is_denied()
                && matches!(self, Self::Failed { command, .. } if command == "push"))
    }

    /// Whether the target could not be spoken with at all.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Failed { command, .. } if REMOTE.contains(&command.as_str()))
    }

    pub(crate) fn unexpected(expected: &'static str, bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).chars().take(200).collect();
        Self::UnexpectedOutput { expected, text }
    }

    pub(crate) fn io(action: &'static str, path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io {
            action,
            path: path.as_ref().to_owned(),
            source,
        }
    }

    pub(crate) fn failed(command: &str, status: i32, stderr: &str) -> Self {
        Self::Failed {
            command: command.to_owned(),
            status,
            detail: detail(stderr),
        }
    }
}

/// What hosts say of a branch that is not to be pushed to: GitHub (rules of branches and of repositories), GitLab, Gitea
/// and Forgejo, Bitbucket, Gerrit, and git itself for hooks.
const DECLINED: &[&str] = &[
    "hook declined",
    "push declined",
    "protected branch",
    "Protected branch",
    "repository rule violations",
    "prohibited by",
    "not allowed to push",
    "Not allowed to push",
];

/// Why the receiving side refused the one reference that was pushed; `None`: it did not, or it may do otherwise the next
/// time. The reasons stand in the porcelain output, the remote's own lines among git's words.
pub(crate) fn declined(stdout: &[u8], stderr: &str) -> Option<String> {
    let told = String::from_utf8_lossy(stdout);
    let reason = told.lines().find_map(|line| {
        let at = line
            .find("[remote rejected]")
            .filter(|_| line.starts_with('!'))?;
        Some(line[at..].trim().to_owned())
    })?;
    let remote = stderr.lines().filter_map(|l| l.strip_prefix("remote:"));
    let said: Vec<&str> = remote.map(str::trim).filter(|l| !l.is_empty()).collect();
    let whole = format!("{reason}; {}", said.join("; "));
    let is_final = DECLINED.iter().any(|sign| whole.contains(sign));
    is_final.then(|| detail(whole.trim_end_matches("; ")))
}

/// Git's words without its own noise, bounded.
pub(crate) fn detail(stderr: &str) -> String {
    let kept: Vec<&str> = stderr
        .lines()
        .map(str::trim_end)
        .filter(|l| !l.is_empty() && !l.starts_with("hint:"))
        .collect();
    let text = without_passwords(&kept.join("; "));
    if text.is_empty() {
        "git gave no reason".to_owned()
    } else {
        text.chars().take(DETAIL).collect()
    }
}

/// Addresses without user and password.
pub(crate) fn without_passwords(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, address) = rest.split_at(at + 3);
        shown.push_str(before);
        let end = address
            .find(|c: char| c == '/' || c == '\'' || c == '"' || c.is_whitespace())
            .unwrap_or(address.len());
        rest = address[..end]
            .rfind('@')
            .map_or(address, |sign| &address[sign + 1..]);
    }
    shown.push_str(rest);
    shown
}

/// A raw path as text, or an error that shows it with escapes.
pub fn utf8_path(raw: &[u8]) -> Result<&str, GitError> {
    std::str::from_utf8(raw).map_err(|_| GitError::PathNotUtf8 {
        path: raw.escape_ascii().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_addresses_are_not_quoted() {
        let said = "fatal: unable to access 'https://me:pw@example.org/a.git/': no; see ssh://git@h/x and a@b";
        assert_eq!(
            detail(said),
            "fatal: unable to access 'https://example.org/a.git/': no; see ssh://h/x and a@b"
        );
    }

    #[test]
    fn a_protected_branch_is_told_from_a_fault_of_the_host() {
        let line =
            |why: &str| format!("To x\n!\tHEAD:refs/heads/main\t[remote rejected] ({why})\nDone\n");
        for (why, said) in [
            (
                "protected branch hook declined",
                "remote: error: GH006: Protected branch update failed for refs/heads/main.        ",
            ),
            (
                "push declined due to repository rule violations",
                "remote: error: GH013: Repository rule violations found for refs/heads/main.",
            ),
            (
                "pre-receive hook declined",
                "remote: Gitea: Not allowed to push to protected branch main",
            ),
            (
                "pre-receive hook declined",
                "remote: GitLab: You are not allowed to push code to protected branches on this project.",
            ),
            ("hook declined", ""),
            ("prohibited by Gerrit: not permitted: update", ""),
        ] {
            let found = declined(line(why).as_bytes(), said).expect(why);
            assert!(found.contains(why), "{found}");
            let words = said.trim_start_matches("remote:").trim();
            assert!(found.contains(words) && !found.contains("  "), "{found}");
        }
        for why in [
            "Internal Server Error",
            "failed to update ref",
            "unpacker error",
        ] {
            assert_eq!(declined(line(why).as_bytes(), ""), None, "{why}");
        }
        // The words of the host alone, without its refusal, say nothing of this push.
        assert_eq!(declined(b"", "remote: pre-receive hook declined"), None);
    }

    #[test]
    fn refused_credentials_are_told_from_absent_remotes() {
        let refused = "git@h: Permission denied (publickey).";
        assert!(GitError::failed("ls-remote", 128, refused).is_denied());
        assert!(!GitError::failed("read-tree", 128, refused).is_denied());
        let absent = GitError::failed("fetch", 128, "ssh: connect to host h port 22: refused");
        assert!(!absent.is_denied() && absent.is_remote());
    }
}
