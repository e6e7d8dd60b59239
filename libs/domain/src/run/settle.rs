//! How an attempt ends, and what that means for its phase.
//!
//! Invariant: each end is charged to exactly one credit (attempt, infrastructure, crash, none), the
//! reservation is settled once, and a phase is COMPLETE only by an attempt that succeeded.

use std::{sync::Arc, time::Duration};

use super::{Changes, RunAggregate, approve::check_request, lease::note_usage};
use crate::{
    Cause, EventKind, Refusal,
    approval::ApprovalRequest,
    attempt::{ArtifactRef, AttemptCommand},
    catalogue::Charge,
    event::FailureFact,
    ids::{AttemptUid, Fence},
    issue::NewIssue,
    phase::{Phase, PhaseCommand, PhaseOutcome},
    quarantine,
    time::Timestamp,
    usage::Usage,
};

/// What a worker reports at the end of an attempt.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// `None`: it succeeded.
    pub cause: Option<Cause>,
    /// The detail for people, bounded and redacted.
    pub detail: String,
    /// What a success brought.
    pub outcome: Option<PhaseOutcome>,
    /// The landed commit.
    pub commit: String,
    /// The gated tree.
    pub tree: String,
    /// Verdict and steps.
    pub gate: String,
    /// Tests counted.
    pub tests: Option<u64>,
    /// Usage not reported before.
    pub usage: Vec<Usage>,
    /// Whether the builder could have used tokens that nobody reported.
    pub usage_unknown: bool,
    /// Its artifacts.
    pub artifacts: Vec<ArtifactRef>,
    /// Facts for later comparison.
    pub facts: serde_json::Map<String, serde_json::Value>,
    /// Raw text, class and signature of the failure.
    pub failure: Option<(String, String, String)>,
    /// Issues of the phase, checked.
    pub issues: Vec<NewIssue>,
    /// How long the next attempt must wait at least; at most [`MAX_PAUSE`] counts.
    pub pause: Option<Duration>,
    /// What a person has to approve; with the cause APPROVAL_REQUIRED alone.
    pub approval: Option<ApprovalRequest>,
}

/// The longest time that an attempt's end may hold its phase back.
pub const MAX_PAUSE: Duration = Duration::from_hours(6);

/// What follows for the phase; `policy::retry` decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// Another attempt, not before that time.
    Again(Option<Timestamp>),
    /// None; the phase fails for this cause.
    GiveUp(Cause),
}

/// Decides what follows after a failure was charged.
pub type Decide<'a> = &'a dyn Fn(&RunAggregate, usize, Cause) -> Follow;

impl RunAggregate {
    /// The worker's own end of an attempt.
    pub fn settle(
        &mut self,
        uid: AttemptUid,
        fence: Fence,
        report: Report,
        decide: Decide<'_>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        let attempt = self.attempt(uid)?.clone();
        attempt.check_fence(fence)?;
        let command = report
            .cause
            .map_or(AttemptCommand::Succeed, AttemptCommand::Fail);
        let mut next = attempt.step(&command, now)?;
        let phase = next.phase;
        self.room_for_issues(report.issues.len())?;
        check_request(report.cause, report.approval.as_ref())?;
        let number = next.number;
        note_usage(&mut next, report.usage, changes);
        let used = if next.tokens_used == 0 && report.usage_unknown {
            next.tokens_reserved
        } else {
            next.tokens_used
        };
        self.release_tokens(&next, used, changes);
        next.tokens_used = used;
        next.detail = report.detail;
        next.tree = report.tree;
        next.commit.clone_from(&report.commit);
        next.gate = report.gate;
        next.tests = report.tests;
        next.artifacts = report.artifacts;
        if let Some(seen) = quarantine::noted(&self.run.facts, &report.facts, now) {
            let facts = Arc::make_mut(&mut self.run.facts);
            facts.insert(quarantine::RUN_FACT.to_owned(), seen);
        }
        next.facts = report.facts;
        if let Some((raw, class, signature)) = report.failure {
            changes.failures.push(FailureFact {
                phase,
                attempt: uid,
                cause: report.cause.map_or_else(String::new, |c| c.to_string()),
                class,
                signature,
                raw,
            });
        }
        if let Some(intent) = next.intent.as_mut() {
            // The worker that stored the intent saw for itself what became of it.
            intent.resolved = true;
        }
        self.phases[phase].current = None;
        self.tell_phase(EventKind::AttemptFinished, phase, Some(&next), "", changes);
        for issue in report.issues {
            self.note_issue(Some(phase), issue, Some(uid), now, changes);
        }
        match report.cause {
            None => {
                if !report.commit.is_empty() {
                    self.run.tip.clone_from(&report.commit);
                    self.phases[phase].commit = report.commit;
                }
                self.phases[phase].outcome = report.outcome;
                self.phases[phase].cause = None;
                self.phases[phase].detail.clear();
                self.shift_phase(phase, PhaseCommand::Complete, now, changes)?;
                self.put_attempt(next, changes);
                self.tell_phase(EventKind::PhaseCompleted, phase, None, "", changes);
                self.clean_issues(phase, now, changes);
            }
            Some(cause) => {
                let detail = next.detail.clone();
                self.put_attempt(next, changes);
                let asked = report.pause.map(|pause| now.plus(pause.min(MAX_PAUSE)));
                self.follow(phase, (cause, asked), &detail, decide, now, changes)?;
                if let Some(request) = report.approval {
                    self.ask(phase, number, request, now, changes);
                }
            }
        }
        self.close(now, changes);
        Ok(())
    }

