//! Reads for reports: figures of many runs at a time.
//!
//! Invariant: what does not parse is left out of a figure, and never fails it; start-up tells of such rows.

use std::collections::BTreeMap;

use autopack_domain::{
    RunUid, Timestamp, backlog::BacklogEntry, issue::Severity, phase::Phase, plan::Complexity,
    run::Run, states::RunState, strategy::Strategy, tier::Tier,
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use crate::{
    StoreError,
    entity::{backlog, phase, run, run_document, tier, usage_event},
    rows,
};

fn keys(runs: &[RunUid]) -> Vec<String> {
    runs.iter().map(ToString::to_string).collect()
}

/// The tiers of these runs, each run's in their order.
pub async fn tiers<C: ConnectionTrait>(
    db: &C,
    runs: &[RunUid],
) -> Result<BTreeMap<String, Vec<Tier>>, StoreError> {
    let found = tier::Entity::find()
        .filter(tier::Column::RunUid.is_in(keys(runs)))
        .order_by_asc(tier::Column::RunUid)
        .order_by_asc(tier::Column::Idx)
        .all(db)
        .await?;
    let mut by_run: BTreeMap<String, Vec<Tier>> = BTreeMap::new();
    for row in found {
        let run = row.run_uid.clone();
        by_run.entry(run).or_default().extend(rows::tier::read(row));
    }
    Ok(by_run)
}

/// The strategies of these runs; one that cannot be read is left out.
pub async fn strategies<C: ConnectionTrait>(
    db: &C,
    runs: &[RunUid],
) -> Result<BTreeMap<String, Strategy>, StoreError> {
    documents(db, runs, run_document::Column::Strategy).await
}

/// Of a plan, what a report says about phases: the rest of it is not read into memory.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Outline {
    /// The tiers, in order.
    pub tiers: Vec<OutlineTier>,
}

/// A tier of an outline.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct OutlineTier {
    /// Its id.
    pub id: String,
    /// The phases, in order.
    pub phases: Vec<OutlinePhase>,
}

/// A phase of an outline.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct OutlinePhase {
    /// Its category.
    pub task_category: String,
    /// Its complexity.
    pub complexity: Complexity,
}

/// The outlines of these runs' plans; one that cannot be read is left out.
pub async fn outlines<C: ConnectionTrait>(
    db: &C,
    runs: &[RunUid],
) -> Result<BTreeMap<String, Outline>, StoreError> {
    documents(db, runs, run_document::Column::Plan).await
}

async fn documents<C: ConnectionTrait, T: serde::de::DeserializeOwned>(
    db: &C,
    runs: &[RunUid],
    column: run_document::Column,
) -> Result<BTreeMap<String, T>, StoreError> {
    let found: Vec<(String, String)> = run_document::Entity::find()
        .select_only()
        .column(run_document::Column::RunUid)
        .column(column)
        .filter(run_document::Column::RunUid.is_in(keys(runs)))
        .into_tuple()
        .all(db)
        .await?;
    let read = |(run, text): (String, String)| Some((run, serde_json::from_str(&text).ok()?));
    Ok(found.into_iter().filter_map(read).collect())
}

/// The phases of these runs that ended, or wait, with one of these causes.
pub async fn phases_with<C: ConnectionTrait>(
    db: &C,
    runs: &[RunUid],
    causes: &[&str],
) -> Result<Vec<(String, Phase)>, StoreError> {
    let found = phase::Entity::find()
        .filter(phase::Column::RunUid.is_in(keys(runs)))
        .filter(phase::Column::Cause.is_in(causes.iter().copied()))
        .order_by_asc(phase::Column::Idx)
        .all(db)
        .await?;
    let read = |row: phase::Model| Some((row.run_uid.clone(), rows::phase::read(row).ok()?));
    Ok(found.into_iter().filter_map(read).collect())
}

/// Phases of these runs for which this role used tokens, and whether each is complete.
pub async fn phases_by_role<C: ConnectionTrait>(
    db: &C,
    runs: &[RunUid],
    role: &str,
) -> Result<Vec<bool>, StoreError> {
    use autopack_domain::states::PhaseState;
    let used: Vec<(String, i64)> = usage_event::Entity::find()
        .select_only()
        .column(usage_event::Column::RunUid)
        .column(usage_event::Column::Phase)
        .distinct()
        .filter(usage_event::Column::RunUid.is_in(keys(runs)))
        .filter(usage_event::Column::Role.eq(role))
        .into_tuple()
        .all(db)
        .await?;
    if used.is_empty() {
        return Ok(Vec::new());
    }
    let places = used.into_iter().fold(Condition::any(), |any, (run, idx)| {
        let one = Condition::all().add(phase::Column::RunUid.eq(run));
        any.add(one.add(phase::Column::Idx.eq(idx)))
    });
    let found: Vec<String> = phase::Entity::find()
        .select_only()
        .column(phase::Column::State)
        .filter(places)
        .into_tuple()
        .all(db)
        .await?;
    let complete = PhaseState::Complete.as_str();
    Ok(found.into_iter().map(|state| state == complete).collect())
}

