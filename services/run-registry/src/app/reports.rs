//! Reports: figures over stored runs, computed when they are asked for.
//!
//! Invariant: nothing is kept for a report, so no figure can differ from the rows; whether a run may be promoted is
//! `policy::promotion`'s answer alone.

use std::collections::{BTreeMap, BTreeSet};

use autopack_domain::{
    Cause, Refusal, RunUid, Timestamp,
    backlog::{BacklogEntry, BacklogStatus},
    run::RunAggregate,
    states::{RunState, TierState},
};
use autopack_policy::{backlog::Thresholds, promotion};
use autopack_store::{
    issues,
    reports::{self, BacklogCounts, Figures},
};

use super::{Core, store_refusal};

/// Entries of a backlog's summary that need a cleanup.
const NEEDS: usize = 50;
/// Entries of a backlog's summary by age.
const OLDEST: u64 = 10;
/// Causes of a spent budget.
const BUDGETS: [Cause; 4] = [
    Cause::BudgetTokens,
    Cause::BudgetPhases,
    Cause::BudgetMinutes,
    Cause::BudgetCiRuns,
];

/// A run with the time at which it was looked at.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// The run.
    pub run: RunAggregate,
    /// The rules of promotion.
    pub answers: Vec<promotion::Answer>,
    /// How far it is.
    pub progress: Progress,
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Phases that are complete or skipped, and all.
    pub phases: (u32, u32),
    /// Tiers that have ended, and all.
    pub tiers: (u32, u32),
    /// Microseconds since the first lease, pauses left out.
    pub elapsed_us: i64,
    /// The earliest tier that has not ended.
    pub tier: Option<String>,
    /// Phases that a worker holds.
    pub running: Vec<String>,
}

/// A backlog in figures.
#[derive(Clone, Debug)]
pub struct BacklogSummary {
    /// Entries by where they stand.
    pub counts: BacklogCounts,
    /// The oldest.
    pub oldest: Vec<(BacklogEntry, BacklogStatus)>,
    /// The oldest that need a cleanup.
    pub needs: Vec<BacklogEntry>,
}

/// A phase that stopped for a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetPhase {
    /// Its id.
    pub phase: String,
    /// Its tier's id.
    pub tier: String,
    /// `task_category:complexity`.
    pub category: String,
    /// Why.
    pub cause: Cause,
}

/// Where budgets were spent.
#[derive(Clone, Debug, Default)]
pub struct BudgetAnalysis {
    /// Runs that ended with a spent budget.
    pub total: u64,
    /// The latest of them.
    pub failures: Vec<(Figures, Vec<BudgetPhase>)>,
    /// How many of these a tier is responsible for.
    pub by_tier: BTreeMap<String, u32>,
    /// How many of these a `task_category:complexity` is responsible for.
    pub by_category: BTreeMap<String, u32>,
    /// Phases for which an auditor used tokens, and those of them that are complete.
    pub auditor: (u32, u32),
}

impl Core {
    /// One run in figures.
    pub async fn run_report(&self, id: &str) -> Result<RunReport, Refusal> {
        let run = self.get_run(id).await?;
        Ok(RunReport {
            answers: promotion::answers(&run.run, &run.tiers),
            progress: progress(&run, self.now()),
            run,
        })
    }

    /// A page of metrics, newest first.
    pub async fn run_metrics(
        &self,
        (size, token): (i32, &str),
        state: &str,
        project: &str,
    ) -> Result<(Vec<Figures>, String), Refusal> {
        let (runs, next) = self.list_runs(size, token, state, project).await?;
        let figures = reports::figures(&self.database.read, runs).await;
        Ok((figures.map_err(store_refusal)?, next))
    }

    /// A project's backlog in figures.
    pub async fn backlog_summary(
        &self,
        project: &str,
        profile: &str,
    ) -> Result<BacklogSummary, Refusal> {
        let profile = super::issues::profile_of(profile)?;
        self.project(project).await?;
        let thresholds = Thresholds::of(&self.ruleset(project).await?, profile);
        let successes = self.successes(project, thresholds).await?;
        let ages = (thresholds.runs, thresholds.tiers);
        let db = &self.database.read;
        let counts = reports::backlog_counts(db, project, ages, &successes);
        let counts = counts.await.map_err(store_refusal)?;
        let oldest = reports::oldest(db, project, OLDEST).await;
        let with = |e: BacklogEntry| {
            let status = thresholds.status(&e, &successes);
            (e, status)
        };
        Ok(BacklogSummary {
            counts,
            oldest: oldest
                .map_err(store_refusal)?
                .into_iter()
                .map(with)
                .collect(),
            needs: self.aged(project, thresholds, &successes, NEEDS).await?,
        })
    }

