//! Bringing the tree that a run's gates have seen to another branch.
//!
//! Invariant: what is made has exactly the tested tree, or the answer says what stands in the way; nothing moves here. The
//! branch is moved by [`OwnClone::push`] from the tip that was looked at, and read back by [`OwnClone::landed`].

use crate::clone::OwnClone;
use crate::commit::{CommitSpec, Identity};
use crate::error::GitError;
use crate::merge::MergeResult;
use crate::oid::Oid;
use crate::target::Target;

/// How a tested commit joins a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The branch moves to the tested commit itself.
    FastForward,
    /// A commit with both as parents.
    Merge,
    /// One commit above the branch, without the run's own.
    Squash,
}

/// What is to be brought where.
#[derive(Debug, Clone)]
pub struct Promotion<'a> {
    /// The commit whose tree was tested.
    pub tested: &'a Oid,
    /// Where the branch is.
    pub tip: &'a Oid,
    /// How it joins.
    pub strategy: Strategy,
    /// Message of the commit that a merge or squash makes, from [`crate::message::build`].
    pub message: &'a str,
    /// Who makes it.
    pub committer: &'a Identity,
    /// When, in seconds since 1970, UTC.
    pub time: i64,
}

/// What would land, or what stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prepared {
    /// This commit, whose tree is the tested one; an object of our clone that no reference names yet.
    Ready {
        /// What the branch is to move to.
        commit: Oid,
    },
    /// The branch holds the tested commit, or exactly its tree.
    AlreadyThere,
    /// The branch has commits that the run has not: it cannot be moved without a merge or squash.
    Diverged,
    /// Both sides touch the same places.
    Conflict {
        /// Where, raw; in git's order, once each.
        paths: Vec<Vec<u8>>,
    },
    /// Merged, the files are neither side's: no gate has seen them.
    Untested {
        /// The merged files.
        tree: Oid,
    },
}

/// What a branch holds after it was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Landed {
    /// The commit that was pushed, with the tested tree.
    Tested,
    /// Something else by now.
    Other {
        /// Where the branch is; `None` when it does not exist.
        actual: Option<Oid>,
    },
}

impl OwnClone {
    /// Makes what would land. Both commits are objects of this clone.
    pub async fn prepare_promotion(&self, promotion: &Promotion<'_>) -> Result<Prepared, GitError> {
        let Promotion { tested, tip, .. } = promotion;
        if self.is_ancestor(tested, tip).await? {
            return Ok(Prepared::AlreadyThere);
        }
        let is_ahead = self.is_ancestor(tip, tested).await?;
        let tree = self.tree_of(tested).await?;
        if !is_ahead {
            if promotion.strategy == Strategy::FastForward {
                return Ok(Prepared::Diverged);
            }
            match self.merge(None, tip, tested).await? {
                MergeResult::Conflict { paths } => return Ok(Prepared::Conflict { paths }),
                MergeResult::Clean { tree: merged } if merged != tree => {
                    return Ok(Prepared::Untested { tree: merged });
                }
                MergeResult::Clean { .. } => {}
            }
        }
        let parents = match promotion.strategy {
            Strategy::FastForward => {
                return Ok(Prepared::Ready {
                    commit: (*tested).clone(),
                });
            }
            Strategy::Merge => vec![(*tip).clone(), (*tested).clone()],
            Strategy::Squash => {
                if self.tree_of(tip).await? == tree {
                    return Ok(Prepared::AlreadyThere);
                }
                vec![(*tip).clone()]
            }
        };
        let commit = self
            .commit_tree(&CommitSpec {
                tree: &tree,
                parents: &parents,
                message: promotion.message,
                author: promotion.committer,
                committer: promotion.committer,
                time: promotion.time,
            })
            .await?;
        Ok(Prepared::Ready { commit })
    }

    /// Commits that `ours` has and `theirs` has not, and the other way round. Both are objects of this clone.
    pub async fn ahead_behind(&self, ours: &Oid, theirs: &Oid) -> Result<(u32, u32), GitError> {
        let range = format!("{ours}...{theirs}");
        let call = self.read("rev-list");
        let call = call.args(["--left-right", "--count", range.as_str(), "--"]);
        let counted = call.ok().await?.stdout;
        let words = String::from_utf8_lossy(&counted);
        let mut words = words.split_whitespace().map(str::parse);
        match (words.next(), words.next()) {
            (Some(Ok(ahead)), Some(Ok(behind))) => Ok((ahead, behind)),
            _ => Err(GitError::unexpected("two numbers of commits", &counted)),
        }
    }

    /// All commits of the history that ends in this one.
    pub async fn commits_to(&self, commit: &Oid) -> Result<u32, GitError> {
        let call = self
            .read("rev-list")
            .args(["--count", commit.as_str(), "--"]);
        let counted = call.ok().await?.stdout;
        let number = String::from_utf8_lossy(&counted).trim().parse();
        number.map_err(|_| GitError::unexpected("a number of commits", &counted))
    }

    /// Reads the branch of the target back: whether it is at `commit`, and that has the tree of `tested`.
    pub async fn landed(
        &self,
        target: &Target,
        branch: &str,
        commit: &Oid,
        tested: &Oid,
    ) -> Result<Landed, GitError> {
        let actual = self.read_branch(target, branch).await?;
        let is_there = actual.as_ref() == Some(commit);
        if is_there && self.tree_of(commit).await? == self.tree_of(tested).await? {
            return Ok(Landed::Tested);
        }
        Ok(Landed::Other { actual })
    }
}
