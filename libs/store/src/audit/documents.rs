//! JSON columns against their schemas, and against the reader that will have to take them.
//!
//! Invariant: a document that the reader refuses is a finding, whatever its schema says.

use autopack_domain::{
    Finding, FindingCode, json_schema, plan::Plan, project::ProjectLimits, strategy::Strategy,
};
use sea_orm::ConnectionTrait;
use serde_json::Value;

use super::{Scope, place, sql};
use crate::{
    StoreError,
    schema::{Column, Kind, Table},
};

/// Rows of one page: plans are megabytes at most, and mostly kilobytes.
const PAGE: usize = 200;

/// Every JSON column of a table that does not hold what it should.
pub async fn examine<C: ConnectionTrait>(
    db: &C,
    table: &Table,
    scope: &Scope,
) -> Result<Vec<Finding>, StoreError> {
    let mut found = Vec::new();
    let documents: Vec<(&Column, Value, bool)> = table
        .columns
        .iter()
        .filter_map(|column| match column.kind {
            Kind::Json(schema, empty) => Some((column, schema(), empty)),
            _ => None,
        })
        .collect();
    if documents.is_empty() {
        return Ok(found);
    }
    // Pages walk by run, as the scope does: by another key a page might read what the scope leaves out.
    let mut walk: Vec<&str> = table.key.to_vec();
    if !table.run.is_empty() && !walk.contains(&table.run) {
        walk.insert(0, table.run);
    }
    let order: Vec<String> = walk.iter().map(|name| format!("t.{name}")).collect();
    let order = order.join(", ");
    let documented = documents
        .iter()
        .map(|(column, ..)| format!("CAST(t.{0} AS TEXT) AS {0}", column.name));
    let walked = walk.iter().enumerate();
    let walked = walked.map(|(n, name)| format!("CAST(t.{name} AS TEXT) AS walk{n}"));
    let chosen: Vec<String> = documented.chain(walked).collect();
    let mut after: Option<Vec<String>> = None;
    loop {
        let from = after.as_ref().map_or("1 = 1".to_owned(), |last| {
            let last: Vec<String> = last.iter().map(|part| sql::quoted(part)).collect();
            format!("({order}) > ({})", last.join(", "))
        });
        let statement = format!(
            "SELECT {} AS row_key, {} AS row_run, {} FROM {} t WHERE {} AND {from} ORDER BY {order} LIMIT {PAGE}",
            sql::key(table, "t"),
            sql::run(table, "t"),
            chosen.join(", "),
            table.name,
            sql::within(table, "t", scope),
        );
        let rows = sql::rows(db, statement).await?;
        for row in &rows {
            let key = sql::text(row, "row_key").unwrap_or_default();
            for (column, schema, empty) in &documents {
                let Some(text) = sql::text(row, column.name) else {
                    continue;
                };
                if text.is_empty() && *empty {
                    continue;
                }
                let faults = faults(table.name, column.name, schema, &text);
                if faults.is_empty() {
                    continue;
                }
                let finding = Finding::new(
                    FindingCode::JsonInvalid,
                    place(table.name, &key, column.name),
                    faults.join("; "),
                );
                found.push(
                    finding
                        .value(&text)
                        .valid(column.kind.valid())
                        .run(sql::text(row, "row_run").unwrap_or_default()),
                );
            }
        }
        after = rows.last().and_then(|row| {
            let parts = (0..walk.len()).map(|n| sql::text(row, &format!("walk{n}")));
            parts.collect()
        });
        if rows.len() < PAGE || after.is_none() || found.len() > scope.limit {
            return Ok(found);
        }
    }
}

fn faults(table: &str, column: &str, schema: &Value, text: &str) -> Vec<String> {
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => return vec![format!("it is no JSON: {error}")],
    };
    let faults = json_schema::faults(schema, &value);
    if !faults.is_empty() {
        return faults;
    }
    let read = match (table, column) {
        ("run_document", "plan") => serde_json::from_str::<Plan>(text).map(drop),
        ("run_document", "strategy") => serde_json::from_str::<Strategy>(text).map(drop),
        ("project", "limits") => {
            return ProjectLimits::read(1, text).err().into_iter().collect();
        }
        _ => Ok(()),
    };
    read.err()
        .map(|error| error.to_string())
        .into_iter()
        .collect()
}
