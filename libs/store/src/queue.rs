//! What the queue needs of the database: limits of projects, paused lanes.
//!
//! Invariant: a row that does not parse is reported and left out; it fails no other row's project.

use autopack_domain::project::ProjectLimits;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use crate::{
    CorruptRow, StoreError,
    entity::{lane, project},
};

/// Share and limits of each project that has any, or why its row does not parse.
pub async fn limits<C: ConnectionTrait>(
    db: &C,
) -> Result<Vec<Result<(String, ProjectLimits), CorruptRow>>, StoreError> {
    let rows = project::Entity::find().all(db).await?;
    Ok(rows
        .into_iter()
        .map(|row| match ProjectLimits::read(row.share, &row.limits) {
            Ok(limits) => Ok((row.name, limits)),
            Err(_) => Err(CorruptRow {
                table: "project",
                id: row.name,
                column: "limits",
                value: format!("share {}, {}", row.share, row.limits)
                    .chars()
                    .take(100)
                    .collect(),
                valid: "a share from 1, and limits as `autopack limits` writes them".to_owned(),
            }),
        })
        .collect())
}

/// The paused lanes.
pub async fn paused_lanes<C: ConnectionTrait>(db: &C) -> Result<Vec<String>, StoreError> {
    let rows = lane::Entity::find()
        .filter(lane::Column::Paused.eq(true))
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}
