//! Older databases from the command line: with nobody serving, and beside a process that serves.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use autopack_testkit::{Autopack, program};
use serde_json::Value;

fn corpus(name: &str) -> PathBuf {
    let folder = std::env::var_os("AUTOPACK_CORPUS_DIR").map(PathBuf::from);
    let file = folder.unwrap_or_default().join(name);
    assert!(
        file.is_file(),
        "set AUTOPACK_CORPUS_DIR to the folder with the real data of the older system (`.ci/run` does); {} is no file",
        file.display()
    );
    file
}

fn source(file: &Path) -> String {
    format!("sqlite:{}", file.display())
}

/// Imported, already there and set aside of a table, which add up to its rows.
fn table(answer: &Value, name: &str) -> (u64, u64, u64) {
    let tables = answer["tables"].as_array().unwrap();
    let of = |table: &Value, key: &str| table[key].as_u64().unwrap();
    for table in tables {
        let sum = of(table, "imported") + of(table, "present") + of(table, "set_aside");
        assert_eq!(sum, of(table, "rows"), "{table}");
    }
    let found = tables.iter().find(|table| table["table"] == name);
    let found = found.unwrap_or_else(|| panic!("no table {name} in {answer:#}"));
    (
        of(found, "imported"),
        of(found, "present"),
        of(found, "set_aside"),
    )
}

fn is_sound(autopack: &Autopack, runs: u64) {
    let checked = autopack.ask(&["doctor", "--verify"]);
    checked.done.expect_code(0);
    assert_eq!(checked.json["runs"], runs, "{:#}", checked.json);
    assert_eq!(checked.json["findings"].as_array().unwrap().len(), 0);
    assert_eq!(checked.json["differences"].as_array().unwrap().len(), 0);
}

#[test]
fn a_real_database_is_imported_once_and_the_self_check_is_content() {
    let autopack = Autopack::new();
    let rich = source(&corpus("upstream-2025-12-28.db"));
    let dry = autopack.ask(&["import", &rich, "--dry-run"]);
    dry.done.expect_code(0);
    assert_eq!(table(&dry.json, "runs"), (70, 0, 0));
    assert_eq!(
        autopack.read(&["runs"]),
        serde_json::json!([]),
        "nothing was stored"
    );
    let first = autopack.ask(&["import", &rich, "--project", "legacy"]);
    first.done.expect_code(0);
    assert_eq!(table(&first.json, "runs"), (70, 0, 0));
    assert_eq!(table(&first.json, "tiers"), (200, 0, 0));
    assert_eq!(table(&first.json, "phases"), (456, 0, 0));
    assert_eq!(table(&first.json, "llm_usage_events"), (1068, 0, 303));
    assert_eq!(table(&first.json, "decision_log"), (286, 0, 20));
    let reasons = first.json["set_aside"].as_array().unwrap();
    assert!(
        reasons
            .iter()
            .all(|r| !r["reason"].as_str().unwrap().is_empty())
    );
    is_sound(&autopack, 70);
    let again = autopack.ask(&["import", &rich]);
    again.done.expect_code(0);
    assert_eq!(table(&again.json, "runs"), (0, 70, 0));
    assert_eq!(table(&again.json, "llm_usage_events"), (0, 1068, 303));
    let text = autopack.call(&["import", &rich]);
    text.expect_code(0);
    for words in [
        "ALREADY THERE",
        "its run is not in the file",
        "0 runs imported, 70 there already",
    ] {
        assert!(text.stdout.contains(words), "{words}: {}", text.stdout);
    }
    // The other file holds an earlier state of one of these runs: refused by name.
    let lower = autopack.ask(&["import", &source(&corpus("upstream-lowercase-states.db"))]);
    lower.done.expect_code(1);
    assert_eq!(table(&lower.json, "phases"), (0, 0, 7));
    let reason = lower.json["set_aside"].to_string();
    for words in [
        "is stored already, with another content",
        "from sqlite upstream-2025-12-28.db",
        "--data-dir",
    ] {
        assert!(reason.contains(words), "{words}: {reason}");
    }
    is_sound(&autopack, 70);
    let metrics = autopack.call(&["report", "runs"]);
    metrics.expect_code(0);
    let failed = "fileorg-backend-fixes-v4-20251130";
    assert_eq!(
        autopack.status(failed)["state"],
        "DONE_FAILED_REQUIRES_HUMAN_REVIEW"
    );
    let retry = autopack.call(&["retry", failed]);
    retry.expect_code(1);
    assert!(
        retry.stderr.contains("imported from an older system"),
        "{}",
        retry.stderr
    );
}

