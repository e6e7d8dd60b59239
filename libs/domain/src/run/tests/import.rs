//! Runs of the past: their state follows from the one rule, their events lead a copy to the same run, and nothing of
//! them can be set to work.

use std::{collections::BTreeMap, sync::Arc};

use uuid::Uuid;

use super::{NewRun, strategy};
use crate::{
    Cause, Fault, RunUid, Timestamp,
    import::{
        HistoricalIssue, HistoricalNote, HistoricalPhase, HistoricalRun, HistoricalTier,
        HistoricalUsage, ORIGIN_FACT, Origin, SCHEMA,
    },
    issue::{Cleanliness, DebtStatus},
    run::{Changes, RunAggregate, finalise::derived_state, import::Import},
    states::{PhaseState, RunState, TierState},
};

fn history(state: &str, phases: &[(&str, &str, &str)]) -> HistoricalRun {
    HistoricalRun {
        schema: SCHEMA.into(),
        origin: Origin {
            kind: "sqlite".into(),
            name: "a.db".into(),
            key: "r".into(),
        },
        id: "r".into(),
        state: state.into(),
        failure: "it broke".into(),
        created_at: Timestamp(1_000),
        updated_at: Some(Timestamp(9_000)),
        tiers: ["T1", "T2"]
            .into_iter()
            .zip(0..)
            .map(|(id, index)| HistoricalTier {
                id: id.into(),
                index,
                state: "PENDING".into(),
                ci_runs: 2,
                ..HistoricalTier::default()
            })
            .collect(),
        phases: phases
            .iter()
            .map(|(id, tier, state)| HistoricalPhase {
                id: (*id).into(),
                tier: Some((*tier).into()),
                state: (*state).into(),
                attempts: 2,
                tokens: 70,
                failure: "no".into(),
                updated_at: Some(Timestamp(5_000)),
                ..HistoricalPhase::default()
            })
            .collect(),
        ..HistoricalRun::default()
    }
}

fn import(history: &HistoricalRun) -> Result<(RunAggregate, Changes), Fault> {
    let sound = history.check().expect("sound");
    let (plan, places) = history.plan("p");
    let plan = Arc::new(plan);
    let mut strategy = strategy(&plan, 100);
    strategy.safety_profile = plan.run.safety_profile;
    let new = NewRun {
        uid: RunUid(Uuid::from_u128(1)),
        id: sound.id.clone(),
        project: "p".into(),
        repository: String::new(),
        digest: history.digest(),
        hold: false,
        facts: BTreeMap::new(),
    };
    let import = Import {
        history,
        sound: &sound,
        places: &places,
        epoch: 3,
    };
    let mut next = 10;
    let mut mint = || {
        next += 1;
        Uuid::from_u128(next)
    };
    RunAggregate::import(new, &import, plan, Arc::new(strategy), &mut mint)
}

const WELL: &[(&str, &str, &str)] = &[("A", "T1", "COMPLETE"), ("B", "T2", "COMPLETE")];
const MIXED: &[(&str, &str, &str)] = &[
    ("A", "T1", "COMPLETE"),
    ("B", "T1", "FAILED"),
    ("C", "T1", "GATE"),
    ("D", "T2", "queued"),
];

#[test]
fn each_old_state_ends_as_what_it_was_or_as_unfinished() {
    for (state, phases, want, cause) in [
        ("DONE_SUCCESS", WELL, RunState::DoneSuccess, None),
        (
            "DONE_FAILED_REQUIRES_HUMAN_REVIEW",
            MIXED,
            RunState::DoneFailedRequiresHumanReview,
            Some(Cause::ImportedFailure),
        ),
        (
            "DONE_FAILED_BUDGET_EXHAUSTED",
            MIXED,
            RunState::DoneFailedBudgetExhausted,
            Some(Cause::ImportedBudgetSpent),
        ),
        (
            "DONE_FAILED_POLICY_VIOLATION",
            MIXED,
            RunState::DoneFailedPolicyViolation,
            Some(Cause::ImportedPolicyViolation),
        ),
        (
            "DONE_FAILED_ENVIRONMENT",
            WELL,
            RunState::DoneFailedEnvironment,
            Some(Cause::ImportedEnvironmentFailure),
        ),
        (
            "PHASE_EXECUTION",
            MIXED,
            RunState::DoneCancelled,
            Some(Cause::ImportedUnfinished),
        ),
        (
            "READY",
            WELL,
            RunState::DoneCancelled,
            Some(Cause::ImportedUnfinished),
        ),
    ] {
        let (run, changes) = import(&history(state, phases)).expect(state);
        assert_eq!((run.run.state, run.run.cause), (want, cause), "{state}");
        assert_eq!(derived_state(&run), want, "{state}");
        assert_eq!(run.run.completed_at, Some(Timestamp(9_000)));
        assert_eq!(run.run.counts.open(), 0);
        let mended =
            usize::from(state == "READY") + phases.iter().filter(|p| p.2 == "queued").count();
        assert_eq!(changes.repairs.len(), mended, "{state}");
        assert!(run.is_idle());
    }
}

