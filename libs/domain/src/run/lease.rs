//! Leases: a worker takes an attempt, reports its stages and its usage, and every report carries the fence.

use super::{Changes, RunAggregate};
use crate::{
    EventKind, Reason, Refusal,
    attempt::AttemptCommand,
    event::UsageFact,
    ids::{AttemptUid, Fence, JobUid, WorkerUid},
    phase::PhaseCommand,
    states::{AttemptState, PhaseState},
    time::Timestamp,
    usage::Usage,
};

impl RunAggregate {
    /// A worker takes the attempt that this job offers. Mints the fence.
    pub fn lease(
        &mut self,
        uid: AttemptUid,
        job: JobUid,
        worker: WorkerUid,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Fence, Refusal> {
        let gone = || {
            Refusal::new(Reason::JobGone, format!("job {job} is no longer on offer"))
                .with("job", job)
        };
        let attempt = self.attempts.get(&uid).ok_or_else(gone)?.clone();
        if attempt.state != AttemptState::Offered
            || attempt.job != job
            || self.run.paused
            || self.run.cancelling
        {
            return Err(gone());
        }
        let fence = Fence(self.run.fence.0 + 1);
        let tip = self.run.tip.clone();
        let mut next = attempt.step(&AttemptCommand::Lease { fence, worker, tip }, now)?;
        let phase = next.phase;
        self.shift_phase(phase, PhaseCommand::Lease, now, changes)?;
        if let Some(handoff) = &mut self.phases[phase].handoff {
            // Once: an attempt that repeats with the same submission uses no tokens again.
            note_usage(&mut next, std::mem::take(&mut handoff.usage), changes);
        }
        self.mint_fence();
        self.run.first_lease_at = self.run.first_lease_at.or(Some(now));
        let tier = self.phases[phase].tier;
        self.phases[phase].started_at = self.phases[phase].started_at.or(Some(now));
        if self.tiers[tier].started_at.is_none() {
            self.tiers[tier].started_at = Some(now);
            self.tiers[tier].state = crate::states::TierState::InProgress;
            self.tell_tier(EventKind::TierStarted, tier, changes);
        }
        self.tell_phase(EventKind::AttemptLeased, phase, Some(&next), "", changes);
        self.put_attempt(next, changes);
        self.close(now, changes);
        Ok(fence)
    }

    /// The attempt entered another stage.
    pub fn stage(
        &mut self,
        uid: AttemptUid,
        fence: Fence,
        to: AttemptState,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        let attempt = self.attempt(uid)?.clone();
        attempt.check_fence(fence)?;
        if attempt.state == to {
            return Ok(());
        }
        let next = attempt.step(&AttemptCommand::Stage(to), now)?;
        let phase = next.phase;
        let command = match to {
            AttemptState::Governing => Some(PhaseCommand::Govern),
            AttemptState::Gating | AttemptState::Landing => Some(PhaseCommand::Gate),
            AttemptState::Building
            | AttemptState::Offered
            | AttemptState::Succeeded
            | AttemptState::Failed
            | AttemptState::Lost
            | AttemptState::HandedOver
            | AttemptState::Cancelled => None,
        };
        if let Some(command) = command
            && (command == PhaseCommand::Govern
                || self.phases[phase].state != PhaseState::CiRunning)
        {
            self.shift_phase(phase, command, now, changes)?;
        }
        if to == AttemptState::Gating && attempt.state != AttemptState::Landing {
            let tier = self.phases[phase].tier;
            self.tiers[tier].ci_runs.settle(0, 1);
            changes.tiers.insert(tier);
        }
        self.tell_phase(
            EventKind::AttemptStageChanged,
            phase,
            Some(&next),
            "",
            changes,
        );
        self.put_attempt(next, changes);
        self.close(now, changes);
        Ok(())
    }

    /// Books usage that the builder reported so far; the settlement frees the rest of the reservation.
    pub fn record_usage(
        &mut self,
        uid: AttemptUid,
        fence: Fence,
        usage: Vec<Usage>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        let mut next = self.attempt(uid)?.clone();
        next.check_fence(fence)?;
        let phase = next.phase;
        note_usage(&mut next, usage, changes);
        self.tell_phase(EventKind::UsageRecorded, phase, Some(&next), "", changes);
        self.put_attempt(next, changes);
        self.close(now, changes);
        Ok(())
    }
}

/// Books reported usage on the attempt and keeps it as facts.
pub(crate) fn note_usage(
    attempt: &mut crate::attempt::Attempt,
    usage: Vec<Usage>,
    changes: &mut Changes,
) {
    for usage in usage {
        attempt.tokens_used = attempt.tokens_used.saturating_add(usage.total);
        changes.usage.push(UsageFact {
            phase: attempt.phase,
            attempt: attempt.uid,
            usage,
            at: None,
        });
    }
}
