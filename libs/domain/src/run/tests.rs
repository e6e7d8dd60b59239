//! Commands on whole runs: each end for its own cause, credits, budgets, cancel, retry, intents.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Changes, JobKind, RunAggregate,
    create::NewRun,
    settle::{Follow, Report},
};
use crate::{
    Cause, Timestamp,
    attempt::Intent,
    catalogue::Charge,
    ids::{AttemptUid, Fence, JobUid, RunUid, WorkerUid},
    phase::PhaseOutcome,
    plan::{Plan, ReadOptions, read_plan},
    states::{AttemptState, PhaseState, RunState, TierState},
    strategy::{PhaseStrategy, Strategy, TierStrategy},
};

const PLAN: &str = r#"{
  "schema": "autopack/plan/v1", "run": {"id": "r", "goal": "g"},
  "tiers": [
    {"id": "T1", "name": "one", "phases": [
      {"id": "A", "name": "a", "goal": "a", "depends_on": [], "builder": {"kind": "command", "run": "true"}},
      {"id": "B", "name": "b", "goal": "b", "depends_on": [], "builder": {"kind": "command", "run": "true"}},
      {"id": "C", "name": "c", "goal": "c", "depends_on": ["B"], "builder": {"kind": "command", "run": "true"}}]},
    {"id": "T2", "name": "two", "phases": [
      {"id": "D", "name": "d", "goal": "d", "depends_on": [], "builder": {"kind": "command", "run": "true"}}]}]
}"#;

const NOW: Timestamp = Timestamp(1_000_000);

/// A run with everything done up to its start, and shorthand for what follows.
struct Bench {
    run: RunAggregate,
    next: u128,
}

fn strategy(plan: &Plan, tokens: u64) -> Strategy {
    let phase = PhaseStrategy {
        max_attempts: 2,
        max_infra: 2,
        tokens: 1000,
        estimate: 100,
        backoff_seconds: 0,
        gate_profile: crate::plan::GateProfile::Normal,
        auditor_profile: String::new(),
        auto_apply: true,
    };
    Strategy {
        version: "v1".into(),
        safety_profile: crate::plan::SafetyProfile::Normal,
        tokens,
        phases: 25,
        minutes: 10,
        max_minor_issues: 9,
        aging_runs: 3,
        aging_tiers: 2,
        tier: plan
            .tiers
            .iter()
            .map(|_| TierStrategy {
                tokens: 5000,
                ci_runs: 9,
                max_minor_issues: 9,
                max_major_issues: 0,
            })
            .collect(),
        phase: plan
            .tiers
            .iter()
            .flat_map(|t| &t.phases)
            .map(|_| phase.clone())
            .collect(),
    }
}

impl Bench {
    fn new(hold: bool) -> Self {
        let plan = Arc::new(read_plan(PLAN, &ReadOptions::default()).unwrap().plan);
        let strategy = Arc::new(strategy(&plan, 10_000));
        let new = NewRun {
            uid: RunUid(uuid::Uuid::from_u128(1)),
            id: "r".parse().unwrap(),
            project: "p".into(),
            repository: "/r".into(),
            digest: "d".into(),
            hold,
            facts: BTreeMap::new(),
        };
        let (run, changes) = RunAggregate::create(new, plan, strategy, NOW);
        assert_eq!(changes.events.len(), 1);
        Self { run, next: 100 }
    }

    fn started() -> Self {
        let mut bench = Self::new(false);
        bench.bootstrap();
        bench
    }

    fn uid(&mut self) -> uuid::Uuid {
        self.next += 1;
        uuid::Uuid::from_u128(self.next)
    }

    fn bootstrap(&mut self) {
        let (job, fence) = self.job(JobKind::Bootstrap);
        let frozen = super::bootstrap::Frozen {
            base_sha: "base".into(),
            tip: "base".into(),
            plan: Arc::clone(&self.run.plan),
            strategy: Arc::clone(&self.run.strategy),
            facts: vec![],
        };
        self.run
            .finish_bootstrap(job, fence, frozen, NOW, &mut Changes::default())
            .unwrap();
    }

    fn job(&mut self, kind: JobKind) -> (JobUid, Fence) {
        let job = JobUid(self.uid());
        self.run
            .offer_job(job, kind, NOW, &mut Changes::default())
            .unwrap();
        let fence = self
            .run
            .lease_job(
                job,
                WorkerUid(uuid::Uuid::nil()),
                NOW,
                &mut Changes::default(),
            )
            .unwrap();
        (job, fence)
    }

    fn lease(&mut self, phase: usize) -> (AttemptUid, Fence) {
        let (attempt, job) = (AttemptUid(self.uid()), JobUid(self.uid()));
        let mut changes = Changes::default();
        self.run
            .offer(phase, attempt, job, 100, NOW, &mut changes)
            .unwrap();
        self.run.close_offers(NOW, &mut changes);
        let fence = self
            .run
            .lease(
                attempt,
                job,
                WorkerUid(uuid::Uuid::nil()),
                NOW,
                &mut Changes::default(),
            )
            .unwrap();
        (attempt, fence)
    }

