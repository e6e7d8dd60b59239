//! An agent's end, settled: its claim against what was seen, its tokens with their provenance, its stream archived.
//!
//! Invariant: tokens that nobody told are never zero: they are estimated, charged, or fail the attempt, as the plan
//! says.

use autopack_adapters::usage::{Metered, estimate};
use autopack_adapters::{Claim, Manifest, Report, Why};
use autopack_domain::Cause;
use autopack_domain::plan::{AgentSpec, UnknownUsage};
use autopack_policy::provider::Outcome;
use autopack_sandbox::End;
use serde_json::json;

use super::super::usage::Book;
use super::super::{Job, ends};
use crate::agents::{Driven, archive};
use crate::error::Failure;
use crate::repo::bench::blocking;
use crate::text;

/// How much of the output's end stands in the detail of a failure.
const TAIL: usize = 6 * 1024;

/// What was booked while the agent ran.
pub(super) struct Booked {
    pub(super) book: Book,
    /// The model that it was booked on.
    pub(super) model: String,
}

/// Leaves what is still to be booked with the attempt; the failure, if the plan refuses unknown usage.
pub(super) fn usage(
    job: &mut Job<'_>,
    manifest: &Manifest,
    agent: &AgentSpec,
    report: &Report,
    prompt: &str,
    mut booked: Booked,
) -> Option<Failure> {
    let mut metered = report.usage;
    let known = metered.is_known();
    if !known && agent.unknown_usage == UnknownUsage::Estimate {
        metered = estimate(prompt.len() as u64, report.counts.text_bytes);
    }
    if booked.model.is_empty() {
        booked.model.clone_from(&report.model);
    }
    tell(job, &metered);
    if metered.is_known() {
        let usage = metered.usage(&manifest.provider, &booked.model);
        job.evidence.usage = booked.book.increments(&[usage]);
        if booked.book.shrunk {
            job.warn("the agent told smaller figures than before; the larger ones count");
        }
    } else {
        // An agent whose first question was refused has used nothing.
        let refused = matches!(
            &report.claim,
            Some(Claim::Failure {
                why: Why::RateLimited | Why::QuotaExhausted,
                ..
            })
        );
        let silent = report.counts.texts == 0 && report.counts.tools == 0;
        job.evidence.usage_unknown = booked.book.is_empty() && !(refused && silent);
    }
    (!known && agent.unknown_usage == UnknownUsage::Refuse).then(|| {
        let text = format!(
            "{} told no tokens, and `builder.unknown_usage` is `refuse`",
            manifest.title
        );
        Failure::new(Cause::BuilderFailed, text)
    })
}

fn tell(job: &mut Job<'_>, metered: &Metered) {
    let tokens = metered.tokens;
    job.fact(
        "agent_usage",
        json!({
            "uncached": tokens.uncached,
            "cache_read": tokens.cache_read,
            "cache_write": tokens.cache_write,
            "output": tokens.output,
            "total": metered.total,
            "micros": metered.micros,
            "provenance": metered.provenance.as_str(),
            "partial": metered.partial,
        }),
    );
}

/// Puts the raw stream among the attempt's artifacts, secrets out.
pub(super) async fn stream(job: &mut Job<'_>, driven: &Driven) {
    let path = driven.stream.clone();
    let raw = blocking(move || Ok(archive(&path)))
        .await
        .unwrap_or_default();
    if raw.is_empty() {
        return;
    }
    let shown = job.cx.redactor.redact(&String::from_utf8_lossy(&raw));
    if let Some(stored) = super::super::settle::put(job, "agent-stream", shown.into_bytes()).await {
        job.evidence.submitted.push(stored);
    }
}

/// Why an agent's end is none that lets its work be judged.
pub(super) fn failure(
    manifest: &Manifest,
    driven: &Driven,
    timeout_seconds: u32,
    missing: Option<&str>,
) -> Option<(Cause, String)> {
    let (end, title) = (&driven.outcome.end, &manifest.title);
    let ended_by_us =
        driven.stopped && matches!(end, End::Cancelled | End::Signalled(_) | End::Exited(_));
    let natural = matches!(end, End::Exited(code) if *code != 127 || missing.is_none());
    if !ended_by_us && !natural {
        return ends::builder_failure(end, timeout_seconds, missing);
    }
    match &driven.report.claim {
        // Its exit code is the weaker claim: the host judges what it left.
        Some(Claim::Success) => None,
        Some(Claim::Failure { why, words }) => {
            let cause = match why {
                Why::RateLimited => Cause::ProviderPaused,
                Why::QuotaExhausted => Cause::ProviderExhausted,
                _ => Cause::BuilderFailed,
            };
            Some((cause, format!("{title} gave up ({why}): {words}")))
        }
        None => match end {
            End::Exited(0) if manifest.output.says_end => Some((
                Cause::BuilderFailed,
                format!("{title} ended without its final event: its work may be half done"),
            )),
            _ => ends::builder_failure(end, timeout_seconds, missing),
        },
    }
}

/// A failure with what the agent said and printed.
pub(super) fn with_output(cause: Cause, words: &str, report: &Report, printed: &str) -> Failure {
    let mut detail = words.to_owned();
    for error in &report.errors {
        detail.push_str("\nit said: ");
        detail.push_str(error);
    }
    let tail = text::tail(printed, TAIL);
    if tail.trim().is_empty() {
        detail.push_str("\nit printed nothing");
    } else {
        detail.push_str("\nthe end of its output:\n");
        detail.push_str(&tail);
    }
    Failure::new(cause, detail).with_raw(tail)
}

/// How long the provider behind an agent is left alone, if the agent says that it must be. A claim without end is not
/// believed for ever: after a while without a success it counts as exhaustion, which has a bound.
pub(super) fn paused(
    job: &Job<'_>,
    manifest: &Manifest,
    failure: Option<Failure>,
) -> Option<Failure> {
    let outcome = match failure.as_ref().map(|failure| failure.cause) {
        Some(Cause::ProviderPaused) => Outcome::Paused(None),
        Some(Cause::ProviderExhausted) => Outcome::Exhausted(None),
        Some(_) => return failure,
        None => Outcome::Answered,
    };
    let wait = job
        .cx
        .host
        .models
        .note(&format!("agent:{}", manifest.name), outcome);
    let failure = failure?;
    let cause = if wait.exhausted {
        Cause::ProviderExhausted
    } else {
        failure.cause
    };
    Some(Failure { cause, ..failure }.after(wait.time))
}
