//! Approvals of a run: the request of an attempt, and a person's word on it.
//!
//! Invariant: a phase that awaits a word is QUEUED with a wait that has a deadline; a yes leads to the next attempt, a no
//! and a missed deadline end the phase.

use super::{Changes, RunAggregate};
use crate::{
    Cause, EventKind, Reason, Refusal,
    approval::{Approval, ApprovalRequest, DECISION_SECONDS, Decision, MOST_REASONS},
    catalogue::Charge,
    phase::PhaseCommand,
    states::PhaseState,
    submission::{Awaited, is_same_identity},
    time::Timestamp,
};

/// A person's word as the registry received it.
#[derive(Clone, Debug)]
pub struct Word {
    /// The tree that it is about.
    pub tree: String,
    /// Whether it may land.
    pub approved: bool,
    /// Who says so.
    pub by: String,
    /// Why.
    pub note: String,
}

impl RunAggregate {
    /// The approval that a phase has or awaits.
    pub fn approval(&self, phase: usize) -> Option<&Approval> {
        self.phases[phase].handoff.as_ref()?.approval.as_ref()
    }

    /// Seconds that something may take.
    pub(super) fn patience(&self, phase: usize, what: Option<Awaited>) -> u32 {
        match what {
            Some(Awaited::Approval) => DECISION_SECONDS,
            Some(Awaited::Submission | Awaited::Audit) | None => {
                self.external(phase).map_or(0, |(seconds, _)| seconds)
            }
        }
    }

    /// Stores what an attempt asks for.
    pub(super) fn ask(
        &mut self,
        phase: usize,
        attempt: u32,
        mut request: ApprovalRequest,
        now: Timestamp,
        changes: &mut Changes,
    ) {
        request.asks.truncate(MOST_REASONS);
        let text = format!(
            "{} risk, {} reasons, tree {}",
            request.risk,
            request.asks.len(),
            request.tree
        );
        let handoff = self.phases[phase].handoff.get_or_insert_default();
        handoff.approval = Some(Approval {
            request,
            attempt,
            asked_at: now,
            decision: None,
        });
        if !self.asking.contains(&phase) {
            self.asking.push(phase);
        }
        changes.phases.insert(phase);
        self.tell_phase(EventKind::ApprovalRequested, phase, None, text, changes);
    }

    /// Takes a person's word in.
    pub fn decide_approval(
        &mut self,
        phase: usize,
        word: Word,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        self.check_open("deciding on a change")?;
        let id = self.phases[phase].id.clone();
        let Some(approval) = self.approval(phase).cloned() else {
            let text = format!(
                "phase {id} asks for no approval; `autopack approvals` lists those that do"
            );
            return Err(Refusal::new(Reason::ApprovalMissing, text).with("phase", &id));
        };
        if let Some(told) = &approval.decision {
            if told.approved == word.approved && told.by == word.by {
                return Ok(());
            }
            let text = format!("`{}` has decided on phase {id} already", told.by);
            return Err(Refusal::new(Reason::ApprovalDecided, text)
                .with("phase", &id)
                .with("by", &told.by));
        }
        if word.tree != approval.request.tree {
            let text = format!(
                "phase {id} asks for tree {}, not {}: look at what it asks now",
                approval.request.tree, word.tree
            );
            let refusal = Refusal::new(Reason::ApprovalChanged, text).with("phase", &id);
            return Err(refusal
                .with("asked", approval.request.tree)
                .with("given", word.tree));
        }
        if is_same_identity(&approval.request.asked_by, &word.by) {
            let text = format!(
                "`{}` built the change of phase {id}: somebody else must decide",
                word.by
            );
            let refusal = Refusal::new(Reason::SameIdentity, text);
            return Err(refusal
                .with("asked_by", approval.request.asked_by)
                .with("by", word.by));
        }
        let (approved, by, note) = (word.approved, word.by.clone(), word.note.clone());
        let said = if approved { "approved" } else { "rejected" };
        if let Some(asked) = self.phases[phase]
            .handoff
            .as_mut()
            .and_then(|h| h.approval.as_mut())
        {
            asked.decision = Some(Decision {
                approved,
                by: word.by,
                note: word.note,
                at: now,
            });
        }
        changes.phases.insert(phase);
        let text = format!("{said} by {by}");
        self.tell_phase(EventKind::ApprovalDecided, phase, None, text, changes);
        if !approved {
            let detail = format!("{by}: {note}");
            self.end_unapproved(phase, Cause::ApprovalRejected, &detail, now, changes)?;
        }
        self.close(now, changes);
        Ok(())
    }

    /// Ends a phase that may not land.
    pub(super) fn end_unapproved(
        &mut self,
        phase: usize,
        cause: Cause,
        detail: &str,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        if self.phases[phase].state != PhaseState::Queued {
            return Ok(());
        }
        self.phases[phase].cause = Some(cause);
        detail.clone_into(&mut self.phases[phase].detail);
        self.shift_phase(phase, PhaseCommand::Fail, now, changes)?;
        self.tell_phase(EventKind::PhaseFailed, phase, None, detail, changes);
        Ok(())
    }

    /// Forgets an approval whose change has failed: what comes next is another change.
    pub(super) fn spend_approval(&mut self, phase: usize, cause: Cause) {
        let spent = matches!(cause.charge(), Charge::Attempt | Charge::Final);
        if let Some(handoff) = self.phases[phase].handoff.as_mut().filter(|_| spent) {
            handoff.approval = None;
        }
    }
}

/// Refuses a report whose cause and request do not go together.
pub(super) fn check_request(
    cause: Option<Cause>,
    request: Option<&ApprovalRequest>,
) -> Result<(), Refusal> {
    let asks = cause == Some(Cause::ApprovalRequired);
    if asks == request.is_some() {
        return Ok(());
    }
    let text = "a request for approval and the cause APPROVAL_REQUIRED come together";
    Err(Refusal::new(Reason::ArgumentInvalid, text))
}
