//! Phases that are built outside: the wait for a submission, its audit, and what a caller may set by hand.
//!
//! Invariant: a wait begins when nothing else holds the phase back, and always has a deadline; a submission becomes an
//! ordinary attempt or nothing, and no word from outside completes a phase.

use super::{
    Changes, RunAggregate,
    settle::{Decide, Follow, charge},
};
use crate::{
    Cause, EventKind, Reason, Refusal,
    catalogue::Charge,
    issue::NewIssue,
    phase::PhaseCommand,
    plan::BuilderSpec,
    states::{AttemptState, PhaseState},
    submission::{Awaited, Handoff, Recommendation, Submission, Wait, is_same_identity},
    time::Timestamp,
    usage::Usage,
};

/// A result as the registry stored it.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// What was stored; `None`: the builder gives up this attempt.
    pub submission: Option<Submission>,
    /// Its builder asks for an audit.
    pub audit: bool,
    /// What the builder says, for a failure.
    pub notes: String,
    /// Tokens that it used.
    pub usage: Vec<Usage>,
    /// Issues that it suggests, checked.
    pub issues: Vec<NewIssue>,
}

/// An audit as the registry stored it.
#[derive(Clone, Debug)]
pub struct Audited {
    /// Who.
    pub auditor: String,
    /// What follows.
    pub recommendation: Recommendation,
    /// For the builder and for people.
    pub notes: String,
    /// The artifact that holds the document.
    pub digest: String,
    /// Tokens that it used.
    pub usage: Vec<Usage>,
    /// Issues that it found, checked.
    pub issues: Vec<NewIssue>,
}

impl RunAggregate {
    /// Deadline in seconds, and whether the plan asks for an audit; `None`: the phase is not built outside.
    pub(super) fn external(&self, phase: usize) -> Option<(u32, bool)> {
        match self.spec(phase).builder {
            Some(BuilderSpec::External {
                timeout_seconds,
                audit,
            }) => Some((timeout_seconds, audit)),
            _ => None,
        }
    }

    /// What a phase needs from outside before a worker can take it.
    pub fn lacks(&self, phase: usize) -> Option<Awaited> {
        if self.approval(phase).is_some_and(|a| a.decision.is_none()) {
            return Some(Awaited::Approval);
        }
        let (_, audit) = self.external(phase)?;
        match &self.phases[phase].handoff {
            Some(handoff) => handoff.lacks(audit),
            None => Some(Awaited::Submission),
        }
    }

    /// Whether what depends on the phase may run: it is complete, or skipped by request.
    pub fn is_satisfied(&self, phase: usize) -> bool {
        let p = &self.phases[phase];
        p.state == PhaseState::Complete
            || (p.state == PhaseState::Skipped && p.cause == Some(Cause::SkippedByRequest))
    }

    /// Begins and ends waits: the last step of each command.
    pub(super) fn update_waits(&mut self, now: Timestamp, changes: &mut Changes) {
        if (self.external.is_empty() && self.asking.is_empty()) || self.run.state.is_terminal() {
            return;
        }
        let run = &self.run;
        let goes = run.started && !run.paused && !run.cancelling;
        let tier = self.open_tier().filter(|_| goes);
        let mut outside = self.external.clone();
        outside.extend(
            self.asking
                .iter()
                .filter(|phase| !self.external.contains(phase)),
        );
        for phase in outside {
            let p = &self.phases[phase];
            let ready = Some(p.tier) == tier
                && p.state == PhaseState::Queued
                && p.current.is_none()
                && self.depends(phase).iter().all(|&on| self.is_satisfied(on));
            let wanted = self.lacks(phase).filter(|_| ready);
            let wait = p.handoff.as_ref().and_then(|h| h.wait);
            if wait.map(|w| w.what) == wanted {
                continue;
            }
            let seconds = self.patience(phase, wanted);
            let until = now.plus(std::time::Duration::from_secs(seconds.into()));
            let handoff = self.phases[phase].handoff.get_or_insert_default();
            handoff.wait = wanted.map(|what| Wait { what, until });
            changes.phases.insert(phase);
            let text = match wanted {
                Some(what) => format!("waits for the {what}, at most {seconds} s"),
                None => "waits for nothing from outside".to_owned(),
            };
            self.tell_phase(EventKind::PhaseWaitChanged, phase, None, text, changes);
        }
    }

    /// A result came.
    pub fn submit(
        &mut self,
        phase: usize,
        result: Submitted,
        decide: Decide<'_>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        self.check_submittable(phase, "a result")?;
        if self.lacks(phase) != Some(Awaited::Submission) {
            return Err(self.phase_state(phase, "has a result already", "a phase that awaits one"));
        }
        self.room_for_issues(result.issues.len())?;
        let who = result.submission.as_ref().map(|s| s.builder.clone());
        let handoff = self.handoff(phase);
        handoff.submission = result.submission;
        handoff.audit |= result.audit;
        handoff.usage.extend(result.usage);
        changes.phases.insert(phase);
        let text = who.clone().unwrap_or_default();
        self.tell_phase(EventKind::ResultSubmitted, phase, None, text, changes);
        for issue in result.issues {
            self.note_issue(Some(phase), issue, None, now, changes);
        }
        if who.is_none() {
            self.fail_outside(
                phase,
                Cause::BuilderFailed,
                &result.notes,
                decide,
                now,
                changes,
            )?;
        }
        self.close(now, changes);
        Ok(())
    }

