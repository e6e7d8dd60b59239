//! Rendering against golden text, and the whole way to the disk and back.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use autopack_wire::types;
use serde_json::Value;

use super::{
    compare::{Standing, compare},
    found,
    gather::{Facts, Failure},
    layout::Layout,
    render::{Rendered, render},
    write::{self, Pack},
};

#[expect(clippy::unnecessary_wraps, reason = "fields of messages take options")]
fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

/// The run of the deployment guide: two tiers, three phases, an issue in each of the first two.
pub(super) fn facts() -> Facts {
    let mut facts = Facts::default();
    let run = &mut facts.view.run;
    run.id = "run-001".to_owned();
    run.uid = "0197a4c2-0000-7000-8000-000000000001".to_owned();
    run.project = "Autopack".to_owned();
    run.goal = "Users log in".to_owned();
    run.version = 9;
    run.state = types::run::State::DoneSuccess.into();
    run.create_time = at(1_764_683_315);
    run.complete_time = at(1_764_686_915);
    run.debt_status = "has_minor_issues".to_owned();
    run.issues = Some(types::IssueCounts {
        minor: 1,
        ..types::IssueCounts::default()
    });
    let spec = |id: &str, name: &str| types::PhaseSpec {
        id: id.to_owned(),
        name: name.to_owned(),
        goal: format!("What {id} achieves"),
        task_category: "feature_scaffolding".to_owned(),
        complexity: "medium".to_owned(),
        ..types::PhaseSpec::default()
    };
    let tiers = [
        (
            "T1",
            "Core Features",
            vec![spec("P1.1", "Log in"), spec("P1.2", "Log out")],
        ),
        ("T2", "", vec![spec("P2.1", "Document")]),
    ];
    let mut plan = types::Plan::default();
    for (t, (id, name, specs)) in tiers.into_iter().enumerate() {
        facts.view.tiers.push(types::Tier {
            id: id.to_owned(),
            index: t as u32,
            state: types::tier::State::Complete.into(),
            cleanliness: "clean".to_owned(),
            ..types::Tier::default()
        });
        for (place, spec) in specs.iter().enumerate() {
            let index = facts.view.phases.len() as u32;
            facts.view.phases.push(types::Phase {
                id: spec.id.clone(),
                index,
                tier: t as u32,
                place: place as u32,
                state: types::phase::State::Complete.into(),
                attempts_made: 1,
                commit: "c0ffee".to_owned(),
                issue_state: "no_issues".to_owned(),
                ..types::Phase::default()
            });
        }
        plan.tiers.push(types::TierSpec {
            id: id.to_owned(),
            name: name.to_owned(),
            phases: specs,
            ..types::TierSpec::default()
        });
    }
    plan.run = Some(types::RunSpec {
        safety_profile: "normal".to_owned(),
        run_scope: "multi_tier".to_owned(),
        ..types::RunSpec::default()
    });
    facts.view.plan = Some(plan);
    for (phase, seen) in [("P1.2", 20), ("P1.1", 10)] {
        facts.issues.push(types::Issue {
            key: "docs__readme__stale".to_owned(),
            phase_id: phase.to_owned(),
            tier_id: "T1".to_owned(),
            severity: "minor".to_owned(),
            effective_severity: "minor".to_owned(),
            source: "probe".to_owned(),
            category: "docs".to_owned(),
            occurrences: 2,
            first_seen_time: at(seen),
            last_seen_time: at(seen),
            ..types::Issue::default()
        });
    }
    facts.backlog.push(types::BacklogEntry {
        key: "docs__readme__stale".to_owned(),
        age_in_runs: 1,
        status: "open".to_owned(),
        ..types::BacklogEntry::default()
    });
    facts.ruleset = r#"{"b":1,"a":2}"#.to_owned();
    facts.now_us = 1_764_686_915_000_000;
    facts
}

