//! The tables about the database itself: documentation, repairs, migrations.

use super::{
    Table,
    column::{AT, Column, Kind, RUN, count, flag, set_by, text, uuid},
};

pub(super) fn tables() -> Vec<Table> {
    vec![
        documentation(),
        examples(),
        repair(),
        migration(),
        compat(),
        identity(),
    ]
}

fn documentation() -> Table {
    let columns = vec![
        Column::new("table_name", Kind::Filled, "zoo", "The table."),
        text(
            "column_name",
            "state",
            "The column; empty: the table itself.",
        ),
        Column::new(
            "description",
            Kind::Filled,
            "Where it stands.",
            "What it means.",
        ),
        text("data_type", "closed list", "Its kind; empty for a table."),
        flag("required", "true", "Whether a row must name it."),
        text(
            "default_value",
            "",
            "The default that the database fills in, as SQL; null: none.",
        )
        .optional(),
        text(
            "default_source",
            "CreateRun",
            "Who sets it where a row is made by the product.",
        ),
        text(
            "allowed_values",
            r#"["QUEUED"]"#,
            "The closed list, or the form, as a JSON array of texts.",
        ),
        text("example_value", "QUEUED", "A value that it accepts."),
        text(
            "json_schema",
            "{}",
            "The schema of a JSON column; null: it is none.",
        )
        .optional(),
    ];
    Table {
        name: "schema_documentation",
        text: "What every table and column holds, as `autopack schema` prints it.",
        key: &["table_name", "column_name"],
        run: "",
        columns: set_by("a migration", columns),
    }
}

fn examples() -> Table {
    let columns = vec![
        Column::new("table_name", Kind::Filled, "zoo", "The table."),
        Column::new(
            "name",
            Kind::Filled,
            "required",
            "`required`: the columns that a row must name; `full`: all of them.",
        ),
        Column::new(
            "example",
            Kind::Filled,
            "{}",
            "A row as a JSON object, columns by name.",
        ),
    ];
    Table {
        name: "schema_examples",
        text: "Rows that every table accepts, in the order of their references.",
        key: &["table_name", "name"],
        run: "",
        columns: set_by("a migration", columns),
    }
}

fn repair() -> Table {
    let columns = vec![
        uuid("uid", "0197a4c2-0000-7000-8000-000000000006", "The repair."),
        Column::new("table_name", Kind::Filled, "run", "The table."),
        Column::new(
            "row_key",
            Kind::Filled,
            RUN,
            "Key of the row, parts joined by `/`.",
        ),
        Column::new("column_name", Kind::Filled, "state", "The column."),
        uuid("run_uid", RUN, "The run of the row."),
        text("before_value", "READY", "What stood there."),
        text("after_value", "RUN_CREATED", "What stands there since."),
        Column::new(
            "rule",
            Kind::Filled,
            "STATE_ALIAS",
            "The finding that it mends.",
        ),
        count("epoch", "1", "The registry that did it."),
        Column::new("at", Kind::Moment, AT, "When."),
    ];
    Table {
        name: "repair",
        text: "What the self-check has mended; rows are added and never changed.",
        key: &["uid"],
        run: "",
        columns: set_by("Repair", columns),
    }
}

fn migration() -> Table {
    let columns = vec![
        Column::new(
            "version",
            Kind::Number(1, i64::MAX),
            "9001",
            "Rises from step to step.",
        ),
        Column::new("name", Kind::Filled, "initial", "For people."),
        Column::new(
            "checksum",
            Kind::Filled,
            "9f86d081",
            "Digest of the step; a released one never changes.",
        ),
    ];
    Table {
        name: "schema_migration",
        text: "Migrations that were applied.",
        key: &["version"],
        run: "",
        columns: set_by("a migration", columns),
    }
}

fn compat() -> Table {
    let columns = vec![
        Column::new("id", Kind::Number(1, 1), "1", "Always 1: there is one row."),
        count("version", "18", "The schema."),
        count("min_reader", "10", "The oldest program that reads it."),
    ];
    Table {
        name: "schema_compat",
        text: "Which programs may read the database.",
        key: &["id"],
        run: "",
        columns: set_by("a migration", columns),
    }
}

fn identity() -> Table {
    let columns = vec![
        Column::new("id", Kind::Number(1, 1), "1", "Always 1: there is one row."),
        Column::new(
            "identity",
            Kind::Filled,
            "0197a4c2000070008000000000000007",
            "32 hexadecimal digits, by which peers tell whether they work on the same database.",
        ),
    ];
    Table {
        name: "database_identity",
        text: "The random id of this database; never changed.",
        key: &["id"],
        run: "",
        columns: set_by("a migration", columns),
    }
}
