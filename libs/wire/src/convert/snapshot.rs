//! A whole run: snapshot to aggregate and back.
//!
//! Invariant: an aggregate that comes out of here has its tiers and phases at their indexes, and every phase
//! has a specification and a strategy, so that reading it cannot fail later.

use std::{collections::BTreeMap, sync::Arc};

use autopack_domain::{
    AttemptUid, Fault,
    attempt::Attempt,
    phase::Phase,
    plan::Plan,
    run::{Job, Run, RunAggregate},
    strategy::Strategy,
    tier::Tier,
};

use super::at::{At, read};
use crate::registry::GetSnapshotResponse;

/// A run with all that its commands and its scheduler need.
pub fn snapshot_to_proto(aggregate: &RunAggregate) -> GetSnapshotResponse {
    GetSnapshotResponse {
        run: Some((&aggregate.run).into()),
        tiers: aggregate.tiers.iter().enumerate().map(Into::into).collect(),
        phases: aggregate
            .phases
            .iter()
            .enumerate()
            .map(Into::into)
            .collect(),
        attempts: aggregate.attempts.values().map(Into::into).collect(),
        jobs: aggregate.jobs.iter().map(Into::into).collect(),
        plan: Some(aggregate.plan.as_ref().into()),
        strategy: Some(aggregate.strategy.as_ref().into()),
    }
}

/// The aggregate, or every fault of the snapshot.
pub fn snapshot_from_proto(message: GetSnapshotResponse) -> Result<RunAggregate, Vec<Fault>> {
    read(|at| {
        let run: Option<Run> = at.field("run").message(message.run);
        let plan: Option<Plan> = at.field("plan").message(message.plan);
        let strategy: Option<Strategy> = at.field("strategy").message(message.strategy);
        let tiers: Option<Vec<(usize, Tier)>> = at.field("tiers").list(message.tiers);
        let phases: Option<Vec<(usize, Phase)>> = at.field("phases").list(message.phases);
        let attempts: Option<Vec<Attempt>> = at.field("attempts").list(message.attempts);
        let jobs: Option<Vec<Job>> = at.field("jobs").list(message.jobs);
        let (plan, strategy) = (plan?, strategy?);
        let tiers = in_order(tiers?, &at.field("tiers"));
        let phases = in_order(phases?, &at.field("phases"));
        let (tiers, phases, attempts) = (tiers?, phases?, attempts?);
        check(at, &plan, &strategy, &tiers, &phases, &attempts)?;
        let attempts: BTreeMap<AttemptUid, Attempt> =
            attempts.into_iter().map(|a| (a.uid, a)).collect();
        Some(RunAggregate::assemble(
            run?,
            Arc::new(plan),
            Arc::new(strategy),
            tiers,
            phases,
            attempts,
            jobs?,
        ))
    })
}

/// Records by their index, which must be 0, 1, 2 ...
fn in_order<T>(mut records: Vec<(usize, T)>, at: &At<'_>) -> Option<Vec<T>> {
    records.sort_by_key(|(index, _)| *index);
    for (want, (index, _)) in records.iter().enumerate() {
        if *index != want {
            return at
                .index(want)
                .field("index")
                .fault(format!("is {index} where {want} was expected"));
        }
    }
    Some(records.into_iter().map(|(_, record)| record).collect())
}

/// What [`RunAggregate`] takes for granted.
fn check(
    at: &At<'_>,
    plan: &Plan,
    strategy: &Strategy,
    tiers: &[Tier],
    phases: &[Phase],
    attempts: &[Attempt],
) -> Option<()> {
    if tiers.len() != plan.tiers.len() {
        return at.field("tiers").fault(format!(
            "{} tiers, but the plan has {}",
            tiers.len(),
            plan.tiers.len()
        ));
    }
    let specified: usize = plan.tiers.iter().map(|t| t.phases.len()).sum();
    if strategy.phase.len() < specified || strategy.tier.len() < tiers.len() {
        return at.field("strategy").fault(format!(
            "is for {} tiers and {} phases, but the plan has {} and {specified}",
            strategy.tier.len(),
            strategy.phase.len(),
            tiers.len()
        ));
    }
    let list = at.field("phases");
    for (i, phase) in phases.iter().enumerate() {
        let spec = plan
            .tiers
            .get(phase.tier)
            .and_then(|t| t.phases.get(phase.place));
        if spec.is_none_or(|s| s.id != phase.id) {
            return list.index(i).fault(format!(
                "place {} of tier {} in the plan is not phase `{}`",
                phase.place, phase.tier, phase.id
            ));
        }
    }
    let list = at.field("attempts");
    for (i, attempt) in attempts.iter().enumerate() {
        if attempt.phase >= phases.len() {
            return list
                .index(i)
                .field("phase")
                .fault(format!("{} is not the index of a phase", attempt.phase));
        }
    }
    Some(())
}