/// Every file of it, as paths below the base folder.
fn paths(files: &Rendered) -> Vec<String> {
    let run = files.run.keys().map(|path| files.folder.join(path));
    let all = files.project.keys().cloned().chain(run);
    let mut all: Vec<String> = all.map(|path| path.display().to_string()).collect();
    all.sort();
    all
}

#[test]
fn the_guides_tree_is_the_guides_word_for_word() {
    let files = render(&facts(), Layout::Guide);
    assert_eq!(
        paths(&files),
        [
            "project_issue_backlog.json",
            "project_issue_backlog_Autopack.json",
            "project_ruleset_Autopack.json",
            "run-001/issues/phase_0_P1.1_issues.json",
            "run-001/issues/phase_1_P1.2_issues.json",
            "run-001/phases/phase_0_P1.1.md",
            "run-001/phases/phase_1_P1.2.md",
            "run-001/phases/phase_2_P2.1.md",
            "run-001/run_issue_index.json",
            "run-001/run_summary.json",
            "run-001/run_summary.md",
            "run-001/tiers/tier_0_T1.md",
            "run-001/tiers/tier_1_T2.md",
        ]
    );
    assert_eq!(render(&facts(), Layout::Guide), files, "the same bytes");
}

#[test]
fn the_older_tree_is_the_older_systems() {
    let all = paths(&render(&facts(), Layout::Legacy));
    for path in [
        "project_issue_backlog.json",
        "project_ruleset_Autopack.json",
        ".autonomous_runs/run-001/run_summary.md",
        ".autonomous_runs/run-001/tiers/tier_00_Core_Features.md",
        ".autonomous_runs/run-001/tiers/tier_01_T2.md",
        ".autonomous_runs/run-001/phases/phase_00_P1.1.md",
        ".autonomous_runs/run-001/issues/phase_01_P1.2_issues.json",
        ".autonomous_runs/run-001/issues/run_issue_index.json",
    ] {
        assert!(all.contains(&path.to_owned()), "{path}: {all:?}");
    }
}

fn text(files: &Pack, path: &str) -> String {
    String::from_utf8(files[Path::new(path)].clone()).unwrap()
}

#[test]
fn pages_are_the_golden_ones() {
    let files = render(&facts(), Layout::Guide).run;
    assert_eq!(
        text(&files, "tiers/tier_0_T1.md"),
        "# Tier T1: Core Features

## Status

- **State:** COMPLETE
- **Tier ID:** T1
- **Index:** 0
- **Run:** run-001

## Phases

- **Total:** 2

| Phase | Name | State | Cause |
|---|---|---|---|
| P1.1 | Log in | COMPLETE |  |
| P1.2 | Log out | COMPLETE |  |

## Budgets

- **Tokens:** 0
- **CI Runs:** 0

## Issues

- **Minor:** 0
- **Major:** 0
- **Resolved:** 0
- **Cleanliness:** clean
"
    );
    assert_eq!(
        text(&files, "phases/phase_1_P1.2.md"),
        "# Phase P1.2: Log out

What P1.2 achieves

## Status

- **State:** COMPLETE
- **Phase ID:** P1.2
- **Index:** 1
- **Tier ID:** T1
- **Run:** run-001

## Classification

- **Task Category:** feature_scaffolding
- **Complexity:** medium
- **Builder Mode:** N/A

## Execution

- **Builder Attempts:** 1
- **Tokens Used:** 0
- **Commit:** c0ffee

## Issues

- **Minor:** 0
- **Major:** 0
- **Resolved:** 0
- **Issue State:** no_issues
"
    );
}

