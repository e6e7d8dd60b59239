//! A closed set of states changes over stored rows: states are added, renamed and removed by a mapping.
//!
//! Invariant: every stored value is kept or mapped; a value that is neither stops the migration with the list of
//! rows, and nothing is changed.

use std::fmt::Write as _;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, Statement};

use crate::runner::MigrationError;

/// Rows that an error lists at most.
const LISTED: usize = 50;

/// What becomes of the states of one column.
#[derive(Clone, Debug)]
pub struct StateChange {
    /// The table.
    pub table: &'static str,
    /// The column with the CHECK constraint.
    pub column: &'static str,
    /// The columns that name a row, for the list of rows.
    pub key: &'static [&'static str],
    /// Old state and the state that takes its place.
    pub map: &'static [(&'static str, &'static str)],
    /// The states from now on.
    pub allowed: &'static [&'static str],
}

impl StateChange {
    pub(crate) async fn apply(
        &self,
        db: &DatabaseTransaction,
        version: i64,
    ) -> Result<(), MigrationError> {
        self.refuse_unmapped(db, version).await?;
        match db.get_database_backend() {
            DbBackend::Postgres => self.alter(db).await?,
            _ => self.rebuild(db).await?,
        }
        Ok(())
    }

    async fn refuse_unmapped(
        &self,
        db: &DatabaseTransaction,
        version: i64,
    ) -> Result<(), MigrationError> {
        let known = self
            .allowed
            .iter()
            .chain(self.map.iter().map(|(old, _)| old));
        let known = list(known.copied());
        let (table, column) = (self.table, self.column);
        let key = self.key.join(" || '/' || ");
        let sql = format!(
            "SELECT {key} || ': ' || {column} AS line FROM {table} WHERE {column} NOT IN ({known}) ORDER BY 1"
        );
        let rows = db
            .query_all_raw(Statement::from_string(db.get_database_backend(), sql))
            .await?;
        if rows.is_empty() {
            return Ok(());
        }
        let lines = rows.iter().take(LISTED).map(|r| r.try_get("", "line"));
        Err(MigrationError::Unmapped {
            version,
            table,
            total: rows.len() as i64,
            rows: lines.collect::<Result<_, DbErr>>()?,
            allowed: self.allowed.iter().map(ToString::to_string).collect(),
        })
    }

    /// The new value of the column.
    fn mapped(&self) -> String {
        let column = self.column;
        if self.map.is_empty() {
            return column.to_owned();
        }
        let mut sql = format!("CASE {column}");
        for (old, new) in self.map {
            let _ = write!(sql, " WHEN '{old}' THEN '{new}'");
        }
        let _ = write!(sql, " ELSE {column} END");
        sql
    }

    async fn alter(&self, db: &DatabaseTransaction) -> Result<(), DbErr> {
        let (table, column, mapped) = (self.table, self.column, self.mapped());
        let allowed = list(self.allowed.iter().copied());
        let changed = list(self.map.iter().map(|(old, _)| *old));
        let mut sql = format!("ALTER TABLE {table} DROP CONSTRAINT {table}_{column}_check;");
        if !self.map.is_empty() {
            let _ = write!(
                sql,
                "UPDATE {table} SET {column} = {mapped} WHERE {column} IN ({changed});"
            );
        }
        let _ = write!(
            sql,
            "ALTER TABLE {table} ADD CONSTRAINT {table}_{column}_check CHECK ({column} IN ({allowed}));"
        );
        db.execute_unprepared(&sql).await.map(drop)
    }

    /// SQLite cannot alter a constraint: the table is made anew with its indexes, and takes the old one's place.
    async fn rebuild(&self, db: &DatabaseTransaction) -> Result<(), DbErr> {
        let (table, column) = (self.table, self.column);
        let texts = |sql: String| async move {
            let rows = db
                .query_all_raw(Statement::from_string(db.get_database_backend(), sql))
                .await?;
            rows.iter()
                .map(|r| r.try_get::<String>("", "text"))
                .collect::<Result<Vec<_>, _>>()
        };
        let found = texts(format!(
            "SELECT sql AS text FROM sqlite_master WHERE type = 'table' AND name = '{table}'"
        ))
        .await?;
        let create = found
            .first()
            .and_then(|sql| self.recreate(sql))
            .ok_or_else(|| DbErr::Custom(format!("{table} has no CHECK constraint on {column}")))?;
        let indexes = texts(format!(
            "SELECT sql AS text FROM sqlite_master WHERE type = 'index' AND tbl_name = '{table}' AND sql IS NOT NULL"
        ))
        .await?;
        let columns = texts(format!(
            "SELECT name AS text FROM pragma_table_info('{table}') ORDER BY cid"
        ))
        .await?;
        let values: Vec<String> = columns
            .iter()
            .map(|name| {
                if name == column {
                    self.mapped()
                } else {
                    name.clone()
                }
            })
            .collect();
        let (columns, values) = (columns.join(", "), values.join(", "));
        let copy = format!("INSERT INTO {table}__new ({columns}) SELECT {values} FROM {table}");
        let swap = format!("DROP TABLE {table}; ALTER TABLE {table}__new RENAME TO {table}");
        for sql in [create, copy, swap].into_iter().chain(indexes) {
            db.execute_unprepared(&sql).await?;
        }
        Ok(())
    }

    /// The statement that makes the new table, from the one that made the old.
    fn recreate(&self, sql: &str) -> Option<String> {
        let (_, body) = sql.split_once('(')?;
        let open = format!("CHECK ({} IN (", self.column);
        let (before, rest) = body.split_once(&open)?;
        let (_, after) = rest.split_once("))")?;
        let allowed = list(self.allowed.iter().copied());
        let table = self.table;
        Some(format!(
            "CREATE TABLE {table}__new ({before}{open}{allowed})){after}"
        ))
    }
}

/// As a list of literals; states are words of this program.
fn list<'a>(states: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = states.map(|s| format!("'{s}'")).collect();
    quoted.join(",")
}
