//! Git as a user runs it, without the machine's configuration.
//!
//! Invariant: no hook, monitor or configuration of the machine, and none of the repository's hooks, has a part in what
//! a fixture is.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::program::{self, Done};

/// How long one git command of a fixture may take.
const BOUND: Duration = Duration::from_mins(1);

/// A git command in a folder.
pub fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .args([
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "core.fsmonitor=false",
        ])
        .args(["-c", "protocol.file.allow=always", "-c", "gc.auto=0"])
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_AUTHOR_NAME", "User")
        .env("GIT_AUTHOR_EMAIL", "user@example.org")
        .env("GIT_COMMITTER_NAME", "User")
        .env("GIT_COMMITTER_EMAIL", "user@example.org")
        .env("GIT_AUTHOR_DATE", "2024-01-01T00:00:00Z")
        .env("GIT_COMMITTER_DATE", "2024-01-01T00:00:00Z");
    command
}

/// Runs git; the output without its last line break.
#[track_caller]
pub fn git(dir: &Path, args: &[&str]) -> String {
    let done = try_git(dir, args);
    assert_eq!(
        done.code,
        Some(0),
        "git {args:?} in {}: {}",
        dir.display(),
        done.stderr
    );
    done.stdout.trim_end_matches('\n').to_owned()
}

/// Runs git, whatever comes of it.
#[track_caller]
pub fn try_git(dir: &Path, args: &[&str]) -> Done {
    program::run(&mut command(dir, args), BOUND)
}

/// The commit of a revision; `None` if there is none.
pub fn commit_of(dir: &Path, revision: &str) -> Option<String> {
    let done = try_git(
        dir,
        &[
            "rev-parse",
            "-q",
            "--verify",
            &format!("{revision}^{{commit}}"),
        ],
    );
    (done.code == Some(0)).then(|| done.stdout.trim().to_owned())
}

/// The tree of a revision.
#[track_caller]
pub fn tree_of(dir: &Path, revision: &str) -> String {
    git(
        dir,
        &["rev-parse", "--verify", &format!("{revision}^{{tree}}")],
    )
}

/// A file's content at a revision; `None` if it is not there.
pub fn show(dir: &Path, revision: &str, path: &str) -> Option<String> {
    let done = try_git(dir, &["show", &format!("{revision}:{path}")]);
    (done.code == Some(0)).then_some(done.stdout)
}

/// Commits of a range, oldest first: each with its trailers.
#[track_caller]
pub fn log(dir: &Path, range: &str) -> Vec<Commit> {
    let format = "--format=%H%x1f%s%x1f%(trailers:unfold,only)%x1e";
    let text = git(dir, &["log", "--reverse", "--topo-order", format, range]);
    text.split('\x1e')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(Commit::parse)
        .collect()
}

/// One commit of a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub oid: String,
    /// Its first line.
    pub subject: String,
    /// Its trailers, in order.
    pub trailers: Vec<(String, String)>,
}

impl Commit {
    fn parse(text: &str) -> Self {
        let mut parts = text.split('\x1f');
        let mut next = || parts.next().unwrap_or_default().trim().to_owned();
        let (oid, subject, trailers) = (next(), next(), next());
        let pair = |line: &str| {
            let (key, value) = line.split_once(':')?;
            Some((key.trim().to_owned(), value.trim().to_owned()))
        };
        Self {
            oid,
            subject,
            trailers: trailers.lines().filter_map(pair).collect(),
        }
    }

    /// The value of a trailer; empty if it is not there.
    pub fn trailer(&self, name: &str) -> &str {
        let found = self.trailers.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }
}