    fn settle(&mut self, lease: (AttemptUid, Fence), cause: Option<Cause>) {
        let report = Report {
            cause,
            outcome: cause.is_none().then_some(PhaseOutcome::NoChange),
            detail: "detail".into(),
            ..Report::default()
        };
        self.run
            .settle(
                lease.0,
                lease.1,
                report,
                &decide,
                NOW,
                &mut Changes::default(),
            )
            .unwrap();
        self.check();
    }

    fn pass(&mut self, phase: usize) {
        let lease = self.lease(phase);
        self.settle(lease, None);
    }

    fn fail(&mut self, phase: usize, cause: Cause) {
        while self.run.phases[phase].state == PhaseState::Queued
            && self.run.phases[phase].current.is_none()
        {
            let lease = self.lease(phase);
            self.settle(lease, Some(cause));
        }
    }

    /// The stored counters and state equal a recount (invariants I5, I8).
    fn check(&self) {
        let run = &self.run;
        let mut counts = crate::tier::PhaseCounts::default();
        run.phases.iter().for_each(|p| counts.enter(p.state));
        assert_eq!(counts, run.run.counts);
        if !run.run.state.is_terminal() {
            assert_eq!(super::finalise::derived_state(run), run.run.state);
        }
        let sum = |f: fn(&crate::phase::Phase) -> u64| run.phases.iter().map(f).sum::<u64>();
        assert_eq!(sum(|p| p.tokens.reserved), run.run.tokens.reserved);
        assert_eq!(sum(|p| p.tokens.settled), run.run.tokens.settled);
        assert!(run.run.tokens.settled + run.run.tokens.reserved <= run.run.tokens.cap.unwrap());
    }

    fn states(&self) -> Vec<PhaseState> {
        self.run.phases.iter().map(|p| p.state).collect()
    }
}

