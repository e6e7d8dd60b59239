//! How integration branches stand in the target repositories.

use sea_orm::entity::prelude::*;

/// A row of `integration_status`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "integration_status")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub run_uid: String,
    #[sea_orm(column_type = "Text")]
    pub target_branch: String,
    pub requested_at: i64,
    pub looked_at: Option<i64>,
    #[sea_orm(column_type = "Text")]
    pub tip: String,
    pub commits: i64,
    #[sea_orm(column_type = "Text")]
    pub base_branch: String,
    #[sea_orm(column_type = "Text")]
    pub base_tip: String,
    pub base_ahead: i64,
    pub base_behind: i64,
    #[sea_orm(column_type = "Text")]
    pub target_seen: String,
    #[sea_orm(column_type = "Text")]
    pub target_tip: String,
    pub target_ahead: i64,
    pub target_behind: i64,
    #[sea_orm(column_type = "Text")]
    pub cause: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub detail: String,
}

/// None: rows are joined by the queries that need it.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
