//! How far readers of the event log have come: the relay, the traces, and projections outside.
//!
//! Invariant: a cursor may lag behind what its reader has done, never lead.

use std::collections::HashSet;

use autopack_domain::{EventKind, RunUid};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::{
    StoreError,
    entity::{event, relay_cursor, trace_cursor},
    rows::{self, event::StoredEvent},
};

/// The last event that the relay has published.
pub async fn relay<C: ConnectionTrait>(db: &C) -> Result<u64, StoreError> {
    let row = relay_cursor::Entity::find_by_id(1).one(db).await?;
    Ok(row.map_or(0, |row| rows::unsigned(row.sequence)))
}

/// The last event of which the spans were sent; `None`: nobody has traced yet.
pub async fn traces<C: ConnectionTrait>(db: &C) -> Result<Option<u64>, StoreError> {
    let row = trace_cursor::Entity::find_by_id(1).one(db).await?;
    Ok(row.map(|row| rows::unsigned(row.sequence)))
}

/// Events of these kinds after a number, in order.
pub async fn of_kinds<C: ConnectionTrait>(
    db: &C,
    after: u64,
    kinds: &[EventKind],
    limit: u64,
) -> Result<Vec<StoredEvent>, StoreError> {
    let kinds = kinds.iter().map(|kind| kind.code());
    let found = event::Entity::find()
        .filter(event::Column::Sequence.gt(rows::signed(after)))
        .filter(event::Column::Kind.is_in(kinds))
        .order_by_asc(event::Column::Sequence)
        .limit(limit)
        .all(db)
        .await?;
    Ok(found.into_iter().filter_map(rows::event::read).collect())
}

/// What ended in a run before an event of it, in order: ends of phases and of the run, and reopenings.
pub async fn ends_before<C: ConnectionTrait>(
    db: &C,
    run: RunUid,
    run_sequence: u64,
) -> Result<Vec<StoredEvent>, StoreError> {
    let kinds = [
        EventKind::PhaseCompleted,
        EventKind::PhaseFailed,
        EventKind::PhaseSkipped,
        EventKind::RunFinished,
        EventKind::RunReopened,
    ];
    let found = event::Entity::find()
        .filter(event::Column::RunUid.eq(run.to_string()))
        .filter(event::Column::RunSequence.lt(rows::signed(run_sequence)))
        .filter(event::Column::Kind.is_in(kinds.map(EventKind::code)))
        .order_by_asc(event::Column::RunSequence)
        .all(db)
        .await?;
    Ok(found.into_iter().filter_map(rows::event::read).collect())
}

/// Which runs a stretch of the log is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Their uids, in the order of their first event.
    pub runs: Vec<String>,
    /// The last event that was looked at; the end of the log if there was none.
    pub sequence: u64,
    /// The log goes on after it.
    pub more: bool,
}

/// Runs with events after a number, of at most so many events.
pub async fn changes<C: ConnectionTrait>(
    db: &C,
    after: u64,
    limit: u64,
) -> Result<Changes, StoreError> {
    let found: Vec<(i64, String)> = event::Entity::find()
        .select_only()
        .column(event::Column::Sequence)
        .column(event::Column::RunUid)
        .filter(event::Column::Sequence.gt(rows::signed(after)))
        .order_by_asc(event::Column::Sequence)
        .limit(limit)
        .into_tuple()
        .all(db)
        .await?;
    let Some((last, _)) = found.last() else {
        let sequence = crate::read::last_sequence(db).await?.min(after);
        return Ok(Changes {
            sequence,
            ..Changes::default()
        });
    };
    let (sequence, more) = (rows::unsigned(*last), found.len() as u64 == limit);
    let mut seen = HashSet::new();
    let runs = found
        .into_iter()
        .filter_map(|(_, run)| seen.insert(run.clone()).then_some(run))
        .collect();
    Ok(Changes {
        runs,
        sequence,
        more,
    })
}
