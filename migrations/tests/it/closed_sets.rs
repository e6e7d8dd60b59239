//! The states of runs, tiers, phases, attempts and jobs, and what their issues amount to, in every place that spells
//! them.
//!
//! Invariant: a state that is added, renamed or removed in one place only fails here, with the place's name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use autopack_domain::{
    issue::{Cleanliness, DebtStatus, IssueState, Severity},
    promotion::PromotionState,
    run::JobState,
    states::{AttemptState, PhaseState, RunState, TierState},
};
use autopack_migrations::migrate;
use sea_orm::{DatabaseConnection, DbBackend};

use crate::base::{Base, texts};

/// Table, its states.
type Sets = BTreeMap<String, BTreeSet<String>>;

/// Table, message of the protobuf contract, states of the domain.
fn known() -> [(&'static str, &'static str, Vec<&'static str>); 6] {
    [
        ("run", "Run", RunState::spellings()),
        ("tier", "Tier", TierState::spellings()),
        ("phase", "Phase", PhaseState::spellings()),
        ("attempt", "Attempt", AttemptState::spellings()),
        ("job", "RepositoryJob", JobState::spellings()),
        ("promotion", "Promotion", PromotionState::spellings()),
    ]
}

fn domain() -> Sets {
    let owned = |states: Vec<&str>| states.into_iter().map(str::to_owned).collect();
    let sets = known().map(|(table, _, states)| (table.to_owned(), owned(states)));
    sets.into_iter().collect()
}

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The compiled contract; a test of `libs/wire` keeps the file as `proto/` is.
fn protobuf() -> Sets {
    let mut sets = Sets::new();
    for line in file("libs/wire/descriptor.txt").lines() {
        let Some((message, value)) = line
            .strip_prefix("enum autopack.types.v1.")
            .and_then(|rest| rest.split_once(".State value "))
        else {
            continue;
        };
        let (_, value) = value.split_once(" STATE_").expect("a number and a value");
        let tables = known();
        let table = tables.iter().find(|(_, name, _)| *name == message);
        let (table, ..) = table.unwrap_or_else(|| panic!("{message}.State has no set of states"));
        sets.entry((*table).to_owned())
            .or_default()
            .insert(value.to_owned());
    }
    for (table, set) in &mut sets {
        assert!(set.remove("UNSPECIFIED"), "{table} has no unset state");
    }
    sets
}

/// What stands in quotes.
fn quoted(text: &str, quote: char) -> BTreeSet<String> {
    let parts = text.split(quote).skip(1).step_by(2);
    parts.map(str::to_owned).collect()
}

/// What the database itself enforces of a column, by table, after every migration.
async fn enforced(db: &DatabaseConnection, column: &str) -> Sets {
    migrate(db).await.unwrap();
    let sql = match db.get_database_backend() {
        DbBackend::Postgres => format!(
            "SELECT conrelid::regclass || '|' || pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c' AND pg_get_constraintdef(oid) LIKE '%({column} %'"
        ),
        _ => format!(
            "SELECT name || '|' || substr(sql, instr(sql, 'CHECK ({column} IN (')) FROM sqlite_master WHERE type = 'table' AND instr(sql, 'CHECK ({column} IN (') > 0"
        ),
    };
    let rules = texts(db, &sql).await;
    let rules = rules.iter().map(|rule| {
        let (table, rule) = rule.split_once('|').unwrap();
        let end = rule.find("))").expect("the end of the list");
        (table.to_owned(), quoted(&rule[..end], '\''))
    });
    rules.collect()
}

fn json_schema() -> Sets {
    let text = file("docs/reference/schemas/states.schema.json");
    let schema: serde_json::Value = serde_json::from_str(&text).expect("the schema is JSON");
    let sets = schema["$defs"].as_object().expect("its sets").iter();
    sets.map(|(table, set)| {
        assert_eq!(set["type"], "string", "{table}");
        let values = set["enum"].as_array().expect("a closed set").iter();
        let values = values.map(|value| value.as_str().expect("a text").to_owned());
        (table.clone(), values.collect())
    })
    .collect()
}

fn reference() -> Sets {
    let text = file("docs/reference/states.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| "));
    let rows = rows.filter_map(|row| row.split_once(" | `"));
    rows.map(|(table, states)| (table.to_owned(), quoted(&format!("`{states}"), '`')))
        .collect()
}

#[tokio::test]
async fn every_place_has_the_states_of_the_domain() {
    let (sqlite, postgres) = (Base::sqlite(), Base::postgres());
    for (place, found) in [
        ("the protobuf contract", protobuf()),
        (
            "CHECK on SQLite",
            enforced(&sqlite.connect().await, "state").await,
        ),
        (
            "CHECK on PostgreSQL",
            enforced(&postgres.connect().await, "state").await,
        ),
        ("the JSON schema", json_schema()),
        ("the reference page", reference()),
    ] {
        assert_eq!(found, domain(), "{place}");
    }
}

#[tokio::test]
async fn what_issues_amount_to_is_spelt_alike_on_both_databases() {
    let expected = [
        ("severity", vec!["issue", "backlog"], Severity::spellings()),
        ("effective_severity", vec!["issue"], Severity::spellings()),
        ("debt_status", vec!["run"], DebtStatus::spellings()),
        ("cleanliness", vec!["tier"], Cleanliness::spellings()),
        ("issue_state", vec!["phase"], IssueState::spellings()),
    ];
    let (sqlite, postgres) = (Base::sqlite(), Base::postgres());
    for base in [sqlite, postgres] {
        let db = base.connect().await;
        for (column, tables, words) in &expected {
            let found = enforced(&db, column).await;
            let words: BTreeSet<String> = words.iter().map(|&word| word.to_owned()).collect();
            let sets = tables
                .iter()
                .map(|&table| (table.to_owned(), words.clone()));
            assert_eq!(found, sets.collect::<Sets>(), "{column}");
        }
    }
}
