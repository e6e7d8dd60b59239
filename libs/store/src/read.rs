//! Read queries. Each takes any connection, so that it runs on the writer's transaction or on a reader.

use std::collections::BTreeMap;

use autopack_domain::{
    RunUid,
    attempt::Attempt,
    issue::IssueBook,
    run::{Run, RunAggregate},
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Select,
};

use crate::{
    CorruptRow, StoreError,
    entity::{
        attempt, event, failure, phase, project, request, run, run_document, tier, usage_event,
    },
    rows::{self, event::StoredEvent},
    unlike,
};

/// The row of a key. Without `LIMIT`, which would be a parameter: SQLite looks at its value when it plans, and so
/// compiles such a statement anew for each execution, which costs more than the look-up.
async fn by_key<C: ConnectionTrait, E: EntityTrait>(
    db: &C,
    query: Select<E>,
) -> Result<Option<E::Model>, StoreError> {
    Ok(query.all(db).await?.into_iter().next())
}

/// States in which a run has not ended.
pub fn open_states() -> Vec<&'static str> {
    use autopack_domain::states::RunState;
    RunState::ALL
        .iter()
        .filter(|s| !s.is_terminal())
        .map(|s| s.as_str())
        .collect()
}

/// The uid of a run by its id (without regard to case) or uid.
pub async fn find_run<C: ConnectionTrait>(db: &C, id: &str) -> Result<Option<RunUid>, StoreError> {
    let row = run::Entity::find()
        .filter(
            Condition::any()
                .add(run::Column::IdFold.eq(id.to_ascii_lowercase()))
                .add(run::Column::Uid.eq(id)),
        )
        .all(db)
        .await?;
    row.into_iter()
        .next()
        .map(|r| {
            r.uid.parse().map_err(|_| {
                let valid = "a UUID".to_owned();
                rows::corrupt("run", &r.uid, "uid", &r.uid, valid).into()
            })
        })
        .transpose()
}

/// One run's own record.
pub async fn run<C: ConnectionTrait>(db: &C, uid: RunUid) -> Result<Option<Run>, StoreError> {
    let row = by_key(db, run::Entity::find_by_id(uid.to_string())).await?;
    Ok(row.map(rows::run::read).transpose()?)
}

/// A run with everything its commands need. A value of another type than its column's is a fault of this run.
pub async fn aggregate<C: ConnectionTrait>(
    db: &C,
    uid: RunUid,
) -> Result<Option<RunAggregate>, StoreError> {
    match parts(db, uid).await {
        Err(StoreError::Database(error)) => Err(unlike::of_row("run", &uid.to_string(), error)),
        other => other,
    }
}

