//! What every table and column holds: the one description behind the self-check, the tables `schema_documentation`
//! and `schema_examples`, `DescribeSchema` and the reference page.
//!
//! Invariant: closed lists and JSON schemas come from `domain`; a test compares the columns with the entities and
//! with what the migrations make, and inserts rows of the required columns alone on both databases.
//!
//! - [`column`]: what is said of a column
//! - `runs`, `work`, `promotion`, `issues`, `log`, `own`: the tables
//! - [`document`]: the description as rows and statements

pub mod column;
pub mod document;
mod issues;
mod log;
mod own;
mod promotion;
mod runs;
mod work;

pub use column::{Column, Kind};

/// One table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// What a row is.
    pub text: &'static str,
    /// The columns that name a row.
    pub key: &'static [&'static str],
    /// The column that names the run a row belongs to; empty: none.
    pub run: &'static str,
    /// In the order of the table.
    pub columns: Vec<Column>,
}

impl Table {
    /// A column by name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The columns that a row must name: not null and without a default.
    pub fn required(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| column.is_required())
    }
}

/// Every table, parents before children.
pub fn tables() -> Vec<Table> {
    let mut all = runs::tables();
    all.extend(work::tables());
    all.extend(promotion::tables());
    all.extend(issues::tables());
    all.extend(log::tables());
    all.extend(own::tables());
    all
}

/// A table by name.
pub fn table(name: &str) -> Option<Table> {
    tables().into_iter().find(|table| table.name == name)
}
