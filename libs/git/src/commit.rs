//! Making commits and reading history.
//!
//! Invariant: author, committer and time are given by the caller, so the same input makes the same commit; commits
//! are searched above a base only, along first parents.

use crate::clone::OwnClone;
use crate::error::GitError;
use crate::oid::Oid;
use crate::trailers;

/// The trailer by which a commit says to which run it belongs.
pub(crate) const RUN_UID: &str = "Autopack-Run-Uid";

/// Who a commit names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Display name; characters that git forbids are dropped.
    pub name: String,
    /// Address; likewise.
    pub email: String,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            name: "Autopack".to_owned(),
            email: "autopack@localhost".to_owned(),
        }
    }
}

/// A commit to make.
#[derive(Debug, Clone)]
pub struct CommitSpec<'a> {
    /// Its files.
    pub tree: &'a Oid,
    /// None for a root commit.
    pub parents: &'a [Oid],
    /// The whole message, from [`crate::message::build`].
    pub message: &'a str,
    /// Who wrote the change.
    pub author: &'a Identity,
    /// Who made the commit.
    pub committer: &'a Identity,
    /// When, in seconds since 1970, UTC.
    pub time: i64,
}

/// A commit found in history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    /// Its name.
    pub oid: Oid,
    /// Its files.
    pub tree: Oid,
    /// Its parents, first first.
    pub parents: Vec<Oid>,
    /// Its trailers in order.
    pub trailers: Vec<(String, String)>,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The commit.
    pub oid: Oid,
    /// The first line of its message.
    pub subject: String,
}

impl OwnClone {
    /// Writes a commit object; no reference moves.
    pub async fn commit_tree(&self, spec: &CommitSpec<'_>) -> Result<Oid, GitError> {
        let date = format!("@{} +0000", spec.time.max(0));
        let mut call = self.write("commit-tree").arg(spec.tree.as_str());
        for parent in spec.parents {
            call = call.args(["-p", parent.as_str()]);
        }
        let output = call
            .env("GIT_AUTHOR_NAME", clean(&spec.author.name, "Autopack"))
            .env(
                "GIT_AUTHOR_EMAIL",
                clean(&spec.author.email, "autopack@localhost"),
            )
            .env("GIT_AUTHOR_DATE", &date)
            .env(
                "GIT_COMMITTER_NAME",
                clean(&spec.committer.name, "Autopack"),
            )
            .env(
                "GIT_COMMITTER_EMAIL",
                clean(&spec.committer.email, "autopack@localhost"),
            )
            .env("GIT_COMMITTER_DATE", &date)
            .stdin(spec.message.as_bytes())
            .ok()
            .await?;
        Oid::parse_bytes(&output.stdout)
    }

    /// Commits of a run in `base..tip` (all of `tip` without a base), newest first, along first parents. Trailers are
    /// claims: believe them only together with an intent.
    pub async fn find_commits(
        &self,
        base: Option<&Oid>,
        tip: &Oid,
        run_uid: &str,
    ) -> Result<Vec<CommitInfo>, GitError> {
        let call =
            self.read("log")
                .args(["-z", "--first-parent", "--no-show-signature", "--no-notes"]);
        let call = call.args([
            "--no-decorate",
            "--no-color",
            "--no-mailmap",
            "--format=%H%n%T%n%P%n%B",
        ]);
        let output = call.args(range(base, tip)).ok().await?;
        let mut found = Vec::new();
        for record in output
            .stdout
            .split(|b| *b == 0)
            .filter(|record| !record.is_empty())
        {
            let text = String::from_utf8_lossy(record);
            let mut lines = text.splitn(4, '\n');
            let mut next = || {
                lines
                    .next()
                    .ok_or_else(|| GitError::unexpected("a commit", record))
            };
            let (oid, tree, parents, message) = (next()?, next()?, next()?, next()?);
            let trailers = trailers::parse(message);
            if trailers
                .iter()
                .any(|(key, value)| key == RUN_UID && value == run_uid)
            {
                let parents = parents
                    .split_whitespace()
                    .map(Oid::parse)
                    .collect::<Result<_, _>>()?;
                found.push(CommitInfo {
                    oid: Oid::parse(oid)?,
                    tree: Oid::parse(tree)?,
                    parents,
                    trailers,
                });
            }
        }
        Ok(found)
    }

    /// At most `max` commits of `base..tip`, newest first.
    pub async fn log_oneline(
        &self,
        base: Option<&Oid>,
        tip: &Oid,
        max: usize,
    ) -> Result<Vec<LogLine>, GitError> {
        let call =
            self.read("log")
                .args(["-z", "--no-show-signature", "--no-decorate", "--no-color"]);
        let call = call
            .args(["--no-notes", "--format=%H %s"])
            .arg(format!("--max-count={max}"));
        let output = call.args(range(base, tip)).ok().await?;
        let line = |raw: &[u8]| {
            let text = String::from_utf8_lossy(raw).into_owned();
            let (oid, subject) = text
                .split_once(' ')
                .ok_or_else(|| GitError::unexpected("a log line", raw))?;
            Ok(LogLine {
                oid: Oid::parse(oid)?,
                subject: subject.to_owned(),
            })
        };
        output
            .stdout
            .split(|b| *b == 0)
            .filter(|raw| !raw.is_empty())
            .map(line)
            .collect()
    }

    /// Whether `ancestor` is in the history of `commit`.
    pub async fn is_ancestor(&self, ancestor: &Oid, commit: &Oid) -> Result<bool, GitError> {
        let call =
            self.read("merge-base")
                .args(["--is-ancestor", ancestor.as_str(), commit.as_str()]);
        let output = call.whole().await?;
        match output.status {
            0 => Ok(true),
            1 => Ok(false),
            status => Err(GitError::failed("merge-base", status, &output.stderr)),
        }
    }
}

fn range(base: Option<&Oid>, tip: &Oid) -> Vec<String> {
    let mut range = vec![tip.to_string()];
    range.extend(base.map(|base| format!("^{base}")));
    range.push("--".to_owned());
    range
}

/// Drops what would end the field in a commit; git refuses an empty name.
fn clean(text: &str, fallback: &str) -> String {
    let kept: String = text
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '<' | '>'))
        .collect();
    let kept = kept.trim();
    let only_crud = kept
        .chars()
        .all(|c| matches!(c, '.' | ',' | ':' | ';' | '"' | '\\' | '\'' | ' '));
    if only_crud {
        fallback.to_owned()
    } else {
        kept.to_owned()
    }
}
