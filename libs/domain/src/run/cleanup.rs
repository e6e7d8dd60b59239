//! What becomes of what was lost on the way: landing intents that nobody has resolved, phases that will not run.
//!
//! Invariant: only the branch says whether an intent landed; until somebody has read it, its phase neither ends nor runs
//! again.

use super::{Changes, RunAggregate};
use crate::{
    Cause, EventKind, Refusal,
    ids::{AttemptUid, Fence, JobUid},
    phase::{PhaseCommand, PhaseOutcome},
    states::PhaseState,
    time::Timestamp,
};

impl RunAggregate {
    /// The cleanup has read the branch: which open intents landed.
    pub fn finish_cleanup(
        &mut self,
        uid: JobUid,
        fence: Fence,
        landed: Option<AttemptUid>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        self.check_job_fence(uid, fence)?;
        let open: Vec<AttemptUid> = self
            .attempts
            .values()
            .filter(|a| a.state.is_terminal() && a.has_open_intent())
            .map(|a| a.uid)
            .collect();
        for attempt in open {
            self.resolve_intent(attempt, landed == Some(attempt), now, changes);
        }
        self.end_job(uid, "", changes);
        self.close(now, changes);
        Ok(())
    }

    /// Everything that has not started will not: the run cannot go on.
    pub(crate) fn abandon(
        &mut self,
        cause: Cause,
        detail: &str,
        now: Timestamp,
        changes: &mut Changes,
    ) {
        for i in 0..self.phases.len() {
            if self.phases[i].state == PhaseState::Queued
                && self.phases[i].current.is_none()
                && !self.may_have_landed(i)
            {
                self.phases[i].cause = Some(cause);
                detail.clone_into(&mut self.phases[i].detail);
                // QUEUED to SKIPPED is legal for every phase that nobody holds.
                if self
                    .shift_phase(i, PhaseCommand::Skip, now, changes)
                    .is_ok()
                {
                    self.tell_phase(EventKind::PhaseSkipped, i, None, cause.text(), changes);
                }
            }
        }
    }

    /// Whether the branch alone knows if the phase is done: an attempt ended with an intent that nobody has resolved.
    pub(crate) fn may_have_landed(&self, phase: usize) -> bool {
        self.run.open_intents > 0
            && self
                .attempts
                .values()
                .any(|a| a.phase == phase && a.state.is_terminal() && a.has_open_intent())
    }

    fn resolve_intent(
        &mut self,
        uid: AttemptUid,
        landed: bool,
        now: Timestamp,
        changes: &mut Changes,
    ) {
        let Some(mut attempt) = self.attempts.get(&uid).cloned() else {
            return;
        };
        let Some(intent) = attempt.intent.as_mut() else {
            return;
        };
        intent.resolved = true;
        let commit = intent.commit.clone();
        self.run.open_intents = self.run.open_intents.saturating_sub(1);
        let phase = attempt.phase;
        if landed {
            attempt.commit.clone_from(&commit);
            self.run.tip.clone_from(&commit);
            self.phases[phase].commit.clone_from(&commit);
            self.phases[phase].outcome = Some(PhaseOutcome::Committed);
            self.phases[phase].cause = None;
            if self
                .shift_phase(phase, PhaseCommand::Complete, now, changes)
                .is_ok()
            {
                self.tell_phase(
                    EventKind::PhaseCompleted,
                    phase,
                    Some(&attempt),
                    "found on the branch",
                    changes,
                );
            }
        }
        self.put_attempt(attempt, changes);
        changes.phases.insert(phase);
    }
}
