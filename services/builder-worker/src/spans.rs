//! The worker's part of a run's trace: what it does for an attempt, as children of the attempt's own span.
//!
//! Invariant: every span hangs directly below the attempt (or the run, for other jobs), which the registry tells from
//! its log; so a worker that dies takes leaves of the tree with it and never leaves one without its parent.

use autopack_domain::{Cause, TraceContext};
use autopack_runtime::attributes as at;
use autopack_runtime::telemetry::set_record;
use tracing::{Instrument, Span, field::Empty};

use crate::ports::{JobHint, Leased};

/// Where a job's spans hang; nothing is made where the job is not traced.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace {
    parent: Option<String>,
}

impl Trace {
    /// What the job's message says.
    pub(crate) fn of(traceparent: Option<&str>) -> Self {
        let kept = |text: &&str| TraceContext::parse(text).is_some_and(|at| at.sampled);
        let parent = traceparent.filter(kept);
        Self {
            parent: parent.map(str::to_owned),
        }
    }

    /// The whole handling of a message; what the registry does meanwhile for us hangs beside it.
    pub(crate) fn process(&self, hint: &JobHint, deliveries: u64) -> Span {
        self.below(|| {
            let (job, run) = (hint.job, hint.run);
            let attempt = hint.attempt.map(|uid| uid.to_string());
            tracing::info_span!(
                parent: None,
                "process",
                otel.kind = "consumer",
                { at::MESSAGING_OPERATION_TYPE } = "process",
                { at::MESSAGING_OPERATION_NAME } = "process",
                { at::JOB_UID } = %job,
                { at::JOB_KIND } = hint.kind.as_str(),
                { at::JOB_DELIVERIES } = deliveries,
                { at::RUN_UID } = %run,
                { at::ATTEMPT_UID } = attempt,
                { at::RUN_ID } = Empty,
                { at::PHASE_ID } = Empty,
                { at::ATTEMPT_NUMBER } = Empty,
                { at::LEASE_FENCE } = Empty,
            )
        })
    }

    /// A stage of an attempt.
    pub(crate) fn stage(&self, name: &'static str) -> Span {
        self.below(|| {
            tracing::info_span!(
                parent: None,
                "stage",
                otel.name = name,
                otel.status_code = Empty,
                otel.status_description = Empty,
                { at::STAGE } = name,
                { at::BUILDER_KIND } = Empty,
                { at::GATE_VERDICT } = Empty,
                { at::CAUSE } = Empty,
                { at::ERROR_TYPE } = Empty,
            )
        })
    }

    /// Runs one step within a span of its own.
    pub(crate) async fn within<T>(&self, name: &'static str, step: impl Future<Output = T>) -> T {
        step.instrument(self.stage(name)).await
    }

    fn below(&self, make: impl FnOnce() -> Span) -> Span {
        let Some(parent) = &self.parent else {
            return Span::none();
        };
        let span = make();
        set_record(&span, parent);
        span
    }
}

/// Notes on the span of a message what its lease told.
pub(crate) fn leased(span: &Span, leased: &Leased) {
    span.record(at::RUN_ID, leased.run.id.as_str());
    span.record(at::LEASE_FENCE, leased.fence.0);
    if let Some(phase) = &leased.phase {
        span.record(at::PHASE_ID, phase.id.as_str());
    }
    if let Some(attempt) = &leased.attempt {
        span.record(at::ATTEMPT_NUMBER, attempt.number);
    }
}

/// Marks a span as failed.
pub(crate) fn failed(span: &Span, cause: Cause) {
    span.record(at::CAUSE, cause.code());
    span.record(at::ERROR_TYPE, cause.code());
    span.record("otel.status_code", "ERROR");
    span.record("otel.status_description", cause.text());
}
