//! The spans of a run, from what the event log says: the run, its phases, their attempts.
//!
//! Invariant: a pure function of the log up to an event, so that every registry tells the same span for it, and every
//! span's parent is told by a later event of the same run.

use std::collections::HashMap;

use autopack_domain::{
    Cause, EventKind, Timestamp,
    attempt::Attempt,
    event::Event,
    phase::Phase,
    run::Run,
    states::{AttemptState, PhaseState, RunState},
    trace::{self, CALLER_FACT, TraceContext},
};
use autopack_runtime::{attributes as at, telemetry::RecordedSpan};
use autopack_wire::convert::RecordedEvent;
use opentelemetry::KeyValue;

/// The kinds of events of which spans are made; of a reopening only the time is needed.
pub(crate) const KINDS: [EventKind; 6] = [
    EventKind::PhaseCompleted,
    EventKind::PhaseFailed,
    EventKind::PhaseSkipped,
    EventKind::AttemptFinished,
    EventKind::RunFinished,
    EventKind::RunReopened,
];

/// What had ended in a run before; a run that was never reopened has an empty one.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    phases: HashMap<usize, u32>,
    run: u32,
    reopened: Option<Timestamp>,
}

impl Ends {
    /// Takes the next event of the run in.
    pub(crate) fn note(&mut self, recorded: &RecordedEvent) {
        match (recorded.event.kind, &recorded.event.phase) {
            (
                EventKind::PhaseCompleted | EventKind::PhaseFailed | EventKind::PhaseSkipped,
                Some((phase, _)),
            ) => *self.phases.entry(*phase).or_default() += 1,
            (EventKind::RunFinished, _) => self.run += 1,
            (EventKind::RunReopened, _) => self.reopened = Some(recorded.at),
            _ => {}
        }
    }

    fn of_phase(&self, phase: usize) -> u32 {
        self.phases.get(&phase).copied().unwrap_or(0)
    }
}

/// The span that ended with an event; `before`: what had ended in its run before.
pub(crate) fn span(recorded: &RecordedEvent, before: &Ends) -> Option<RecordedSpan> {
    let event = &recorded.event;
    let root = event.run.trace()?;
    let known = Known {
        root,
        run: &event.run,
        before,
        end: recorded.at,
    };
    match (event.kind, &event.phase) {
        (EventKind::RunFinished, _) => Some(known.run()),
        (
            EventKind::PhaseCompleted | EventKind::PhaseFailed | EventKind::PhaseSkipped,
            Some((index, phase)),
        ) => Some(known.phase(event, *index, phase)),
        (EventKind::AttemptFinished, Some((index, phase))) => {
            Some(known.attempt(*index, phase, event.attempt.as_ref()?))
        }
        _ => None,
    }
}

struct Known<'a> {
    root: TraceContext,
    run: &'a Run,
    before: &'a Ends,
    end: Timestamp,
}

