//! Reads of issues and of projects' backlogs.
//!
//! Invariant: a row that does not parse is told with its place and value; it fails no other row of a list.

use autopack_domain::{
    RunUid, Timestamp,
    backlog::BacklogEntry,
    issue::{INTEGRITY, Issue, IssueBook, Place, REGISTRY},
    states::RunState,
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};

use crate::{
    CorruptRow, StoreError,
    audit::sql,
    entity::{backlog, issue, run},
    rows,
};

/// The issues of a run, for its commands.
pub(crate) async fn book<C: ConnectionTrait>(db: &C, run: &str) -> Result<IssueBook, StoreError> {
    let found = issue::Entity::find().filter(issue::Column::RunUid.eq(run));
    let mut book = IssueBook::default();
    for row in found.all(db).await? {
        let (place, issue) = rows::issue::read(row)?;
        book.put(place, issue);
    }
    Ok(book)
}

/// One issue of a run, without the run; `None`: there is none, or its row does not parse.
pub async fn one<C: ConnectionTrait>(
    db: &C,
    run: RunUid,
    place: Place,
    key: &str,
) -> Result<Option<Issue>, StoreError> {
    let at = (run.to_string(), rows::issue::phase(place), key.to_owned());
    let found = issue::Entity::find_by_id(at).one(db).await?;
    Ok(found
        .and_then(|row| rows::issue::read(row).ok())
        .map(|(_, issue)| issue))
}

/// Runs of which the registry has said that they cannot be read, as far as that is open.
pub async fn unreadable<C: ConnectionTrait>(db: &C) -> Result<Vec<RunUid>, StoreError> {
    let found: Vec<String> = issue::Entity::find()
        .filter(issue::Column::Phase.eq(rows::issue::OWN))
        .filter(issue::Column::Category.eq(INTEGRITY))
        .filter(issue::Column::Source.eq(REGISTRY))
        .filter(issue::Column::ResolvedAt.is_null())
        .select_only()
        .column(issue::Column::RunUid)
        .distinct()
        .into_tuple()
        .all(db)
        .await?;
    Ok(found.iter().filter_map(|uid| uid.parse().ok()).collect())
}

/// What is known of a run without reading it: all as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whose {
    /// Its id.
    pub run_id: String,
    /// Its project.
    pub project: String,
    /// Places and ids of its phases.
    pub phases: Vec<(i64, String)>,
}

/// Whose issues those of a run are; nothing else of the run is read.
pub async fn whose<C: ConnectionTrait>(db: &C, run: RunUid) -> Result<Option<Whose>, StoreError> {
    let uid = sql::quoted(&run.to_string());
    let own = format!(
        "SELECT CAST(id AS TEXT) AS id, CAST(project AS TEXT) AS project FROM run WHERE uid = {uid}"
    );
    let own = sql::rows(db, own).await?;
    let Some(row) = own.first() else {
        return Ok(None);
    };
    let phases = format!("SELECT idx, CAST(id AS TEXT) AS id FROM phase WHERE run_uid = {uid}");
    let phases = sql::rows(db, phases).await?;
    let phases = phases.iter().filter_map(|row| {
        let place: i64 = row.try_get("", "idx").ok()?;
        Some((place, sql::text(row, "id")?))
    });
    Ok(Some(Whose {
        run_id: sql::text(row, "id").unwrap_or_default(),
        project: sql::text(row, "project").unwrap_or_default(),
        phases: phases.collect(),
    }))
}

/// What a page of issues is about.
#[derive(Clone, Debug, Default)]
pub struct IssueFilter {
    /// Only of this place.
    pub place: Option<Place>,
    /// Only of this effective severity.
    pub severity: Option<String>,
    /// Those that were cleaned, too.
    pub resolved: bool,
}

/// A row of a page: where it stands, and the issue if its row parses.
#[derive(Clone, Debug)]
pub struct ListedIssue {
    /// Phase and key, as stored: the position in the list.
    pub position: (i64, String),
    /// The issue.
    pub issue: Result<(Place, Issue), CorruptRow>,
}

/// A page of a run's issues after a position, by phase and key.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    run: RunUid,
    filter: &IssueFilter,
    limit: u64,
    after: Option<(i64, String)>,
) -> Result<Vec<ListedIssue>, StoreError> {
    let mut query = issue::Entity::find()
        .filter(issue::Column::RunUid.eq(run.to_string()))
        .order_by_asc(issue::Column::Phase)
        .order_by_asc(issue::Column::IssueKey)
        .limit(limit);
    if let Some(place) = filter.place {
        query = query.filter(issue::Column::Phase.eq(rows::issue::phase(place)));
    }
    if let Some(severity) = &filter.severity {
        query = query.filter(issue::Column::EffectiveSeverity.eq(severity));
    }
    if !filter.resolved {
        query = query.filter(issue::Column::ResolvedAt.is_null());
    }
    if let Some((phase, key)) = after {
        let same = Condition::all()
            .add(issue::Column::Phase.eq(phase))
            .add(issue::Column::IssueKey.gt(key));
        // By the bound alone a database enters the index where the page before ended.
        query = query.filter(issue::Column::Phase.gte(phase)).filter(
            Condition::any()
                .add(issue::Column::Phase.gt(phase))
                .add(same),
        );
    }
    let found = query.all(db).await?;
    Ok(found
        .into_iter()
        .map(|row| ListedIssue {
            position: (row.phase, row.issue_key.clone()),
            issue: rows::issue::read(row),
        })
        .collect())
}

