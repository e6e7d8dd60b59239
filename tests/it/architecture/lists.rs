//! Closed lists that stand in several places must be the same list.

use std::collections::{BTreeMap, BTreeSet};

use autopack_domain::{
    Cause, EventKind, FindingCode, Reason,
    issue::{Cleanliness, DebtStatus, IssueState, Severity},
    run::bootstrap::JobState,
    states::{AttemptState, PhaseState, RunState, TierState},
};
use regex::Regex;

use crate::repo::{self, Source};

/// Table, protobuf message, spellings in the domain.
pub(crate) fn state_sets() -> [(&'static str, &'static str, Vec<&'static str>); 5] {
    [
        ("run", "Run", RunState::spellings()),
        ("tier", "Tier", TierState::spellings()),
        ("phase", "Phase", PhaseState::spellings()),
        ("attempt", "Attempt", AttemptState::spellings()),
        ("job", "RepositoryJob", JobState::spellings()),
    ]
}

/// Column and spellings of other closed sets.
fn word_sets() -> [(&'static str, Vec<&'static str>); 5] {
    [
        ("severity", Severity::spellings()),
        ("effective_severity", Severity::spellings()),
        ("debt_status", DebtStatus::spellings()),
        ("cleanliness", Cleanliness::spellings()),
        ("issue_state", IssueState::spellings()),
    ]
}

/// A rule on a metric that no service exports would never fire.
#[test]
fn alert_rules_name_metrics_that_services_export() {
    let entry =
        Regex::new(r#"(?m)^    (\w+) (?:Counter|Gauge|Histogram) "(\w+)""#).expect("pattern");
    let source = repo::read("libs/runtime/src/metrics.rs");
    let known: BTreeMap<&str, &str> = entry
        .captures_iter(&source)
        .map(|hit| hit.extract::<2>().1)
        .map(|[constant, name]| (name, constant))
        .collect();
    let services = repo::files(&["services"], &[".rs"]);
    let named = Regex::new(r"autopack_[a-z]\w*").expect("pattern");
    let rules = repo::read("docker/alerts.yaml");
    let names: BTreeSet<&str> = named.find_iter(&rules).map(|hit| hit.as_str()).collect();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        let constant = known
            .get(name)
            .unwrap_or_else(|| panic!("{name} is no metric"));
        let usage = format!("metrics::{constant}");
        let used = |source: &Source| source.is_product() && source.text.contains(&usage);
        // What every service has stands in the runtime.
        let shared = name.starts_with("autopack_bus_") || name.starts_with("autopack_service_");
        assert!(
            shared || services.iter().any(used),
            "no service exports {name}"
        );
    }
    let tests = repo::read("docker/alerts_test.yaml");
    for rule in rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
    {
        let proved = format!("alertname: {rule}\n        exp_alerts:");
        assert!(tests.contains(&proved), "no test in which {rule} fires");
    }
}

fn set(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|&text| text.to_owned()).collect()
}

#[test]
fn check_constraints_are_the_states_of_the_domain() {
    let table = Regex::new(r"CREATE TABLE (\w+)").expect("pattern");
    let check = Regex::new(
        r#"(\w+) TEXT(?: COLLATE "C")? NOT NULL(?: DEFAULT '\w+')? CHECK \((\w+) IN \(([^)]*)\)\)"#,
    )
    .expect("pattern");
    for schema in repo::files(&["migrations/sql"], &[".sql"]) {
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut current = String::new();
        for line in schema.text.lines() {
            if let Some(name) = table.captures(line) {
                name[1].clone_into(&mut current);
            }
            if let Some(hit) = check.captures(line) {
                assert_eq!(hit[1], hit[2], "{}", schema.path);
                let values = hit[3].split(',').map(|v| v.trim().trim_matches('\''));
                let values: BTreeSet<String> = values.map(str::to_owned).collect();
                if &hit[1] == "state" {
                    found.insert(current.clone(), values);
                } else {
                    let words = word_sets();
                    let known = words.iter().find(|(column, _)| *column == &hit[1]);
                    let (_, words) = known.unwrap_or_else(|| panic!("{}", schema.path));
                    assert_eq!(values, set(words), "{}: {current}.{}", schema.path, &hit[1]);
                }
            }
        }
        // A later migration names only the tables that it touches.
        for (name, values) in &found {
            let known = state_sets();
            let domain = known.iter().find(|(table, ..)| table == name);
            let (.., domain) =
                domain.unwrap_or_else(|| panic!("{}: {name} has no state set", schema.path));
            assert_eq!(values, &set(domain), "{}: {name}.state", schema.path);
        }
        if schema.path.contains("/0001_") {
            assert_eq!(found.len(), state_sets().len(), "{}", schema.path);
        }
    }
}

/// The last of the places: what the reference says. A state that is added must be added in all of them.
#[test]
fn documented_states_are_the_states_of_the_domain() {
    let text = repo::read("docs/reference/states.md");
    for (table, _, spellings) in state_sets() {
        let lead = format!("| {table} | ");
        let line = text.lines().find(|line| line.starts_with(&lead));
        let line = line.unwrap_or_else(|| panic!("{table} is not in the reference"));
        let found: BTreeSet<String> = line
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect();
        assert_eq!(found, set(&spellings), "{table}");
    }
}