/// How many runs ended in a state.
pub async fn count_runs<C: ConnectionTrait>(
    db: &C,
    state: RunState,
    project: Option<&str>,
) -> Result<u64, StoreError> {
    let mut query = run::Entity::find().filter(run::Column::State.eq(state.as_str()));
    if let Some(project) = project {
        query = query.filter(run::Column::Project.eq(project));
    }
    Ok(query.count(db).await?)
}

/// Entries of a backlog by where they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BacklogCounts {
    /// All of them.
    pub total: u64,
    /// Minor, aged, not cleaned and not resolved.
    pub needs_cleanup: u64,
    /// Cleaned or no longer seen, for long enough.
    pub resolved: u64,
}

/// Counts entries as `policy::backlog` judges each: `ages` are runs and tiers, `successes` when the latest successful runs
/// were created, newest first, as many as the runs of the ages.
pub async fn backlog_counts<C: ConnectionTrait>(
    db: &C,
    project: &str,
    ages: (u32, u32),
    successes: &[Timestamp],
) -> Result<BacklogCounts, StoreError> {
    use backlog::Column::{AgeInRuns, AgeInTiers, CleanedAt, ClosedAt, LastSeenAt, Project};
    let all = || backlog::Entity::find().filter(Project.eq(project));
    let total = all().count(db).await?;
    let mut resolved = Condition::any().add(ClosedAt.is_not_null());
    if let Some(newest) = successes.first() {
        let cleaned = Condition::all()
            .add(CleanedAt.lt(newest.0))
            .add(LastSeenAt.lt(newest.0));
        resolved = resolved.add(cleaned);
    }
    let since = successes.get((ages.0 as usize).saturating_sub(1));
    if let Some(since) = since {
        let quiet = Condition::all()
            .add(CleanedAt.is_null())
            .add(LastSeenAt.lt(since.0));
        resolved = resolved.add(quiet);
    }
    let resolved = all().filter(resolved).count(db).await?;
    let old = Condition::any()
        .add(AgeInRuns.gte(ages.0))
        .add(AgeInTiers.gte(ages.1));
    let mut aged = all()
        .filter(backlog::Column::Severity.eq(Severity::Minor.as_str()))
        .filter(CleanedAt.is_null())
        .filter(ClosedAt.is_null())
        .filter(old);
    if let Some(since) = since {
        aged = aged.filter(LastSeenAt.gte(since.0));
    }
    Ok(BacklogCounts {
        total,
        needs_cleanup: aged.count(db).await?,
        resolved,
    })
}

/// A run that is listed, with what its metrics need.
#[derive(Clone, Debug)]
pub struct Figures {
    /// The run.
    pub run: Run,
    /// Its tiers.
    pub tiers: Vec<Tier>,
    /// Its strategy, if the stored one parses.
    pub strategy: Option<Strategy>,
}

/// What the metrics of these runs need, in their order.
pub async fn figures<C: ConnectionTrait>(
    db: &C,
    runs: Vec<Run>,
) -> Result<Vec<Figures>, StoreError> {
    let uids: Vec<RunUid> = runs.iter().map(|r| r.uid).collect();
    if uids.is_empty() {
        return Ok(Vec::new());
    }
    let mut tiers = tiers(db, &uids).await?;
    let mut strategies = strategies(db, &uids).await?;
    let with = |run: Run| {
        let uid = run.uid.to_string();
        Figures {
            tiers: tiers.remove(&uid).unwrap_or_default(),
            strategy: strategies.remove(&uid),
            run,
        }
    };
    Ok(runs.into_iter().map(with).collect())
}

/// The oldest entries of a backlog.
pub async fn oldest<C: ConnectionTrait>(
    db: &C,
    project: &str,
    limit: u64,
) -> Result<Vec<BacklogEntry>, StoreError> {
    let page = crate::issues::page(db, project, limit, None).await?;
    Ok(page
        .into_iter()
        .filter_map(|(_, entry)| entry.ok())
        .collect())
}
