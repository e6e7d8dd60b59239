//! What is kept of an attempt that did not land: a private reference in this worker's clone, and its work as an
//! artifact, from which `autopack wip restore` makes the tree again.
//!
//! Invariant: what a builder left is held by a reference before its folder is used again. The artifact is exact, or
//! there is none: a text without its secrets would make another tree.

use autopack_domain::attempt::ArtifactRef;
use autopack_domain::plan::BuilderSpec;
use autopack_git::{CommitSpec, Identity, Oid};

use super::{Job, settle};
use crate::error::Stop;
use crate::repo::Opened;

/// The artifact's name.
const WORK: &str = "work";
/// Bytes of it at most; larger work is held by the reference alone.
const MAX_WORK: usize = 16 * 1024 * 1024;

/// Holds the candidate by `attempt/<phase>/<number>`, so that it can be looked at and is never lost.
pub(super) async fn keep_candidate(job: &mut Job<'_>) {
    let Some(opened) = job.evidence.opened.clone() else {
        return;
    };
    let (Some(tree), Some((tip, base))) = (&job.evidence.candidate, &job.evidence.base) else {
        return;
    };
    if tree == base {
        return;
    }
    if let Err(stop) = keep(job, &opened, tree, tip.as_ref()).await {
        job.warn(format!(
            "the candidate is not held by a reference: {stop:?}"
        ));
    }
}

async fn keep(job: &Job<'_>, opened: &Opened, tree: &Oid, tip: Option<&Oid>) -> Result<(), Stop> {
    let who = Identity::default();
    let parents: Vec<Oid> = tip.into_iter().cloned().collect();
    let message = format!(
        "{}: attempt {}, not landed\n",
        job.spec.id, job.attempt.number
    );
    let own = &opened.repo.own;
    let spec = CommitSpec {
        tree,
        parents: &parents,
        message: &message,
        author: &who,
        committer: &who,
        time: job.cx.seconds(),
    };
    let commit = own.commit_tree(&spec).await?;
    own.set_private_ref(job.run.id.as_str(), &job.private_ref(), &commit)
        .await?;
    Ok(())
}

/// The candidate as a patch on the tip. None for what the plan or a submission holds already.
pub(super) async fn work_artifact(job: &mut Job<'_>) -> Option<ArtifactRef> {
    let kept_elsewhere = matches!(
        job.builder,
        BuilderSpec::Patch { .. } | BuilderSpec::Noop | BuilderSpec::External { .. }
    );
    let opened = job.evidence.opened.clone()?;
    let (tree, (_, base)) = (job.evidence.candidate.clone()?, job.evidence.base.clone()?);
    if kept_elsewhere || tree == base {
        return None;
    }
    let patch = match opened.repo.own.diff_patch(&base, &tree, MAX_WORK).await {
        Ok(patch) => patch,
        Err(error) => {
            job.warn(format!(
                "the work is kept by {} alone: {error}",
                job.private_ref()
            ));
            return None;
        }
    };
    let text = String::from_utf8_lossy(&patch);
    if job.cx.redactor.redact(&text) != text {
        job.warn(format!(
            "the work is kept by {} alone: it holds a secret",
            job.private_ref()
        ));
        return None;
    }
    settle::put(job, WORK, patch).await
}

impl Job<'_> {
    /// The reference that holds the attempt's work in our clone.
    pub(super) fn private_ref(&self) -> String {
        format!("attempt/{}/{}", self.spec.id, self.attempt.number)
    }
}
