//! Patches onto a tree, without a checkout.
//!
//! Invariant: either all patches apply and a tree comes back, or nothing has changed but objects that nobody names.
//! Git's own parser decides what a patch is; paths that leave the repository are refused by it.

use crate::clone::OwnClone;
use crate::error::{GitError, detail};
use crate::index::PooledIndex;
use crate::oid::Oid;
use crate::runner::GitOutput;

/// Why patches made no tree.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Git understood the patch, and the tree is not what it expects.
    #[error("the patch does not apply{}: {detail}", if *reverse_applies { " because its change is there already" } else { "" })]
    DoesNotApply {
        /// Git's words: files and line numbers.
        detail: String,
        /// Whether all patches can be undone on the tree, so that their change is present already.
        reverse_applies: bool,
    },
    /// Git cannot read the patch, whatever the tree.
    #[error(
        "the patch cannot be read: {detail}. Make it with `git diff --binary` or `git format-patch`"
    )]
    Unreadable {
        /// Git's words.
        detail: String,
    },
    /// The patch names a path outside of the repository, inside `.git`, or behind a symbolic link.
    #[error("the patch would leave the repository: {detail}")]
    Escapes {
        /// Git's words.
        detail: String,
        /// Whatever the tree; else only where the tree has that link.
        always: bool,
    },
    /// There is no patch, or only white space.
    #[error("the patch is empty: give at least one with a change, or use the builder kind `noop`")]
    Empty,
    /// The git layer failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl OwnClone {
    /// Applies patches one after the other to a commit's or tree's files and returns the new tree.
    ///
    /// Unified and git format are read, with whatever text stands before them. The index keeps the new tree, so that
    /// the next phase on top of it starts without reading; name the base by its tree to profit from that.
    pub async fn apply_patch(
        &self,
        base: &Oid,
        patches: &[Vec<u8>],
        index: &mut PooledIndex,
    ) -> Result<Oid, ApplyError> {
        if patches.iter().all(|patch| patch.trim_ascii().is_empty()) {
            return Err(ApplyError::Empty);
        }
        self.load_index(index, base).await?;
        for (n, patch) in patches.iter().enumerate() {
            if patch.trim_ascii().is_empty() {
                continue;
            }
            let before = index.holds().cloned();
            index.forget()?;
            let output = self.git_apply(patch, index, &[]).await?;
            if output.status == 0 {
                continue;
            }
            // `git apply` is atomic, so a first patch that failed has left the index as it was.
            if let Some(tree) = before {
                index.set(&tree);
            }
            let words = detail(&output.stderr);
            if let Some(always) = escapes(&output) {
                return Err(ApplyError::Escapes {
                    detail: at(n, patches, words),
                    always,
                });
            }
            if is_unreadable(&output) {
                return Err(ApplyError::Unreadable {
                    detail: at(n, patches, words),
                });
            }
            let reverse_applies = self.is_present(base, patches, index).await?;
            return Err(ApplyError::DoesNotApply {
                detail: at(n, patches, words),
                reverse_applies,
            });
        }
        Ok(self.write_index(index).await?)
    }

    /// Whether every patch can be undone on the base, last first.
    async fn is_present(
        &self,
        base: &Oid,
        patches: &[Vec<u8>],
        index: &mut PooledIndex,
    ) -> Result<bool, GitError> {
        self.load_index(index, base).await?;
        if let [only] = patches {
            let output = self
                .git_apply(only, index, &["--reverse", "--check"])
                .await?;
            return Ok(output.status == 0);
        }
        index.forget()?;
        for patch in patches
            .iter()
            .rev()
            .filter(|patch| !patch.trim_ascii().is_empty())
        {
            if self.git_apply(patch, index, &["--reverse"]).await?.status != 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn git_apply(
        &self,
        patch: &[u8],
        index: &PooledIndex,
        more: &[&str],
    ) -> Result<GitOutput, GitError> {
        let mut stdin = patch.to_vec();
        if stdin.last() != Some(&b'\n') {
            stdin.push(b'\n');
        }
        self.write("apply")
            .args(["--cached", "--whitespace=nowarn"])
            .args(more)
            .arg("-")
            .index(index.path())
            .stdin(stdin)
            .whole()
            .await
    }
}

/// Says which of several patches is meant.
fn at(n: usize, patches: &[Vec<u8>], words: String) -> String {
    if patches.len() == 1 {
        words
    } else {
        format!("patch {} of {}: {words}", n + 1, patches.len())
    }
}

/// Tells a path that git refuses to write: in any tree (`true`), or because of a link in this one.
fn escapes(output: &GitOutput) -> Option<bool> {
    let says = |sign: &str| output.stderr.lines().any(|line| line.contains(sign));
    if says("error: invalid path ") {
        return Some(true);
    }
    says(" is beyond a symbolic link").then_some(false)
}

/// Tells a patch that no tree could take from one that this tree does not take.
fn is_unreadable(output: &GitOutput) -> bool {
    const SIGNS: &[&str] = &[
        "No valid patches in input",
        "corrupt patch",
        "corrupt binary patch",
        "unrecognized binary patch",
        "unrecognized input",
        "patch with only garbage",
        "patch fragment without header",
        "header lacks filename information",
        "inconsistent",
        "without full index line",
        "invalid mode",
        "unable to find filename in patch",
    ];
    output
        .stderr
        .lines()
        .any(|line| SIGNS.iter().any(|sign| line.contains(sign)))
}
