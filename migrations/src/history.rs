//! Every migration, in order, compiled in.
//!
//! Invariant: versions rise; both dialects make the same tables with the same columns in the same order.

use sea_orm::DbBackend;

use crate::states::StateChange;

/// One step of the history.
#[derive(Clone, Debug)]
pub struct Migration {
    /// Rises from step to step; gaps are allowed.
    pub version: i64,
    /// The oldest program version's schema number that can read the result.
    pub min_reader: i64,
    /// For people.
    pub name: &'static str,
    /// The statements for SQLite.
    pub sqlite: &'static str,
    /// The statements for PostgreSQL.
    pub postgres: &'static str,
    /// Closed sets of states that change, after the statements.
    pub states: &'static [StateChange],
}

impl Migration {
    /// The statements for a database.
    pub(crate) fn sql(&self, backend: DbBackend) -> &'static str {
        match backend {
            DbBackend::Postgres => self.postgres,
            _ => self.sqlite,
        }
    }
}

/// A step whose statements lie in `sql/NNNN_name.{sqlite,postgres}.sql`.
macro_rules! step {
    ($version:literal, $min_reader:literal, $file:literal, $name:literal) => {
        Migration {
            version: $version,
            min_reader: $min_reader,
            name: $name,
            sqlite: include_str!(concat!("../sql/", $file, "_", $name, ".sqlite.sql")),
            postgres: include_str!(concat!("../sql/", $file, "_", $name, ".postgres.sql")),
            states: &[],
        }
    };
}

/// Every migration, in order.
pub const ALL: &[Migration] = &[
    step!(1, 1, "0001", "initial"),
    step!(2, 1, "0002", "lanes"),
    step!(10, 10, "0010", "activity"),
    step!(11, 10, "0011", "views"),
    step!(15, 10, "0015", "traces"),
    step!(16, 10, "0016", "issues"),
    step!(18, 10, "0018", "self_check"),
    step!(19, 10, "0019", "schema_docs"),
    step!(20, 10, "0020", "identity"),
    step!(21, 10, "0021", "submissions"),
    step!(22, 10, "0022", "promotions"),
    step!(23, 10, "0023", "closed_issues"),
    step!(24, 10, "0024", "lists"),
    step!(25, 10, "0025", "requests_of_runs"),
];

/// The schema version of this program.
pub fn current() -> i64 {
    ALL.last().map_or(0, |m| m.version)
}
