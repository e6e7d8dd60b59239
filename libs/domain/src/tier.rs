//! A tier's record: counters of its phases and the state computed from them.
//!
//! Invariant: the counters add up to the tier's phases; they are stored, never counted by a query.

use crate::{
    budget::Account,
    ids::TierId,
    issue::{Cleanliness, IssueCounts},
    states::{PhaseState, TierState},
    time::Timestamp,
};

/// How many phases are in which kind of state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhaseCounts {
    /// QUEUED.
    pub queued: u32,
    /// EXECUTING.
    pub executing: u32,
    /// GATE.
    pub gate: u32,
    /// CI_RUNNING.
    pub ci_running: u32,
    /// COMPLETE.
    pub complete: u32,
    /// FAILED.
    pub failed: u32,
    /// SKIPPED.
    pub skipped: u32,
}

impl PhaseCounts {
    fn slot(&mut self, state: PhaseState) -> &mut u32 {
        match state {
            PhaseState::Queued => &mut self.queued,
            PhaseState::Executing => &mut self.executing,
            PhaseState::Gate => &mut self.gate,
            PhaseState::CiRunning => &mut self.ci_running,
            PhaseState::Complete => &mut self.complete,
            PhaseState::Failed => &mut self.failed,
            PhaseState::Skipped => &mut self.skipped,
        }
    }

    /// Counts a phase in.
    pub fn enter(&mut self, state: PhaseState) {
        *self.slot(state) += 1;
    }

    /// Moves a phase from one state to another.
    pub fn shift(&mut self, from: PhaseState, to: PhaseState) {
        let slot = self.slot(from);
        *slot = slot.saturating_sub(1);
        *self.slot(to) += 1;
    }

    /// Phases that a worker holds.
    pub fn live(&self) -> u32 {
        self.executing + self.gate + self.ci_running
    }

    /// Phases that have not ended.
    pub fn open(&self) -> u32 {
        self.queued + self.live()
    }

    /// All of them.
    pub fn total(&self) -> u32 {
        self.open() + self.complete + self.failed + self.skipped
    }

    /// The sum of two.
    pub fn plus(self, other: Self) -> Self {
        Self {
            queued: self.queued + other.queued,
            executing: self.executing + other.executing,
            gate: self.gate + other.gate,
            ci_running: self.ci_running + other.ci_running,
            complete: self.complete + other.complete,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

/// The record of a tier; its specification is in the plan at the same index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// The user's id.
    pub id: TierId,
    /// State.
    pub state: TierState,
    /// Its phases by state.
    pub counts: PhaseCounts,
    /// Token account.
    pub tokens: Account,
    /// Gate runs: one per attempt that reached its gate.
    pub ci_runs: Account,
    /// The commit of its snapshot ref.
    pub snapshot: String,
    /// Distinct issues of its phases.
    pub issues: IssueCounts,
    /// Whether they are within its limits.
    pub cleanliness: Cleanliness,
    /// When its first phase was leased.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
}

impl Tier {
    /// A pending tier.
    pub fn new(id: TierId, tokens_cap: Option<u64>, ci_runs_cap: Option<u64>) -> Self {
        Self {
            id,
            state: TierState::Pending,
            counts: PhaseCounts::default(),
            tokens: Account::capped(tokens_cap),
            ci_runs: Account::capped(ci_runs_cap),
            snapshot: String::new(),
            issues: IssueCounts::default(),
            cleanliness: Cleanliness::Clean,
            started_at: None,
            completed_at: None,
        }
    }

    /// The state that the counters ask for. `skipped_by_request` phases count as complete.
    pub fn derived_state(&self, skipped_by_request: u32) -> TierState {
        let counts = &self.counts;
        if counts.open() > 0 {
            return if self.started_at.is_some() || counts.live() > 0 {
                TierState::InProgress
            } else {
                TierState::Pending
            };
        }
        if counts.failed > 0 {
            TierState::Failed
        } else if counts.skipped > skipped_by_request {
            TierState::Skipped
        } else {
            TierState::Complete
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_follows_from_the_counters() {
        let mut tier = Tier::new("T1".parse().unwrap(), None, None);
        tier.counts.enter(PhaseState::Queued);
        tier.counts.enter(PhaseState::Queued);
        assert_eq!(tier.derived_state(0), TierState::Pending);
        tier.counts.shift(PhaseState::Queued, PhaseState::Executing);
        assert_eq!(tier.derived_state(0), TierState::InProgress);
        tier.counts
            .shift(PhaseState::Executing, PhaseState::Complete);
        tier.counts.shift(PhaseState::Queued, PhaseState::Skipped);
        assert_eq!(tier.derived_state(1), TierState::Complete);
        assert_eq!(tier.derived_state(0), TierState::Skipped);
        tier.counts.shift(PhaseState::Skipped, PhaseState::Failed);
        assert_eq!(tier.derived_state(0), TierState::Failed);
        assert_eq!(tier.counts.total(), 2);
    }
}
