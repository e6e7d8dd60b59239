//! Reference pages made from the sources. `UPDATE_DOCS=1` writes them; without it a stale page fails.

use std::fmt::Write as _;

use autopack_domain::{Cause, EventKind, FindingCode, Reason};
use autopack_wire::{
    server::{ALLOWED, Principal},
    status,
};

use regex::Regex;
use serde_json::{Value, json};

use crate::repo;

const NOTE: &str = "<!-- Generated. `UPDATE_DOCS=1 cargo test --workspace --test architecture -- generated` writes it. -->";

fn page(path: &str, text: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let path = repo::root().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        std::fs::write(&path, text).expect("the page");
        return;
    }
    assert!(
        repo::read(path) == text,
        "{path} is stale: run `UPDATE_DOCS=1 cargo test --workspace --test architecture -- generated`"
    );
}

#[test]
fn errors_page() {
    let mut text = format!(
        "# Errors\n\n{NOTE}\n\n\
         Three closed lists. A *cause* says why a phase or a run did not succeed. A *reason* says why a request was\n\
         refused. A *finding* is what the self-check reports. `autopack explain CODE` prints the entry of each.\n\n\
         ## Causes\n\n\
         The charge says what a failed attempt costs: `attempt` one of the phase's attempts, `infrastructure` its\n\
         budget for failures of the surroundings, `crash` one of its crash credits, `none` nothing, `pause` nothing\n\
         but time, `final` the phase at once. The end is the state of a run whose phase stays failed for this cause; the exit code is that of\n\
         `autopack run`.\n"
    );
    for cause in Cause::ALL {
        let end = cause.end().map_or("none", |end| end.state().as_str());
        let _ = write!(
            text,
            "\n### {}\n\n{}\n\n{}\n\nCharge: {}. End: {end}. Exit code: {}.\n",
            cause.code(),
            cause.text(),
            cause.remedy(),
            cause.charge_name(),
            cause.exit_code()
        );
    }
    text.push_str(
        "\n## Reasons\n\nThe code is the gRPC status. Only `UNAVAILABLE` may be repeated without reading anything anew.\n",
    );
    for reason in Reason::ALL {
        let code = status::code_name(status::code_of(reason.kind()));
        let _ = write!(
            text,
            "\n### {}\n\n{}\n\n{}\n\nCode: {code}.\n",
            reason.code(),
            reason.text(),
            reason.remedy()
        );
    }
    text.push_str(
        "\n## Findings\n\nWhat `autopack doctor` reports. An error makes it exit with 1; with a warning nothing is lost.\n",
    );
    for finding in FindingCode::ALL {
        let _ = write!(
            text,
            "\n### {}\n\n{}\n\n{}\n\n{}\n\nSeverity: {}.\n",
            finding.code(),
            finding.text(),
            finding.matters(),
            finding.remedy(),
            finding.severity_name()
        );
    }
    page("docs/reference/errors.md", &text);
}

#[test]
fn states_page() {
    let mut text = format!(
        "# States\n\n{NOTE}\n\n\
         The closed sets. The database enforces them, on SQLite and PostgreSQL alike; the API spells them with\n\
         `STATE_` in front. A stored state that is in none of them sets its run aside (`DATA_CORRUPT`).\n\
         For programs: [states](schemas/states.schema.json) and [codes](schemas/codes.schema.json) as JSON schemas.\n\n\
         | of | states |\n|---|---|\n"
    );
    for (table, states) in crate::lists::state_sets() {
        let states: Vec<String> = states.iter().map(|s| format!("`{s}`")).collect();
        let _ = writeln!(text, "| {table} | {} |", states.join(" "));
    }
    page("docs/reference/states.md", &text);
}

/// One `$defs` entry: a closed set of texts, each with its meaning where there is one.
fn closed(title: &str, values: &[(&str, &str)]) -> Value {
    let spelled: Vec<&str> = values.iter().map(|(code, _)| *code).collect();
    let mut set = json!({ "title": title, "type": "string", "enum": spelled });
    if values.iter().any(|(_, text)| !text.is_empty()) {
        let told = values
            .iter()
            .map(|(code, text)| json!({ "const": code, "description": text }));
        set["oneOf"] = told.collect();
    }
    set
}

