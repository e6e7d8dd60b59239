//! Each end for its own cause; credits and fences.

use std::sync::Arc;

use super::*;

#[test]
fn a_held_run_waits_for_its_start_and_starting_twice_is_harmless() {
    let mut bench = Bench::new(true);
    assert_eq!(bench.run.run.state, RunState::Queued);
    bench.bootstrap();
    assert_eq!(bench.run.run.state, RunState::RunCreated);
    bench.run.start(NOW, &mut Changes::default()).unwrap();
    assert_eq!(bench.run.run.state, RunState::PhaseQueueing);
    bench.run.start(NOW, &mut Changes::default()).unwrap();
}

#[test]
fn success_goes_through_every_state() {
    let mut bench = Bench::new(false);
    let (job, fence) = bench.job(JobKind::Bootstrap);
    assert_eq!(bench.run.run.state, RunState::PlanBootstrap);
    let frozen = crate::run::bootstrap::Frozen {
        base_sha: "b".into(),
        tip: "b".into(),
        plan: Arc::clone(&bench.run.plan),
        strategy: Arc::clone(&bench.run.strategy),
        facts: vec![],
    };
    bench
        .run
        .finish_bootstrap(job, fence, frozen, NOW, &mut Changes::default())
        .unwrap();
    let lease = bench.lease(0);
    assert_eq!(bench.run.run.state, RunState::PhaseExecution);
    for (stage, state) in [
        (AttemptState::Governing, RunState::Gate),
        (AttemptState::Gating, RunState::CiRunning),
        (AttemptState::Landing, RunState::CiRunning),
    ] {
        bench
            .run
            .stage(lease.0, lease.1, stage, NOW, &mut Changes::default())
            .unwrap();
        assert_eq!(bench.run.run.state, state);
    }
    assert_eq!(bench.run.tiers[0].ci_runs.settled, 1);
    bench.settle(lease, None);
    bench.pass(1);
    bench.pass(2);
    assert_eq!(bench.run.tiers[0].state, TierState::Complete);
    bench
        .run
        .record_snapshot(0, "c", NOW, &mut Changes::default());
    assert_eq!(bench.run.run.state, RunState::SnapshotCreated);
    bench.pass(3);
    assert_eq!(bench.run.run.state, RunState::DoneSuccess);
    assert!(bench.run.run.completed_at.is_some() && bench.run.run.cause.is_none());
}

#[test]
fn each_failed_end_has_its_own_cause_and_independent_phases_finish() {
    for (cause, state) in [
        (Cause::GateFailed, RunState::DoneFailedRequiresHumanReview),
        (Cause::OutOfScope, RunState::DoneFailedPolicyViolation),
        (Cause::GateNotFound, RunState::DoneFailedEnvironment),
    ] {
        let mut bench = Bench::started();
        bench.fail(1, cause);
        assert_eq!(
            bench.states(),
            [
                PhaseState::Queued,
                PhaseState::Failed,
                PhaseState::Skipped,
                PhaseState::Queued
            ]
        );
        assert!(
            !bench.run.run.state.is_terminal(),
            "phase A is independent and still has its turn"
        );
        bench.pass(0);
        assert_eq!(bench.run.run.state, state);
        assert_eq!(bench.run.run.cause, Some(cause));
        assert_eq!(bench.run.phases[2].cause, Some(Cause::DependencyFailed));
        assert_eq!(bench.run.phases[3].cause, Some(Cause::TierFailed));
    }
    let mut bench = Bench::started();
    for phase in [0, 1] {
        let mut changes = Changes::default();
        bench
            .run
            .exhaust(phase, Cause::BudgetTokens, "spent", NOW, &mut changes)
            .unwrap();
        bench.run.close_offers(NOW, &mut changes);
    }
    assert_eq!(bench.run.run.state, RunState::DoneFailedBudgetExhausted);
}

#[test]
fn the_first_matching_cause_names_the_end() {
    let mut bench = Bench::started();
    bench.fail(1, Cause::GateFailed);
    bench.fail(0, Cause::ProtectedPath);
    assert_eq!(bench.run.run.state, RunState::DoneFailedPolicyViolation);
}

#[test]
fn credits_are_charged_apart() {
    let mut bench = Bench::started();
    // A crash and a hand-over cost no attempt.
    for handed_over in [false, true, false] {
        let lease = bench.lease(0);
        bench
            .run
            .lose(lease.0, handed_over, &decide, NOW, &mut Changes::default())
            .unwrap();
    }
    let p = &bench.run.phases[0];
    assert_eq!(
        (
            p.attempts_charged,
            p.crashes,
            p.infra_charged,
            p.attempts_made
        ),
        (0, 2, 0, 3)
    );
    // The first landing conflict is free, the second one is not.
    for charged in [0, 1] {
        let lease = bench.lease(0);
        bench.settle(lease, Some(Cause::MergeConflict));
        assert_eq!(bench.run.phases[0].attempts_charged, charged);
    }
    let lease = bench.lease(0);
    bench
        .run
        .lose(lease.0, false, &decide, NOW, &mut Changes::default())
        .unwrap();
    assert_eq!(
        bench.run.phases[0].state,
        PhaseState::Failed,
        "three lost workers are enough"
    );
}

