//! The description of the schema is the schema: columns, required fields, examples, and what the migration stored.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use autopack_domain::json_schema;
use autopack_store::{
    entity,
    schema::{Column, Kind, Table, document, table, tables},
};
use sea_orm::{ConnectionTrait as _, EntityTrait, IdenStatic as _, Iterable as _};

use crate::base::{Base, both};

both!(
    every_table_and_column_is_described_in_order,
    a_row_of_the_documented_required_fields_alone_is_accepted_by_every_table,
    not_null_trial_and_error,
    the_database_documents_itself_as_the_program_does,
    a_repair_is_never_changed,
);

/// Rows of these are there already, and there is one of each.
const SINGLE: [&str; 5] = [
    "database_identity",
    "relay_cursor",
    "registry_epoch",
    "schema_compat",
    "trace_cursor",
];

async fn every_table_and_column_is_described_in_order(base: Base) {
    let sql = if base.is_postgres() {
        "SELECT table_name || ': ' || string_agg(column_name, ', ' ORDER BY ordinal_position) FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE 'v1\\_%' GROUP BY table_name ORDER BY 1"
    } else {
        "SELECT m.name || ': ' || (SELECT group_concat(name, ', ') FROM (SELECT name FROM pragma_table_info(m.name) ORDER BY cid)) FROM sqlite_master m WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY 1"
    };
    let mut stored = base.texts(sql).await;
    let mut described: Vec<String> = tables()
        .iter()
        .map(|t| {
            let columns: Vec<&str> = t.columns.iter().map(|c| c.name).collect();
            format!("{}: {}", t.name, columns.join(", "))
        })
        .collect();
    stored.sort();
    described.sort();
    assert_eq!(
        stored, described,
        "libs/store/src/schema describes the tables"
    );
}

async fn insert(base: &Base, table: &Table, columns: &[&Column]) -> Result<(), String> {
    let sql = document::insert(table, columns);
    let done = base.db.execute_unprepared(&sql).await;
    done.map(drop).map_err(|error| format!("{sql}: {error}"))
}

async fn a_row_of_the_documented_required_fields_alone_is_accepted_by_every_table(base: Base) {
    for table in tables() {
        if SINGLE.contains(&table.name) {
            base.run(&format!("DELETE FROM {}", table.name)).await;
        }
        let required: Vec<&Column> = table.required().collect();
        insert(&base, &table, &required).await.unwrap();
    }
}

/// Each required column is named by the database when it is left out, and no other is asked for.
async fn not_null_trial_and_error(base: Base) {
    for table in tables() {
        if SINGLE.contains(&table.name) {
            base.run(&format!("DELETE FROM {}", table.name)).await;
        }
        let required: Vec<&Column> = table.required().collect();
        for left_out in &required {
            let columns: Vec<&Column> = required
                .iter()
                .copied()
                .filter(|c| c.name != left_out.name)
                .collect();
            // SQLite numbers an INTEGER PRIMARY KEY by itself; the registry never leaves it to that.
            let numbered = (table.name, left_out.name) == ("event", "sequence");
            if columns.is_empty() || (numbered && !base.is_postgres()) {
                continue;
            }
            let error = insert(&base, &table, &columns).await.unwrap_err();
            assert!(
                error.contains(left_out.name) && error.to_lowercase().contains("null"),
                "{} is documented as required: {error}",
                left_out.name
            );
        }
        insert(&base, &table, &required).await.unwrap();
    }
}

async fn the_database_documents_itself_as_the_program_does(base: Base) {
    let sql = "SELECT table_name || '/' || column_name || '/' || description || '/' || allowed_values FROM schema_documentation ORDER BY 1";
    let mut stored = base.texts(sql).await;
    let mut described: Vec<String> = tables()
        .iter()
        .flat_map(document::rows)
        .map(|row| {
            let allowed = serde_json::json!(row.allowed);
            format!("{}/{}/{}/{allowed}", row.table, row.column, row.description)
        })
        .collect();
    stored.sort();
    described.sort();
    assert_eq!(stored, described, "a migration fills the tables anew");
    let examples = base
        .texts("SELECT example FROM schema_examples WHERE table_name = 'phase'")
        .await;
    assert_eq!(examples.len(), 2);
}

async fn a_repair_is_never_changed(base: Base) {
    let table = table("repair").unwrap();
    let columns: Vec<&Column> = table.columns.iter().collect();
    insert(&base, &table, &columns).await.unwrap();
    for sql in ["UPDATE repair SET after_value = 'X'", "DELETE FROM repair"] {
        let error = base.db.execute_unprepared(sql).await.unwrap_err();
        assert!(error.to_string().contains("never"), "{error}");
    }
}

fn columns_of<E: EntityTrait>() -> (String, Vec<String>) {
    let columns = E::Column::iter().map(|c| c.as_str().to_owned());
    (E::default().table_name().to_owned(), columns.collect())
}