fn schema(name: &str, title: &str, sets: &[(&str, Value)]) {
    let sets: serde_json::Map<String, Value> = sets
        .iter()
        .map(|(key, set)| ((*key).to_owned(), set.clone()))
        .collect();
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": NOTE.trim_start_matches("<!-- ").trim_end_matches(" -->"),
        "title": title,
        "$defs": sets,
    });
    let mut text = serde_json::to_string_pretty(&schema).expect("JSON");
    text.push('\n');
    page(&format!("docs/reference/schemas/{name}.schema.json"), &text);
}

#[test]
fn json_schemas_of_closed_sets() {
    let bare = |values: &[&'static str]| -> Vec<(&str, &str)> {
        values.iter().map(|value| (*value, "")).collect()
    };
    let states = crate::lists::state_sets();
    let states: Vec<(&str, Value)> = states
        .iter()
        .map(|(table, values)| {
            (
                *table,
                closed(&format!("State of a {table}"), &bare(values)),
            )
        })
        .collect();
    schema(
        "states",
        "States, as `--json` and the database spell them",
        &states,
    );
    let causes: Vec<_> = Cause::ALL.iter().map(|c| (c.code(), c.text())).collect();
    let reasons: Vec<_> = Reason::ALL.iter().map(|r| (r.code(), r.text())).collect();
    let events: Vec<_> = EventKind::ALL
        .iter()
        .map(|e| (e.code(), e.text()))
        .collect();
    schema(
        "codes",
        "Causes, reasons and events",
        &[
            (
                "cause",
                closed("Why a phase or a run did not succeed", &causes),
            ),
            ("reason", closed("Why a request was refused", &reasons)),
            ("event", closed("What an event tells", &events)),
        ],
    );
}

#[test]
fn events_page() {
    let catalogue: toml::Table = repo::read("libs/domain/catalogue/events.toml")
        .parse()
        .expect("the catalogue is TOML");
    let mut text = format!(
        "# Events\n\n{NOTE}\n\n\
         Facts that were committed, in one gapless sequence. Each carries a header (sequence, uid, run, kind, time) and\n\
         the views named here, each as it was after the fact. The body is the protobuf message `Event` of\n\
         `proto/autopack/types/v1/run.proto`; `WatchRun` streams it.\n\n\
         | event | meaning | carries |\n|---|---|---|\n"
    );
    for row in catalogue["event"].as_array().expect("events") {
        let views = row["payload"].as_array().expect("payload");
        let views: Vec<&str> = views.iter().map(|v| v.as_str().expect("text")).collect();
        let views = if views.is_empty() {
            "the header only".to_owned()
        } else {
            views.join(", ")
        };
        let field = |key: &str| row[key].as_str().expect("text");
        let _ = writeln!(
            text,
            "| `{}` | {} | {views} |",
            field("code"),
            field("text")
        );
    }
    page("docs/reference/events.md", &text);
}

#[test]
fn principals_page() {
    let mut text = format!(
        "# Principals\n\n{NOTE}\n\n\
         Who may call which RPC. A principal is proved by the transport (the same process, or a Unix socket whose peer\n\
         has the owner's uid) or by a key; nothing a caller writes into a header counts. A call without a row\n\
         is not served; one without a mark is refused with `PERMISSION_DENIED`.\n"
    );
    let mut service = "";
    for (path, allowed) in ALLOWED {
        let (name, method) = path
            .trim_start_matches('/')
            .split_once('/')
            .expect("/service/method");
        if name != service {
            service = name;
            let _ = write!(text, "\n## {name}\n\n| RPC |");
            for principal in Principal::ALL {
                let _ = write!(text, " {principal} |");
            }
            let _ = write!(text, "\n|---|{}\n", "---|".repeat(Principal::ALL.len()));
        }
        let _ = write!(text, "| `{method}` |");
        for principal in Principal::ALL {
            text.push_str(if allowed.contains(principal) {
                " yes |"
            } else {
                " |"
            });
        }
        text.push('\n');
    }
    page("docs/reference/principals.md", &text);
}

