//! Commands on whole runs: a bench that plays scheduler and worker, and the tests on it.

mod approvals;
mod control;
mod ends;
mod external;
mod import;
mod issues;
mod jobs;
mod moves;
mod promotions;
mod sequences;

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
        aged: std::collections::BTreeSet::new(),
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
        Self::of(PLAN, hold)
    }

    fn of(plan: &str, hold: bool) -> Self {
        let plan = Arc::new(read_plan(plan, &ReadOptions::default()).unwrap().plan);
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
        let frozen = crate::run::bootstrap::Frozen {
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
            assert_eq!(crate::run::finalise::derived_state(run), run.run.state);
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
        Charge::Pause => true,
        Charge::Final => false,
    };
    if again {
        Follow::Again(None)
    } else {
        Follow::GiveUp(cause)
    }
}
