//! `PrepareLanding`: the intent to move the branch is stored before the branch moves.
//!
//! Invariant: at most one attempt of a run has an open intent; after a crash the intent says which
//! commit to look for.

use super::{Changes, RunAggregate};
use crate::{
    EventKind, Reason, Refusal,
    attempt::{AttemptCommand, Intent},
    ids::{AttemptUid, Fence},
    time::Timestamp,
};

impl RunAggregate {
    /// Stores the intent of the attempt that holds the landing turn.
    pub fn prepare_landing(
        &mut self,
        uid: AttemptUid,
        fence: Fence,
        intent: Intent,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        let attempt = self.attempt(uid)?.clone();
        attempt.check_fence(fence)?;
        if self.run.cancelling {
            return Err(self.wrong_state("landing", "a run that is not being cancelled"));
        }
        if let Some(other) = self
            .attempts
            .values()
            .find(|a| a.uid != uid && a.has_open_intent())
        {
            return Err(Refusal::new(
                Reason::LandingBusy,
                format!("attempt {} has an open landing intent", other.uid),
            )
            .with("attempt", other.uid));
        }
        if intent.expected_tip != self.run.tip {
            return Err(Refusal::new(
                Reason::TipMoved,
                format!(
                    "the tip of {} is {}, not {}",
                    self.run.branch, self.run.tip, intent.expected_tip
                ),
            )
            .with("expected", &intent.expected_tip)
            .with("current", &self.run.tip));
        }
        let next = attempt.step(&AttemptCommand::Prepare(intent), now)?;
        let phase = next.phase;
        self.tell_phase(EventKind::LandingPrepared, phase, Some(&next), "", changes);
        self.put_attempt(next, changes);
        self.close(now, changes);
        Ok(())
    }
}