#[test]
fn metrics_page() {
    let row = Regex::new(r#"(?m)^    \w+ (Counter|Gauge|Histogram) "(\w+)" \[(.*)\] "(.+)";$"#)
        .expect("pattern");
    let source = repo::read("libs/runtime/src/metrics.rs");
    let mut text = format!(
        "# Metrics\n\n{NOTE}\n\n\
         What `/metrics` of a service shows, and what it sends by OTLP under the same names. The part after `autopack_` says\n\
         which service has it; `service` and `bus` stand for all.\n\n\
         | name | kind | labels | meaning |\n|---|---|---|---|\n"
    );
    let mut count = 0;
    for hit in row.captures_iter(&source) {
        count += 1;
        let labels = hit[3].replace('"', "`");
        let kind = hit[1].to_lowercase();
        let _ = writeln!(text, "| `{}` | {kind} | {labels} | {} |", &hit[2], &hit[4]);
    }
    assert_eq!(
        count,
        source.matches(" \"autopack_").count(),
        "every entry is read"
    );
    page("docs/reference/metrics.md", &text);
}

/// Fields of a struct of the settings, with their comments: name, type, meaning.
fn fields(path: &str, name: &str) -> Vec<(String, String, String)> {
    let source = repo::read(path);
    let start = source
        .find(&format!("struct {name} {{"))
        .unwrap_or_else(|| panic!("{path} has no {name}"));
    let body = &source[start..];
    let body = &body[..body.find("\n}").expect("its end")];
    let field =
        Regex::new(r"(?m)((?:^\s+/// .*\n)+)\s+pub(?:\(crate\))? (\w+): (.+),$").expect("pattern");
    let meaning = |text: &str| {
        let lines = text
            .lines()
            .map(|line| line.trim().trim_start_matches("///").trim());
        lines.collect::<Vec<_>>().join(" ")
    };
    field
        .captures_iter(body)
        .map(|hit| (hit[2].to_owned(), hit[3].to_owned(), meaning(&hit[1])))
        .collect()
}

#[test]
fn config_page() {
    const COMMON: &str = "libs/runtime/src/service/settings.rs";
    let mut text = format!(
        "# Configuration\n\n{NOTE}\n\n\
         Keys of the services that run apart. How layers, variables and files of secrets work: [operations](../operations.md).\n\
         `--print-config` of a service shows its values and where each came from.\n"
    )
    .replace("`--print-config` of a service", "`run-registry --print-config`");
    let sections = [
        ("log", "Log", COMMON),
        ("tls", "ServerTlsFiles", COMMON),
        ("registry", "RegistryAddress", COMMON),
        ("bus", "BusSettings", "libs/bus/src/settings.rs"),
    ];
    let parts = [
        ("Every service", "Common", COMMON.to_owned()),
        (
            "run-registry",
            "Settings",
            "services/run-registry/src/settings.rs".to_owned(),
        ),
        (
            "phase-scheduler",
            "Settings",
            "services/phase-scheduler/src/settings.rs".to_owned(),
        ),
        (
            "builder-worker",
            "Settings",
            "services/builder-worker/src/settings.rs".to_owned(),
        ),
        (
            "telemetry",
            "Settings",
            "services/telemetry/src/settings.rs".to_owned(),
        ),
    ];
    let table = "| key | meaning |\n|---|---|\n";
    for (title, name, path) in &parts {
        let _ = write!(text, "\n## {title}\n\n{table}");
        for (key, _, meaning) in fields(path, name) {
            match sections.iter().find(|(section, ..)| *section == key) {
                Some(_) => {
                    let _ = writeln!(text, "| [`{key}`](#{key}) | {meaning} |");
                }
                None => {
                    let _ = writeln!(text, "| `{key}` | {meaning} |");
                }
            }
        }
    }
    for (section, name, path) in sections {
        let _ = write!(text, "\n## {section}\n\n{table}");
        for (key, _, meaning) in fields(path, name) {
            let _ = writeln!(text, "| `{section}.{key}` | {meaning} |");
        }
    }
    text.push_str("\n## Short names\n\n| variable | key |\n|---|---|\n");
    let short = Regex::new(r#"(?m)^    \("(\w+)", "([\w.]+)"\),$"#).expect("pattern");
    for hit in short.captures_iter(&repo::read(COMMON)) {
        let _ = writeln!(text, "| `{}` | `{}` |", &hit[1], &hit[2]);
    }
    page("docs/reference/config.md", &text);
}