#[test]
fn a_key_of_two_phases_counts_once_in_the_index() {
    let files = render(&facts(), Layout::Guide);
    let index: Value = serde_json::from_str(&text(&files.run, "run_issue_index.json")).unwrap();
    let entry = &index["issues_by_key"]["docs__readme__stale"];
    assert_eq!(index["issues_by_key"].as_object().unwrap().len(), 1);
    for (key, value) in [
        ("first_phase_index", Value::from(0)),
        ("last_phase_index", Value::from(1)),
        ("occurrence_count", Value::from(4)),
        ("seen_in_tiers", Value::from(vec!["T1"])),
        ("seen_in_phases", Value::from(vec!["P1.1", "P1.2"])),
        ("severity", Value::from("minor")),
    ] {
        assert_eq!(entry[key], value, "{key}");
    }
    let phase = text(&files.run, "issues/phase_0_P1.1_issues.json");
    let phase: Value = serde_json::from_str(&phase).unwrap();
    assert_eq!(phase["issues"][0]["occurrence_count"], 2);
    assert_eq!(phase["tier_id"], "T1");
    let backlog = text(&files.project, "project_issue_backlog.json");
    let backlog: Value = serde_json::from_str(&backlog).unwrap();
    assert_eq!(backlog["project_id"], "Autopack");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_written_reads_back_in_either_layout_and_is_the_owners_alone() {
    for layout in [Layout::Guide, Layout::Legacy] {
        let temp = tempfile::tempdir().unwrap();
        let base = temp.path().join("made");
        let files = render(&facts(), layout);
        write::write(&base, &files).unwrap();
        assert_eq!(compare(&base, &files).unwrap(), Standing::Same);
        let folder = base.join(&files.folder);
        assert_eq!((mode(&base), mode(&folder)), (0o700, 0o700));
        assert_eq!(mode(&folder.join("run_summary.md")), 0o600);
        let found = found::read(&base, &files.folder, &mut found::room::Room::default())
            .unwrap()
            .unwrap();
        assert_eq!(found.project, "Autopack");
        let run = &found.run;
        assert_eq!(
            (run.id.as_str(), run.goal.as_str()),
            ("run-001", "Users log in")
        );
        assert_eq!(run.created_at.0, 1_764_683_315_000_000);
        assert_eq!(run.completed_at.map(|t| t.0), Some(1_764_686_915_000_000));
        let phases: Vec<_> = run
            .phases
            .iter()
            .map(|p| (p.id.as_str(), p.tier.as_deref().unwrap(), p.name.as_str()))
            .collect();
        let expected = [
            ("P1.1", "T1", "Log in"),
            ("P1.2", "T1", "Log out"),
            ("P2.1", "T2", "Document"),
        ];
        assert_eq!(phases, expected, "{layout:?}");
        assert_eq!(run.tiers[0].name, "Core Features");
        assert_eq!(run.issues.len(), 2);
        assert!(run.issues.iter().all(|issue| issue.occurrences == 2));
        assert!(found.notes.is_empty(), "{:?}", found.notes);
    }
}

#[test]
fn the_users_folder_says_who_may_read() {
    let base = tempfile::tempdir().unwrap();
    fs::set_permissions(base.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let files = render(&facts(), Layout::Guide);
    write::write(base.path(), &files).unwrap();
    let folder = base.path().join("run-001");
    // As far as the umask of whoever runs this lets them.
    assert_eq!(mode(&folder) & 0o022, 0);
    assert_eq!(mode(&folder) & 0o055, mode(&folder.join("tiers")) & 0o055);
    assert_eq!(mode(&folder.join("run_summary.md")) & 0o700, 0o600);
}

#[test]
fn differences_are_named_and_written_over_and_nothing_else_is_touched() {
    let base = tempfile::tempdir().unwrap();
    let mut failed = facts();
    failed.failure = Some(Failure::default());
    write::write(base.path(), &render(&failed, Layout::Guide)).unwrap();
    let folder = base.path().join("run-001");
    assert!(folder.join("incident/README.md").is_file());
    // It is retried and succeeds; somebody wrote into its folder.
    let files = render(&facts(), Layout::Guide);
    fs::write(folder.join("tiers/tier_0_T1.md"), "odd").unwrap();
    fs::write(folder.join("tiers/tier_7_gone.md"), "odd").unwrap();
    fs::write(folder.join("tiers/notes.txt"), "mine").unwrap();
    fs::remove_file(folder.join("phases/phase_2_P2.1.md")).unwrap();
    let Standing::Differs(shown, count) = compare(base.path(), &files).unwrap() else {
        panic!("it differs")
    };
    assert!(count >= 7 && shown.len() == 5, "{count} {shown:?}");
    write::write(base.path(), &files).unwrap();
    assert_eq!(compare(base.path(), &files).unwrap(), Standing::Same);
    assert!(!folder.join("incident").exists());
    assert_eq!(fs::read(folder.join("tiers/notes.txt")).unwrap(), b"mine");
    let before = fs::metadata(folder.join("run_summary.md")).unwrap();
    write::write(base.path(), &files).unwrap();
    let after = fs::metadata(folder.join("run_summary.md")).unwrap();
    use std::os::unix::fs::MetadataExt as _;
    assert_eq!(before.ino(), after.ino(), "what is the same is not written");
}

#[test]
fn a_folder_that_is_not_ours_is_moved_aside_whole() {
    let base = tempfile::tempdir().unwrap();
    let files = render(&facts(), Layout::Guide);
    for n in 0..2 {
        let folder = base.path().join("run-001");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("run_summary.md"), format!("older {n}")).unwrap();
        assert_eq!(compare(base.path(), &files).unwrap(), Standing::Foreign);
        write::write(base.path(), &files).unwrap();
        assert_eq!(compare(base.path(), &files).unwrap(), Standing::Same);
    }
    for (name, text) in [("run-001", "older 0"), ("run-001.2", "older 1")] {
        let kept = base
            .path()
            .join(".originals")
            .join(name)
            .join("run_summary.md");
        assert_eq!(fs::read_to_string(kept).unwrap(), text);
    }
}

#[test]
fn no_link_is_followed() {
    use std::os::unix::fs::symlink;
    let (base, victim) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let target = victim.path().join("file");
    fs::write(&target, "keep").unwrap();
    let files = render(&facts(), Layout::Guide);
    // The run's folder is a link.
    symlink(victim.path(), base.path().join("run-001")).unwrap();
    let error = write::write(base.path(), &files).unwrap_err();
    assert!(error.to_string().contains("run-001"), "{error}");
    assert!(compare(base.path(), &files).is_err());
    fs::remove_file(base.path().join("run-001")).unwrap();
    // A part of it is one, then a file and what is written beside it.
    write::write(base.path(), &files).unwrap();
    let folder = base.path().join("run-001");
    fs::remove_file(folder.join("run_summary.md")).unwrap();
    symlink(&target, folder.join("run_summary.md")).unwrap();
    symlink(&target, folder.join(".run_summary.md.new")).unwrap();
    assert!(matches!(
        compare(base.path(), &files).unwrap(),
        Standing::Differs(..)
    ));
    write::write(base.path(), &files).unwrap();
    assert_eq!(compare(base.path(), &files).unwrap(), Standing::Same);
    fs::remove_dir_all(folder.join("tiers")).unwrap();
    symlink(victim.path(), folder.join("tiers")).unwrap();
    assert!(write::write(base.path(), &files).is_err());
    assert_eq!(fs::read(&target).unwrap(), b"keep");
    assert_eq!(fs::read_dir(victim.path()).unwrap().count(), 1);
}

#[test]
fn many_files_are_synced_at_once_and_all_there() {
    let base = tempfile::tempdir().unwrap();
    let mut many = facts();
    for n in 3..300_u32 {
        many.view.phases.push(types::Phase {
            id: format!("../P{n}"),
            index: n,
            tier: 1,
            ..types::Phase::default()
        });
    }
    let files = render(&many, Layout::Guide);
    write::write(base.path(), &files).unwrap();
    assert_eq!(compare(base.path(), &files).unwrap(), Standing::Same);
    let phases = fs::read_dir(base.path().join("run-001/phases")).unwrap();
    assert_eq!(phases.count(), 300);
    let names = fs::read_dir(base.path()).unwrap().count();
    assert_eq!(names, 4, "a run and three files of its project");
}
