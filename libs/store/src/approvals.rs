//! Read queries around approvals: which phases of open runs ask for one, or were given one.

use autopack_domain::{phase::Phase, states::PhaseState};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
};

use crate::{
    StoreError,
    entity::{phase, run},
    read::open_states,
    rows,
};

/// Only a handoff with an approval has this key.
const MARK: &str = "%\"asked_at\":%";

/// A phase with an approval, and where it stands in the list.
#[derive(Clone, Debug)]
pub struct Asking {
    /// Uid of its run.
    pub run: String,
    /// Its index in the run.
    pub index: usize,
    /// The phase.
    pub phase: Phase,
}

/// Phases of open runs that have asked, by run and index, after a position; rows that do not parse are left out.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    one: Option<&str>,
    after: Option<(&str, i64)>,
    limit: u64,
) -> Result<Vec<Asking>, StoreError> {
    let open = run::Entity::find()
        .select_only()
        .column(run::Column::Uid)
        .filter(run::Column::State.is_in(open_states()))
        .into_query();
    let mut query = phase::Entity::find()
        .filter(phase::Column::Handoff.like(MARK))
        .filter(phase::Column::State.is_not_in([
            PhaseState::Complete.as_str(),
            PhaseState::Failed.as_str(),
            PhaseState::Skipped.as_str(),
        ]));
    query = match one {
        Some(run) => query.filter(phase::Column::RunUid.eq(run)),
        None => query.filter(phase::Column::RunUid.in_subquery(open)),
    };
    if let Some((run, index)) = after {
        let later = Condition::any().add(phase::Column::RunUid.gt(run)).add(
            Condition::all()
                .add(phase::Column::RunUid.eq(run))
                .add(phase::Column::Idx.gt(index)),
        );
        query = query.filter(later);
    }
    let found = query
        .order_by_asc(phase::Column::RunUid)
        .order_by_asc(phase::Column::Idx)
        .limit(limit)
        .all(db)
        .await?;
    let read = |row: phase::Model| {
        let (run, index) = (row.run_uid.clone(), usize::try_from(row.idx).ok()?);
        Some(Asking {
            run,
            index,
            phase: rows::phase::read(row).ok()?,
        })
    };
    Ok(found.into_iter().filter_map(read).collect())
}