#[test]
fn a_pause_costs_time_and_nothing_else() {
    use crate::run::settle::{MAX_PAUSE, Report};
    let mut bench = Bench::started();
    let minute = std::time::Duration::from_mins(1);
    for (cause, asked, until) in [
        (Cause::ProviderPaused, Some(minute), Some(NOW.plus(minute))),
        (Cause::ProviderPaused, None, None),
        (
            Cause::ProviderPaused,
            Some(MAX_PAUSE * 9),
            Some(NOW.plus(MAX_PAUSE)),
        ),
        (
            Cause::ProviderExhausted,
            Some(minute),
            Some(NOW.plus(minute)),
        ),
    ] {
        let lease = bench.lease(0);
        let report = Report {
            cause: Some(cause),
            pause: asked,
            ..Report::default()
        };
        bench
            .run
            .settle(
                lease.0,
                lease.1,
                report,
                &decide,
                NOW,
                &mut Changes::default(),
            )
            .unwrap();
        bench.check();
        assert_eq!(bench.run.phases[0].not_before, until, "{cause}");
        assert_eq!(bench.run.phases[0].state, PhaseState::Queued);
        bench.run.phases[0].not_before = None;
    }
    let p = &bench.run.phases[0];
    assert_eq!(
        (
            p.attempts_charged,
            p.infra_charged,
            p.crashes,
            p.attempts_made
        ),
        (0, 1, 0, 4)
    );
    assert_eq!(p.tokens.settled, 0);
}

#[test]
fn a_lost_lease_settles_at_what_was_reported_else_in_full() {
    let mut bench = Bench::started();
    let lease = bench.lease(0);
    assert_eq!(bench.run.run.tokens.reserved, 100);
    bench
        .run
        .lose(lease.0, false, &decide, NOW, &mut Changes::default())
        .unwrap();
    assert_eq!(
        (bench.run.run.tokens.reserved, bench.run.run.tokens.settled),
        (0, 100)
    );
    let lease = bench.lease(0);
    let usage = crate::usage::Usage {
        provider: String::new(),
        model: String::new(),
        role: "builder".into(),
        purpose: String::new(),
        total: 7,
        prompt: None,
        completion: None,
        provenance: crate::usage::Provenance::Reported,
    };
    bench
        .run
        .record_usage(lease.0, lease.1, vec![usage], NOW, &mut Changes::default())
        .unwrap();
    bench
        .run
        .lose(lease.0, false, &decide, NOW, &mut Changes::default())
        .unwrap();
    assert_eq!(bench.run.run.tokens.settled, 107);
    bench.check();
}

#[test]
fn an_older_fence_changes_nothing() {
    let mut bench = Bench::started();
    let old = bench.lease(0);
    bench
        .run
        .lose(old.0, false, &decide, NOW, &mut Changes::default())
        .unwrap();
    let new = bench.lease(0);
    assert!(new.1 > old.1);
    let before = format!("{:?}", bench.run.run);
    let mut changes = Changes::default();
    let refusal = bench
        .run
        .settle(old.0, old.1, Report::default(), &decide, NOW, &mut changes)
        .unwrap_err();
    assert_eq!(refusal.reason, crate::Reason::LeaseFenced);
    let refusal = bench
        .run
        .settle(new.0, old.1, Report::default(), &decide, NOW, &mut changes)
        .unwrap_err();
    assert_eq!(refusal.reason, crate::Reason::LeaseFenced);
    assert_eq!(before, format!("{:?}", bench.run.run));
    assert!(!changes.run && changes.events.is_empty());
}

#[test]
fn a_run_remembers_tests_that_an_attempt_has_seen_to_be_flaky() {
    let mut bench = Bench::started();
    let (attempt, fence) = bench.lease(0);
    let report = Report {
        cause: Some(Cause::GateFailed),
        facts: serde_json::Map::from_iter([(
            crate::quarantine::ATTEMPT_FACT.to_owned(),
            serde_json::json!(["demo::a"]),
        )]),
        ..Report::default()
    };
    let mut changes = Changes::default();
    bench
        .run
        .settle(attempt, fence, report, &decide, NOW, &mut changes)
        .unwrap();
    let kept = crate::quarantine::of_facts(&bench.run.run.facts);
    assert_eq!(kept["demo::a"], NOW.plus(crate::quarantine::QUARANTINE));
    bench.pass(0);
    let kept = crate::quarantine::of_facts(&bench.run.run.facts);
    assert_eq!(kept.len(), 1, "an attempt that saw none leaves the others");
}
