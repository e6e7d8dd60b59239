//! The kinds of jobs, and how the work on one may end.
//!
//! Invariant: a message is acknowledged only when the registry has committed its end, or has given the job away.

pub(crate) mod bootstrap;
pub(crate) mod cleanup;
pub(crate) mod integration;
pub(crate) mod promote;

use autopack_domain::Cause;
use autopack_domain::run::JobKind;
use autopack_domain::run::settle::Report;

use crate::context::Context;
use crate::error::{CallError, Stop};
use crate::leases::{Lease, Why};
use crate::ports::Leased;
use crate::{phase, spans, text};

/// How the work on a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The registry has committed its end.
    Committed,
    /// The lease is not ours any more.
    Dropped,
    /// The lease was given back.
    HandedBack,
    /// The registry could not be told.
    Later,
}

/// Executes a leased job.
pub(crate) async fn execute(cx: &Context, kind: JobKind, lease: &Lease, leased: &Leased) -> Ended {
    match kind {
        JobKind::Phase => phase::execute(cx, lease, leased).await,
        JobKind::Bootstrap => {
            let work = bootstrap::execute(cx, lease, leased);
            lease.trace.within(kind.as_str(), work).await
        }
        JobKind::Cleanup => {
            let work = cleanup::execute(cx, lease, leased);
            lease.trace.within(kind.as_str(), work).await
        }
        JobKind::Promote => {
            let work = promote::execute(cx, lease, leased);
            lease.trace.within(kind.as_str(), work).await
        }
        JobKind::IntegrationStatus => {
            let work = integration::execute(cx, lease, leased);
            lease.trace.within(kind.as_str(), work).await
        }
    }
}

/// Ends a job whose execution panicked.
pub(crate) async fn panicked(cx: &Context, kind: JobKind, lease: &Lease) -> Ended {
    let (registry, held) = (&cx.ports.registry, lease.held);
    let detail = "the worker has a defect: executing the job panicked; see the worker's log";
    let patience = cx.config.settle_patience;
    let told = match kind {
        JobKind::Phase => {
            let report = Report {
                cause: Some(Cause::WorkerError),
                detail: detail.to_owned(),
                ..Report::default()
            };
            let answer = cx.insist(patience, || registry.settle(held, &report)).await;
            answer.map(drop)
        }
        JobKind::Bootstrap | JobKind::Cleanup | JobKind::Promote | JobKind::IntegrationStatus => {
            let call = || registry.fail_job(held, Cause::WorkerError, detail);
            cx.insist(patience, call).await
        }
    };
    told.map_or_else(|error| refused(&error), |()| Ended::Committed)
}

fn refused(error: &CallError) -> Ended {
    if error.is_ours() {
        Ended::Later
    } else {
        Ended::Dropped
    }
}

/// Tells the registry why a repository job has no good end.
async fn conclude(cx: &Context, lease: &Lease, stop: Stop) -> Ended {
    let (registry, held) = (&cx.ports.registry, lease.held);
    let patience = cx.config.settle_patience;
    let (cause, detail) = match stop {
        Stop::Failed(failure) => (failure.cause, failure.detail),
        Stop::Registry(error) if error.is_gone() || error.is_ours() => return refused(&error),
        Stop::Registry(error) => (Cause::WorkerError, error.to_string()),
        Stop::GiveBack(why) => (Cause::RepositoryUnavailable, why),
        Stop::Interrupted if matches!(lease.why(), Some(Why::Drained | Why::Expired)) => {
            let released = cx.insist(cx.config.drain, || registry.release(held)).await;
            return released.map_or_else(|error| refused(&error), |()| Ended::HandedBack);
        }
        Stop::Interrupted => return Ended::Dropped,
    };
    let detail = text::head(&cx.redactor.redact(&detail), text::DETAIL);
    tracing::info!(uid = %held.uid, %cause, detail, "the job failed");
    spans::failed(&tracing::Span::current(), cause);
    let call = || registry.fail_job(held, cause, &detail);
    let told = cx.insist(patience, call).await;
    told.map_or_else(|error| refused(&error), |()| Ended::Committed)
}
