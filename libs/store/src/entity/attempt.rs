//! Attempts.

use sea_orm::entity::prelude::*;

/// A row of `attempt`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attempt")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uid: String,
    #[sea_orm(column_type = "Text")]
    pub run_uid: String,
    pub phase: i64,
    pub number: i64,
    #[sea_orm(column_type = "Text")]
    pub state: String,
    #[sea_orm(column_type = "Text")]
    pub job_uid: String,
    pub fence: i64,
    #[sea_orm(column_type = "Text")]
    pub worker_uid: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub tip: String,
    #[sea_orm(column_type = "Text")]
    pub tree: String,
    #[sea_orm(column_type = "Text")]
    pub commit_sha: String,
    #[sea_orm(column_type = "Text")]
    pub intent_tip: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub intent_tree: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub intent_commit: Option<String>,
    pub intent_resolved: Option<bool>,
    #[sea_orm(column_type = "Text")]
    pub cause: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub detail: String,
    #[sea_orm(column_type = "Text")]
    pub gate: String,
    pub tests: Option<i64>,
    pub tokens_reserved: i64,
    pub tokens_used: i64,
    pub offered_at: i64,
    pub leased_at: Option<i64>,
    pub finished_at: Option<i64>,
    #[sea_orm(column_type = "Text")]
    pub artifacts: String,
    #[sea_orm(column_type = "Text")]
    pub facts: String,
}

/// None: rows are joined by the queries that need it.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