/// Entries of a project's backlog by their keys, each with its key as stored.
pub async fn entries<C: ConnectionTrait>(
    db: &C,
    project: &str,
    keys: impl IntoIterator<Item = &str>,
) -> Result<Vec<(String, Result<BacklogEntry, CorruptRow>)>, StoreError> {
    let found = backlog::Entity::find()
        .filter(backlog::Column::Project.eq(project))
        .filter(backlog::Column::IssueKey.is_in(keys));
    let found = found.all(db).await?;
    Ok(found
        .into_iter()
        .map(|row| (row.issue_key.clone(), rows::backlog::read(row)))
        .collect())
}

/// Minor entries of a project that reached one of these ages, were not cleaned, and were seen since then; the oldest
/// first.
pub async fn aged<C: ConnectionTrait>(
    db: &C,
    project: &str,
    (runs, tiers): (u32, u32),
    since: Option<Timestamp>,
    limit: u64,
) -> Result<Vec<BacklogEntry>, StoreError> {
    let old = Condition::any()
        .add(backlog::Column::AgeInRuns.gte(runs))
        .add(backlog::Column::AgeInTiers.gte(tiers));
    let minor = autopack_domain::issue::Severity::Minor.as_str();
    let mut query = oldest_first(project)
        .filter(backlog::Column::Severity.eq(minor))
        .filter(backlog::Column::CleanedAt.is_null())
        .filter(backlog::Column::ClosedAt.is_null())
        .filter(old)
        .limit(limit);
    if let Some(since) = since {
        query = query.filter(backlog::Column::LastSeenAt.gte(since.0));
    }
    let found = query.all(db).await?;
    // A row that does not parse ages nothing; lists tell it.
    Ok(found
        .into_iter()
        .filter_map(|row| rows::backlog::read(row).ok())
        .collect())
}

fn oldest_first(project: &str) -> sea_orm::Select<backlog::Entity> {
    backlog::Entity::find()
        .filter(backlog::Column::Project.eq(project))
        .order_by_desc(backlog::Column::AgeInRuns)
        .order_by_desc(backlog::Column::AgeInTiers)
        .order_by_desc(backlog::Column::IssueKey)
}

/// Where a row stands in the list of a backlog.
pub type BacklogPosition = (i64, i64, String);

/// A page of a project's backlog after a position, the oldest first.
pub async fn page<C: ConnectionTrait>(
    db: &C,
    project: &str,
    limit: u64,
    after: Option<BacklogPosition>,
) -> Result<Vec<(BacklogPosition, Result<BacklogEntry, CorruptRow>)>, StoreError> {
    use backlog::Column::{AgeInRuns, AgeInTiers, IssueKey};
    let mut query = oldest_first(project).limit(limit);
    if let Some((runs, tiers, key)) = after {
        let same_runs = Condition::all()
            .add(AgeInRuns.eq(runs))
            .add(AgeInTiers.lt(tiers));
        let same_tiers = Condition::all()
            .add(AgeInRuns.eq(runs))
            .add(AgeInTiers.eq(tiers))
            .add(IssueKey.lt(key));
        let younger = Condition::any().add(AgeInRuns.lt(runs));
        query = query
            .filter(AgeInRuns.lte(runs))
            .filter(younger.add(same_runs).add(same_tiers));
    }
    let found = query.all(db).await?;
    Ok(found
        .into_iter()
        .map(|row| {
            let position = (row.age_in_runs, row.age_in_tiers, row.issue_key.clone());
            (position, rows::backlog::read(row))
        })
        .collect())
}

/// When the latest successful runs of a project were created, newest first.
pub async fn successes<C: ConnectionTrait>(
    db: &C,
    project: &str,
    limit: u64,
) -> Result<Vec<Timestamp>, StoreError> {
    let found: Vec<i64> = run::Entity::find()
        .select_only()
        .column(run::Column::CreatedAt)
        .filter(run::Column::Project.eq(project))
        .filter(run::Column::State.eq(RunState::DoneSuccess.as_str()))
        .order_by_desc(run::Column::CreatedAt)
        .limit(limit)
        .into_tuple()
        .all(db)
        .await?;
    Ok(found.into_iter().map(Timestamp).collect())
}