#[test]
fn a_run_whose_phases_contradict_its_state_is_not_taken_over() {
    let fault = import(&history("DONE_SUCCESS", MIXED)).expect_err("a contradiction");
    assert_eq!(fault.path, "state");
    assert!(fault.problem.contains("DONE_SUCCESS"), "{fault}");
}

#[test]
fn phases_tiers_attempts_tokens_and_issues_are_those_of_the_past() {
    let mut old = history("DONE_FAILED_REQUIRES_HUMAN_REVIEW", MIXED);
    let usage = |phase: &str, prompt, at| HistoricalUsage {
        phase: phase.into(),
        role: "builder".into(),
        prompt: Some(prompt),
        completion: Some(1),
        at: Timestamp(at),
        ..HistoricalUsage::default()
    };
    old.usage = vec![
        usage("A", 10, 2_000),
        usage("A", 20, 3_000),
        usage("D", 5, 4_000),
    ];
    old.phases[3].attempts = 0;
    let issue = |phase: Option<&str>, severity: &str| HistoricalIssue {
        phase: phase.map(Into::into),
        key: "k".into(),
        severity: severity.into(),
        source: "test".into(),
        category: "core".into(),
        ..HistoricalIssue::default()
    };
    old.issues = vec![
        issue(Some("A"), "MINOR"),
        issue(Some("B"), "major"),
        issue(None, "minor"),
    ];
    old.notes = vec![HistoricalNote {
        table: "decision_log".into(),
        key: "7".into(),
        phase: Some("A".into()),
        columns: BTreeMap::from([("choice".to_owned(), "x".to_owned())]),
    }];
    let (run, changes) = import(&old).expect("taken over");
    let states: Vec<_> = run.phases.iter().map(|p| (p.state, p.cause)).collect();
    assert_eq!(
        states,
        [
            (PhaseState::Complete, None),
            (PhaseState::Failed, Some(Cause::ImportedFailure)),
            (PhaseState::Skipped, Some(Cause::ImportedOpen)),
            (PhaseState::Skipped, Some(Cause::ImportedOpen)),
        ]
    );
    assert_eq!(run.phases[2].detail, "it was GATE");
    let tokens: Vec<u64> = run.phases.iter().map(|p| p.tokens.settled).collect();
    assert_eq!(tokens, [32, 70, 70, 6], "usage where there is any");
    assert_eq!(run.run.tokens.settled, 178);
    let tiers: Vec<_> = run
        .tiers
        .iter()
        .map(|t| (t.state, t.tokens.settled, t.ci_runs.settled))
        .collect();
    assert_eq!(
        tiers,
        [(TierState::Failed, 172, 2), (TierState::Skipped, 6, 2)]
    );
    let made: Vec<u32> = run.phases.iter().map(|p| p.attempts_made).collect();
    assert_eq!(made, [2, 2, 2, 1]);
    assert_eq!(changes.attempts.len(), 7);
    assert_eq!(run.run.first_lease_at, Some(Timestamp(2_000)));
    assert_eq!(
        (run.run.issues.major, run.run.issues.minor),
        (1, 0),
        "one key"
    );
    assert_eq!(
        (run.phases[0].issues.minor, run.phases[1].issues.major),
        (1, 1)
    );
    assert_eq!(run.tiers[0].cleanliness, Cleanliness::NotClean);
    assert_eq!(run.run.debt, DebtStatus::Clean);
    let back: HistoricalRun = serde_json::from_str(&changes.source).expect("the source");
    assert_eq!(back, old);
}

#[test]
fn a_copy_that_takes_in_every_event_equals_the_run() {
    let mut old = history("RUN_CREATED", MIXED);
    old.notes = vec![HistoricalNote::default()];
    old.issues = Vec::new();
    let (run, changes) = import(&old).expect("taken over");
    let sound = old.check().expect("sound");
    let (plan, _) = old.plan("p");
    let plan = Arc::new(plan);
    let strategy = Arc::new(strategy(&plan, 100));
    let new = NewRun {
        uid: run.run.uid,
        id: sound.id,
        project: "p".into(),
        repository: String::new(),
        digest: old.digest(),
        hold: false,
        facts: run.run.facts.as_ref().clone(),
    };
    let (mut copy, _) = RunAggregate::create(new, plan, strategy, Timestamp(1_000));
    for event in &changes.events {
        assert!(copy.absorb(event));
    }
    assert_eq!(copy.run, run.run);
    assert_eq!(copy.tiers, run.tiers);
    assert_eq!(copy.phases, run.phases);
    assert_eq!(copy.attempts, run.attempts);
}

#[test]
fn nothing_sets_an_imported_run_to_work() {
    let (mut run, _) = import(&history("DONE_FAILED_ENVIRONMENT", MIXED)).expect("taken over");
    assert_eq!(run.run.facts[ORIGIN_FACT], "sqlite a.db");
    let before = run.run.clone();
    let mut changes = Changes::default();
    let now = Timestamp(20_000);
    let refusal = run.retry(None, now, &mut changes).expect_err("a retry");
    assert!(refusal.message.contains("imported"), "{refusal}");
    assert!(run.start(now, &mut changes).is_err());
    assert!(run.resume(now, &mut changes).is_err());
    assert_eq!(run.run, before);
}