async fn parts<C: ConnectionTrait>(
    db: &C,
    uid: RunUid,
) -> Result<Option<RunAggregate>, StoreError> {
    let key = uid.to_string();
    let Some(run) = run(db, uid).await? else {
        return Ok(None);
    };
    let document = by_key(db, run_document::Entity::find_by_id(key.clone()))
        .await?
        .ok_or_else(|| {
            let valid = "the row of the run".to_owned();
            rows::corrupt("run_document", &key, "run_uid", "(missing)", valid)
        })?;
    let (plan, strategy) = rows::run::read_document(&document)?;
    let tiers = tier::Entity::find()
        .filter(tier::Column::RunUid.eq(&key))
        .order_by_asc(tier::Column::Idx)
        .all(db)
        .await?;
    let tiers = tiers
        .into_iter()
        .map(rows::tier::read)
        .collect::<Result<Vec<_>, _>>()?;
    let phases = phase::Entity::find()
        .filter(phase::Column::RunUid.eq(&key))
        .order_by_asc(phase::Column::Idx)
        .all(db)
        .await?;
    let phases = phases
        .into_iter()
        .map(rows::phase::read)
        .collect::<Result<Vec<_>, _>>()?;
    for p in &phases {
        if plan
            .tiers
            .get(p.tier)
            .and_then(|t| t.phases.get(p.place))
            .is_none()
            || p.tier >= tiers.len()
        {
            let (id, place) = (format!("{key}/{}", p.id), p.place.to_string());
            let valid = "a place in the plan of the run".to_owned();
            return Err(rows::corrupt("phase", &id, "place", &place, valid).into());
        }
    }
    let attempts = live_attempts(db, &key).await?;
    let jobs = crate::jobs::of_run(db, &key).await?;
    // A run that has not ended is not promoted, and few are looked at.
    let promotion = if run.state.is_terminal() {
        crate::promotions::open(db, &key).await?
    } else {
        None
    };
    let integration = if jobs.iter().any(crate::jobs::is_look) {
        crate::promotions::status(db, &key).await?
    } else {
        None
    };
    // Most runs have none: their counts say so, and no query is made.
    let issues = match run.issues.distinct() {
        0 => IssueBook::default(),
        _ => crate::issues::book(db, &key).await?,
    };
    let mut aggregate = RunAggregate::assemble(run, plan, strategy, tiers, phases, attempts, jobs);
    aggregate.issues = issues;
    aggregate.promotion = promotion;
    aggregate.integration = integration;
    Ok(Some(aggregate))
}

async fn live_attempts<C: ConnectionTrait>(
    db: &C,
    run: &str,
) -> Result<BTreeMap<autopack_domain::AttemptUid, Attempt>, StoreError> {
    use autopack_domain::states::AttemptState;
    let live: Vec<&str> = AttemptState::ALL
        .iter()
        .filter(|s| !s.is_terminal())
        .map(|s| s.as_str())
        .collect();
    let found = attempt::Entity::find()
        .filter(attempt::Column::RunUid.eq(run))
        .filter(
            Condition::any()
                .add(attempt::Column::State.is_in(live))
                .add(attempt::Column::IntentResolved.eq(false)),
        )
        .all(db)
        .await?;
    found
        .into_iter()
        .map(|r| {
            rows::attempt::read(r)
                .map(|a| (a.uid, a))
                .map_err(Into::into)
        })
        .collect()
}

/// Uids of runs that have not ended; rows whose state is unknown are left out (see [`crate::set_aside`]).
pub async fn open_runs<C: ConnectionTrait>(db: &C) -> Result<Vec<RunUid>, StoreError> {
    uids(
        db,
        run::Entity::find().filter(run::Column::State.is_in(open_states())),
    )
    .await
}

/// Uids of runs that have not ended and do not wait for a person: paused and held runs cost their readers nothing.
pub async fn moving_runs<C: ConnectionTrait>(db: &C) -> Result<Vec<RunUid>, StoreError> {
    let waits = Condition::all()
        .add(run::Column::Frozen.eq(true))
        .add(run::Column::Cancelling.eq(false))
        .add(run::Column::OpenIntents.eq(0))
        .add(
            Condition::any()
                .add(run::Column::Paused.eq(true))
                .add(run::Column::Started.eq(false)),
        );
    let moving = run::Entity::find()
        .filter(run::Column::State.is_in(open_states()))
        .filter(waits.not());
    uids(db, moving).await
}

async fn uids<C: ConnectionTrait>(
    db: &C,
    query: sea_orm::Select<run::Entity>,
) -> Result<Vec<RunUid>, StoreError> {
    let found: Vec<String> = query
        .select_only()
        .column(run::Column::Uid)
        .order_by_asc(run::Column::CreatedAt)
        .into_tuple()
        .all(db)
        .await?;
    Ok(found.iter().filter_map(|uid| uid.parse().ok()).collect())
}

/// A row of a page: where it stands, and the run if its row parses.
#[derive(Clone, Debug)]
pub struct Listed {
    /// When it was created, and its uid, as stored: the position in the list.
    pub position: (i64, String),
    /// The run.
    pub run: Result<Run, CorruptRow>,
}

