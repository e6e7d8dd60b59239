//! The end of an attempt: its report to the registry, and what is kept of it.
//!
//! Invariant: an attempt is settled at most once, and only by the holder of its lease; its work is held by a private
//! reference before its folder is used again.

use autopack_domain::Cause;
use autopack_domain::attempt::ArtifactRef;
use autopack_domain::catalogue::Charge;
use autopack_domain::run::settle::Report;
use autopack_git::Oid;
use autopack_policy::signature;

use super::kept::{keep_candidate, work_artifact};
use super::{Job, Success};
use crate::context::Context;
use crate::error::{CallError, Failure, Stop};
use crate::failpoints;
use crate::jobs::Ended;
use crate::leases::Why;
use crate::ports::Settled;
use crate::text;

/// How much of a failing text is stored for its class and signature.
const RAW: usize = 4 * 1024;

/// Reports the result of the work.
pub(crate) async fn conclude(mut job: Job<'_>, result: Result<Success, Stop>) -> Ended {
    let result = result.map_err(|stop| match stop {
        Stop::Failed(failure) => Stop::Failed(at_fault(job.cx, failure)),
        other => other,
    });
    let cause = match &result {
        Err(Stop::Failed(failure)) => Some(failure.cause),
        Ok(_) | Err(_) => None,
    };
    job.leave(cause);
    match result {
        Ok(success) => succeed(job, success).await,
        Err(Stop::Failed(failure)) => fail(job, failure).await,
        Err(Stop::Registry(error)) if error.is_gone() => {
            tracing::info!(attempt = %job.attempt.uid, %error, "the attempt is no longer ours");
            Ended::Dropped
        }
        Err(Stop::Registry(error)) if error.is_ours() => {
            tracing::warn!(attempt = %job.attempt.uid, %error, "the registry does not answer: the attempt is given up");
            Ended::Later
        }
        Err(Stop::Registry(error)) => {
            let failure = Failure::new(Cause::WorkerError, format!("the registry said: {error}"));
            fail(job, failure).await
        }
        Err(Stop::GiveBack(why)) => {
            tracing::warn!(attempt = %job.attempt.uid, why, "the attempt is given back");
            give_back(job).await
        }
        Err(Stop::Interrupted) => match job.lease.why() {
            // A registry that comes back hears that the worker lives: the phase is not charged with a crash.
            Some(Why::Drained | Why::Expired) => give_back(job).await,
            Some(Why::Stopped) | None => {
                keep_candidate(&mut job).await;
                Ended::Dropped
            }
        },
    }
}

/// A command that met a full disk has not failed by itself: its machine did.
fn at_fault(cx: &Context, failure: Failure) -> Failure {
    if failure.cause.charge() != Charge::Attempt || !cx.host.is_full() {
        return failure;
    }
    Failure {
        detail: format!(
            "{}: {}; no space was left in {}",
            failure.cause,
            failure.detail,
            cx.host.data_dir().display()
        ),
        cause: Cause::DiskFull,
        ..failure
    }
}

async fn succeed(mut job: Job<'_>, success: Success) -> Ended {
    let artifacts = output_artifact(&mut job).await.into_iter().collect();
    let report = Report {
        outcome: Some(success.outcome),
        commit: shown(success.commit.as_ref()),
        tree: shown(success.tree.as_ref()),
        ..report(&mut job, artifacts)
    };
    settle(&job, &report).await
}

async fn fail(mut job: Job<'_>, failure: Failure) -> Ended {
    keep_candidate(&mut job).await;
    let mut artifacts: Vec<ArtifactRef> = output_artifact(&mut job).await.into_iter().collect();
    if failure.cause != Cause::SecretAdded {
        // What the change adds there is not to be kept anywhere else.
        artifacts.extend(diff_artifact(&mut job).await);
        artifacts.extend(work_artifact(&mut job).await);
    }
    let redactor = &job.cx.redactor;
    let detail = text::head(&redactor.redact(&failure.detail), text::DETAIL);
    let raw = if failure.raw.trim().is_empty() {
        &failure.detail
    } else {
        &failure.raw
    };
    let raw = text::tail(&redactor.redact(raw), RAW);
    let (class, sign) = (
        signature::class(&raw).to_owned(),
        signature::signature(&raw),
    );
    let report = Report {
        cause: Some(failure.cause),
        pause: failure.pause,
        detail,
        failure: Some((raw, class, sign)),
        tree: shown(job.evidence.candidate.as_ref()),
        ..report(&mut job, artifacts)
    };
    tracing::info!(attempt = %job.attempt.uid, cause = %failure.cause, "the attempt failed");
    settle(&job, &report).await
}

