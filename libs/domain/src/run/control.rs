//! `StartRun`, `PauseRun`, `ResumeRun`, `CancelRun`.
//!
//! Invariant: each is idempotent; a refusal names the state. Cancel is final: nothing succeeds after it
//! was acknowledged, but for a landing whose intent was stored before.

use super::{Changes, JobKind, RunAggregate};
use crate::{
    Cause, EventKind, Refusal, attempt::AttemptCommand, ids::AttemptUid, phase::PhaseCommand,
    states::AttemptState, time::Timestamp,
};

impl RunAggregate {
    /// Starts a held run. Starting one that was started does nothing.
    pub fn start(&mut self, now: Timestamp, changes: &mut Changes) -> Result<(), Refusal> {
        self.check_open("starting it")?;
        if self.run.cancelling {
            return Err(self.wrong_state("starting it", "a run that is not being cancelled"));
        }
        if self.run.started {
            return Ok(());
        }
        self.run.held = false;
        if self.run.frozen {
            self.mark_started(now, changes);
        }
        self.close(now, changes);
        Ok(())
    }

    pub(crate) fn mark_started(&mut self, now: Timestamp, changes: &mut Changes) {
        self.run.started = true;
        self.run.started_at = self.run.started_at.or(Some(now));
        self.tell(EventKind::RunStarted, "", changes);
    }

    /// No new leases; what is leased finishes, what is on offer is withdrawn.
    pub fn pause(&mut self, now: Timestamp, changes: &mut Changes) -> Result<(), Refusal> {
        self.check_open("pausing it")?;
        if self.run.cancelling {
            return Err(self.wrong_state("pausing it", "a run that is not being cancelled"));
        }
        if self.run.paused {
            return Ok(());
        }
        self.run.paused = true;
        if self.run.first_lease_at.is_some() {
            self.run.paused_at = Some(now);
        }
        self.withdraw_offers(now, changes);
        self.tell(EventKind::RunPaused, "", changes);
        self.close(now, changes);
        Ok(())
    }

    /// Ends a pause.
    pub fn resume(&mut self, now: Timestamp, changes: &mut Changes) -> Result<(), Refusal> {
        self.check_open("resuming it")?;
        if !self.run.paused {
            return Ok(());
        }
        self.run.paused = false;
        if let Some(since) = self.run.paused_at.take() {
            self.run.paused_us += (now.0 - since.0).max(0);
        }
        self.tell(EventKind::RunResumed, "", changes);
        self.close(now, changes);
        Ok(())
    }

    /// Cancels the run: offers are withdrawn, leased attempts end unless their landing is prepared.
    /// Returns the leases that their workers must stop.
    pub fn cancel(
        &mut self,
        why: &str,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Vec<AttemptUid>, Refusal> {
        if self.run.cancelling || self.run.state == crate::states::RunState::DoneCancelled {
            return Ok(Vec::new());
        }
        self.check_open("cancelling it")?;
        self.run.cancelling = true;
        self.run.cause = Some(Cause::Cancelled);
        why.clone_into(&mut self.run.detail);
        self.tell(EventKind::RunCancelRequested, why, changes);
        self.withdraw_offers(now, changes);
        let stopped = self.stop_leased((Cause::Cancelled, why), now, changes);
        // A cleanup stays: what may have landed is still to be found out.
        self.end_own_jobs(|kind| kind != JobKind::Cleanup, changes);
        self.abandon(Cause::Cancelled, why, now, changes);
        self.close(now, changes);
        Ok(stopped)
    }

    /// Ends what was never leased; the phase waits as if it had not been offered.
    pub(crate) fn withdraw_offers(&mut self, now: Timestamp, changes: &mut Changes) {
        let offered: Vec<AttemptUid> = self
            .attempts
            .values()
            .filter(|a| a.state == AttemptState::Offered)
            .map(|a| a.uid)
            .collect();
        for uid in offered {
            self.end_offer(uid, now, changes);
        }
    }

    pub(crate) fn end_offer(&mut self, uid: AttemptUid, now: Timestamp, changes: &mut Changes) {
        let Some(attempt) = self.attempts.get(&uid) else {
            return;
        };
        let Ok(next) = attempt.step(&AttemptCommand::Cancel, now) else {
            return;
        };
        let phase = next.phase;
        self.release_tokens(&next, 0, changes);
        self.phases[phase].current = None;
        changes.phases.insert(phase);
        self.tell_phase(
            EventKind::AttemptFinished,
            phase,
            Some(&next),
            "withdrawn",
            changes,
        );
        self.put_attempt(next, changes);
    }

    /// Ends leased attempts that have no open intent and fails or skips their phases for `cause`.
    pub(crate) fn stop_leased(
        &mut self,
        (cause, detail): (Cause, &str),
        now: Timestamp,
        changes: &mut Changes,
    ) -> Vec<AttemptUid> {
        let leased: Vec<AttemptUid> = self
            .attempts
            .values()
            .filter(|a| a.state.is_leased() && !a.has_open_intent())
            .map(|a| a.uid)
            .collect();
        for uid in &leased {
            let Some(attempt) = self.attempts.get(uid) else {
                continue;
            };
            let Ok(mut next) = attempt.step(&AttemptCommand::Cancel, now) else {
                continue;
            };
            next.cause = Some(cause);
            detail.clone_into(&mut next.detail);
            let phase = next.phase;
            let used = next.lost_usage();
            self.release_tokens(&next, used, changes);
            next.tokens_used = used;
            self.phases[phase].current = None;
            self.phases[phase].cause = Some(cause);
            detail.clone_into(&mut self.phases[phase].detail);
            let command = if cause == Cause::Cancelled {
                PhaseCommand::Skip
            } else {
                PhaseCommand::Fail
            };
            if self.shift_phase(phase, command, now, changes).is_ok() {
                self.tell_phase(
                    EventKind::AttemptFinished,
                    phase,
                    Some(&next),
                    cause.text(),
                    changes,
                );
                let kind = if cause == Cause::Cancelled {
                    EventKind::PhaseSkipped
                } else {
                    EventKind::PhaseFailed
                };
                self.tell_phase(kind, phase, None, cause.text(), changes);
            }
            self.put_attempt(next, changes);
        }
        leased
    }

    /// Frees an attempt's reservation at phase, tier and run and books what was used.
    pub(crate) fn release_tokens(
        &mut self,
        attempt: &crate::attempt::Attempt,
        used: u64,
        changes: &mut Changes,
    ) {
        let reserved = attempt.tokens_reserved;
        let phase = attempt.phase;
        let tier = self.phases[phase].tier;
        self.phases[phase].tokens.settle(reserved, used);
        self.tiers[tier].tokens.settle(reserved, used);
        self.run.tokens.settle(reserved, used);
        changes.phases.insert(phase);
        changes.tiers.insert(tier);
        changes.run = true;
    }
}
