//! Read queries around promotions and the status of integration branches.

use autopack_domain::{PromotionUid, RunUid, integration::Integration, promotion::Promotion};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::{
    CorruptRow, StoreError,
    entity::{integration_status, promotion},
    rows,
};

/// Promotions that a list shows at most.
pub const LISTED: u64 = 200;

/// Promotions of a run, newest first; at most [`LISTED`].
pub async fn of_run<C: ConnectionTrait>(
    db: &C,
    run: RunUid,
) -> Result<Vec<Result<Promotion, CorruptRow>>, StoreError> {
    let found = promotion::Entity::find()
        .filter(promotion::Column::RunUid.eq(run.to_string()))
        .order_by_desc(promotion::Column::RequestedAt)
        .order_by_desc(promotion::Column::Uid)
        .limit(LISTED)
        .all(db)
        .await?;
    Ok(found.into_iter().map(rows::promotion::read).collect())
}

/// The promotion that is open, of a run that has ended.
pub(crate) async fn open<C: ConnectionTrait>(
    db: &C,
    run: &str,
) -> Result<Option<Promotion>, StoreError> {
    use autopack_domain::promotion::PromotionState;
    let found = promotion::Entity::find()
        .filter(promotion::Column::RunUid.eq(run))
        .filter(promotion::Column::State.eq(PromotionState::Pending.as_str()))
        .all(db)
        .await?;
    let first = found.into_iter().next();
    Ok(first.map(rows::promotion::read).transpose()?)
}

/// A promotion with its run.
pub async fn by_uid<C: ConnectionTrait>(
    db: &C,
    uid: PromotionUid,
) -> Result<Option<(RunUid, Promotion)>, StoreError> {
    let found = promotion::Entity::find_by_id(uid.to_string())
        .all(db)
        .await?;
    let Some(row) = found.into_iter().next() else {
        return Ok(None);
    };
    let run = row.run_uid.parse().map_err(|_| {
        let valid = "a UUID".to_owned();
        rows::corrupt("promotion", &row.uid, "run_uid", &row.run_uid, valid)
    })?;
    Ok(Some((run, rows::promotion::read(row)?)))
}

/// The status of a run's integration branch; `None`: nobody has asked for one.
pub async fn status<C: ConnectionTrait>(
    db: &C,
    run: &str,
) -> Result<Option<Integration>, StoreError> {
    let found = integration_status::Entity::find_by_id(run.to_owned())
        .all(db)
        .await?;
    let first = found.into_iter().next();
    Ok(first.map(rows::promotion::read_status).transpose()?)
}