/// What a refusal says to do, does.
#[test]
fn a_second_corpus_with_the_id_of_the_first_goes_into_a_database_of_its_own() {
    let lower = source(&corpus("upstream-lowercase-states.db"));
    let rich = source(&corpus("upstream-2025-12-28.db"));
    let autopack = Autopack::new();
    autopack.ask(&["import", &lower]).done.expect_code(0);
    let second = autopack.ask(&["import", &rich]);
    second.done.expect_code(1);
    assert_eq!(table(&second.json, "runs"), (69, 0, 1), "the others go on");
    let aside = autopack.call(&["import", &rich]);
    for words in ["with another content", "--data-dir", "another id"] {
        assert!(aside.stdout.contains(words), "{words}: {}", aside.stdout);
    }
    let other = Autopack::new();
    other.ask(&["import", &rich]).done.expect_code(0);
    is_sound(&other, 70);
}

#[test]
fn lower_case_states_are_mended_beside_a_process_that_serves_and_it_gets_no_work() {
    let autopack = Autopack::new();
    let up = autopack.up(&[]);
    let lower = source(&corpus("upstream-lowercase-states.db"));
    let first = autopack.ask(&["import", &lower]);
    first.done.expect_code(0);
    assert_eq!(table(&first.json, "phases"), (7, 0, 0));
    assert_eq!(table(&first.json, "llm_usage_events"), (0, 0, 302));
    let repairs = first.json["repairs"].as_array().unwrap();
    assert_eq!(repairs.len(), 8);
    assert!(
        repairs
            .iter()
            .all(|r| r["before"] == "queued" && r["after"] == "QUEUED")
    );
    let id = first.json["runs"][0]["run"].as_str().unwrap().to_owned();
    assert_eq!(first.json["runs"][0]["state"], "DONE_CANCELLED");
    is_sound(&autopack, 1);
    let status = autopack.status(&id);
    assert_eq!(status["cause"], "IMPORTED_UNFINISHED", "{status:#}");
    assert!(autopack.attempts(&id).is_empty(), "nobody worked on it");
    up.stop().expect_code(0);
}

#[test]
fn what_cannot_be_imported_is_told_with_what_to_do() {
    let autopack = Autopack::new();
    let folder = autopack.folder("old");
    let file = folder.join("a.db");
    let refused = |code: u8, words: &[&str]| {
        let done = autopack.call(&["import", &source(&file)]);
        done.expect_code(code.into());
        for word in words {
            assert!(done.stderr.contains(word), "{word}: {}", done.stderr);
        }
    };
    refused(1, &["cannot read", "hint:"]);
    std::fs::write(&file, "no database").unwrap();
    refused(1, &["is no SQLite database", "hint:"]);
    let whole = std::fs::read(corpus("upstream-lowercase-states.db")).unwrap();
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    refused(1, &["damaged or cut off", "hint:"]);
    std::fs::remove_file(&file).unwrap();
    let mut command = Command::new("python3");
    let sql =
        "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('CREATE TABLE songs (id TEXT)')";
    command.args(["-c", sql]).arg(&file);
    program::run(&mut command, Duration::from_secs(30)).expect_code(0);
    refused(1, &["no table `runs`, only: songs", "hint:"]);
    autopack.call(&["import", "old.db"]).expect_code(2);
}