impl Known<'_> {
    fn run(&self) -> RecordedSpan {
        let run = self.run;
        let again = self.before.run > 0;
        let created = run.created_at;
        let start = self.before.reopened.filter(|_| again).unwrap_or(created);
        let mut attributes = self.common();
        attributes.extend([
            KeyValue::new(at::RUN_STATE, run.state.as_str()),
            KeyValue::new(at::RUN_REVISION, i64::from(run.revision)),
            KeyValue::new(at::CICD_PIPELINE_RESULT, pipeline_result(run.state)),
            KeyValue::new(at::TOKENS, signed(run.tokens.settled)),
        ]);
        let error = run.state.is_failed().then(|| {
            let cause = run.cause.map(Cause::text);
            cause.unwrap_or(run.state.as_str())
        });
        attributes.extend(cause(run.cause));
        let caller = run.facts.get(CALLER_FACT);
        RecordedSpan {
            context: self.place(trace::run_span(run.uid, self.before.run)),
            parent: again.then_some(self.root.span),
            name: "run",
            start,
            end: run.completed_at.unwrap_or(self.end),
            attributes,
            error: error.map(str::to_owned),
            link: caller.and_then(|text| TraceContext::parse(text)),
        }
    }

    fn phase(&self, event: &Event, index: usize, phase: &Phase) -> RecordedSpan {
        let ended = self.before.of_phase(index);
        let end = phase.completed_at.unwrap_or(self.end);
        let mut start = phase.started_at.unwrap_or(end);
        if ended > 0 {
            start = start.max(self.before.reopened.unwrap_or(start));
        }
        let mut attributes = self.common();
        attributes.extend([
            KeyValue::new(at::PHASE_ID, phase.id.to_string()),
            KeyValue::new(at::CICD_PIPELINE_TASK_NAME, phase.id.to_string()),
            KeyValue::new(at::PHASE_STATE, phase.state.as_str()),
            KeyValue::new(at::PHASE_ATTEMPTS, i64::from(phase.attempts_made)),
        ]);
        if let Some((_, tier)) = &event.tier {
            attributes.push(KeyValue::new(at::TIER_ID, tier.id.to_string()));
        }
        if let Some(outcome) = phase.outcome {
            attributes.push(KeyValue::new(at::PHASE_OUTCOME, outcome.as_str()));
        }
        let failed = phase.state == PhaseState::Failed;
        let text = phase.cause.map_or("the phase failed", Cause::text);
        attributes.extend(cause(phase.cause));
        RecordedSpan {
            context: self.place(trace::phase_span(self.run.uid, index, ended)),
            parent: Some(trace::run_span(self.run.uid, self.before.run)),
            name: "phase",
            start,
            end,
            attributes,
            error: failed.then(|| text.to_owned()),
            link: None,
        }
    }

    fn attempt(&self, index: usize, phase: &Phase, attempt: &Attempt) -> RecordedSpan {
        let ended = self.before.of_phase(index);
        let end = attempt.finished_at.unwrap_or(self.end);
        let start = attempt.leased_at.unwrap_or(end);
        let wait = start.0.saturating_sub(attempt.offered_at.0) / 1000;
        let mut attributes = self.common();
        attributes.extend([
            KeyValue::new(at::PHASE_ID, phase.id.to_string()),
            KeyValue::new(at::CICD_PIPELINE_TASK_NAME, phase.id.to_string()),
            KeyValue::new(at::CICD_PIPELINE_TASK_RUN_ID, attempt.uid.to_string()),
            KeyValue::new(
                at::CICD_PIPELINE_TASK_RUN_RESULT,
                task_result(attempt.state),
            ),
            KeyValue::new(at::ATTEMPT_NUMBER, i64::from(attempt.number)),
            KeyValue::new(at::ATTEMPT_STATE, attempt.state.as_str()),
            KeyValue::new(at::ATTEMPT_WAIT_MS, wait),
            KeyValue::new(at::LEASE_FENCE, signed(attempt.fence.0)),
            KeyValue::new(at::TOKENS, signed(attempt.tokens_used)),
        ]);
        if let Some(worker) = attempt.worker {
            attributes.push(KeyValue::new(at::WORKER_UID, worker.to_string()));
        }
        if !attempt.gate.is_empty() {
            let verdict = attempt.gate.split(';').next().unwrap_or_default();
            attributes.push(KeyValue::new(at::GATE_VERDICT, verdict.to_owned()));
        }
        attributes.extend(cause(attempt.cause));
        let failed = matches!(attempt.state, AttemptState::Failed | AttemptState::Lost);
        let text = attempt.cause.map_or("the attempt failed", Cause::text);
        RecordedSpan {
            context: self.place(trace::attempt_span(attempt.uid)),
            parent: Some(trace::phase_span(self.run.uid, index, ended)),
            name: "attempt",
            start,
            end,
            attributes,
            error: failed.then(|| text.to_owned()),
            link: None,
        }
    }

    fn place(&self, span: u64) -> TraceContext {
        TraceContext { span, ..self.root }
    }

    fn common(&self) -> Vec<KeyValue> {
        vec![
            KeyValue::new(at::RUN_ID, self.run.id.to_string()),
            KeyValue::new(at::RUN_UID, self.run.uid.to_string()),
            KeyValue::new(at::PROJECT, self.run.project.clone()),
            KeyValue::new(at::CICD_PIPELINE_NAME, self.run.project.clone()),
            KeyValue::new(at::CICD_PIPELINE_RUN_ID, self.run.uid.to_string()),
        ]
    }
}

/// The cause, under our name and the standard's.
fn cause(cause: Option<Cause>) -> Vec<KeyValue> {
    cause.map_or_else(Vec::new, |cause| {
        vec![
            KeyValue::new(at::CAUSE, cause.code()),
            KeyValue::new(at::ERROR_TYPE, cause.code()),
        ]
    })
}

fn pipeline_result(state: RunState) -> &'static str {
    match state {
        RunState::DoneSuccess => "success",
        RunState::DoneCancelled => "cancellation",
        _ => "failure",
    }
}

fn task_result(state: AttemptState) -> &'static str {
    match state {
        AttemptState::Succeeded => "success",
        AttemptState::Cancelled => "cancellation",
        AttemptState::HandedOver => "skip",
        AttemptState::Lost => "error",
        _ => "failure",
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
