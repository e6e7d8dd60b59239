//! The self-check from the command line: with nobody serving, and beside a process that serves.

use std::process::Command;
use std::time::Duration;

use autopack_testkit::series::adding;
use autopack_testkit::{Autopack, Phase, Plan, TempRepo, program};
use serde_json::Value;

use crate::rig::play;

const SQL: &str = "
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute('PRAGMA ignore_check_constraints = ON')
for sql in sys.argv[2:]:
    db.execute(sql)
db.commit()
";

/// SQL beneath the product; nobody serves.
fn damage(autopack: &Autopack, sql: &[&str]) {
    let file = autopack.data().join("db/registry.sqlite");
    let mut command = Command::new("python3");
    command.args(["-c", SQL, file.to_str().unwrap()]).args(sql);
    program::run(&mut command, Duration::from_secs(30)).expect_code(0);
}

fn codes(answer: &Value) -> Vec<String> {
    let list = answer["findings"].as_array().unwrap().iter();
    list.map(|f| f["code"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn state_ready_in_the_database_is_named_mended_and_recorded() {
    let played = play(
        "demo",
        TempRepo::small(),
        &Plan::new("demo").phase(Phase::patch("P1", adding("a", "a\n"))),
    );
    let autopack = &played.autopack;
    let clean = autopack.ask(&["doctor", "--verify"]);
    clean.done.expect_code(0);
    assert_eq!(codes(&clean.json), [""; 0], "{}", clean.json);
    damage(
        autopack,
        &[
            "UPDATE run SET state = 'READY'",
            "UPDATE phase SET state = 'complete'",
            "UPDATE tier SET state = 'FINISHED'",
        ],
    );
    let sick = autopack.ask(&["doctor"]);
    sick.done.expect_code(1);
    assert_eq!(
        codes(&sick.json),
        ["STATE_ALIAS", "VALUE_UNKNOWN", "STATE_ALIAS"]
    );
    let ready = &sick.json["findings"][0];
    for key in ["what", "where", "matters", "valid", "fix", "safe"] {
        assert!(!ready[key].is_null(), "{key}: {ready}");
    }
    let text = autopack.call(&["doctor"]);
    text.expect_code(1);
    for words in ["STATE_ALIAS", "RUN_CREATED", "safe    yes", "safe    no"] {
        assert!(text.stdout.contains(words), "{words}: {}", text.stdout);
    }
    let plan = autopack.ask(&["doctor", "--plan"]);
    plan.done.expect_code(1);
    assert_eq!(plan.json["tiers"][0]["phases"].as_array().unwrap().len(), 3);
    let fixed = autopack.ask(&["doctor", "--fix"]);
    fixed.done.expect_code(1);
    assert_eq!(fixed.json["repairs"].as_array().unwrap().len(), 2);
    assert_eq!(
        codes(&fixed.json),
        ["VALUE_UNKNOWN"],
        "a person has to decide"
    );
    let journal = std::fs::read_to_string(autopack.data().join("debug_journal.md")).unwrap();
    assert!(
        journal.contains("`READY`") && journal.contains("RUN_CREATED"),
        "{journal}"
    );
}

#[test]
fn ids_and_schema_are_printed_for_people_and_programs() {
    let autopack = Autopack::new();
    let ids = autopack.read(&["doctor", "ids"]);
    assert_eq!(
        (&ids["convention"], &ids["assumed"]),
        (&"parent_child".into(), &true.into())
    );
    assert_eq!(ids["patterns"]["single_phase_same_id"], 0);
    let all = autopack.call(&["schema"]);
    all.expect_code(0);
    assert!(
        all.stdout.contains("run_document") && all.stdout.contains("plan"),
        "{}",
        all.stdout
    );
    let phase = autopack.read(&["schema", "phase"]);
    let fields = phase[0]["fields"].as_array().unwrap();
    let state = fields.iter().find(|f| f["name"] == "state").unwrap();
    assert_eq!(state["required"], true);
    assert!(
        state["allowed"]
            .as_array()
            .unwrap()
            .contains(&"QUEUED".into())
    );
    let text = autopack.call(&["schema", "CreateRunRequest"]);
    assert!(
        text.stdout.contains("document (string, required)"),
        "{}",
        text.stdout
    );
    let unknown = autopack.call(&["schema", "phases"]);
    unknown.expect_code(1);
    assert!(
        unknown.stderr.contains("ARGUMENT_INVALID"),
        "{}",
        unknown.stderr
    );
}

/// The only finding, which is an error with everything that a person needs.
fn only(answer: &Value, code: &str) -> Value {
    assert_eq!(codes(answer), [code], "{answer:#}");
    let finding = answer["findings"][0].clone();
    for key in ["what", "where", "matters", "fix"] {
        assert!(!finding[key].is_null(), "{key}: {finding}");
    }
    finding
}

#[test]
fn a_configuration_that_no_service_takes_is_a_finding() {
    let autopack = Autopack::new().with("MAX_ATTEMPTS", "many");
    let found = autopack.ask(&["doctor"]);
    found.done.expect_code(1);
    let finding = only(&found.json, "CONFIGURATION_INVALID");
    assert_eq!(finding["where"]["column"], "MAX_ATTEMPTS");
}

#[test]
fn a_machine_without_git_is_a_finding() {
    let autopack = Autopack::new();
    let empty = autopack.folder("empty");
    let autopack = autopack.with("PATH", empty.to_str().unwrap());
    let found = autopack.ask(&["doctor"]);
    found.done.expect_code(1);
    only(&found.json, "GIT_UNUSABLE");
}

#[test]
fn a_database_that_cannot_be_opened_is_a_finding() {
    let autopack = Autopack::new();
    autopack.ask(&["doctor"]).done.expect_code(0);
    let file = autopack.data().join("db/registry.sqlite");
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
    }
    std::fs::write(
        &file,
        "this is no database, and long enough to be looked at as one".repeat(100),
    )
    .unwrap();
    let found = autopack.ask(&["doctor"]);
    found.done.expect_code(1);
    only(&found.json, "DATABASE_UNUSABLE");
}

#[test]
fn counters_and_accounts_that_are_not_their_rows_are_errors() {
    let played = play(
        "demo",
        TempRepo::small(),
        &Plan::new("demo").phase(Phase::patch("P1", adding("a", "a\n"))),
    );
    let autopack = &played.autopack;
    damage(
        autopack,
        &[
            "UPDATE phase SET tokens_settled = 70",
            "UPDATE run SET minor_issues = 2",
        ],
    );
    let sick = autopack.ask(&["doctor", "--run", "demo"]);
    sick.done.expect_code(1);
    let totals = ["RECORD_DIFFERS"; 4];
    let found = codes(&sick.json);
    assert_eq!(found[..4], totals, "{:#}", sick.json);
    assert_eq!(
        found[4..],
        ["RUN_FILES_DIFFER"],
        "they show what was stored"
    );
    let what = |n: usize| {
        sick.json["findings"][n]["what"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(
        what(0).contains("distinct keys") && what(0).contains("2 minor"),
        "{}",
        what(0)
    );
    assert!(what(1).contains("sum of its attempts"), "{}", what(1));
    for n in 0..4 {
        let finding = &sick.json["findings"][n];
        assert!(
            finding["safe"].is_null() && finding["run"] == "demo",
            "{finding}"
        );
    }
}
