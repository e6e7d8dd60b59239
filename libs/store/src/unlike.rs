//! Values of another type than their column's: SQLite stores what it is given, and PostgreSQL a null where somebody
//! dropped the constraint.
//!
//! Invariant: such a value is a fault of its row ([`CorruptRow`]), not of the database: it fails no other row.

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, RuntimeErr,
    sea_query::{Expr, SimpleExpr},
    sqlx::Error,
};

use crate::{CorruptRow, StoreError};

/// Whether a row was read, and a value of it could not be taken.
pub(crate) fn is_unlike(error: &DbErr) -> bool {
    match error {
        DbErr::Type(_) | DbErr::TryIntoErr { .. } => true,
        DbErr::Query(RuntimeErr::SqlxError(error)) => {
            matches!(&**error, Error::ColumnDecode { .. } | Error::Decode(_))
        }
        _ => false,
    }
}

/// A condition that only rows satisfy whose number in a column is one.
pub(crate) fn is_whole<C: ConnectionTrait>(db: &C, table: &str, column: &str) -> SimpleExpr {
    Expr::cust(match db.get_database_backend() {
        DbBackend::Postgres => format!("\"{table}\".\"{column}\" IS NOT NULL"),
        _ => format!("typeof(\"{table}\".\"{column}\") = 'integer'"),
    })
}

/// The error of a read that concerned one row, or the rows of one run.
pub(crate) fn of_row(table: &'static str, id: &str, error: DbErr) -> StoreError {
    if !is_unlike(&error) {
        return error.into();
    }
    CorruptRow {
        table,
        id: id.to_owned(),
        column: "(a column)",
        value: error.to_string().chars().take(100).collect(),
        valid: "a value of the column's type; `autopack doctor` names the column".to_owned(),
    }
    .into()
}
