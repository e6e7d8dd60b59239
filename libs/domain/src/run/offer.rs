//! Offering an attempt: the reservation at phase, tier and run, and the job, in one step.
//!
//! Invariant (DESIGN rule 6): at each grant reserved + settled <= cap on all three levels.

use super::{Changes, RunAggregate};
use crate::{
    Cause, EventKind, Reason, Refusal,
    attempt::Attempt,
    budget::Grant,
    ids::{AttemptUid, Fence, JobUid},
    phase::PhaseCommand,
    states::{AttemptState, PhaseState},
    time::Timestamp,
};

impl RunAggregate {
    /// Refuses a decision that was taken on another version of the run.
    pub fn check_version(&self, expected: u64) -> Result<(), Refusal> {
        if expected == self.run.version {
            return Ok(());
        }
        Err(Refusal::new(
            Reason::VersionConflict,
            format!(
                "run {} is at version {}, not {expected}",
                self.run.id, self.run.version
            ),
        )
        .with("expected", expected)
        .with("current", self.run.version))
    }

    /// Offers an attempt of a phase; the caller has asked the readiness predicates.
    pub fn offer(
        &mut self,
        phase: usize,
        uid: AttemptUid,
        job: JobUid,
        tokens: u64,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        let refuse = |why: &str| {
            Err(Refusal::new(
                Reason::PhaseState,
                format!("phase {} cannot be offered: {why}", self.phases[phase].id),
            )
            .with("phase", &self.phases[phase].id)
            .with("state", self.phases[phase].state))
        };
        if self.phases[phase].state != PhaseState::Queued || self.phases[phase].current.is_some() {
            return refuse("it is not waiting");
        }
        if !self.run.started
            || self.run.paused
            || self.run.cancelling
            || self.run.state.is_terminal()
        {
            return refuse("its run does not dispatch");
        }
        if self.run.open_intents > 0 {
            return refuse("a landing intent is unresolved");
        }
        if let Some(awaited) = self.lacks(phase) {
            return refuse(&format!("it awaits the {awaited}"));
        }
        let tier = self.phases[phase].tier;
        for account in [
            &self.run.tokens,
            &self.tiers[tier].tokens,
            &self.phases[phase].tokens,
        ] {
            if account.grant(tokens) != Grant::Fits {
                return refuse("a token account has not enough left");
            }
        }
        let first = self.phases[phase].attempts_made == 0;
        if first && self.run.phases_used >= self.run.phases_cap {
            return refuse("the run has dispatched all phases of its budget");
        }
        self.run.phases_used += u32::from(first);
        self.run.tokens.reserve(tokens);
        self.tiers[tier].tokens.reserve(tokens);
        let facts = self.queue_facts(phase);
        let p = &mut self.phases[phase];
        p.tokens.reserve(tokens);
        p.attempts_made += 1;
        p.current = Some(uid);
        p.not_before = None;
        if let Some(handoff) = &mut p.handoff {
            handoff.wait = None;
        }
        let attempt = Attempt {
            uid,
            phase,
            number: p.attempts_made,
            state: AttemptState::Offered,
            job,
            fence: Fence(0),
            worker: None,
            tip: String::new(),
            tree: String::new(),
            commit: String::new(),
            intent: None,
            cause: None,
            detail: String::new(),
            gate: String::new(),
            tests: None,
            tokens_reserved: tokens,
            tokens_used: 0,
            offered_at: now,
            leased_at: None,
            finished_at: None,
            artifacts: Vec::new(),
            facts,
        };
        changes.phases.insert(phase);
        if tokens > 0 {
            changes.tiers.insert(tier);
        }
        self.tell_phase(
            EventKind::AttemptOffered,
            phase,
            Some(&attempt),
            "",
            changes,
        );
        self.put_attempt(attempt, changes);
        Ok(())
    }

    /// Ends a batch of offers or exhaustions: they are one command.
    pub fn close_offers(&mut self, now: Timestamp, changes: &mut Changes) {
        self.close(now, changes);
    }

    /// Offers the same attempt under a new job: the earlier message is known to be lost.
    pub fn offer_again(
        &mut self,
        uid: AttemptUid,
        job: JobUid,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        let mut attempt = self.attempt(uid)?.clone();
        if attempt.state != AttemptState::Offered {
            return Err(Refusal::new(
                Reason::PhaseState,
                format!("attempt {uid} is {}", attempt.state),
            )
            .with("state", attempt.state));
        }
        attempt.job = job;
        attempt.offered_at = now;
        let phase = attempt.phase;
        self.tell_phase(
            EventKind::AttemptOffered,
            phase,
            Some(&attempt),
            "offered again",
            changes,
        );
        self.put_attempt(attempt, changes);
        self.close(now, changes);
        Ok(())
    }

    /// A budget has nothing left for a waiting phase: it fails, and the run with it once nothing is in flight.
    pub fn exhaust(
        &mut self,
        phase: usize,
        cause: Cause,
        detail: &str,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        if self.phases[phase].state != PhaseState::Queued || self.phases[phase].current.is_some() {
            return Err(Refusal::new(
                Reason::PhaseState,
                format!("phase {} is not waiting", self.phases[phase].id),
            ));
        }
        if self.may_have_landed(phase) {
            let id = &self.phases[phase].id;
            let text = format!("phase {id} may have landed: a worker reads the branch first");
            return Err(Refusal::new(Reason::PhaseState, text).with("phase", id));
        }
        self.phases[phase].cause = Some(cause);
        detail.clone_into(&mut self.phases[phase].detail);
        self.shift_phase(phase, PhaseCommand::Fail, now, changes)?;
        self.tell(
            EventKind::BudgetExhausted,
            format!("{cause}: {detail}"),
            changes,
        );
        self.tell_phase(EventKind::PhaseFailed, phase, None, detail, changes);
        Ok(())
    }

    /// The minutes are used up: everything ends. Returns the leases that their workers must stop.
    pub fn exhaust_minutes(
        &mut self,
        detail: &str,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Vec<AttemptUid> {
        self.tell(EventKind::BudgetExhausted, detail, changes);
        self.withdraw_offers(now, changes);
        let stopped = self.stop_leased((Cause::BudgetMinutes, detail), now, changes);
        for phase in 0..self.phases.len() {
            if self.phases[phase].state == PhaseState::Queued {
                let _ = self.exhaust(phase, Cause::BudgetMinutes, detail, now, changes);
            }
        }
        self.close(now, changes);
        stopped
    }
}