    /// The latest runs that ended with a spent budget, and what spent it.
    pub async fn budget_analysis(
        &self,
        project: &str,
        size: i32,
    ) -> Result<BudgetAnalysis, Refusal> {
        let db = &self.database.read;
        let state = RunState::DoneFailedBudgetExhausted;
        let (runs, _) = self.list_runs(size, "", state.as_str(), project).await?;
        let only = (!project.is_empty()).then_some(project);
        let total = reports::count_runs(db, state, only).await;
        let total = total.map_err(store_refusal)?;
        if runs.is_empty() {
            return Ok(BudgetAnalysis {
                total,
                ..BudgetAnalysis::default()
            });
        }
        let uids: Vec<RunUid> = runs.iter().map(|r| r.uid).collect();
        let outlines = reports::outlines(db, &uids).await;
        let outlines = outlines.map_err(store_refusal)?;
        let codes = BUDGETS.map(Cause::code);
        let stopped = reports::phases_with(db, &uids, &codes).await;
        let mut by_run: BTreeMap<String, Vec<BudgetPhase>> = BTreeMap::new();
        for (run, phase) in stopped.map_err(store_refusal)? {
            let tier = outlines
                .get(&run)
                .and_then(|plan| plan.tiers.get(phase.tier));
            let spec = tier.and_then(|tier| tier.phases.get(phase.place));
            if let (Some(tier), Some(spec), Some(cause)) = (tier, spec, phase.cause) {
                by_run.entry(run).or_default().push(BudgetPhase {
                    phase: phase.id.to_string(),
                    tier: tier.id.clone(),
                    category: format!("{}:{}", spec.task_category, spec.complexity),
                    cause,
                });
            }
        }
        let auditor = reports::phases_by_role(db, &uids, "auditor").await;
        let auditor = auditor.map_err(store_refusal)?;
        let complete = auditor.iter().filter(|complete| **complete).count();
        let mut analysis = BudgetAnalysis {
            total,
            auditor: (auditor.len() as u32, complete as u32),
            ..BudgetAnalysis::default()
        };
        for figures in reports::figures(db, runs).await.map_err(store_refusal)? {
            let phases = by_run
                .remove(&figures.run.uid.to_string())
                .unwrap_or_default();
            let distinct = |of: fn(&BudgetPhase) -> &String| -> BTreeSet<String> {
                phases.iter().map(|p| of(p).clone()).collect()
            };
            for tier in distinct(|p| &p.tier) {
                *analysis.by_tier.entry(tier).or_default() += 1;
            }
            for category in distinct(|p| &p.category) {
                *analysis.by_category.entry(category).or_default() += 1;
            }
            analysis.failures.push((figures, phases));
        }
        Ok(analysis)
    }

    /// When the latest successful runs were created: as many as decide what is resolved.
    pub(super) async fn successes(
        &self,
        project: &str,
        thresholds: Thresholds,
    ) -> Result<Vec<Timestamp>, Refusal> {
        issues::successes(&self.database.read, project, thresholds.runs.into())
            .await
            .map_err(store_refusal)
    }
}

fn progress(run: &RunAggregate, now: Timestamp) -> Progress {
    let counts = &run.run.counts;
    let ended = |state: TierState| state.is_terminal();
    let tiers = run.tiers.iter().filter(|t| ended(t.state)).count();
    let open = run.tiers.iter().find(|t| !ended(t.state));
    let running = run.phases.iter().filter(|p| {
        use autopack_domain::states::PhaseState::{CiRunning, Executing, Gate};
        matches!(p.state, Executing | Gate | CiRunning)
    });
    Progress {
        phases: (counts.complete + counts.skipped, counts.total()),
        tiers: (tiers as u32, run.tiers.len() as u32),
        elapsed_us: run.elapsed_us(run.run.completed_at.unwrap_or(now)),
        tier: open.map(|t| t.id.to_string()),
        running: running.map(|p| p.id.to_string()).collect(),
    }
}