/// As `policy::retry`, without back-off.
fn decide(run: &RunAggregate, phase: usize, cause: Cause) -> Follow {
    let p = &run.phases[phase];
    let again = match cause.charge() {
        Charge::Attempt => p.attempts_charged < 2,
        Charge::Infrastructure => p.infra_charged < 2,
        Charge::Crash => p.crashes < 3,
        Charge::Nothing => p.attempts_charged < 2,
        Charge::Final => false,
    };
    if again {
        Follow::Again(None)
    } else {
        Follow::GiveUp(cause)
    }
}

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
    let frozen = super::bootstrap::Frozen {
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
fn cancel_is_final_and_waits_for_a_landing_in_progress() {
    let mut bench = Bench::started();
    let other = bench.lease(1);
    let lease = bench.lease(0);
    for stage in [AttemptState::Governing, AttemptState::Landing] {
        bench
            .run
            .stage(lease.0, lease.1, stage, NOW, &mut Changes::default())
            .unwrap();
    }
    let intent = Intent {
        expected_tip: "base".into(),
        tree: "t".into(),
        commit: "c".into(),
        resolved: false,
    };
    bench
        .run
        .prepare_landing(lease.0, lease.1, intent, NOW, &mut Changes::default())
        .unwrap();
    let stopped = bench
        .run
        .cancel("enough", NOW, &mut Changes::default())
        .unwrap();
    assert_eq!(stopped, vec![other.0]);
    assert!(!bench.run.run.state.is_terminal());
    let report = Report {
        commit: "c".into(),
        outcome: Some(PhaseOutcome::Committed),
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
    assert_eq!(bench.run.run.state, RunState::DoneCancelled);
    assert_eq!(bench.run.run.tip, "c");
    assert!(
        bench.run.retry(None, NOW, &mut Changes::default()).is_err(),
        "never after cancel"
    );
}

#[test]
fn an_orphaned_intent_is_resolved_by_a_cleanup_and_nothing_is_offered_before() {
    for landed in [true, false] {
        let mut bench = Bench::started();
        let lease = bench.lease(0);
        for stage in [AttemptState::Governing, AttemptState::Landing] {
            bench
                .run
                .stage(lease.0, lease.1, stage, NOW, &mut Changes::default())
                .unwrap();
        }
        let intent = Intent {
            expected_tip: "base".into(),
            tree: "t".into(),
            commit: "c".into(),
            resolved: false,
        };
        bench
            .run
            .prepare_landing(lease.0, lease.1, intent, NOW, &mut Changes::default())
            .unwrap();
        bench
            .run
            .lose(lease.0, false, &decide, NOW, &mut Changes::default())
            .unwrap();
        assert_eq!(bench.run.run.open_intents, 1);
        let (a, j) = (AttemptUid(bench.uid()), JobUid(bench.uid()));
        assert!(
            bench
                .run
                .offer(1, a, j, 0, NOW, &mut Changes::default())
                .is_err()
        );
        let (job, fence) = bench.job(JobKind::Cleanup);
        bench
            .run
            .finish_cleanup(
                job,
                fence,
                landed.then_some(lease.0),
                NOW,
                &mut Changes::default(),
            )
            .unwrap();
        assert_eq!(bench.run.run.open_intents, 0);
        let (state, tip) = if landed {
            (PhaseState::Complete, "c")
        } else {
            (PhaseState::Queued, "base")
        };
        assert_eq!(
            (bench.run.phases[0].state, bench.run.run.tip.as_str()),
            (state, tip)
        );
        bench.check();
    }
}

#[test]
fn retry_reopens_a_failed_run_with_fresh_attempts_and_the_same_budgets() {
    let mut bench = Bench::started();
    bench.pass(0);
    bench.fail(1, Cause::GateFailed);
    assert!(bench.run.run.state.is_failed());
    let settled = bench.run.run.tokens.settled;
    bench
        .run
        .retry(Some(1), NOW, &mut Changes::default())
        .unwrap();
    assert_eq!(bench.run.run.state, RunState::PhaseQueueing);
    assert_eq!(
        (bench.run.run.revision, bench.run.phases[1].attempts_charged),
        (1, 0)
    );
    assert_eq!(bench.run.run.tokens.settled, settled);
    for phase in [1, 2, 3] {
        bench.pass(phase);
    }
    assert_eq!(bench.run.run.state, RunState::DoneSuccess);
    assert_eq!(bench.run.phases[1].attempts_made, 3, "numbers go on");
    assert!(
        bench.run.retry(None, NOW, &mut Changes::default()).is_err(),
        "never after success"
    );
}

#[test]
fn a_bootstrap_that_fails_for_good_ends_the_run() {
    let mut bench = Bench::new(false);
    let (job, fence) = bench.job(JobKind::Bootstrap);
    bench
        .run
        .fail_job(
            job,
            Some(fence),
            Cause::BaseMissing,
            "no branch x",
            NOW,
            NOW,
            &mut Changes::default(),
        )
        .unwrap();
    assert_eq!(bench.run.run.state, RunState::DoneFailedEnvironment);
    assert_eq!(bench.run.run.cause, Some(Cause::BaseMissing));
    bench.run.retry(None, NOW, &mut Changes::default()).unwrap();
    assert_eq!(bench.run.run.state, RunState::Queued);
    bench.bootstrap();
    assert_eq!(bench.run.run.state, RunState::PhaseQueueing);
}

#[test]
fn pauses_do_not_count_as_minutes() {
    let mut bench = Bench::started();
    let lease = bench.lease(0);
    let minute = |n: i64| Timestamp(NOW.0 + n * 60_000_000);
    bench.run.pause(minute(1), &mut Changes::default()).unwrap();
    bench
        .run
        .resume(minute(61), &mut Changes::default())
        .unwrap();
    assert_eq!(bench.run.elapsed_us(minute(62)), 2 * 60_000_000);
    let stopped = bench
        .run
        .exhaust_minutes("ten minutes", minute(80), &mut Changes::default());
    assert_eq!(stopped, vec![lease.0]);
    assert_eq!(bench.run.run.state, RunState::DoneFailedBudgetExhausted);
    assert_eq!(bench.run.run.cause, Some(Cause::BudgetMinutes));
}

#[test]
fn a_pause_withdraws_offers_and_frees_their_reservation() {
    let mut bench = Bench::started();
    let (attempt, job) = (AttemptUid(bench.uid()), JobUid(bench.uid()));
    bench
        .run
        .offer(0, attempt, job, 100, NOW, &mut Changes::default())
        .unwrap();
    bench.run.pause(NOW, &mut Changes::default()).unwrap();
    assert_eq!(bench.run.run.tokens.reserved, 0);
    assert!(
        bench
            .run
            .lease(
                attempt,
                job,
                WorkerUid(uuid::Uuid::nil()),
                NOW,
                &mut Changes::default()
            )
            .is_err()
    );
    bench.check();
}

/// A copy that takes in every event equals the original (invariant I5).
#[test]
fn events_replay_to_the_stored_state() {
    let mut bench = Bench::started();
    let mut copy = bench.run.clone();
    let mut commands: Vec<Changes> = Vec::new();
    let mut changes = Changes::default();
    let (attempt, job) = (AttemptUid(bench.uid()), JobUid(bench.uid()));
    bench
        .run
        .offer(1, attempt, job, 100, NOW, &mut changes)
        .unwrap();
    bench.run.close_offers(NOW, &mut changes);
    commands.push(std::mem::take(&mut changes));
    let fence = bench
        .run
        .lease(
            attempt,
            job,
            WorkerUid(uuid::Uuid::nil()),
            NOW,
            &mut changes,
        )
        .unwrap();
    commands.push(std::mem::take(&mut changes));
    let report = Report {
        cause: Some(Cause::BuilderNotFound),
        ..Report::default()
    };
    bench
        .run
        .settle(attempt, fence, report, &decide, NOW, &mut changes)
        .unwrap();
    commands.push(std::mem::take(&mut changes));
    bench.run.retry(None, NOW, &mut changes).unwrap();
    commands.push(changes);
    for event in commands.iter().flat_map(|c| &c.events) {
        assert!(copy.absorb(event));
    }
    assert_eq!(copy.run, bench.run.run);
    assert_eq!(copy.phases, bench.run.phases);
    assert_eq!(copy.tiers, bench.run.tiers);
    assert_eq!(copy.attempts, bench.run.attempts);
}
