//! Statements of the self-check: what differs between the two databases, and rows as texts.
//!
//! Invariant: names in a statement come from the description of the schema; values from the database are bound or
//! quoted.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement};

use super::{END, Part, Scope, stretch};
use crate::{
    StoreError,
    schema::{Column, Kind, Table},
};

/// Whether statements are for PostgreSQL.
pub(crate) fn is_postgres<C: ConnectionTrait>(db: &C) -> bool {
    db.get_database_backend() == DbBackend::Postgres
}

/// Rows of a statement without values.
pub(crate) async fn rows<C: ConnectionTrait>(
    db: &C,
    sql: String,
) -> Result<Vec<QueryResult>, DbErr> {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    db.query_all_raw(statement).await
}

/// A text of a row; `None`: null, or nothing that is a text.
pub(crate) fn text(row: &QueryResult, name: &str) -> Option<String> {
    row.try_get::<Option<String>>("", name).ok().flatten()
}

/// A text in quotes.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', "''"))
}

/// The key of a row as one text.
pub(crate) fn key(table: &Table, of: &str) -> String {
    let parts: Vec<String> = table
        .key
        .iter()
        .map(|name| format!("COALESCE(CAST({of}.{name} AS TEXT), '')"))
        .collect();
    parts.join(" || '/' || ")
}

/// The run of a row as a text; empty for tables without.
pub(crate) fn run(table: &Table, of: &str) -> String {
    if table.run.is_empty() {
        return "''".to_owned();
    }
    format!("COALESCE(CAST({of}.{} AS TEXT), '')", table.run)
}

/// Whether the rows of a table are found by their run: each such table has an index for it.
pub(crate) fn by_run(table: &Table) -> bool {
    !table.run.is_empty()
}

/// A condition that keeps the scope's rows of a table.
pub(crate) fn within(table: &Table, of: &str, scope: &Scope) -> String {
    match &scope.part {
        Part::Run(_) if table.run.is_empty() => "1 = 1".to_owned(),
        Part::Runs { .. } | Part::Rest if !by_run(table) => "1 = 1".to_owned(),
        _ => kept(&format!("{of}.{}", table.run), scope),
    }
}

/// A condition that keeps the scope's runs, on a column that names the run.
pub(crate) fn kept(run: &str, scope: &Scope) -> String {
    match &scope.part {
        Part::All => "1 = 1".to_owned(),
        Part::Run(uid) => format!("{run} = {}", quoted(uid)),
        Part::Runs { after, upto } => {
            stretch::between(run, after, Some(upto.as_deref().unwrap_or(END)))
        }
        Part::Rest => format!("({run} IS NULL OR {run} > {})", quoted(END)),
    }
}

/// A statement in which each `[column]` stands for the condition that keeps the scope's runs there.
pub(crate) fn ranged(statement: &str, scope: &Scope) -> String {
    let mut whole = String::with_capacity(statement.len() * 2);
    let mut rest = statement;
    while let Some((before, after)) = rest.split_once('[') {
        let Some((column, after)) = after.split_once(']') else {
            break;
        };
        whole.push_str(before);
        whole.push_str(&kept(column, scope));
        rest = after;
    }
    whole.push_str(rest);
    whole
}

/// Rows of a table in the scope.
pub(crate) async fn count<C: ConnectionTrait>(
    db: &C,
    table: &Table,
    scope: &Scope,
) -> Result<u64, StoreError> {
    let sql = format!(
        "SELECT COUNT(*) AS n FROM {} t WHERE {}",
        table.name,
        within(table, "t", scope)
    );
    let found = rows(db, sql).await?;
    let n: i64 = found.first().map_or(Ok(0), |row| row.try_get("", "n"))?;
    Ok(u64::try_from(n).unwrap_or(0))
}

/// The id of a run.
pub(crate) async fn run_id<C: ConnectionTrait>(
    db: &C,
    uid: &str,
) -> Result<Option<String>, StoreError> {
    let sql = format!(
        "SELECT CAST(id AS TEXT) AS id FROM run WHERE uid = {}",
        quoted(uid)
    );
    let found = rows(db, sql).await?;
    Ok(found.first().and_then(|row| text(row, "id")))
}

/// A condition that every value that may be wrong satisfies; what it lets through is judged once more.
pub(crate) fn suspicious(column: &Column, postgres: bool) -> Option<String> {
    let name = column.name;
    let mut parts = Vec::new();
    if !postgres {
        let types = match column.kind {
            Kind::Number(..) | Kind::Moment | Kind::Flag => "'integer'",
            Kind::Bytes => return (!column.optional).then(|| format!("t.{name} IS NULL")),
            _ => "'text'",
        };
        let null = if column.optional { ", 'null'" } else { "" };
        parts.push(format!("typeof(t.{name}) NOT IN ({types}{null})"));
    } else if !column.optional {
        parts.push(format!("t.{name} IS NULL"));
    }
    match column.kind {
        Kind::Text | Kind::Json(..) | Kind::Bytes => {}
        Kind::Filled => parts.push(format!("t.{name} = ''")),
        Kind::Closed(list) => {
            let list: Vec<String> = list().into_iter().map(quoted).collect();
            parts.push(format!("t.{name} NOT IN ({})", list.join(",")));
        }
        Kind::Number(low, high) => {
            parts.push(format!("t.{name} < {low}"));
            if high < i64::MAX {
                parts.push(format!("t.{name} > {high}"));
            }
        }
        Kind::Moment => parts.push(format!("t.{name} < 0")),
        Kind::Flag if postgres => {}
        Kind::Flag => parts.push(format!("t.{name} NOT IN (0, 1)")),
        Kind::Uuid if postgres => {
            parts.push(format!("t.{name} !~ '^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}$'"));
        }
        Kind::Uuid => parts.push(format!(
            "length(t.{name}) <> 36 OR t.{name} GLOB '*[^0-9a-f-]*' OR t.{name} NOT GLOB '????????-????-????-????-*'"
        )),
        Kind::UserId if postgres => parts.push(format!(
            "t.{name} !~ '^[A-Za-z0-9][A-Za-z0-9._-]{{0,127}}$' OR t.{name} LIKE '%..%' OR t.{name} LIKE '%.' OR lower(t.{name}) LIKE '%.lock'"
        )),
        Kind::UserId => parts.push(format!(
            "length(t.{name}) NOT BETWEEN 1 AND 128 OR t.{name} GLOB '*[^A-Za-z0-9._-]*' OR t.{name} NOT GLOB '[A-Za-z0-9]*' OR t.{name} LIKE '%..%' OR t.{name} LIKE '%.' OR t.{name} LIKE '%.lock'"
        )),
    }
    (!parts.is_empty()).then(|| parts.join(" OR "))
}
