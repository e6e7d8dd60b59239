//! Merging without a checkout.
//!
//! Invariant: only objects are written. A conflict is an answer with the paths, not an error.

use crate::clone::OwnClone;
use crate::commit::{CommitSpec, Identity};
use crate::error::GitError;
use crate::oid::Oid;

/// The outcome of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MergeResult {
    /// Both changes fit together.
    Clean {
        /// The merged files.
        tree: Oid,
    },
    /// They touch the same place.
    Conflict {
        /// Where, raw; in git's order, once each.
        paths: Vec<Vec<u8>>,
    },
}

impl OwnClone {
    /// Merges a commit into a tip. Without a base git finds the common ancestor itself (none: an empty one); with a
    /// base, a commit or tree, that is the common ancestor whatever history says.
    pub async fn merge(
        &self,
        base: Option<&Oid>,
        ours: &Oid,
        theirs: &Oid,
    ) -> Result<MergeResult, GitError> {
        let (ours, theirs) = match base {
            None => (ours.clone(), theirs.clone()),
            Some(base) => self.under_base(base, ours, theirs).await?,
        };
        let call =
            self.write("merge-tree")
                .args(["--write-tree", "-z", "--name-only", "--no-messages"]);
        let call = call.args([
            "--allow-unrelated-histories",
            ours.as_str(),
            theirs.as_str(),
        ]);
        let output = call.whole().await?;
        let mut fields = output.stdout.split(|b| *b == 0);
        match output.status {
            0 => Ok(MergeResult::Clean {
                tree: Oid::parse_bytes(fields.next().unwrap_or_default())?,
            }),
            1 => {
                let mut paths: Vec<Vec<u8>> = fields
                    .skip(1)
                    .take_while(|path| !path.is_empty())
                    .map(<[u8]>::to_vec)
                    .collect();
                paths.dedup();
                Ok(MergeResult::Conflict { paths })
            }
            status => Err(GitError::failed("merge-tree", status, &output.stderr)),
        }
    }

    /// Stand-ins for both sides whose only parent is the base: git before 2.40 has no `--merge-base`.
    async fn under_base(
        &self,
        base: &Oid,
        ours: &Oid,
        theirs: &Oid,
    ) -> Result<(Oid, Oid), GitError> {
        let root = self.stand_in(base, &[]).await?;
        let parents = std::slice::from_ref(&root);
        Ok((
            self.stand_in(ours, parents).await?,
            self.stand_in(theirs, parents).await?,
        ))
    }

    async fn stand_in(&self, tree_ish: &Oid, parents: &[Oid]) -> Result<Oid, GitError> {
        let tree = self.tree_of(tree_ish).await?;
        let who = Identity::default();
        let spec = CommitSpec {
            tree: &tree,
            parents,
            message: "merge\n",
            author: &who,
            committer: &who,
            time: 0,
        };
        self.commit_tree(&spec).await
    }
}
