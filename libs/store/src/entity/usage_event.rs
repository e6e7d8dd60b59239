//! Tokens that builders used.

use sea_orm::entity::prelude::*;

/// A row of `usage_event`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "usage_event")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub run_uid: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i64,
    pub phase: i64,
    #[sea_orm(column_type = "Text")]
    pub attempt_uid: String,
    #[sea_orm(column_type = "Text")]
    pub provider: String,
    #[sea_orm(column_type = "Text")]
    pub model: String,
    #[sea_orm(column_type = "Text")]
    pub role: String,
    #[sea_orm(column_type = "Text")]
    pub purpose: String,
    pub total: i64,
    pub prompt: Option<i64>,
    pub completion: Option<i64>,
    #[sea_orm(column_type = "Text")]
    pub provenance: String,
    pub at: i64,
}

/// None: rows are joined by the queries that need it.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
