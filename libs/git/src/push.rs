//! Moving one branch of the target by compare-and-swap.
//!
//! Invariant: the branch goes from the expected commit to the new one, or nothing happens and the answer says what is
//! there. No hook of a target on this machine runs, and no checkout, index, `HEAD` or other reference of it changes: a
//! branch that only stands for another one is refused by name.

use std::path::PathBuf;

use crate::clone::OwnClone;
use crate::error::{GitError, declined, detail, without_passwords as shown};
use crate::oid::Oid;
use crate::push_local::Offer;
use crate::refs::branch_ref;
use crate::target::{Target, TargetKind};
use crate::target_refs::read_ref;

/// The receiving side when it runs on this machine.
const RECEIVE_PACK: &str = "GIT_ALLOW_PROTOCOL= GIT_NO_LAZY_FETCH=1 git -c core.hooksPath=/dev/null \
     -c core.fsmonitor=false -c core.alternateRefsCommand=true -c gc.auto=0 -c maintenance.auto=false \
     -c receive.autogc=false -c receive.denyCurrentBranch=refuse -c 'safe.directory=*' receive-pack";

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushOutcome {
    /// The branch is where it should be, by our doing.
    Moved,
    /// The branch was not at the expected commit; nothing changed.
    Rejected {
        /// Where it is; `None` when it does not exist.
        actual: Option<Oid>,
    },
    /// The branch is checked out in the target; nothing changed.
    CheckedOut {
        /// Where, or the URL.
        path: PathBuf,
    },
}

impl OwnClone {
    /// Moves `branch` of the target from `expected` (`None`: it must not exist) to `commit`, an object of this clone.
    pub async fn push(
        &self,
        target: &Target,
        commit: &Oid,
        branch: &str,
        expected: Option<&Oid>,
    ) -> Result<PushOutcome, GitError> {
        let offer = Offer::none(commit, expected);
        self.push_offered(target, &offer, branch).await
    }

    /// The same for a commit that was offered to the target before; what the offer did not bring goes with the push.
    pub async fn push_offered(
        &self,
        target: &Target,
        offer: &Offer,
        branch: &str,
    ) -> Result<PushOutcome, GitError> {
        self.swap(target, branch, offer.expected(), Some(offer))
            .await
    }

    /// Moves the branch back from `from` to `to`.
    pub async fn rewind(
        &self,
        target: &Target,
        branch: &str,
        from: &Oid,
        to: &Oid,
    ) -> Result<PushOutcome, GitError> {
        let offer = Offer::none(to, Some(from));
        self.push_offered(target, &offer, branch).await
    }

    /// Deletes the branch if it is at `expected`.
    pub async fn delete_branch(
        &self,
        target: &Target,
        branch: &str,
        expected: &Oid,
    ) -> Result<PushOutcome, GitError> {
        self.swap(target, branch, Some(expected), None).await
    }

    async fn swap(
        &self,
        target: &Target,
        branch: &str,
        expected: Option<&Oid>,
        offer: Option<&Offer>,
    ) -> Result<PushOutcome, GitError> {
        let full = branch_ref(branch)?;
        self.check_symbolic_file(target, branch).await?;
        if let Some(path) = self.is_checked_out(target, branch).await? {
            return Ok(PushOutcome::CheckedOut { path });
        }
        let new = offer.map(Offer::commit);
        let output = match &target.kind {
            TargetKind::LocalPath { common_dir, .. } => {
                if let Some(offer) = offer.filter(|offer| !offer.is_in(common_dir)) {
                    self.hand_over(common_dir, offer.commit(), expected).await?;
                }
                self.update_ref(common_dir, &full, expected, new).await?
            }
            TargetKind::Url => {
                self.push_url(&target.location, &full, expected, new)
                    .await?
            }
        };
        if output.status == 0 {
            return Ok(PushOutcome::Moved);
        }
        let words = detail(&output.stderr);
        let in_use = [
            "checked out branch",
            "branch is currently checked out",
            "to delete the current branch",
        ];
        if in_use.iter().any(|sign| words.contains(sign)) {
            return Ok(PushOutcome::CheckedOut {
                path: PathBuf::from(&target.location),
            });
        }
        let actual = read_ref(&self.git, target, &full).await?;
        if actual.as_ref() != expected {
            return Ok(PushOutcome::Rejected { actual });
        }
        if let Some(detail) = declined(&output.stdout, &output.stderr) {
            return Err(GitError::PushDeclined {
                location: shown(&target.location),
                branch: branch.to_owned(),
                detail,
            });
        }
        Err(
            if words.contains("exists; cannot create") || words.contains("directory file conflict")
            {
                GitError::RefNameConflict {
                    branch: branch.to_owned(),
                    detail: words,
                }
            } else {
                GitError::failed("push", output.status, &output.stderr)
            },
        )
    }

    async fn push_url(
        &self,
        url: &str,
        full: &str,
        expected: Option<&Oid>,
        new: Option<&Oid>,
    ) -> Result<crate::GitOutput, GitError> {
        let mut call = self
            .write("push")
            .transport()
            .args([
                "--quiet",
                "--porcelain",
                "--no-verify",
                "--no-signed",
                "--no-follow-tags",
            ])
            .args(["--recurse-submodules=no"])
            .arg(format!(
                "--force-with-lease={full}:{}",
                expected.map_or("", Oid::as_str)
            ));
        if url.starts_with("file://") {
            call = call.arg(format!("--receive-pack={RECEIVE_PACK}"));
        }
        let spec = format!("{}:{full}", new.map_or("", Oid::as_str));
        call.args(["--", url, spec.as_str()]).whole().await
    }
}
