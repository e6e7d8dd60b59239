//! Files of runs with the real binary: they follow the registry, in either layout, and what differs is found and mended
//! both ways.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use autopack_testkit::program::within;
use autopack_testkit::repo::write;
use autopack_testkit::series::adding;
use autopack_testkit::{Autopack, Phase, Plan, TempRepo};
use serde_json::Value;

use crate::rig::{HUMAN, SUCCESS};

/// How long a folder may take to follow.
const BOUND: Duration = Duration::from_mins(1);

/// Content by path below a folder; nothing if it is not there.
fn tree(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(&at).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, fs::read_to_string(&path).unwrap_or_default());
            }
        }
    }
    found
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn codes(answer: &Value) -> Vec<&str> {
    let list = answer["findings"].as_array().unwrap().iter();
    list.map(|f| f["code"].as_str().unwrap()).collect()
}

/// A plan in the words of the deployment guide.
fn guide() -> Plan {
    Plan::new("run-001")
        .run("project", "Autopack")
        .phase(Phase::patch("P1.1", adding("a", "a\n")))
        .phase(Phase::noop("P1.2"))
        .tier("T2")
        .phase(Phase::noop("P2.1"))
}

/// Runs a plan to its end in one process; the folder of its files.
fn play(autopack: &Autopack, plan: &Plan, id: &str, state: &str) -> PathBuf {
    let repo = TempRepo::small();
    let file = plan.write(&autopack.folder(&format!("plan-{id}")));
    let answer = autopack.run(&file, repo.path());
    assert_eq!(answer.json["state"], state, "{answer:?}");
    let summary = PathBuf::from(answer.json["summary"].as_str().unwrap());
    summary.parent().unwrap().to_owned()
}

#[test]
fn the_guides_files_are_where_the_guide_says() {
    let autopack = Autopack::new();
    let runs = autopack.folder("repo").join(".autonomous_runs");
    let autopack = autopack.with("AUTONOMOUS_RUNS_DIR", text(&runs));
    let repo = TempRepo::small();
    let _up = autopack.up(&[]);
    let rules = autopack.folder("rules");
    write(&rules, "rules.yaml", "aging_runs: { normal: 4 }\n");
    autopack.read(&[
        "ruleset",
        "import",
        "Autopack",
        text(&rules.join("rules.yaml")),
    ]);
    let plan = guide().write(&autopack.folder("plan"));
    autopack.read(&["submit", text(&plan), "--repo", text(repo.path()), "--hold"]);
    for phase in ["P1.1", "P1.2"] {
        autopack.read(&[
            "record-issue",
            "run-001",
            "docs__readme__stale",
            "--phase",
            phase,
            "--category",
            "docs",
            "--source",
            "probe",
            "--severity",
            "minor",
        ]);
    }
    autopack.read(&["start", "run-001"]);
    autopack.ask(&["watch", "run-001"]).done.expect_code(0);
    // The mark of the folder is written last.
    let mark = runs.join("run-001/run_summary.json");
    within(BOUND, "the files of the ended run", || {
        let text = fs::read_to_string(&mark).unwrap_or_default();
        text.contains("\"state\": \"DONE_SUCCESS\"").then_some(())
    });
    let summary = fs::read_to_string(runs.join("run-001/run_summary.md")).unwrap();
    assert!(summary.contains("- **State:** DONE_SUCCESS\n"), "{summary}");
    for path in [
        "run-001/tiers/tier_0_T1.md",
        "run-001/tiers/tier_1_T2.md",
        "run-001/phases/phase_0_P1.1.md",
        "run-001/phases/phase_1_P1.2.md",
        "run-001/issues/phase_0_P1.1_issues.json",
        "run-001/issues/phase_1_P1.2_issues.json",
        "run-001/run_issue_index.json",
        "project_issue_backlog.json",
        "project_ruleset_Autopack.json",
    ] {
        assert!(
            runs.join(path).is_file(),
            "{path}: {:?}",
            tree(&runs).keys()
        );
    }
    let index = fs::read_to_string(runs.join("run-001/run_issue_index.json")).unwrap();
    let index: Value = serde_json::from_str(&index).unwrap();
    let entry = &index["issues_by_key"]["docs__readme__stale"];
    assert_eq!(entry["seen_in_phases"], serde_json::json!(["P1.1", "P1.2"]));
    // The same bytes for whoever asks, whenever.
    let to = autopack.folder("export");
    for _ in 0..2 {
        let answer = autopack.read(&["export", "run-001", "--to", text(&to)]);
        assert_eq!(answer["folder"], text(&to.join("run-001")));
        within(BOUND, "the projector is where the export is", || {
            (tree(&to.join("run-001")) == tree(&runs.join("run-001"))).then_some(())
        });
    }
    let older = autopack.folder("older");
    autopack
        .call(&[
            "export",
            "run-001",
            "--layout",
            "legacy",
            "--to",
            text(&older),
        ])
        .expect_code(0);
    for path in [
        "project_issue_backlog.json",
        ".autonomous_runs/run-001/tiers/tier_00_T1.md",
        ".autonomous_runs/run-001/phases/phase_00_P1.1.md",
        ".autonomous_runs/run-001/issues/run_issue_index.json",
    ] {
        assert!(
            older.join(path).is_file(),
            "{path}: {:?}",
            tree(&older).keys()
        );
    }
    let unknown = autopack.call(&["export", "nobody", "--to", text(&to)]);
    unknown.expect_code(1);
    assert!(unknown.stderr.contains("RUN_NOT_FOUND"), "{unknown:?}");
}