    /// Somebody wants this phase's results audited before they are gated.
    pub fn request_audit(
        &mut self,
        phase: usize,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        self.check_external(phase)?;
        self.check_open("asking for an audit")?;
        if self.phases[phase].state != PhaseState::Queued {
            return Err(self.phase_state(
                phase,
                "cannot be audited",
                "QUEUED: before a worker takes it",
            ));
        }
        if self.phases[phase].current.is_none() && self.handoff(phase).audit {
            return Ok(());
        }
        if let Some(offered) = self.phases[phase].current {
            // It was offered and nobody has it: the audit comes first.
            self.end_offer(offered, now, changes);
        }
        self.handoff(phase).audit = true;
        changes.phases.insert(phase);
        self.tell_phase(EventKind::AuditRequested, phase, None, "", changes);
        self.close(now, changes);
        Ok(())
    }

    /// An auditor's word came.
    pub fn submit_audit(
        &mut self,
        phase: usize,
        audit: Audited,
        decide: Decide<'_>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        self.check_submittable(phase, "an audit")?;
        let found = match (self.lacks(phase), &self.phases[phase].handoff) {
            (Some(Awaited::Audit), Some(handoff)) => handoff.submission.clone(),
            _ => None,
        };
        let Some(submission) = found else {
            return Err(self.phase_state(
                phase,
                "awaits no audit",
                "a result that awaits an audit",
            ));
        };
        if is_same_identity(&submission.builder, &audit.auditor) {
            let text = format!(
                "the result of phase {} was submitted by `{}`: somebody else must audit it",
                self.phases[phase].id, submission.builder
            );
            let refusal = Refusal::new(Reason::SameIdentity, text);
            return Err(refusal
                .with("builder", submission.builder)
                .with("auditor", audit.auditor));
        }
        self.room_for_issues(audit.issues.len())?;
        let handoff = self.handoff(phase);
        handoff.usage.extend(audit.usage);
        if audit.recommendation == Recommendation::Approve {
            handoff.submission = Some(Submission {
                auditor: audit.auditor.clone(),
                audit_digest: audit.digest,
                ..submission
            });
        }
        changes.phases.insert(phase);
        let text = format!("{} by {}", audit.recommendation, audit.auditor);
        self.tell_phase(EventKind::AuditSubmitted, phase, None, text, changes);
        for issue in audit.issues {
            self.note_issue(Some(phase), issue, None, now, changes);
        }
        let cause = match audit.recommendation {
            Recommendation::Approve => None,
            Recommendation::Revise => Some(Cause::AuditRevised),
            Recommendation::Escalate => Some(Cause::AuditEscalated),
        };
        if let Some(cause) = cause {
            let detail = format!("{}: {}", audit.auditor, audit.notes);
            self.fail_outside(phase, cause, &detail, decide, now, changes)?;
        }
        self.close(now, changes);
        Ok(())
    }

