//! Moving the branch of the target, and finding out what became of it.
//!
//! Invariant: after the intent is stored an attempt ends only when the branch was seen: it holds our commit, or it does
//! not. Where it cannot be seen the lease is given back and a cleanup decides.

use autopack_domain::Cause;
use autopack_domain::attempt::Attempt;
use autopack_domain::run::Run;
use autopack_domain::states::AttemptState;
use autopack_git::{GitError, Offer, Oid, PushOutcome};

use super::Job;
use crate::error::{Stop, git_cause};
use crate::repo::Opened;

/// What the compare-and-swap expects: before the first landing the branch is absent.
pub(crate) async fn expected(
    opened: &Opened,
    run: &Run,
    tip: Option<&Oid>,
) -> Result<Option<Oid>, Stop> {
    let Some(tip) = tip else { return Ok(None) };
    if tip.as_str() != run.base_sha {
        return Ok(Some(tip.clone()));
    }
    let found = opened
        .repo
        .own
        .read_branch(&opened.target, &run.branch)
        .await?;
    Ok(found.map(|_| tip.clone()))
}

/// Moves the branch to the commit, which may have been offered to the target already.
pub(crate) async fn push(
    job: &Job<'_>,
    opened: &Opened,
    commit: &Oid,
    expected: Option<&Oid>,
    offer: Option<Offer>,
) -> Result<(), Stop> {
    // The lease may have run out while the intent was stored: then whoever comes next decides.
    job.lease.check()?;
    let (own, branch) = (&opened.repo.own, job.run.branch.as_str());
    let pushed = match offer {
        Some(offer) => own.push_offered(&opened.target, &offer, branch).await,
        None => own.push(&opened.target, commit, branch, expected).await,
    };
    let actual = match pushed {
        Ok(PushOutcome::Moved) => return Ok(()),
        Ok(PushOutcome::CheckedOut { path }) => return Err(checked_out(job, &path)),
        Ok(PushOutcome::Rejected { actual }) => actual,
        Err(error) => return after_error(opened, branch, commit, &error).await,
    };
    match actual {
        Some(actual) if actual == *commit => Ok(()),
        Some(actual) if is_stray(&job.leased.intents, &actual) => {
            let rewound = rewind(opened, branch, &actual, expected).await;
            tracing::warn!(%actual, ?rewound, "a commit of an attempt that ended otherwise was on the branch");
            match own.push(&opened.target, commit, branch, expected).await {
                Ok(PushOutcome::Moved) => Ok(()),
                Ok(PushOutcome::CheckedOut { path }) => Err(checked_out(job, &path)),
                Ok(PushOutcome::Rejected { actual }) => Err(moved(job, actual.as_ref(), expected)),
                Err(error) => after_error(opened, branch, commit, &error).await,
            }
        }
        actual => Err(moved(job, actual.as_ref(), expected)),
    }
}

/// Whether a commit belongs to an attempt whose intent was resolved and that did not succeed.
pub(crate) fn is_stray(intents: &[Attempt], commit: &Oid) -> bool {
    intents.iter().any(|attempt| {
        attempt.state != AttemptState::Succeeded
            && attempt.commit.is_empty()
            && attempt
                .intent
                .as_ref()
                .is_some_and(|intent| intent.resolved && intent.commit == commit.as_str())
    })
}

/// Moves the branch back, or removes it where it was absent.
pub(crate) async fn rewind(
    opened: &Opened,
    branch: &str,
    from: &Oid,
    to: Option<&Oid>,
) -> Result<PushOutcome, GitError> {
    let own = &opened.repo.own;
    match to {
        Some(to) => own.rewind(&opened.target, branch, from, to).await,
        None => own.delete_branch(&opened.target, branch, from).await,
    }
}

/// A push without an answer may have moved the branch: only reading it tells.
async fn after_error(
    opened: &Opened,
    branch: &str,
    commit: &Oid,
    error: &GitError,
) -> Result<(), Stop> {
    match opened.repo.own.read_branch(&opened.target, branch).await {
        Ok(Some(actual)) if actual == *commit => Ok(()),
        Ok(_) => Err(Stop::failed(push_cause(error), error.to_string())),
        Err(unread) => Err(Stop::GiveBack(format!(
            "the branch may have moved and cannot be read: {error}; {unread}"
        ))),
    }
}

/// What cannot be pushed is the target's matter unless our own machine is at fault.
fn push_cause(error: &GitError) -> Cause {
    match git_cause(error) {
        Cause::WorkerError => Cause::RepositoryUnavailable,
        cause => cause,
    }
}

fn checked_out(job: &Job<'_>, path: &std::path::Path) -> Stop {
    Stop::failed(
        Cause::BranchCheckedOut,
        format!("{} is checked out in {}", job.run.branch, path.display()),
    )
}

fn moved(job: &Job<'_>, actual: Option<&Oid>, expected: Option<&Oid>) -> Stop {
    let shown = |oid: Option<&Oid>| oid.map_or_else(|| "absent".to_owned(), ToString::to_string);
    Stop::failed(
        Cause::BranchMoved,
        format!(
            "{} is {}, and was expected to be {}",
            job.run.branch,
            shown(actual),
            shown(expected)
        ),
    )
}
