//! Issues over several runs of a project, with the real binary from start to end.

use autopack_testkit::{Autopack, Phase, Plan, TempRepo};
use serde_json::Value;

use crate::rig::{HUMAN, SUCCESS};

const KEY: &str = "docs__readme__stale";

/// Runs a plan whose first phase is found to have the issue; the report of the run.
fn run(autopack: &Autopack, repo: &TempRepo, id: &str, profile: &str) -> Value {
    let plan = Plan::new(id)
        .run("project", "app")
        .run("safety_profile", profile)
        .phase(Phase::noop("A").set("task_category", "docs"))
        .tier("T2")
        .phase(Phase::noop("B"));
    let file = plan.write(&autopack.folder(id));
    let (file, repo) = (file.to_str().unwrap(), repo.path().to_str().unwrap());
    autopack.read(&["submit", file, "--repo", repo, "--hold"]);
    let record = [
        "record-issue",
        id,
        KEY,
        "--phase",
        "A",
        "--category",
        "docs",
        "--source",
        "probe",
        "--path",
        "README.md",
    ];
    for _ in 0..2 {
        let recorded = autopack.read(&record);
        assert_eq!(
            recorded["issue"]["severity"], "minor",
            "what the category has"
        );
        assert_eq!(recorded["counts"]["distinct"], 1);
    }
    autopack.read(&["start", id]);
    autopack.ask(&["watch", id]);
    autopack.read(&["report", "run", id])
}

fn rule<'a>(report: &'a Value, name: &str) -> &'a Value {
    let rules = report["promotion_rules"].as_array().unwrap();
    rules.iter().find(|r| r["rule"] == name).unwrap()
}

#[test]
fn a_minor_issue_of_three_runs_counts_as_major_in_the_fourth_and_bars_its_promotion() {
    let (repo, autopack) = (TempRepo::small(), Autopack::new());
    let _up = autopack.up(&[]);
    for n in 1..=3 {
        let report = run(&autopack, &repo, &format!("r{n}"), "normal");
        assert_eq!(report["state"], SUCCESS);
        assert_eq!(report["issues"]["minor"], 1);
        assert_eq!(report["tiers"][0]["cleanliness"], "clean");
        assert_eq!(report["promotion_eligible"], true, "run {n}: {report:#}");
        assert_eq!(report["progress"]["percent_complete"], 100);
        let backlog = autopack.read(&["backlog", "app"]);
        assert_eq!(backlog["entries"][0]["age_in_runs"], n);
        assert_eq!(backlog["entries"][0]["occurrences"], 2 * n);
    }
    let summary = autopack.read(&["report", "backlog", "app"]);
    assert_eq!(summary["needs_cleanup_count"], 1);
    let report = run(&autopack, &repo, "r4", "normal");
    assert_eq!(report["state"], SUCCESS);
    assert_eq!(report["aged_issues"][0], KEY);
    assert_eq!(report["issues"]["major"], 1);
    assert_eq!(report["tiers"][0]["cleanliness"], "not_clean");
    assert_eq!(report["tiers"][0]["promotion_blocked"], true);
    assert_eq!(report["tiers"][1]["cleanliness"], "clean");
    assert_eq!(report["promotion_eligible"], false);
    assert_eq!(rule(&report, "no_tier_not_clean")["holds"], false);
    for holds in ["done_success", "no_budget_failure", "no_excess_minors"] {
        assert_eq!(rule(&report, holds)["holds"], true, "{holds}");
    }
    // Where safety is critical, the run ends there.
    let critical = run(&autopack, &repo, "r5", "safety_critical");
    assert_eq!(critical["state"], HUMAN);
    assert_eq!(critical["cause"], "ISSUES_OVER_LIMIT");
    assert_eq!(critical["phases"][1]["state"], "SKIPPED");
    let issues = autopack.call(&["issues", "r5"]);
    issues.expect_code(0);
    for word in [KEY, "major (aged)", "1 major", "probe"] {
        assert!(issues.stdout.contains(word), "{word}: {}", issues.stdout);
    }
    let phases = autopack.call(&["backlog", "app", "--phases"]);
    assert!(phases.stdout.contains("debt_cleanup") && phases.stdout.contains(KEY));
    let runs = autopack.read(&["report", "runs", "--project", "app", "--state", SUCCESS]);
    let eligible: Vec<bool> = runs
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["promotion_eligible"].as_bool().unwrap())
        .collect();
    assert_eq!(eligible, [false, true, true, true], "newest first");
    let close = [
        "issues",
        "resolve",
        KEY,
        "--project",
        "app",
        "--note",
        "not ours",
    ];
    let closed = autopack.read(&close);
    assert_eq!(
        (&closed["status"], &closed["close_note"]),
        (&"resolved".into(), &"not ours".into())
    );
    assert_eq!(
        autopack.read(&["backlog", "app"])["entries"][0]["status"],
        "resolved"
    );
    let absent = autopack.call(&["issues", "resolve", "x", "--project", "app", "--note", "y"]);
    absent.expect_code(1);
    assert!(
        absent.stderr.contains("ISSUE_NOT_FOUND"),
        "{}",
        absent.stderr
    );
    let bad = autopack.call(&["issues", "r5", "--severity", "medium"]);
    assert_ne!(bad.code, Some(0));
    assert!(bad.stderr.contains("minor"), "{}", bad.stderr);
}
