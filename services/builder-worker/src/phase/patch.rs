//! The patch builder: artifacts applied to the tip's tree on a private index, without a work folder.
//!
//! Invariant: what is applied has the digest that the plan names.

use autopack_domain::plan::PatchSpec;
use autopack_domain::{Cause, Reason};
use autopack_git::{ApplyError, Oid};
use sha2::{Digest, Sha256};

use super::Job;
use super::build::{Built, Candidate};
use crate::error::Stop;
use crate::repo::{Opened, hex};

/// The largest patch.
pub(crate) const MAX_PATCH: usize = 64 * 1024 * 1024;

/// Applies the series.
pub(crate) async fn build(
    job: &Job<'_>,
    opened: &Opened,
    base: &Oid,
    patches: &[PatchSpec],
) -> Result<Built, Stop> {
    let mut series = Vec::with_capacity(patches.len());
    for patch in patches {
        series.push(fetch(job, &patch.path, &patch.digest, MAX_PATCH).await?);
    }
    match apply_series(job, opened, base, &series).await? {
        Ok(tree) => Ok(Built::Candidate(Candidate::of(tree))),
        Err(ApplyError::DoesNotApply {
            reverse_applies: true,
            ..
        }) => Ok(Built::AlreadyPresent),
        Err(ApplyError::Git(error)) => Err(error.into()),
        Err(error) => Err(Stop::failed(apply_cause(&error), error.to_string())),
    }
}

/// Applies patches one after the other; the outer failure is the lease's.
pub(super) async fn apply_series(
    job: &Job<'_>,
    opened: &Opened,
    base: &Oid,
    series: &[Vec<u8>],
) -> Result<Result<Oid, ApplyError>, Stop> {
    let repo = &opened.repo;
    let mut index = repo.indexes.take(|index| index.holds() == Some(base)).await;
    job.lease
        .guard(async {
            let applied = repo.own.apply_patch(base, series, &mut index).await;
            Ok::<_, Stop>(applied)
        })
        .await
}

/// The cause that a refused patch stands for.
pub(crate) fn apply_cause(error: &ApplyError) -> Cause {
    match error {
        ApplyError::DoesNotApply { .. } => Cause::PatchDoesNotApply,
        ApplyError::Escapes { .. } => Cause::PathEscape,
        ApplyError::Unreadable { .. } | ApplyError::Empty => Cause::PatchUnreadable,
        ApplyError::Git(error) => crate::error::git_cause(error),
    }
}

/// An artifact of at most `max` bytes; `name` is what people call it.
pub(super) async fn fetch(
    job: &Job<'_>,
    name: &str,
    digest: &str,
    max: usize,
) -> Result<Vec<u8>, Stop> {
    let registry = &job.cx.ports.registry;
    let call = || registry.get_artifact(digest, max);
    let bytes = match job.cx.repeat(job.lease, call).await {
        Err(Stop::Registry(error))
            if error.is(Reason::ArtifactNotFound) || error.is(Reason::ArgumentInvalid) =>
        {
            return Err(Stop::failed(
                Cause::PatchUnreadable,
                format!("{name} ({digest}): {error}"),
            ));
        }
        other => other?,
    };
    check_digest(&bytes, name, digest)?;
    Ok(bytes)
}

fn check_digest(bytes: &[u8], name: &str, digest: &str) -> Result<(), Stop> {
    let found = hex(&Sha256::digest(bytes), 32);
    if found == digest {
        return Ok(());
    }
    Err(Stop::failed(
        Cause::WorkerError,
        format!("the content of {name} has the digest {found}, not {digest}"),
    ))
}
