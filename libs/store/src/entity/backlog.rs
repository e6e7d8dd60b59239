//! What projects know of issues over their runs.

use sea_orm::entity::prelude::*;

/// A row of `backlog`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "backlog")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub project: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub issue_key: String,
    #[sea_orm(column_type = "Text")]
    pub category: String,
    #[sea_orm(column_type = "Text")]
    pub severity: String,
    pub age_in_runs: i64,
    pub age_in_tiers: i64,
    #[sea_orm(column_type = "Text")]
    pub seen_in_tiers: String,
    pub occurrences: i64,
    #[sea_orm(column_type = "Text")]
    pub paths: String,
    #[sea_orm(column_type = "Text")]
    pub first_seen_run: String,
    pub first_seen_at: i64,
    #[sea_orm(column_type = "Text")]
    pub last_seen_run: String,
    pub last_seen_at: i64,
    #[sea_orm(column_type = "Text")]
    pub cleaned_run: Option<String>,
    pub cleaned_at: Option<i64>,
    #[sea_orm(column_type = "Text")]
    pub closed_note: Option<String>,
    pub closed_at: Option<i64>,
}

/// None: rows are joined by the queries that need it.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