/// A page of runs, newest first, before a position.
pub async fn list_runs<C: ConnectionTrait>(
    db: &C,
    limit: u64,
    before: Option<(i64, String)>,
    state: Option<&str>,
    project: Option<&str>,
) -> Result<Vec<Listed>, StoreError> {
    let mut query = run::Entity::find()
        .order_by_desc(run::Column::CreatedAt)
        .order_by_desc(run::Column::Uid)
        .limit(limit);
    if let Some((at, uid)) = before {
        // By the bound alone a database enters the index where the page before ended.
        query = query.filter(run::Column::CreatedAt.lte(at)).filter(
            Condition::any().add(run::Column::CreatedAt.lt(at)).add(
                Condition::all()
                    .add(run::Column::CreatedAt.eq(at))
                    .add(run::Column::Uid.lt(uid)),
            ),
        );
    }
    if let Some(state) = state {
        query = query.filter(run::Column::State.eq(state));
    }
    if let Some(project) = project {
        query = query.filter(run::Column::Project.eq(project));
    }
    let found = match query.clone().all(db).await {
        Err(error) if unlike::is_unlike(&error) => return one_by_one(db, query).await,
        found => found?,
    };
    let listed = |row: run::Model| Listed {
        position: (row.created_at, row.uid.clone()),
        run: rows::run::read(row),
    };
    Ok(found.into_iter().map(listed).collect())
}

/// The page again, row by row: one of them holds a value of another type. A row whose place in the list cannot be
/// told is left out.
async fn one_by_one<C: ConnectionTrait>(
    db: &C,
    query: sea_orm::Select<run::Entity>,
) -> Result<Vec<Listed>, StoreError> {
    let positions: Vec<(i64, String)> = query
        .filter(unlike::is_whole(db, "run", "created_at"))
        .select_only()
        .column(run::Column::CreatedAt)
        .column(run::Column::Uid)
        .into_tuple()
        .all(db)
        .await?;
    let mut page = Vec::with_capacity(positions.len());
    for position in positions {
        let run = match run::Entity::find_by_id(position.1.clone()).one(db).await {
            Ok(Some(row)) => rows::run::read(row),
            Ok(None) => continue,
            Err(error) => match unlike::of_row("run", &position.1, error) {
                StoreError::Corrupt(corrupt) => Err(corrupt),
                failed @ StoreError::Database(_) => return Err(failed),
            },
        };
        page.push(Listed { position, run });
    }
    Ok(page)
}

/// Events of a run after a number, in order.
pub async fn run_events<C: ConnectionTrait>(
    db: &C,
    run: RunUid,
    after: u64,
    limit: u64,
) -> Result<Vec<StoredEvent>, StoreError> {
    let found = event::Entity::find()
        .filter(event::Column::RunUid.eq(run.to_string()))
        .filter(event::Column::RunSequence.gt(rows::signed(after)))
        .order_by_asc(event::Column::RunSequence)
        .limit(limit)
        .all(db)
        .await?;
    Ok(found.into_iter().filter_map(rows::event::read).collect())
}

/// Events of the whole log after a number, in order.
pub async fn events<C: ConnectionTrait>(
    db: &C,
    after: u64,
    limit: u64,
) -> Result<Vec<StoredEvent>, StoreError> {
    let found = event::Entity::find()
        .filter(event::Column::Sequence.gt(rows::signed(after)))
        .order_by_asc(event::Column::Sequence)
        .limit(limit)
        .all(db)
        .await?;
    Ok(found.into_iter().filter_map(rows::event::read).collect())
}

/// Number of the last event of the log.
pub async fn last_sequence<C: ConnectionTrait>(db: &C) -> Result<u64, StoreError> {
    let found = event::Entity::find()
        .order_by_desc(event::Column::Sequence)
        .one(db)
        .await?;
    Ok(found.map_or(0, |e| rows::unsigned(e.sequence)))
}

