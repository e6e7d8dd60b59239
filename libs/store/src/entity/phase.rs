//! Phases.

use sea_orm::entity::prelude::*;

/// A row of `phase`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "phase")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub run_uid: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub idx: i64,
    #[sea_orm(column_type = "Text")]
    pub id: String,
    pub tier: i64,
    pub place: i64,
    #[sea_orm(column_type = "Text")]
    pub state: String,
    pub attempts_made: i64,
    pub attempts_charged: i64,
    pub infra_charged: i64,
    pub crashes: i64,
    pub conflicts: i64,
    pub not_before: Option<i64>,
    #[sea_orm(column_type = "Text")]
    pub cause: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub detail: String,
    #[sea_orm(column_type = "Text")]
    pub commit_sha: String,
    #[sea_orm(column_type = "Text")]
    pub outcome: Option<String>,
    pub tokens_cap: Option<i64>,
    pub tokens_reserved: i64,
    pub tokens_settled: i64,
    #[sea_orm(column_type = "Text")]
    pub current_attempt: Option<String>,
    pub started_at: Option<i64>,
    pub completed_at: Option<i64>,
    pub minor_issues: i64,
    pub major_issues: i64,
    pub resolved_issues: i64,
    #[sea_orm(column_type = "Text")]
    pub issue_state: String,
    #[sea_orm(column_type = "Text")]
    pub handoff: Option<String>,
}

/// None: rows are joined by the queries that need it.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
