//! Entities, rows to domain and back, read queries.
//!
//! Invariant: a stored value that the domain does not know becomes a [`CorruptRow`] that names table, row,
//! column, value and what would be valid; it never fails the reading of another row (DESIGN rule 8).

pub mod approvals;
pub mod audit;
pub mod cursors;
pub mod entity;
pub mod identity;
pub mod issues;
pub mod jobs;
pub mod legacy;
pub mod promotions;
pub mod queue;
pub mod read;
pub mod repairs;
pub mod reports;
pub mod rows;
pub mod schema;
pub mod set_aside;
mod unlike;

use sea_orm::DbErr;

pub use set_aside::SetAside;

/// A stored value that does not parse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{table} {id}: column {column} holds `{value}`, which this version does not know; valid: {valid}"
)]
pub struct CorruptRow {
    /// The table.
    pub table: &'static str,
    /// The row.
    pub id: String,
    /// The column.
    pub column: &'static str,
    /// The value, shortened.
    pub value: String,
    /// The values that would be valid, or their form.
    pub valid: String,
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] DbErr),
    /// A row does not parse.
    #[error(transparent)]
    Corrupt(#[from] CorruptRow),
}
