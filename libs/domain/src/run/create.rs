//! `CreateRun`: from a complete plan and its strategy to a stored run in QUEUED.

use std::{collections::BTreeMap, sync::Arc};

use super::{Changes, Run, RunAggregate};
use crate::{
    EventKind,
    budget::Account,
    ids::{Fence, RunId, RunUid},
    issue::{DebtStatus, IssueCounts},
    phase::Phase,
    plan::Plan,
    states::{PhaseState, RunState},
    strategy::Strategy,
    tier::{PhaseCounts, Tier},
    time::Timestamp,
};

/// What the caller knows beside plan and strategy.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Minted for this run.
    pub uid: RunUid,
    /// Chosen or derived.
    pub id: RunId,
    /// The project.
    pub project: String,
    /// Path or address of the repository.
    pub repository: String,
    /// Digest of plan, files and repository.
    pub digest: String,
    /// Wait for `StartRun` after the bootstrap.
    pub hold: bool,
    /// Facts for later comparison.
    pub facts: BTreeMap<String, String>,
}

impl RunAggregate {
    /// A new run.
    pub fn create(
        new: NewRun,
        plan: Arc<Plan>,
        strategy: Arc<Strategy>,
        now: Timestamp,
    ) -> (Self, Changes) {
        let mut tiers: Vec<Tier> = Vec::with_capacity(plan.tiers.len());
        let mut phases = Vec::new();
        for (t, spec) in plan.tiers.iter().enumerate() {
            let limits = &strategy.tier[t];
            tiers.push(Tier::new(
                spec.id.clone(),
                Some(limits.tokens),
                Some(u64::from(limits.ci_runs)),
            ));
            for (place, phase) in spec.phases.iter().enumerate() {
                let cap = strategy.phase[phases.len()].tokens;
                tiers[t].counts.enter(PhaseState::Queued);
                phases.push(Phase::new(phase.id.clone(), t, place, Some(cap)));
            }
        }
        let counts = tiers
            .iter()
            .fold(PhaseCounts::default(), |sum, t| sum.plus(t.counts));
        let run = Run {
            branch: format!("autonomous/{}", new.id),
            uid: new.uid,
            id: new.id,
            project: new.project,
            state: RunState::Queued,
            version: 0,
            last_event: 0,
            revision: 0,
            fence: Fence(0),
            held: new.hold,
            frozen: false,
            started: false,
            paused: false,
            cancelling: false,
            goal: plan.run.goal.clone(),
            base_ref: plan.run.base.clone(),
            base_sha: String::new(),
            tip: String::new(),
            repository: new.repository,
            digest: new.digest,
            priority: plan.run.priority,
            tokens: Account::capped(Some(strategy.tokens)),
            phases_cap: strategy.phases,
            phases_used: 0,
            minutes_cap: strategy.minutes,
            first_lease_at: None,
            paused_at: None,
            paused_us: 0,
            counts,
            open_intents: 0,
            issues: IssueCounts::default(),
            debt: DebtStatus::Clean,
            cause: None,
            detail: String::new(),
            facts: Arc::new(new.facts),
            created_at: now,
            started_at: None,
            completed_at: None,
        };
        let mut aggregate = Self::assemble(
            run,
            plan,
            strategy,
            tiers,
            phases,
            BTreeMap::new(),
            Vec::new(),
        );
        let mut changes = Changes {
            document: true,
            ..Changes::default()
        };
        changes.tiers.extend(0..aggregate.tiers.len());
        changes.phases.extend(0..aggregate.phases.len());
        aggregate.tell(EventKind::RunCreated, "", &mut changes);
        aggregate.close(now, &mut changes);
        (aggregate, changes)
    }
}