/// What good and bad ends have in common.
fn report(job: &mut Job<'_>, mut artifacts: Vec<ArtifactRef>) -> Report {
    artifacts.append(&mut job.evidence.submitted);
    artifacts.append(&mut job.evidence.kept);
    Report {
        gate: std::mem::take(&mut job.evidence.gate),
        tests: job.evidence.tests,
        usage: std::mem::take(&mut job.evidence.usage),
        usage_unknown: job.evidence.usage_unknown,
        issues: std::mem::take(&mut job.evidence.issues),
        approval: job.evidence.approval.take(),
        artifacts,
        facts: std::mem::take(&mut job.facts),
        ..Report::default()
    }
}

async fn settle(job: &Job<'_>, report: &Report) -> Ended {
    let cx = job.cx;
    cx.failpoint(failpoints::BEFORE_SETTLE);
    let (registry, held) = (&cx.ports.registry, job.lease.held);
    let call = || registry.settle(held, report);
    let settling = cx.insist(cx.config.settle_patience, call);
    match job.lease.trace.within("settle", settling).await {
        Ok(settled) => {
            cx.failpoint(failpoints::AFTER_SETTLE);
            cx.figures.attempt(report.cause);
            hold_tier(job, &settled).await;
            Ended::Committed
        }
        Err(error) => not_settled(&error, job),
    }
}

fn not_settled(error: &CallError, job: &Job<'_>) -> Ended {
    tracing::warn!(attempt = %job.attempt.uid, %error, "the attempt could not be settled");
    if error.is_ours() {
        Ended::Later
    } else {
        Ended::Dropped
    }
}

/// A completed tier is held by a private reference. A failure here is told and costs nobody the attempt.
async fn hold_tier(job: &Job<'_>, settled: &Settled) {
    let Some((tier, index)) = &settled.completed_tier else {
        return;
    };
    if settled.tip.is_empty() {
        return;
    }
    let hold = async {
        let opened = job.cx.host.repos.open(&job.run.repository).await?;
        let tip = Oid::parse(&settled.tip)?;
        opened.tree(Some(&tip), &job.run.branch).await?;
        let name = format!("tier/{tier}");
        let own = &opened.repo.own;
        own.set_private_ref(job.run.id.as_str(), &name, &tip)
            .await?;
        let (registry, run) = (&job.cx.ports.registry, job.run.uid);
        let call = || registry.record_snapshot(run, *index, &settled.tip);
        job.cx.insist(job.cx.config.registry_patience, call).await?;
        Ok::<_, Stop>(())
    };
    if let Err(stop) = hold.await {
        tracing::warn!(run = %job.run.id, tier, ?stop, "the completed tier is not held by a snapshot");
    }
}

/// Books what is left of the usage and releases the lease.
async fn give_back(mut job: Job<'_>) -> Ended {
    keep_candidate(&mut job).await;
    let (registry, held) = (&job.cx.ports.registry, job.lease.held);
    let usage = std::mem::take(&mut job.evidence.usage);
    if !usage.is_empty()
        && let Err(error) = registry.record_usage(held, &usage).await
    {
        tracing::warn!(%error, "usage may not have been booked");
    }
    match job
        .cx
        .insist(job.cx.config.drain, || registry.release(held))
        .await
    {
        Ok(()) => Ended::HandedBack,
        Err(error) => not_settled(&error, &job),
    }
}

/// What builder and gate printed, redacted, its end.
async fn output_artifact(job: &mut Job<'_>) -> Option<ArtifactRef> {
    let output = std::mem::take(&mut job.evidence.output);
    if output.trim().is_empty() {
        return None;
    }
    let output = text::tail(&job.cx.redactor.redact(&output), text::OUTPUT);
    put(job, "output", output.into_bytes()).await
}

/// The candidate against the tip.
async fn diff_artifact(job: &mut Job<'_>) -> Option<ArtifactRef> {
    let opened = job.evidence.opened.clone()?;
    let (tree, (_, base)) = (job.evidence.candidate.clone()?, job.evidence.base.clone()?);
    if tree == base {
        return None;
    }
    let diff = match opened.repo.own.diff_text(&base, &tree, text::DIFF).await {
        Ok(diff) => diff,
        Err(error) => {
            job.warn(format!("the diff could not be made: {error}"));
            return None;
        }
    };
    let diff = String::from_utf8_lossy(&diff.bytes);
    let diff = text::head(&job.cx.redactor.redact(&diff), text::DIFF);
    put(job, "diff", diff.into_bytes()).await
}

/// Stores an artifact; a failure is a fact, not a failure of the attempt.
pub(super) async fn put(job: &mut Job<'_>, name: &str, bytes: Vec<u8>) -> Option<ArtifactRef> {
    let registry = &job.cx.ports.registry;
    let call = || registry.put_artifact(bytes.clone());
    match job.cx.repeat(job.lease, call).await {
        Ok(stored) => Some(ArtifactRef {
            name: name.to_owned(),
            digest: stored.digest,
            size: stored.size,
        }),
        Err(stop) => {
            job.warn(format!(
                "the artifact `{name}` could not be stored: {stop:?}"
            ));
            None
        }
    }
}

fn shown(oid: Option<&Oid>) -> String {
    oid.map_or_else(String::new, ToString::to_string)
}