#[test]
fn every_entity_has_the_columns_of_the_description() {
    for (name, columns) in [
        columns_of::<entity::attempt::Entity>(),
        columns_of::<entity::backlog::Entity>(),
        columns_of::<entity::database_identity::Entity>(),
        columns_of::<entity::event::Entity>(),
        columns_of::<entity::failure::Entity>(),
        columns_of::<entity::issue::Entity>(),
        columns_of::<entity::job::Entity>(),
        columns_of::<entity::lane::Entity>(),
        columns_of::<entity::phase::Entity>(),
        columns_of::<entity::project::Entity>(),
        columns_of::<entity::relay_cursor::Entity>(),
        columns_of::<entity::repair::Entity>(),
        columns_of::<entity::request::Entity>(),
        columns_of::<entity::run::Entity>(),
        columns_of::<entity::run_document::Entity>(),
        columns_of::<entity::tier::Entity>(),
        columns_of::<entity::trace_cursor::Entity>(),
        columns_of::<entity::usage_event::Entity>(),
    ] {
        let described: Vec<&str> = table(&name)
            .unwrap()
            .columns
            .iter()
            .map(|c| c.name)
            .collect();
        assert_eq!(columns, described, "{name}");
    }
}

#[test]
fn every_example_is_a_value_that_the_description_accepts() {
    for table in tables() {
        assert!(!table.key.is_empty() && !table.text.is_empty());
        for column in &table.columns {
            let at = format!("{}.{}", table.name, column.name);
            assert!(
                column.text.ends_with('.') && !column.source.is_empty(),
                "{at}"
            );
            match column.kind {
                Kind::Closed(list) => assert!(list().contains(&column.example), "{at}"),
                Kind::Json(schema, _) => {
                    let value = serde_json::from_str(column.example).unwrap();
                    assert_eq!(json_schema::faults(&schema(), &value), [""; 0], "{at}");
                }
                Kind::Number(low, high) => {
                    let value: i64 = column.example.parse().unwrap();
                    assert!((low..=high).contains(&value), "{at}");
                }
                Kind::Uuid => assert!(column.example.parse::<uuid::Uuid>().is_ok(), "{at}"),
                _ => {}
            }
        }
    }
}

/// The reference page, from the description.
fn page() -> String {
    let mut text = String::from(
        "# Schema\n\n<!-- Generated. `UPDATE_SCHEMA=1 cargo nextest run -p autopack-store schema` writes it. -->\n\n\
         What every table and column holds, on SQLite and PostgreSQL alike. The same stands in the database itself, in\n\
         `schema_documentation` and `schema_examples`. `autopack schema TABLE` prints it with the JSON schemas;\n\
         `autopack schema plan` and `autopack schema CreateRunRequest` do so for plans and requests. Only the registry\n\
         writes these tables. A *required* column is one that a row must name: it is not null and has no default.\n",
    );
    for table in tables() {
        let _ = write!(
            text,
            "\n## {}\n\n{}\n\n| column | kind | required | meaning | set by | example |\n|---|---|---|---|---|---|\n",
            table.name, table.text
        );
        for row in document::rows(&table)
            .iter()
            .filter(|row| !row.column.is_empty())
        {
            let needed = match (&row.default_value, row.required) {
                (_, true) => "yes".to_owned(),
                (Some(sql), false) => format!("no: {sql}"),
                (None, false) => "no".to_owned(),
            };
            let example: String = row.example.chars().take(40).collect();
            let dots = if example.len() < row.example.len() {
                "..."
            } else {
                ""
            };
            let example = if example.is_empty() {
                String::new()
            } else {
                format!("`{example}{dots}`")
            };
            let _ = writeln!(
                text,
                "| `{}` | {} | {needed} | {} | {} | {} |",
                row.column, row.data_type, row.description, row.default_source, example
            );
        }
    }
    text
}

fn file(dialect: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/sql");
    root.join(format!("0019_schema_docs.{dialect}.sql"))
}

/// `UPDATE_SCHEMA=1` writes the step, which only a step that is not released may undergo.
#[test]
fn the_reference_page_is_generated() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/schema.md");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, page()).unwrap();
        return;
    }
    let stored = std::fs::read_to_string(path).unwrap();
    assert!(
        stored == page(),
        "docs/reference/schema.md is stale: run `UPDATE_SCHEMA=1 cargo nextest run -p autopack-store schema`"
    );
}

#[test]
fn the_newest_documentation_step_is_generated() {
    for dialect in ["sqlite", "postgres"] {
        let statements = document::statements();
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(file(dialect), statements).unwrap();
            continue;
        }
        let stored = std::fs::read_to_string(file(dialect)).unwrap();
        assert!(
            stored == statements,
            "the description of the schema has changed: run `UPDATE_SCHEMA=1 cargo nextest run -p autopack-store schema`"
        );
    }
}