#[test]
fn a_process_without_the_database_follows_the_registry_into_a_folder() {
    let autopack = Autopack::new();
    let _up = autopack.up(&[]);
    let to = autopack.folder("followed");
    let args = ["export", "--follow", "--to", text(&to)];
    let mut following = autopack_testkit::program::Background::start(&mut autopack.command(&args));
    let (repo, plan) = (TempRepo::small(), guide().write(&autopack.folder("plan")));
    autopack.read(&["submit", text(&plan), "--repo", text(repo.path())]);
    within(BOUND, "the summary of the ended run", || {
        let text = fs::read_to_string(to.join("run-001/run_summary.md")).unwrap_or_default();
        text.contains("- **State:** DONE_SUCCESS\n").then_some(())
    });
    following.signal("TERM");
    assert_eq!(following.wait(BOUND).code, Some(0));
}

#[test]
fn files_that_lag_behind_the_log_are_written_at_the_next_start() {
    let autopack = Autopack::new();
    let folder = play(&autopack, &guide(), "run-001", SUCCESS);
    let before = tree(&folder);
    // As a crash between a commit and its files leaves it: the cursor stands before the run.
    let cursor = folder.parent().unwrap().join(".projection.json");
    let stored = fs::read_to_string(&cursor).unwrap();
    let mut value: Value = serde_json::from_str(&stored).unwrap();
    value["sequence"] = 1.into();
    fs::write(&cursor, value.to_string()).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let up = autopack.up(&[]);
    within(BOUND, "the folder, written again", || {
        (tree(&folder) == before).then_some(())
    });
    within(BOUND, "the cursor at the end of the log", || {
        (fs::read_to_string(&cursor).unwrap() == stored).then_some(())
    });
    up.stop().expect_code(0);
}

/// The other way round of the report on run ids that the database did not know.
#[test]
fn scenario_run_in_the_database_but_not_on_disk() {
    let autopack = Autopack::new();
    let failing = Plan::new("bad").phase(Phase::command("P1", "echo odd; exit 1"));
    let bad = play(&autopack, &failing, "bad", HUMAN);
    let folder = play(&autopack, &guide(), "run-001", SUCCESS);
    let clean = autopack.ask(&["doctor"]);
    clean.done.expect_code(0);
    assert_eq!(codes(&clean.json), [""; 0], "{:#}", clean.json);
    assert_eq!(clean.json["files"]["compared"], 2);
    let before = (tree(&folder), tree(&bad));
    assert!(before.1.contains_key("incident/README.md"));
    // Beside the folders, the project's journal tells of the failure.
    let beside = tree(bad.parent().unwrap());
    let is_journal = |name: &&String| name.starts_with("debug_journal_");
    let journal = &beside[beside.keys().find(is_journal).unwrap()];
    for words in [
        "bad P1, attempt 1",
        "- **Cause:** BUILDER_FAILED",
        "none yet: the phase is FAILED",
    ] {
        assert!(journal.contains(words), "{words}: {journal}");
    }
    fs::remove_dir_all(&folder).unwrap();
    fs::write(bad.join("tiers/tier_0_T1.md"), "all is well").unwrap();
    fs::write(bad.join("phases/phase_9_P9.md"), "made up").unwrap();
    let found = autopack.ask(&["doctor"]);
    // Nothing decides by these files.
    found.done.expect_code(0);
    assert_eq!(
        codes(&found.json),
        ["RUN_FILES_MISSING", "RUN_FILES_DIFFER"]
    );
    for finding in found.json["findings"].as_array().unwrap() {
        for key in ["what", "matters", "valid", "fix", "safe", "run"] {
            assert!(!finding[key].is_null(), "{key}: {finding}");
        }
        let place = finding["where"]["row"].as_str().unwrap();
        assert!(place.contains("/runs/"), "{place}");
    }
    assert!(!folder.exists(), "nothing is written without --fix");
    let fixed = autopack.ask(&["doctor", "--fix"]);
    fixed.done.expect_code(0);
    assert_eq!(codes(&fixed.json), [""; 0]);
    assert_eq!(fixed.json["files"]["mended"].as_array().unwrap().len(), 2);
    assert_eq!((tree(&folder), tree(&bad)), before);
}

