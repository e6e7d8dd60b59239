//! Tiers.

use sea_orm::entity::prelude::*;

/// A row of `tier`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tier")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub run_uid: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub idx: i64,
    #[sea_orm(column_type = "Text")]
    pub id: String,
    #[sea_orm(column_type = "Text")]
    pub state: String,
    pub count_queued: i64,
    pub count_executing: i64,
    pub count_gate: i64,
    pub count_ci_running: i64,
    pub count_complete: i64,
    pub count_failed: i64,
    pub count_skipped: i64,
    pub tokens_cap: Option<i64>,
    pub tokens_reserved: i64,
    pub tokens_settled: i64,
    pub ci_runs_cap: Option<i64>,
    pub ci_runs_settled: i64,
    #[sea_orm(column_type = "Text")]
    pub snapshot: String,
    pub started_at: Option<i64>,
    pub completed_at: Option<i64>,
    pub minor_issues: i64,
    pub major_issues: i64,
    pub resolved_issues: i64,
    #[sea_orm(column_type = "Text")]
    pub cleanliness: String,
}

/// None: rows are joined by the queries that need it.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
