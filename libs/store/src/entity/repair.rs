//! What the self-check has mended.

use sea_orm::entity::prelude::*;

/// A row of `repair`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "repair")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uid: String,
    #[sea_orm(column_type = "Text")]
    pub table_name: String,
    #[sea_orm(column_type = "Text")]
    pub row_key: String,
    #[sea_orm(column_type = "Text")]
    pub column_name: String,
    #[sea_orm(column_type = "Text")]
    pub run_uid: String,
    #[sea_orm(column_type = "Text")]
    pub before_value: String,
    #[sea_orm(column_type = "Text")]
    pub after_value: String,
    #[sea_orm(column_type = "Text")]
    pub rule: String,
    pub epoch: i64,
    pub at: i64,
}

/// None: rows are joined by the queries that need it.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