    /// Ends the waits whose deadline has passed; whether there was one.
    pub fn expire_wait(
        &mut self,
        phase: usize,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<bool, Refusal> {
        let p = &self.phases[phase];
        let wait = p.handoff.as_ref().and_then(|h| h.wait);
        let Some(wait) = wait.filter(|w| w.until <= now && p.state == PhaseState::Queued) else {
            return Ok(false);
        };
        let seconds = self.patience(phase, Some(wait.what));
        let (cause, what) = match wait.what {
            Awaited::Submission => (Cause::SubmissionOverdue, "no result was submitted"),
            Awaited::Audit => (Cause::AuditOverdue, "the submitted result was not audited"),
            Awaited::Approval => (Cause::ApprovalOverdue, "nobody decided on the change"),
        };
        let detail = format!("{what} within {seconds} s");
        self.give_up(phase, cause, &detail, now, changes)?;
        self.close(now, changes);
        Ok(true)
    }

    /// Sets a phase's state by hand, as far as an ordinary command leads there.
    pub fn update_phase(
        &mut self,
        phase: usize,
        to: PhaseState,
        why: &str,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        use PhaseState as S;
        self.check_external(phase)?;
        match (self.phases[phase].state, to) {
            (from, to) if from == to => Ok(()),
            (S::Queued, S::Failed | S::Skipped) => {
                self.check_open("changing a phase")?;
                if let Some(offered) = self.phases[phase].current {
                    self.end_offer(offered, now, changes);
                }
                if to == S::Failed {
                    self.give_up(phase, Cause::BuilderFailed, why, now, changes)?;
                } else {
                    self.phases[phase].cause = Some(Cause::SkippedByRequest);
                    why.clone_into(&mut self.phases[phase].detail);
                    self.shift_phase(phase, PhaseCommand::Skip, now, changes)?;
                    self.tell_phase(EventKind::PhaseSkipped, phase, None, why, changes);
                }
                self.close(now, changes);
                Ok(())
            }
            (S::Failed, S::Queued) => self.retry(Some(phase), now, changes),
            (S::Queued, _) => Err(self.not_by_hand(
                phase,
                to,
                "FAILED, SKIPPED; the others follow from a submitted result, which a worker gates and lands",
            )),
            (S::Executing | S::Gate | S::CiRunning, _) => Err(self.not_by_hand(
                phase,
                to,
                "none while a worker has it; `autopack cancel RUN` ends the run",
            )),
            (S::Failed, _) => Err(self.not_by_hand(phase, to, "QUEUED")),
            (S::Complete | S::Skipped, _) => Err(self.not_by_hand(phase, to, "none: it has ended")),
        }
    }

    /// Uses a submission up, if the failure is charged to it; whether it was.
    pub(super) fn spend_submission(&mut self, phase: usize, cause: Cause) -> bool {
        let spent = matches!(cause.charge(), Charge::Attempt | Charge::Final);
        match &mut self.phases[phase].handoff {
            Some(handoff) if spent => handoff.submission.take().is_some(),
            _ => false,
        }
    }

    /// A failure without an attempt of a worker: charged like any other.
    fn fail_outside(
        &mut self,
        phase: usize,
        cause: Cause,
        detail: &str,
        decide: Decide<'_>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        charge(&mut self.phases[phase], cause);
        self.handoff(phase).submission = None;
        match decide(self, phase, cause) {
            Follow::Again(_) => {
                self.phases[phase].cause = Some(cause);
                detail.clone_into(&mut self.phases[phase].detail);
                // The next result gets the whole time.
                self.handoff(phase).wait = None;
                self.tell_phase(EventKind::PhaseRequeued, phase, None, detail, changes);
                Ok(())
            }
            Follow::GiveUp(cause) => self.give_up(phase, cause, detail, now, changes),
        }
    }

    fn give_up(
        &mut self,
        phase: usize,
        cause: Cause,
        detail: &str,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        self.phases[phase].cause = Some(cause);
        detail.clone_into(&mut self.phases[phase].detail);
        self.shift_phase(phase, PhaseCommand::Fail, now, changes)?;
        self.tell_phase(EventKind::PhaseFailed, phase, None, detail, changes);
        Ok(())
    }

    fn handoff(&mut self, phase: usize) -> &mut Handoff {
        self.phases[phase].handoff.get_or_insert_default()
    }

    fn check_external(&self, phase: usize) -> Result<(), Refusal> {
        if self.external(phase).is_some() {
            return Ok(());
        }
        let spec = self.spec(phase);
        let kind = spec.builder.as_ref().map_or("none", BuilderSpec::kind);
        let text = format!(
            "phase {} has the builder `{kind}`, not `external`",
            self.phases[phase].id
        );
        Err(Refusal::new(Reason::NotExternal, text)
            .with("phase", &self.phases[phase].id)
            .with("builder", kind))
    }

    fn check_submittable(&self, phase: usize, what: &str) -> Result<(), Refusal> {
        self.check_external(phase)?;
        self.check_open(&format!("submitting {what}"))?;
        if self.run.cancelling {
            return Err(self.wrong_state(
                &format!("submitting {what}"),
                "a run that is not being cancelled",
            ));
        }
        let p = &self.phases[phase];
        if p.state != PhaseState::Queued || self.current_state(phase) == Some(AttemptState::Offered)
        {
            return Err(self.phase_state(
                phase,
                &format!("takes no {}", what.split(' ').next_back().unwrap_or(what)),
                "QUEUED, with no attempt under way",
            ));
        }
        Ok(())
    }

    fn current_state(&self, phase: usize) -> Option<AttemptState> {
        let current = self.phases[phase].current?;
        self.attempts.get(&current).map(|a| a.state)
    }

    fn phase_state(&self, phase: usize, problem: &str, allowed: &str) -> Refusal {
        let p = &self.phases[phase];
        let awaited = self.lacks(phase).map_or("nothing", Awaited::as_str);
        let text = format!(
            "phase {} is {} and {problem}; needed: {allowed}",
            p.id, p.state
        );
        Refusal::new(Reason::PhaseState, text)
            .with("phase", &p.id)
            .with("state", p.state)
            .with("awaits", awaited)
            .with("allowed", allowed)
    }

    fn not_by_hand(&self, phase: usize, to: PhaseState, allowed: &str) -> Refusal {
        let p = &self.phases[phase];
        let text = format!(
            "phase {} is {} and cannot be set to {to}; allowed: {allowed}",
            p.id, p.state
        );
        Refusal::new(Reason::PhaseState, text)
            .with("phase", &p.id)
            .with("state", p.state)
            .with("wanted", to)
            .with("allowed", allowed)
    }
}
