//! Values against what their column holds: closed lists, forms, ranges, types, nulls.
//!
//! Invariant: the database only sorts out which rows may be wrong; what is wrong is decided here, by `domain`.

use autopack_domain::{Finding, FindingCode, alias, ids::is_user_id};
use sea_orm::{ConnectionTrait, QueryResult};

use super::{Scope, Stretch, place, sql};
use crate::{
    StoreError,
    schema::{Column, Kind, Table},
};

/// Every wrong value of a table.
pub async fn examine<C: ConnectionTrait>(
    db: &C,
    table: &Table,
    scope: &Scope,
) -> Result<Vec<Finding>, StoreError> {
    let columns: Vec<&Column> = table.columns.iter().collect();
    let within = sql::within(table, "t", scope);
    look(db, table, &columns, (&within, scope.limit)).await
}

/// Every state of a table that is none, in a stretch.
pub(super) async fn states<C: ConnectionTrait>(
    db: &C,
    table: &Table,
    stretch: &Stretch,
) -> Result<Vec<Finding>, StoreError> {
    let column: Vec<&Column> = table.column("state").into_iter().collect();
    let mut found = Vec::new();
    for within in stretch.within(db, table).await? {
        found.extend(look(db, table, &column, (&within, Scope::default().limit)).await?);
    }
    Ok(found)
}

async fn look<C: ConnectionTrait>(
    db: &C,
    table: &Table,
    columns: &[&Column],
    (within, limit): (&str, usize),
) -> Result<Vec<Finding>, StoreError> {
    let postgres = sql::is_postgres(db);
    let mut chosen = Vec::new();
    let mut doubts = Vec::new();
    for (n, column) in columns.iter().enumerate() {
        let name = column.name;
        if matches!(column.kind, Kind::Bytes) {
            chosen.push(format!(
                "CASE WHEN t.{name} IS NULL THEN NULL ELSE '' END AS v{n}"
            ));
        } else {
            chosen.push(format!("CAST(t.{name} AS TEXT) AS v{n}"));
        }
        if !postgres {
            chosen.push(format!("typeof(t.{name}) AS t{n}"));
        }
        doubts.extend(sql::suspicious(column, postgres));
    }
    if doubts.is_empty() {
        return Ok(Vec::new());
    }
    let statement = format!(
        "SELECT {} AS row_key, {} AS row_run, {} FROM {} t WHERE {} AND ({}) ORDER BY 1 LIMIT {}",
        sql::key(table, "t"),
        sql::run(table, "t"),
        chosen.join(", "),
        table.name,
        within,
        doubts.join(" OR "),
        limit + 1,
    );
    let rows = sql::rows(db, statement).await?;
    Ok(rows
        .iter()
        .flat_map(|row| judge_row(table, columns, row))
        .collect())
}

fn judge_row(table: &Table, columns: &[&Column], row: &QueryResult) -> Vec<Finding> {
    let key = sql::text(row, "row_key").unwrap_or_default();
    let run = sql::text(row, "row_run").unwrap_or_default();
    let mut found = Vec::new();
    for (n, column) in columns.iter().enumerate() {
        let value = sql::text(row, &format!("v{n}"));
        let storage = sql::text(row, &format!("t{n}"));
        let verdict = judge(table.name, column, value.as_deref(), storage.as_deref());
        let Some(Verdict {
            code,
            problem,
            safe,
        }) = verdict
        else {
            continue;
        };
        let mut finding = Finding::new(code, place(table.name, &key, column.name), problem)
            .valid(column.kind.valid())
            .run(run.clone());
        finding.value.clone_from(&value);
        if let Some(value) = &value {
            finding = finding.value(value);
        }
        let to = safe.unwrap_or("<one of the valid values>");
        let statement = update(table, &key, column.name, value.as_deref(), to);
        finding.fix = match safe {
            Some(_) => format!("`autopack doctor --fix`, which does: {statement}"),
            None => format!("{} The statement: {statement}", code.remedy()),
        };
        finding.safe = safe.map(str::to_owned);
        found.push(finding);
    }
    found
}

/// The statement that would mend a value, for a person.
fn update(table: &Table, key: &str, column: &str, value: Option<&str>, to: &str) -> String {
    let mut at: Vec<String> = table
        .key
        .iter()
        .zip(key.splitn(table.key.len(), '/'))
        .map(|(name, part)| format!("{name} = {}", sql::quoted(part)))
        .collect();
    at.push(match value {
        Some(value) => format!("{column} = {}", sql::quoted(value)),
        None => format!("{column} IS NULL"),
    });
    format!(
        "UPDATE {} SET {column} = {} WHERE {}",
        table.name,
        sql::quoted(to),
        at.join(" AND ")
    )
}

struct Verdict {
    code: FindingCode,
    problem: String,
    safe: Option<&'static str>,
}

/// What is wrong with a value; `None`: nothing. `storage` is the type that SQLite stored it as.
fn judge(
    table: &str,
    column: &Column,
    value: Option<&str>,
    storage: Option<&str>,
) -> Option<Verdict> {
    let verdict = |code, problem: String| {
        Some(Verdict {
            code,
            problem,
            safe: None,
        })
    };
    let malformed = |problem: &str| verdict(FindingCode::ValueMalformed, problem.to_owned());
    let Some(value) = value else {
        if storage.is_some_and(|t| t != "null") {
            return malformed("holds bytes that are no text");
        }
        if column.optional {
            return None;
        }
        return verdict(FindingCode::ValueMissing, "is null".to_owned());
    };
    let wanted = match column.kind {
        Kind::Number(..) | Kind::Moment | Kind::Flag => "integer",
        Kind::Bytes => return None,
        _ => "text",
    };
    if let Some(storage) = storage.filter(|t| *t != wanted) {
        return malformed(&format!("is stored as {storage}, not as {wanted}"));
    }
    match column.kind {
        Kind::Text | Kind::Json(..) | Kind::Bytes => None,
        Kind::Filled if value.is_empty() => {
            verdict(FindingCode::ValueMissing, "is empty".to_owned())
        }
        Kind::Filled => None,
        Kind::Uuid => match value.parse::<uuid::Uuid>() {
            Ok(_) => None,
            Err(_) => malformed(&format!("`{}` is no UUID", short(value))),
        },
        Kind::UserId if is_user_id(value) => None,
        Kind::UserId => malformed(&format!("`{}` is no id", short(value))),
        Kind::Flag => None,
        Kind::Number(low, high) => match value.parse::<i64>() {
            Ok(n) if (low..=high).contains(&n) => None,
            _ => malformed(&format!("{} is out of range", short(value))),
        },
        Kind::Moment => match value.parse::<i64>() {
            Ok(0..) => None,
            _ => malformed(&format!("{} is no time", short(value))),
        },
        Kind::Closed(list) if list().contains(&value) => None,
        Kind::Closed(_) => {
            let of_state = column.name == "state";
            let meant = of_state.then(|| alias::meant(table, value)).flatten();
            match meant {
                Some(state) => Some(Verdict {
                    code: FindingCode::StateAlias,
                    problem: format!("`{}` is no state; it means {state}", short(value)),
                    safe: Some(state),
                }),
                None => verdict(
                    FindingCode::ValueUnknown,
                    format!("`{}` is not in the closed list", short(value)),
                ),
            }
        }
    }
}

fn short(value: &str) -> String {
    value.chars().take(60).collect()
}