/// A run as the older system left it on disk, where the report of its users found it.
fn older(base: &Path, id: &str) -> PathBuf {
    let folder = base.join("runs").join(id);
    let page =
        |state: &str, more: &str| format!("# Of {id}\n\n## Status\n\n- **State:** {state}\n{more}");
    write(
        &folder,
        "run_summary.md",
        page(
            "DONE_FAILED_REQUIRES_HUMAN_REVIEW",
            "- **Safety Profile:** normal\n- **Run Scope:** incremental\n- **Created:** 2025-12-02T13:48:35.123456\n",
        ),
    );
    write(
        &folder,
        "tiers/tier_00_Core_Features.md",
        page(
            "PENDING",
            "- **Tier ID:** T1\n- **Index:** 0\n\n## Phases\n- **Total:** 2\n",
        ),
    );
    for (n, state) in ["COMPLETE", "FAILED"].iter().enumerate() {
        let name = format!("P1.{}", n + 1);
        write(
            &folder,
            &format!("phases/phase_{n:02}_{name}.md"),
            page(
                state,
                &format!(
                    "- **Phase ID:** {name}\n- **Index:** {n}\n\n## Classification\n- **Task Category:** docs\n- **Complexity:** low\n"
                ),
            ),
        );
    }
    write(
        &folder,
        "issues/run_issue_index.json",
        r#"{"run_id": "x", "issues_by_key": {"docs__readme__stale": {"category": "docs", "severity": "minor", "occurrence_count": 3, "seen_in_phases": ["P1.1"]}}}"#,
    );
    folder
}

/// `404 {"detail": "Run phase3-delegated-20251202-134835 not found"}`: the files were there, and no row.
#[test]
fn scenario_run_on_disk_but_not_in_the_database() {
    const RUN: &str = "phase3-delegated-20251202-134835";
    let autopack = Autopack::new();
    let runs = autopack.folder("repo").join(".autonomous_runs");
    let autopack = autopack.with("AUTONOMOUS_RUNS_DIR", text(&runs));
    let folder = older(&runs, RUN);
    let before = tree(&folder);
    let missing = autopack.call(&["status", RUN]);
    missing.expect_code(1);
    assert!(missing.stderr.contains("RUN_NOT_FOUND"), "{missing:?}");
    let found = autopack.ask(&["doctor"]);
    found.done.expect_code(1);
    assert_eq!(codes(&found.json), ["RUN_NOT_IN_DATABASE"]);
    let finding = &found.json["findings"][0];
    assert_eq!(finding["run"], RUN);
    assert_eq!(finding["where"]["row"], text(&folder));
    assert_eq!(finding["safe"], "the run into the database");
    autopack.call(&["status", RUN]).expect_code(1);
    let fixed = autopack.ask(&["doctor", "--fix"]);
    fixed.done.expect_code(0);
    assert_eq!(codes(&fixed.json), [""; 0], "{:#}", fixed.json);
    let status = autopack.status(RUN);
    assert_eq!(status["state"], HUMAN);
    let phases: Vec<(&str, &str)> = status["phases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| (p["id"].as_str().unwrap(), p["state"].as_str().unwrap()))
        .collect();
    assert_eq!(phases, [("P1.1", "COMPLETE"), ("P1.2", "FAILED")]);
    let issues = autopack.read(&["issues", RUN]);
    assert_eq!(issues["issues"][0]["key"], "docs__readme__stale");
    // The older folder stays; the run has one of its own, and nothing is left to be found.
    assert_eq!(tree(&folder), before);
    assert!(runs.join(RUN).join("tiers/tier_0_T1.md").is_file());
    let clean = autopack.ask(&["doctor", "--verify"]);
    clean.done.expect_code(0);
    assert_eq!(codes(&clean.json), [""; 0], "{:#}", clean.json);
}

#[test]
fn a_lost_database_is_made_again_from_the_folders_and_what_cannot_be_is_told() {
    let autopack = Autopack::new();
    let folder = play(&autopack, &guide(), "run-001", SUCCESS);
    let runs = folder.parent().unwrap().to_owned();
    fs::remove_dir_all(autopack.data().join("db")).unwrap();
    let bad = older(&runs, "bad");
    write(
        &bad,
        "phases/phase_00_P1.1.md",
        "# P1.1\n\n- **State:** RUNNING\n",
    );
    std::os::unix::fs::symlink("/etc", runs.join("linked")).unwrap();
    let found = autopack.ask(&["doctor"]);
    found.done.expect_code(1);
    assert_eq!(
        codes(&found.json),
        [
            "RUN_FOLDER_UNREADABLE",
            "RUN_NOT_IN_DATABASE",
            "RUN_NOT_IN_DATABASE"
        ]
    );
    let fixed = autopack.ask(&["doctor", "--fix"]);
    fixed.done.expect_code(1);
    assert_eq!(
        codes(&fixed.json),
        ["RUN_FOLDER_UNREADABLE", "RUN_NOT_IN_DATABASE"]
    );
    let left = &fixed.json["findings"][1];
    assert_eq!((&left["run"], &left["safe"]), (&"bad".into(), &Value::Null));
    let fix = left["fix"].as_str().unwrap();
    assert!(fix.contains("RUNNING"), "{fix}");
    assert!(
        left["valid"]
            .as_array()
            .unwrap()
            .contains(&"COMPLETE".into())
    );
    assert_eq!(autopack.status("run-001")["state"], SUCCESS);
    let report = autopack.read(&["report", "run", "run-001"]);
    assert_eq!(report["progress"]["total_phases"], 3);
}