/// Attempts of a run, oldest first; at most 5,000.
pub async fn attempts<C: ConnectionTrait>(
    db: &C,
    run: RunUid,
    phase: Option<usize>,
) -> Result<Vec<Result<Attempt, CorruptRow>>, StoreError> {
    let mut query = attempt::Entity::find()
        .filter(attempt::Column::RunUid.eq(run.to_string()))
        .order_by_asc(attempt::Column::Phase)
        .order_by_asc(attempt::Column::Number)
        .limit(5000);
    if let Some(phase) = phase {
        query = query.filter(attempt::Column::Phase.eq(phase as i64));
    }
    Ok(query
        .all(db)
        .await?
        .into_iter()
        .map(rows::attempt::read)
        .collect())
}

/// Attempts that ever stored a landing intent, newest first; at most 200.
pub async fn intents<C: ConnectionTrait>(db: &C, run: RunUid) -> Result<Vec<Attempt>, StoreError> {
    let found = attempt::Entity::find()
        .filter(attempt::Column::RunUid.eq(run.to_string()))
        .filter(attempt::Column::IntentCommit.is_not_null())
        .order_by_desc(attempt::Column::LeasedAt)
        .limit(200)
        .all(db)
        .await?;
    Ok(found
        .into_iter()
        .filter_map(|r| rows::attempt::read(r).ok())
        .collect())
}

/// One attempt, ended or not.
pub async fn attempt<C: ConnectionTrait>(
    db: &C,
    uid: autopack_domain::AttemptUid,
) -> Result<Option<Attempt>, StoreError> {
    let row = by_key(db, attempt::Entity::find_by_id(uid.to_string())).await?;
    Ok(row.map(rows::attempt::read).transpose()?)
}

/// Attempts whose landing was prepared and that did not succeed, newest first; at most 50. A commit of theirs
/// on the branch is a stray one.
pub async fn stray_intents<C: ConnectionTrait>(
    db: &C,
    run: RunUid,
) -> Result<Vec<Attempt>, StoreError> {
    use autopack_domain::states::AttemptState;
    let found = attempt::Entity::find()
        .filter(attempt::Column::RunUid.eq(run.to_string()))
        .filter(attempt::Column::IntentCommit.is_not_null())
        .filter(attempt::Column::State.ne(AttemptState::Succeeded.as_str()))
        .order_by_desc(attempt::Column::LeasedAt)
        .limit(50)
        .all(db)
        .await?;
    Ok(found
        .into_iter()
        .filter_map(|r| rows::attempt::read(r).ok())
        .collect())
}

/// Usage facts of a run, oldest first; at most 5,000.
pub async fn usage<C: ConnectionTrait>(
    db: &C,
    run: RunUid,
) -> Result<Vec<usage_event::Model>, StoreError> {
    Ok(usage_event::Entity::find()
        .filter(usage_event::Column::RunUid.eq(run.to_string()))
        .order_by_asc(usage_event::Column::Number)
        .limit(5000)
        .all(db)
        .await?)
}

/// Failure facts of a run; at most 5,000.
pub async fn failures<C: ConnectionTrait>(
    db: &C,
    run: RunUid,
) -> Result<Vec<failure::Model>, StoreError> {
    Ok(failure::Entity::find()
        .filter(failure::Column::RunUid.eq(run.to_string()))
        .order_by_asc(failure::Column::At)
        .limit(5000)
        .all(db)
        .await?)
}

/// An idempotency record.
pub async fn request<C: ConnectionTrait>(
    db: &C,
    id: &str,
) -> Result<Option<request::Model>, StoreError> {
    by_key(db, request::Entity::find_by_id(id.to_owned())).await
}

/// A project.
pub async fn project<C: ConnectionTrait>(
    db: &C,
    name: &str,
) -> Result<Option<project::Model>, StoreError> {
    by_key(db, project::Entity::find_by_id(name.to_owned())).await
}
