//! Faults and what is mended, by example.

use super::super::{HistoricalNote, HistoricalPhase, HistoricalTier, HistoricalUsage, Origin};
use super::*;

fn run() -> HistoricalRun {
    HistoricalRun {
        schema: SCHEMA.to_owned(),
        origin: Origin {
            kind: "sqlite".into(),
            name: "a.db".into(),
            key: "1".into(),
        },
        id: "demo".into(),
        state: "DONE_SUCCESS".into(),
        phases: vec![HistoricalPhase {
            id: "P1".into(),
            state: "COMPLETE".into(),
            ..HistoricalPhase::default()
        }],
        ..HistoricalRun::default()
    }
}

fn paths(run: &HistoricalRun) -> Vec<String> {
    let faults = run.check().expect_err("faults");
    faults.into_iter().map(|fault| fault.path).collect()
}

#[test]
fn what_has_one_meaning_is_mended_and_told() {
    let mut run = run();
    run.state = "ready".into();
    run.phases[0].state = "queued".into();
    let sound = run.check().expect("sound");
    assert_eq!(sound.state, RunState::RunCreated);
    assert_eq!(sound.phases, [PhaseState::Queued]);
    let told: Vec<_> = sound
        .mended
        .iter()
        .map(|m| (m.table, m.id.as_str(), m.before.as_str(), m.after))
        .collect();
    assert_eq!(
        told,
        [
            ("run", "demo", "ready", "RUN_CREATED"),
            ("phase", "P1", "queued", "QUEUED"),
        ]
    );
}

#[test]
fn every_fault_is_told_at_once_with_its_place() {
    let mut run = run();
    run.schema = "v0".into();
    run.id = "../x".into();
    run.state = "RUNNING".into();
    run.created_at = Timestamp(-1);
    run.budgets.tokens = Some(i64::MAX);
    run.tiers = vec![HistoricalTier {
        id: "T1".into(),
        state: "HALF".into(),
        ..HistoricalTier::default()
    }];
    run.phases[0].attempts = -1;
    run.phases.push(run.phases[0].clone());
    run.phases[1].state = "BLOCKED".into();
    run.usage = vec![HistoricalUsage {
        phase: "P9".into(),
        ..HistoricalUsage::default()
    }];
    run.notes = vec![HistoricalNote {
        phase: Some("P9".into()),
        ..HistoricalNote::default()
    }];
    run.issues = vec![HistoricalIssue::default()];
    let found = paths(&run);
    for path in [
        "schema",
        "id",
        "state",
        "created_at",
        "budgets.tokens",
        "tiers[0].state",
        "phases[0].attempts",
        "phases[1].id",
        "phases[1].state",
        "usage[0].phase",
        "usage[0].role",
        "notes[0].phase",
        "issues[0].key",
        "issues[0].severity",
    ] {
        assert!(found.iter().any(|f| f == path), "{path}: {found:?}");
    }
}

#[test]
fn a_run_without_phases_is_none() {
    let mut run = run();
    run.phases.clear();
    assert_eq!(paths(&run), ["phases"]);
}

#[test]
fn the_digest_follows_the_content_and_not_the_name_of_the_file() {
    let (a, mut b) = (run(), run());
    b.origin.name = "copy.db".into();
    assert_eq!(a.digest(), b.digest());
    b.goal = "another".into();
    assert_ne!(a.digest(), b.digest());
}