    /// The lease ran out, or the worker gave the attempt back.
    pub fn lose(
        &mut self,
        uid: AttemptUid,
        handed_over: bool,
        decide: Decide<'_>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        let attempt = self.attempt(uid)?.clone();
        let command = if handed_over {
            AttemptCommand::HandOver
        } else {
            AttemptCommand::Expire
        };
        let mut next = attempt.step(&command, now)?;
        let phase = next.phase;
        let used = next.lost_usage();
        self.release_tokens(&next, used, changes);
        next.tokens_used = used;
        self.phases[phase].current = None;
        if next.has_open_intent() {
            self.run.open_intents += 1;
        }
        let cause = next.cause.unwrap_or(Cause::LeaseExpired);
        self.tell_phase(EventKind::AttemptFinished, phase, Some(&next), "", changes);
        self.put_attempt(next, changes);
        if self.run.cancelling {
            self.phases[phase].cause = Some(Cause::Cancelled);
            self.requeue(phase, None, now, changes)?;
        } else {
            self.follow(phase, (cause, None), cause.text(), decide, now, changes)?;
        }
        self.close(now, changes);
        Ok(())
    }

    fn follow(
        &mut self,
        phase: usize,
        (cause, asked): (Cause, Option<Timestamp>),
        detail: &str,
        decide: Decide<'_>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        charge(&mut self.phases[phase], cause);
        self.phases[phase].cause = Some(cause);
        detail.clone_into(&mut self.phases[phase].detail);
        let spent = self.spend_submission(phase, cause);
        self.spend_approval(phase, cause);
        match decide(self, phase, cause) {
            // Whoever submits the next result waits long enough by that.
            Follow::Again(_) if spent => self.requeue(phase, None, now, changes),
            Follow::Again(not_before) => {
                let not_before = match cause.charge() {
                    Charge::Pause => asked.or(not_before),
                    _ => asked.max(not_before),
                };
                self.requeue(phase, not_before, now, changes)
            }
            Follow::GiveUp(cause) => {
                self.phases[phase].cause = Some(cause);
                self.shift_phase(phase, PhaseCommand::Fail, now, changes)?;
                self.tell_phase(EventKind::PhaseFailed, phase, None, detail, changes);
                Ok(())
            }
        }
    }

    fn requeue(
        &mut self,
        phase: usize,
        not_before: Option<Timestamp>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        self.phases[phase].not_before = not_before;
        self.shift_phase(phase, PhaseCommand::Requeue, now, changes)?;
        self.tell_phase(EventKind::PhaseRequeued, phase, None, "", changes);
        Ok(())
    }
}

/// Books a failure on the phase's credits (DESIGN, "What is charged").
pub(super) fn charge(phase: &mut Phase, cause: Cause) {
    match cause.charge() {
        Charge::Attempt | Charge::Final => phase.attempts_charged += 1,
        Charge::Infrastructure => phase.infra_charged += 1,
        Charge::Crash => phase.crashes += 1,
        Charge::Pause => {}
        Charge::Nothing => {
            if matches!(cause, Cause::MergeConflict | Cause::GateFailedAfterMerge) {
                phase.conflicts += 1;
                // The first landing conflict is free, every further one costs an attempt.
                if phase.conflicts > 1 {
                    phase.attempts_charged += 1;
                }
            }
        }
    }
}
