//! The rows of a table of an older database.
//!
//! Invariant: rows are read one by one, and what they hold together is counted as they come; nothing is sorted, grouped
//! or kept by the database, whose files could grow without bound.

use std::{cmp::Ordering, collections::BTreeMap};

use autopack_domain::import::legacy::Row;
use futures::TryStreamExt as _;
use sea_orm::sqlx::{self, AssertSqlSafe, Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{LegacyError, Source, quoted, text};

/// Rows of a table at most.
const MAX_ROWS: usize = 500_000;
/// Bytes of a value at most; a row with a larger one cannot be read.
const MAX_VALUE: usize = 256 * 1024;
/// What a row, and what a value of it, takes beside its text.
const BESIDE: usize = 64;

/// How a key sorts: as the database sorts, numbers before texts.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    None,
    Number(i64),
    Text(String),
}

/// The rows of a table in the order of their keys; what they take goes from `left`.
pub(super) async fn read(
    db: &mut SqliteConnection,
    source: &Source<'_>,
    table: &str,
    columns: &[String],
    left: &mut usize,
) -> Result<Vec<Row>, LegacyError> {
    let key = columns.iter().position(|c| c == "id" || c == "event_id");
    let mut found: Vec<(Order, Row)> = Vec::new();
    let mut stream = sqlx::query(AssertSqlSafe(statement(table, columns))).fetch(db);
    while let Some(row) = stream.try_next().await.map_err(|e| source.failed(&e))? {
        let mut read = row_of(&row, columns);
        let named = key.and_then(|n| read.columns.get(&columns[n]));
        read.key = named
            .cloned()
            .unwrap_or_else(|| format!("#{}", found.len() + 1));
        let taken = size(&read);
        if taken > *left {
            return Err(LegacyError::TooMuch {
                path: source.name.to_owned(),
                table: table.to_owned(),
                max: source.bounds.bytes,
            });
        }
        *left -= taken;
        found.push((order(&row, key), read));
        if found.len() > MAX_ROWS {
            let detail = format!("its table `{table}` has more than {MAX_ROWS} rows");
            return Err(source.foreign(detail));
        }
    }
    found.sort_by(|(a, _), (b, _)| -> Ordering { a.cmp(b) });
    Ok(found.into_iter().map(|(_, row)| row).collect())
}

fn statement(table: &str, columns: &[String]) -> String {
    let chosen = columns.iter().enumerate().map(|(n, column)| {
        let column = quoted(column);
        let most = MAX_VALUE + 1;
        format!("substr(CAST({column} AS BLOB), 1, {most}) AS v{n}, typeof({column}) AS t{n}")
    });
    let chosen: Vec<String> = chosen.collect();
    format!("SELECT {} FROM {}", chosen.join(", "), quoted(table))
}

fn row_of(row: &SqliteRow, columns: &[String]) -> Row {
    let mut read = Row::default();
    let mut texts = BTreeMap::new();
    for (n, column) in columns.iter().enumerate() {
        let kind = text(row, &format!("t{n}")).unwrap_or_default();
        if kind == "null" {
            continue;
        }
        let bytes = row.try_get::<Option<Vec<u8>>, _>(format!("v{n}").as_str());
        // A value of no bytes may come back as none.
        let bytes = bytes.ok().flatten().unwrap_or_default();
        let problem = if kind == "blob" {
            "holds bytes, not text"
        } else if bytes.len() > MAX_VALUE {
            "is too long"
        } else {
            match String::from_utf8(bytes) {
                Ok(value) => {
                    texts.insert(column.clone(), value);
                    continue;
                }
                Err(_) => "is not UTF-8",
            }
        };
        let column: String = column.chars().take(80).collect();
        read.unreadable
            .get_or_insert(format!("column {column} {problem}"));
    }
    read.columns = texts;
    read
}

fn order(row: &SqliteRow, key: Option<usize>) -> Order {
    let Some(n) = key else { return Order::None };
    let bytes = row.try_get::<Option<Vec<u8>>, _>(format!("v{n}").as_str());
    let Some(bytes) = bytes.ok().flatten() else {
        return Order::None;
    };
    let value = String::from_utf8_lossy(&bytes).into_owned();
    match (text(row, &format!("t{n}")).as_deref(), value.parse()) {
        (Some("integer"), Ok(number)) => Order::Number(number),
        _ => Order::Text(value),
    }
}

/// What a row takes in memory.
fn size(row: &Row) -> usize {
    let values = row.columns.iter();
    let values: usize = values
        .map(|(name, value)| name.len() + value.len() + BESIDE)
        .sum();
    values + 2 * row.key.len() + BESIDE
}
