//! Bringing a target's references into our own clone.
//!
//! Invariant: what arrives lives under `refs/autopack/_target/` and mirrors the target (forced, pruned). The serving
//! side runs with a configuration of ours too, and cannot reach any third repository.

use crate::clone::OwnClone;
use crate::error::GitError;
use crate::oid::Oid;
use crate::refs::{TARGET_PREFIX, branch_ref};
use crate::target::{Target, TargetKind};
use crate::target_refs::read_ref;

/// The serving side of a local fetch; run by a shell, which passes our environment on but for git's configuration.
pub(crate) const UPLOAD_PACK: &str = "GIT_ALLOW_PROTOCOL= GIT_NO_LAZY_FETCH=1 git -c core.hooksPath=/dev/null \
     -c core.fsmonitor=false -c core.alternateRefsCommand=true -c gc.auto=0 -c 'safe.directory=*' upload-pack";

/// What to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchRefs {
    /// All branches and tags, and `HEAD`.
    All,
    /// These branches only; one that is gone in the target is forgotten here too.
    Branches(Vec<String>),
}

impl OwnClone {
    /// Brings references of the target, with all their objects, into this clone.
    pub async fn fetch(&self, target: &Target, refs: &FetchRefs) -> Result<(), GitError> {
        self.check_format(target)?;
        let _turn = self.fetching.lock().await;
        let mut specs = Vec::new();
        let mut gone = Vec::new();
        match refs {
            FetchRefs::All => {
                specs.push(format!("+refs/heads/*:{TARGET_PREFIX}heads/*"));
                specs.push(format!("+refs/tags/*:{TARGET_PREFIX}tags/*"));
                match head(self, target).await? {
                    Some(_) => specs.push(format!("+HEAD:{TARGET_PREFIX}HEAD")),
                    None => gone.push(format!("{TARGET_PREFIX}HEAD")),
                }
            }
            FetchRefs::Branches(branches) => {
                for branch in branches {
                    let full = branch_ref(branch)?;
                    match read_ref(&self.git, target, &full).await? {
                        Some(_) => specs.push(format!("+{full}:{TARGET_PREFIX}heads/{branch}")),
                        None => gone.push(format!("{TARGET_PREFIX}heads/{branch}")),
                    }
                }
            }
        }
        for name in gone {
            self.write("update-ref").args(["-d", &name]).ok().await?;
        }
        if specs.is_empty() {
            Ok(())
        } else {
            self.fetch_specs(target, &specs).await
        }
    }

    /// Runs one fetch with these refspecs; an object name alone fetches that commit.
    pub(crate) async fn fetch_specs(
        &self,
        target: &Target,
        specs: &[String],
    ) -> Result<(), GitError> {
        let mut call = self
            .write("fetch")
            .transport()
            .args([
                "--quiet",
                "--force",
                "--prune",
                "--no-tags",
                "--no-write-fetch-head",
                "--no-auto-maintenance",
            ])
            .args([
                "--no-recurse-submodules",
                "--no-show-forced-updates",
                "--update-shallow",
            ]);
        if is_on_this_machine(target) {
            call = call.arg(format!("--upload-pack={UPLOAD_PACK}"));
        }
        call = match &target.kind {
            TargetKind::LocalPath { git_dir, .. } => call.arg("--").arg(git_dir),
            TargetKind::Url => call.arg("--").arg(&target.location),
        };
        call.args(specs).ok().await.map(drop)
    }

    fn check_format(&self, target: &Target) -> Result<(), GitError> {
        let (theirs, own) = (target.object_format(), self.format);
        if matches!(target.kind, TargetKind::Url) || theirs == own {
            return Ok(());
        }
        Err(GitError::ObjectFormatMismatch {
            target: theirs.as_str().to_owned(),
            own: own.as_str().to_owned(),
        })
    }
}

/// Whether the serving process runs here, as us, on a configuration that we must not trust.
pub(crate) fn is_on_this_machine(target: &Target) -> bool {
    matches!(target.kind, TargetKind::LocalPath { .. }) || target.location.starts_with("file://")
}

/// What the target's `HEAD` resolves to; `None` when it is unborn.
async fn head(own: &OwnClone, target: &Target) -> Result<Option<Oid>, GitError> {
    let TargetKind::LocalPath { git_dir, .. } = &target.kind else {
        return read_ref(&own.git, target, "HEAD").await;
    };
    let call = own.git.call(git_dir, "rev-parse").git_dir(git_dir);
    let output = call
        .args(["--verify", "--quiet", "HEAD^{commit}"])
        .whole()
        .await?;
    if output.status == 0 {
        Oid::parse_bytes(&output.stdout).map(Some)
    } else {
        Ok(None)
    }
}
