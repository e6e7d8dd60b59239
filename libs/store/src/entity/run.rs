//! Runs.

use sea_orm::entity::prelude::*;

/// A row of `run`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "run")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uid: String,
    #[sea_orm(column_type = "Text")]
    pub id: String,
    #[sea_orm(column_type = "Text")]
    pub id_fold: String,
    #[sea_orm(column_type = "Text")]
    pub project: String,
    #[sea_orm(column_type = "Text")]
    pub state: String,
    pub version: i64,
    pub last_event: i64,
    pub revision: i64,
    pub fence: i64,
    pub held: bool,
    pub frozen: bool,
    pub started: bool,
    pub paused: bool,
    pub cancelling: bool,
    #[sea_orm(column_type = "Text")]
    pub goal: String,
    #[sea_orm(column_type = "Text")]
    pub base_ref: String,
    #[sea_orm(column_type = "Text")]
    pub base_sha: String,
    #[sea_orm(column_type = "Text")]
    pub tip: String,
    #[sea_orm(column_type = "Text")]
    pub branch: String,
    #[sea_orm(column_type = "Text")]
    pub repository: String,
    #[sea_orm(column_type = "Text")]
    pub digest: String,
    pub priority: i64,
    pub tokens_cap: Option<i64>,
    pub tokens_reserved: i64,
    pub tokens_settled: i64,
    pub phases_cap: i64,
    pub phases_used: i64,
    pub minutes_cap: i64,
    pub first_lease_at: Option<i64>,
    pub paused_at: Option<i64>,
    pub paused_us: i64,
    pub count_queued: i64,
    pub count_executing: i64,
    pub count_gate: i64,
    pub count_ci_running: i64,
    pub count_complete: i64,
    pub count_failed: i64,
    pub count_skipped: i64,
    pub open_intents: i64,
    #[sea_orm(column_type = "Text")]
    pub cause: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub detail: String,
    #[sea_orm(column_type = "Text")]
    pub facts: String,
    pub created_at: i64,
    pub started_at: Option<i64>,
    pub completed_at: Option<i64>,
    pub minor_issues: i64,
    pub major_issues: i64,
    pub resolved_issues: i64,
    #[sea_orm(column_type = "Text")]
    pub debt_status: String,
}

/// None: rows are joined by the queries that need it.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
