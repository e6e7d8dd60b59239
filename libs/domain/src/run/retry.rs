//! `RetryPhase`: a failed run is reopened; never one that succeeded or was cancelled.
//!
//! Invariant: the revision rises, attempts are fresh, budgets stay what they are (DESIGN, finalise rule).

use super::{Changes, RunAggregate};
use crate::{
    Cause, EventKind, Reason, Refusal,
    phase::PhaseCommand,
    states::{PhaseState, RunState, TierState},
    time::Timestamp,
};

impl RunAggregate {
    /// Runs a failed phase again (`None`: every failed one), and what was skipped because of it.
    pub fn retry(
        &mut self,
        phase: Option<usize>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        if self.run.is_imported() {
            return Err(Refusal::new(
                Reason::RunState,
                format!(
                    "run {} was imported from an older system: it never gets work; submit a new plan",
                    self.run.id
                ),
            )
            .with("run", &self.run.id)
            .with("state", self.run.state));
        }
        if self.run.cancelling
            || matches!(
                self.run.state,
                RunState::DoneSuccess | RunState::DoneCancelled
            )
        {
            return Err(self.wrong_state("retrying", "a run that failed or is still going on"));
        }
        let mut again: Vec<usize> = match phase {
            Some(p) if self.phases[p].state == PhaseState::Failed => vec![p],
            Some(p) => {
                return Err(Refusal::new(
                    Reason::PhaseState,
                    format!(
                        "phase {} is {}: only a FAILED phase can be retried",
                        self.phases[p].id, self.phases[p].state
                    ),
                )
                .with("phase", &self.phases[p].id)
                .with("state", self.phases[p].state));
            }
            None => (0..self.phases.len())
                .filter(|&p| self.phases[p].state == PhaseState::Failed)
                .collect(),
        };
        let by_issues = self.run.cause == Some(Cause::IssuesOverLimit);
        let never_frozen = !self.run.frozen && self.run.state.is_failed();
        if again.is_empty()
            && !never_frozen
            && !by_issues
            && self.phases.iter().all(|p| p.state != PhaseState::Skipped)
        {
            return Err(Refusal::new(
                Reason::PhaseState,
                format!("run {} has no failed phase", self.run.id),
            ));
        }
        if self.run.state.is_terminal() {
            self.run.completed_at = None;
            self.run.cause = None;
            self.run.detail.clear();
            // `finalise` computes the state anew; a terminal one would stay.
            self.run.state = if self.run.frozen {
                RunState::RunCreated
            } else {
                RunState::Queued
            };
        }
        self.run.revision += 1;
        self.tell(EventKind::RunReopened, "", changes);
        self.reopen_by_issues(changes);
        let skipped: Vec<usize> = (0..self.phases.len())
            .filter(|&p| {
                self.phases[p].state == PhaseState::Skipped
                    && self.phases[p].cause != Some(Cause::SkippedByRequest)
            })
            .collect();
        again.extend(skipped);
        for p in again {
            self.phases[p].refresh();
            self.shift_phase(p, PhaseCommand::Retry, now, changes)?;
            self.tell_phase(EventKind::PhaseRetried, p, None, "", changes);
            let tier = self.phases[p].tier;
            if self.tiers[tier].state.is_terminal() {
                self.tiers[tier].completed_at = None;
                self.tiers[tier].state = if self.tiers[tier].started_at.is_some() {
                    TierState::InProgress
                } else {
                    TierState::Pending
                };
                self.tell_tier(EventKind::TierReopened, tier, changes);
            }
        }
        self.close(now, changes);
        Ok(())
    }
}
