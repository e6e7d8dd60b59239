//! Promotions of runs.

use sea_orm::entity::prelude::*;

/// A row of `promotion`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "promotion")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uid: String,
    #[sea_orm(column_type = "Text")]
    pub run_uid: String,
    #[sea_orm(column_type = "Text")]
    pub strategy: String,
    #[sea_orm(column_type = "Text")]
    pub target_branch: String,
    #[sea_orm(column_type = "Text")]
    pub expected_tip: String,
    pub pull_request: bool,
    #[sea_orm(column_type = "Text")]
    pub requested_by: String,
    #[sea_orm(column_type = "Text")]
    pub request_id: String,
    #[sea_orm(column_type = "Text")]
    pub tested_commit: String,
    #[sea_orm(column_type = "Text")]
    pub state: String,
    #[sea_orm(column_type = "Text")]
    pub intent_from: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub intent_commit: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub landed_commit: String,
    #[sea_orm(column_type = "Text")]
    pub url: String,
    #[sea_orm(column_type = "Text")]
    pub cause: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub detail: String,
    pub requested_at: i64,
    pub finished_at: Option<i64>,
}

/// None: rows are joined by the queries that need it.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
