//! The description as it is stored: rows of `schema_documentation` and `schema_examples`, and the statements of the
//! migration that fills them.
//!
//! Invariant: the statements are the same text for both databases, in the order of the tables.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{Column, Kind, Table, tables};

/// One row of `schema_documentation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Documented {
    /// The table.
    pub table: String,
    /// The column; empty: the table.
    pub column: String,
    /// What it means.
    pub description: String,
    /// Its kind.
    pub data_type: String,
    /// Whether a row must name it.
    pub required: bool,
    /// The default of the database.
    pub default_value: Option<String>,
    /// Who sets it.
    pub default_source: String,
    /// The closed list, or the form.
    pub allowed: Vec<String>,
    /// A value that it accepts.
    pub example: String,
    /// The schema of a JSON column.
    pub json_schema: Option<Value>,
}

/// The rows of one table: itself, then its columns.
pub fn rows(table: &Table) -> Vec<Documented> {
    let own = Documented {
        table: table.name.to_owned(),
        column: String::new(),
        description: table.text.to_owned(),
        data_type: String::new(),
        required: false,
        default_value: None,
        default_source: String::new(),
        allowed: Vec::new(),
        example: String::new(),
        json_schema: None,
    };
    let columns = table.columns.iter().map(|column| of(table, column));
    std::iter::once(own).chain(columns).collect()
}

fn of(table: &Table, column: &Column) -> Documented {
    let mut description = column.text.to_owned();
    if let Some((parent, key)) = column.parent {
        let _ = write!(description, " It must be a `{parent}.{key}`.");
    }
    Documented {
        table: table.name.to_owned(),
        column: column.name.to_owned(),
        description,
        data_type: column.kind.name().to_owned(),
        required: column.is_required(),
        default_value: column.default.map(str::to_owned),
        default_source: column.source.to_owned(),
        allowed: listed(column.kind),
        example: column.example.to_owned(),
        json_schema: column.kind.json_schema(),
    }
}

/// Values of a list that is stored as a whole.
const LISTED: usize = 20;

/// The valid values as they are stored. Codes of the catalogue grow with each release: they are pointed at, so that a
/// new code asks for no migration.
fn listed(kind: Kind) -> Vec<String> {
    let valid = kind.valid();
    if valid.len() > LISTED {
        return vec![
            "a code of the catalogue, which `autopack explain` or the events page lists".to_owned(),
        ];
    }
    valid
}

/// A row that the table accepts: the required columns, or all of them.
pub fn example(table: &Table, full: bool) -> Value {
    let columns = table.columns.iter().filter(|c| full || c.is_required());
    let row: Map<String, Value> = columns
        .map(|column| (column.name.to_owned(), typed(column)))
        .collect();
    Value::Object(row)
}

fn typed(column: &Column) -> Value {
    match column.kind {
        Kind::Number(..) | Kind::Moment => json!(column.example.parse::<i64>().unwrap_or_default()),
        Kind::Flag => json!(column.example == "true"),
        _ => json!(column.example),
    }
}

/// The example of a column as a literal that both databases read.
pub fn literal(column: &Column) -> String {
    match column.kind {
        Kind::Number(..) | Kind::Moment | Kind::Flag => column.example.to_owned(),
        Kind::Bytes => "''".to_owned(),
        _ => quoted(column.example),
    }
}

/// The statement that inserts a table's example.
pub fn insert(table: &Table, columns: &[&Column]) -> String {
    let names: Vec<&str> = columns.iter().map(|c| c.name).collect();
    let values: Vec<String> = columns.iter().map(|c| literal(c)).collect();
    let (table, names, values) = (table.name, names.join(", "), values.join(", "));
    format!("INSERT INTO {table} ({names}) VALUES ({values})")
}

/// The statements of the migration that fills the tables anew.
pub fn statements() -> String {
    let mut sql = String::from(
        "-- What every table and column holds. Generated from libs/store/src/schema; while this step is not released,\n\
         -- `UPDATE_SCHEMA=1` writes it anew (libs/store/tests/it/schema.rs), after that a new step does.\n\n\
         DELETE FROM schema_documentation;\nDELETE FROM schema_examples;\n",
    );
    for table in tables() {
        for row in rows(&table) {
            let allowed = json!(row.allowed).to_string();
            let null = |text: Option<String>| text.map_or("NULL".to_owned(), |t| quoted(&t));
            let _ = writeln!(
                sql,
                "INSERT INTO schema_documentation (table_name, column_name, description, data_type, required, default_value, default_source, allowed_values, example_value, json_schema) VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}, {});",
                quoted(&row.table),
                quoted(&row.column),
                quoted(&row.description),
                quoted(&row.data_type),
                row.required,
                null(row.default_value),
                quoted(&row.default_source),
                quoted(&allowed),
                quoted(&row.example),
                null(row.json_schema.map(|schema| schema.to_string())),
            );
        }
        for (name, full) in [("required", false), ("full", true)] {
            let _ = writeln!(
                sql,
                "INSERT INTO schema_examples (table_name, name, example) VALUES ({}, '{name}', {});",
                quoted(table.name),
                quoted(&example(&table, full).to_string()),
            );
        }
    }
    sql
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