#[test]
fn protobuf_states_are_the_states_of_the_domain() {
    let proto = repo::read("proto/autopack/types/v1/run.proto");
    let value = Regex::new(r"(?m)^\s+STATE_(\w+) = \d+;").expect("pattern");
    for (_, message, spellings) in state_sets() {
        let start = proto
            .find(&format!("\nmessage {message} {{"))
            .unwrap_or_else(|| panic!("message {message}"));
        let body = &proto[start..];
        let body = &body[body.find("enum State {").expect("its states")..];
        let body = &body[..body.find('}').expect("their end")];
        let mut values: BTreeSet<String> =
            value.captures_iter(body).map(|v| v[1].to_owned()).collect();
        assert!(values.remove("UNSPECIFIED"), "{message}");
        assert_eq!(values, set(&spellings), "{message}.State");
    }
}

#[test]
fn every_cause_and_reason_explains_itself() {
    let causes = Cause::ALL.iter().map(|c| (c.code(), c.text(), c.remedy()));
    let reasons = Reason::ALL.iter().map(|r| (r.code(), r.text(), r.remedy()));
    for (code, text, remedy) in causes.chain(reasons) {
        for (what, value) in [("text", text), ("remedy", remedy)] {
            assert!(value.trim().len() > 10, "{code} has no {what}");
            assert!(value.ends_with('.'), "{code}: {what} is not a sentence");
        }
        let stable = code
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        assert!(stable, "{code} is not UPPER_SNAKE_CASE");
    }
    assert!(EventKind::ALL.iter().all(|kind| !kind.text().is_empty()));
}

/// A code that no source can produce explains nothing.
#[test]
fn every_cause_reason_and_event_is_produced_somewhere() {
    let mut sources = repo::rust();
    sources.retain(Source::is_product);
    let text: String = sources.iter().map(|s| s.text.as_str()).collect();
    let camel = |code: &str| -> String {
        let words = code.split('_').map(|word| {
            let (first, rest) = word.split_at(1);
            first.to_ascii_uppercase() + &rest.to_ascii_lowercase()
        });
        words.collect()
    };
    let causes = Cause::ALL.iter().map(|c| ("Cause", c.code()));
    let reasons = Reason::ALL.iter().map(|r| ("Reason", r.code()));
    let events = EventKind::ALL.iter().map(|e| ("EventKind", e.code()));
    let findings = FindingCode::ALL.iter().map(|f| ("FindingCode", f.code()));
    let unused: Vec<String> = causes
        .chain(reasons)
        .chain(events)
        .chain(findings)
        .map(|(name, code)| format!("{name}::{}", camel(code)))
        .filter(|path| {
            let whole = Regex::new(&format!(r"\b{path}\b")).expect("pattern");
            !whole.is_match(&text)
        })
        .collect();
    assert!(
        unused.is_empty(),
        "in the catalogue, but never produced: {unused:#?}"
    );
}

/// Each failpoint stands in one list, and each of the list is hit by product code outside that list.
#[test]
fn failpoints_of_the_lists_are_the_failpoints_of_the_code() {
    let literal = Regex::new(r#""((?:registry|worker)\.[a-z_]+)""#).expect("pattern");
    let constant = Regex::new(r#"pub const (\w+): &str = "([^"]+)""#).expect("pattern");
    let call = Regex::new(r#"failpoint\)?\(\s*"([^"]+)"\s*\)"#).expect("pattern");
    let (lists, code): (Vec<_>, Vec<_>) = repo::rust()
        .into_iter()
        .filter(Source::is_product)
        .partition(|source| source.path.ends_with("/failpoints.rs"));
    let mut listed: BTreeMap<String, Option<String>> = BTreeMap::new();
    for list in &lists {
        for name in literal.captures_iter(&list.text) {
            listed.entry(name[1].to_owned()).or_default();
        }
        for name in constant.captures_iter(&list.text) {
            listed.insert(name[2].to_owned(), Some(name[1].to_owned()));
        }
    }
    assert!(listed.len() >= 10, "{listed:?}");
    for (name, constant) in &listed {
        let quoted = format!("\"{name}\"");
        let hit = code.iter().any(|source| {
            let by_constant = constant.as_ref().is_some_and(|constant| {
                let used = Regex::new(&format!(r"\b{constant}\b")).expect("pattern");
                source.text.contains("failpoint") && used.is_match(&source.text)
            });
            source.text.contains(&quoted) || by_constant
        });
        assert!(hit, "the failpoint {name} is listed, but no code hits it");
    }
    for source in &code {
        for name in call.captures_iter(&source.text) {
            assert!(
                listed.contains_key(&name[1]),
                "{} hits the failpoint {}, which no list has",
                source.path,
                &name[1]
            );
        }
    }
}
