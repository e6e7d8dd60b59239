//! What the self-check has mended, and what stands in the way of mending a row.

use autopack_domain::states::AttemptState;
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, QueryOrder, QuerySelect, Statement};

use crate::{StoreError, entity::repair};

/// Repairs, newest first; at most `limit`.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    limit: u64,
) -> Result<Vec<repair::Model>, StoreError> {
    Ok(repair::Entity::find()
        .order_by_desc(repair::Column::At)
        .order_by_desc(repair::Column::Uid)
        .limit(limit)
        .all(db)
        .await?)
}

/// One repair.
pub async fn find<C: ConnectionTrait>(
    db: &C,
    uid: &str,
) -> Result<Option<repair::Model>, StoreError> {
    Ok(repair::Entity::find_by_id(uid.to_owned()).one(db).await?)
}

/// Whether a worker holds a lease in a run, or may hold one: an attempt or job in a leased state in any case, or in a
/// state that nobody knows.
pub async fn is_leased<C: ConnectionTrait>(db: &C, run: &str) -> Result<bool, StoreError> {
    let idle: Vec<String> = AttemptState::ALL
        .iter()
        .filter(|state| !state.is_leased())
        .map(|state| format!("'{state}'"))
        .collect();
    let idle = idle.join(",");
    let place = match db.get_database_backend() {
        DbBackend::Postgres => "$1",
        _ => "?",
    };
    let sql = format!(
        "SELECT 1 AS found FROM attempt WHERE run_uid = {place} AND (state IS NULL OR upper(state) NOT IN ({idle})) \
         UNION ALL SELECT 1 FROM job WHERE run_uid = {place} AND (state IS NULL OR upper(state) NOT IN ('OFFERED','DONE')) LIMIT 1"
    );
    let values: Vec<sea_orm::Value> = match db.get_database_backend() {
        DbBackend::Postgres => vec![run.into()],
        _ => vec![run.into(), run.into()],
    };
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    Ok(db.query_one_raw(statement).await?.is_some())
}
