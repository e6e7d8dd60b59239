//! What the database itself should enforce, and the event log as a whole.

use std::collections::BTreeSet;

use autopack_domain::{Finding, FindingCode, alias};
use sea_orm::ConnectionTrait;

use super::{place, sql};
use crate::{StoreError, schema};

/// State columns whose closed list the database does not enforce as `domain` has it.
pub async fn constraints<C: ConnectionTrait>(db: &C) -> Result<Vec<Finding>, StoreError> {
    let mut found = Vec::new();
    for table in schema::tables() {
        let Some(states) = alias::states_of(table.name) else {
            continue;
        };
        let name = table.name;
        let statement = if sql::is_postgres(db) {
            format!(
                "SELECT pg_get_constraintdef(oid) AS text FROM pg_constraint WHERE conname = '{name}_state_check'"
            )
        } else {
            format!(
                "SELECT sql AS text FROM sqlite_master WHERE type = 'table' AND name = '{name}'"
            )
        };
        let rows = sql::rows(db, statement).await?;
        let text = rows.first().and_then(|row| sql::text(row, "text"));
        let enforced = text.as_deref().and_then(listed).unwrap_or_default();
        let wanted: BTreeSet<String> = states.iter().map(ToString::to_string).collect();
        if enforced == wanted {
            continue;
        }
        let problem = if enforced.is_empty() {
            "the closed list of states is not enforced".to_owned()
        } else {
            format!(
                "enforced is: {}",
                enforced.into_iter().collect::<Vec<_>>().join(", ")
            )
        };
        let list: Vec<String> = states.iter().map(|s| sql::quoted(s)).collect();
        let fix = format!(
            "ALTER TABLE {name} ADD CONSTRAINT {name}_state_check CHECK (state IN ({}))",
            list.join(",")
        );
        found.push(
            Finding::new(
                FindingCode::ConstraintMissing,
                place(name, "", "state"),
                problem,
            )
            .valid(states)
            .fix(format!(
                "{} The statement, for PostgreSQL: {fix}",
                FindingCode::ConstraintMissing.remedy()
            )),
        );
    }
    Ok(found)
}

/// The quoted words of a CHECK on `state`.
fn listed(text: &str) -> Option<BTreeSet<String>> {
    let (_, rest) = text.split_once("CHECK (")?;
    let (list, _) = rest.split_once("))").unwrap_or((rest, ""));
    Some(
        list.split('\'')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect(),
    )
}

/// Gaps of the event log, and cursors beyond its end.
pub async fn log<C: ConnectionTrait>(db: &C) -> Result<Vec<Finding>, StoreError> {
    let mut found = Vec::new();
    let statement = "SELECT COUNT(*) AS n, COALESCE(MIN(sequence), 1) AS first, COALESCE(MAX(sequence), 0) AS last FROM event";
    let rows = sql::rows(db, statement.to_owned()).await?;
    let Some(row) = rows.first() else {
        return Ok(found);
    };
    let (n, first, last): (i64, i64, i64) = (
        row.try_get("", "n")?,
        row.try_get("", "first")?,
        row.try_get("", "last")?,
    );
    if last - first + 1 != n || first != 1 {
        let problem = format!("{n} events carry the numbers {first} to {last}");
        found.push(
            Finding::new(
                FindingCode::EventLogBroken,
                place("event", "", "sequence"),
                problem,
            )
            .valid(["1, 2, 3 and so on without a gap"]),
        );
    }
    for cursor in ["relay_cursor", "trace_cursor"] {
        let statement =
            format!("SELECT CAST(sequence AS TEXT) AS value FROM {cursor} WHERE sequence > {last}");
        for row in sql::rows(db, statement).await? {
            let value = sql::text(&row, "value").unwrap_or_default();
            let problem = format!("it stands at {value}, and the log ends at {last}");
            found.push(
                Finding::new(
                    FindingCode::EventLogBroken,
                    place(cursor, "1", "sequence"),
                    problem,
                )
                .value(&value)
                .valid([format!("at most {last}")]),
            );
        }
    }
    Ok(found)
}
