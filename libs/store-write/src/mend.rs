//! Mending one stored state: the old spelling, the new one and the row go into `repair` in the same transaction.
//!
//! Invariant: a row is mended only while it still holds the value that was found, and a repair is recorded only if
//! the row is mended.

use std::fmt::Write as _;

use autopack_domain::{Finding, RunUid, Timestamp, alias};
use sea_orm::{DbBackend, Statement, Value};
use uuid::Uuid;

use crate::literal;

/// One stored state, and what takes its place: an entry of the reviewed alias table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mend {
    /// Uid of the record in `repair`.
    pub uid: Uuid,
    /// The run of the row.
    pub run: RunUid,
    table: &'static str,
    row: String,
    before: String,
    after: &'static str,
    epoch: u64,
}

/// Tables with a state, and the columns of their key.
const TABLES: &[(&str, &[&str])] = &[
    ("run", &["uid"]),
    ("tier", &["run_uid", "idx"]),
    ("phase", &["run_uid", "idx"]),
    ("attempt", &["uid"]),
    ("job", &["uid"]),
];

impl Mend {
    /// What mends a finding; `None`: it is not safe, or is no entry of the alias table.
    pub fn of(finding: &Finding, uid: Uuid, run: RunUid, epoch: u64) -> Option<Self> {
        let (table, _) = TABLES.iter().find(|(t, _)| *t == finding.place.table)?;
        let before = finding.value.clone()?;
        let after = alias::meant(table, &before)?;
        let safe = finding.safe.as_deref() == Some(after) && finding.place.column == "state";
        safe.then(|| Self {
            uid,
            run,
            table,
            row: finding.place.row.clone(),
            before,
            after,
            epoch,
        })
    }

    /// The table.
    pub fn table(&self) -> &'static str {
        self.table
    }

    /// Key of the row.
    pub fn row(&self) -> &str {
        &self.row
    }

    /// What stood there, and what stands there since.
    pub fn change(&self) -> (&str, &'static str) {
        (&self.before, self.after)
    }

    /// The condition under which the row is mended, with texts in quotes.
    fn condition(&self) -> String {
        let keys = TABLES.iter().find(|(t, _)| *t == self.table);
        let keys = keys.map(|(_, keys)| *keys).unwrap_or_default();
        let mut sql = String::new();
        for (name, part) in keys.iter().zip(self.row.splitn(keys.len(), '/')) {
            sql.push_str(name);
            sql.push_str(" = ");
            if *name == "idx" {
                sql.push_str(&part.parse::<i64>().unwrap_or(-1).to_string());
            } else {
                literal::quoted(&mut sql, part);
            }
            sql.push_str(" AND ");
        }
        sql.push_str("state = ");
        literal::quoted(&mut sql, &self.before);
        sql
    }

    /// The statements, in order: the record, if the row is still as it was found, and the change. Each row names its
    /// run in a column of its own.
    pub(crate) fn statements(&self, backend: DbBackend, now: Timestamp) -> Vec<Statement> {
        let condition = self.condition();
        let table = self.table;
        let mut record = String::from(
            "INSERT INTO repair (uid, table_name, row_key, column_name, run_uid, before_value, after_value, rule, epoch, at) SELECT ",
        );
        for value in [
            self.uid.to_string(),
            table.to_owned(),
            self.row.clone(),
            "state".to_owned(),
            self.run.to_string(),
            self.before.clone(),
            self.after.to_owned(),
            autopack_domain::FindingCode::StateAlias.code().to_owned(),
        ] {
            literal::quoted(&mut record, &value);
            record.push_str(", ");
        }
        let _ = write!(
            record,
            "{}, {} FROM {table} WHERE {condition}",
            self.epoch, now.0
        );
        let change = format!(
            "UPDATE {table} SET state = '{}' WHERE {condition}",
            self.after
        );
        [record, change]
            .map(|sql| Statement::from_sql_and_values(backend, sql, Vec::<Value>::new()))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autopack_domain::{FindingCode, finding::Place};

    fn finding(value: &str, safe: Option<&str>) -> Finding {
        let place = Place::new("phase", "0197a4c2-0000-7000-8000-000000000001/3", "state");
        let mut finding = Finding::new(FindingCode::StateAlias, place, "").value(value);
        finding.safe = safe.map(str::to_owned);
        finding
    }

    #[test]
    fn only_an_entry_of_the_alias_table_is_mended_and_no_value_leaves_its_quotes() {
        let of = |finding: &Finding| Mend::of(finding, Uuid::nil(), RunUid(Uuid::nil()), 1);
        let mend = of(&finding("queued", Some("QUEUED"))).expect("safe");
        let sql = &mend.statements(DbBackend::Sqlite, Timestamp(5))[1].sql;
        assert_eq!(
            sql,
            "UPDATE phase SET state = 'QUEUED' WHERE run_uid = '0197a4c2-0000-7000-8000-000000000001' AND idx = 3 AND state = 'queued'"
        );
        assert!(of(&finding("queued", None)).is_none(), "not safe");
        assert!(
            of(&finding("BLOCKED", Some("FAILED"))).is_none(),
            "no alias"
        );
        assert!(
            of(&finding("queued", Some("FAILED"))).is_none(),
            "another state"
        );
        assert!(of(&finding("queued'; --", Some("QUEUED"))).is_none());
    }
}
