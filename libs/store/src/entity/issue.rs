//! Issues of runs, by phase and key.

use sea_orm::entity::prelude::*;

/// A row of `issue`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "issue")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub run_uid: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub phase: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub issue_key: String,
    #[sea_orm(column_type = "Text")]
    pub severity: String,
    #[sea_orm(column_type = "Text")]
    pub effective_severity: String,
    #[sea_orm(column_type = "Text")]
    pub source: String,
    #[sea_orm(column_type = "Text")]
    pub category: String,
    #[sea_orm(column_type = "Text")]
    pub task_category: String,
    #[sea_orm(column_type = "Text")]
    pub complexity: String,
    #[sea_orm(column_type = "Text")]
    pub description: String,
    #[sea_orm(column_type = "Text")]
    pub evidence: String,
    #[sea_orm(column_type = "Text")]
    pub paths: String,
    pub occurrences: i64,
    pub first_seen_at: i64,
    pub last_seen_at: i64,
    #[sea_orm(column_type = "Text")]
    pub attempt_uid: Option<String>,
    pub resolved_at: Option<i64>,
}

/// None: rows are joined by the queries that need it.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
