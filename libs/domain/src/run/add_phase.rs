//! `AddPhase`: one more phase, validated like a plan, until the run ends.

use std::sync::Arc;

use super::{Changes, RunAggregate};
use crate::{
    EventKind, Refusal,
    phase::Phase,
    plan::{PhaseSpec, Plan},
    states::{PhaseState, TierState},
    strategy::Strategy,
    time::Timestamp,
};

impl RunAggregate {
    /// Appends a phase to a tier. `plan` and `strategy` are the present ones with the phase at the end
    /// of that tier; the caller validated and compiled them.
    pub fn add_phase(
        &mut self,
        tier: usize,
        spec: &PhaseSpec,
        plan: Arc<Plan>,
        strategy: Arc<Strategy>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<usize, Refusal> {
        self.check_open("adding a phase")?;
        if self.run.cancelling || self.tiers[tier].state.is_terminal() {
            return Err(self.wrong_state("adding a phase", "a tier that has not ended"));
        }
        let place = plan.tiers[tier].phases.len() - 1;
        let before: usize = plan.tiers[..tier].iter().map(|t| t.phases.len()).sum();
        let cap = strategy.phase[before + place].tokens;
        let mut phases = std::mem::take(&mut self.phases);
        phases.push(Phase::new(spec.id.clone(), tier, place, Some(cap)));
        let index = phases.len() - 1;
        let issues = std::mem::take(&mut self.issues);
        let integration = self.integration.take();
        let mut next = Self::assemble(
            self.run.clone(),
            plan,
            strategy,
            std::mem::take(&mut self.tiers),
            phases,
            std::mem::take(&mut self.attempts),
            std::mem::take(&mut self.jobs),
        );
        next.issues = issues;
        next.integration = integration;
        next.tiers[tier].counts.enter(PhaseState::Queued);
        next.run.counts.enter(PhaseState::Queued);
        if next.tiers[tier].state == TierState::Pending && next.tiers[tier].started_at.is_some() {
            next.tiers[tier].state = TierState::InProgress;
        }
        *self = next;
        changes.document = true;
        changes.tiers.insert(tier);
        changes.phases.insert(index);
        self.tell_phase(EventKind::PhaseAdded, index, None, "", changes);
        self.close(now, changes);
        Ok(index)
    }
}
