//! Jobs of runs that end while the job is under way.

use super::*;
use crate::{
    EventKind, Reason,
    run::{JobState, bootstrap::Frozen},
};

fn frozen(run: &RunAggregate) -> Frozen {
    Frozen {
        base_sha: "base".into(),
        tip: "base".into(),
        plan: Arc::clone(&run.plan),
        strategy: Arc::clone(&run.strategy),
        facts: vec![],
    }
}

#[test]
fn a_phase_failed_by_hand_before_the_bootstrap_ends_the_run_once() {
    const ONE: &str = r#"{
      "schema": "autopack/plan/v1", "run": {"id": "r", "goal": "g"},
      "tiers": [{"id": "T1", "name": "one", "phases": [
        {"id": "A", "name": "a", "goal": "a", "builder": {"kind": "external"}}]}]
    }"#;
    for leased in [false, true] {
        let mut bench = Bench::of(ONE, false);
        let job = JobUid(bench.uid());
        let mut changes = Changes::default();
        let bootstrap = JobKind::Bootstrap;
        bench
            .run
            .offer_job(job, bootstrap, NOW, &mut changes)
            .unwrap();
        let worker = WorkerUid(uuid::Uuid::nil());
        let fence = if leased {
            bench.run.lease_job(job, worker, NOW, &mut changes).unwrap()
        } else {
            Fence(0)
        };
        let mut changes = Changes::default();
        bench
            .run
            .update_phase(0, PhaseState::Failed, "why", NOW, &mut changes)
            .unwrap();
        assert_eq!(bench.run.run.state, RunState::DoneFailedRequiresHumanReview);
        // Its job is over, in the stored rows too, and that is told before the end.
        assert_eq!(changes.jobs[&job].state, JobState::Done);
        assert!(bench.run.jobs.is_empty());
        let told: Vec<EventKind> = changes.events.iter().map(|e| e.kind).collect();
        assert_eq!(
            told[told.len() - 2..],
            [EventKind::JobFinished, EventKind::RunFinished]
        );
        let before = bench.run.run.clone();
        let mut changes = Changes::default();
        let found = frozen(&bench.run);
        for late in [
            bench.run.lease_job(job, worker, NOW, &mut changes).err(),
            bench
                .run
                .finish_bootstrap(job, fence, found, NOW, &mut changes)
                .err(),
            bench
                .run
                .fail_job(
                    (job, None),
                    (Cause::BaseMissing, "why"),
                    NOW,
                    NOW,
                    &mut changes,
                )
                .err(),
        ] {
            assert_eq!(late.unwrap().reason, Reason::JobGone);
        }
        assert_eq!(bench.run.run, before, "the run ended once");
        assert!(changes.events.is_empty());
    }
}

#[test]
fn a_job_that_an_older_registry_left_with_an_ended_run_changes_nothing_of_it() {
    let mut bench = super::external::bench();
    let left = |state| crate::run::Job {
        uid: JobUid(uuid::Uuid::from_u128(7)),
        kind: JobKind::Bootstrap,
        state,
        fence: Fence(9),
        worker: None,
        failures: 2,
        not_before: None,
    };
    let uid = left(JobState::Offered).uid;
    let mut changes = Changes::default();
    bench.set(0, PhaseState::Failed).unwrap();
    bench.pass(2);
    assert!(bench.run.run.state.is_terminal());
    let ended = bench.run.run.clone();
    bench.run.jobs.push(left(JobState::Offered));
    let refused = bench
        .run
        .lease_job(uid, WorkerUid(uuid::Uuid::nil()), NOW, &mut changes);
    assert_eq!(refused.unwrap_err().reason, Reason::JobGone);
    bench.run.jobs = vec![left(JobState::Leased)];
    let late = frozen(&bench.run);
    let done = bench
        .run
        .finish_bootstrap(uid, Fence(9), late, NOW, &mut changes);
    assert_eq!(done.unwrap_err().reason, Reason::RunState);
    // Whoever finds it past its deadline ends the job, and not the run.
    let why = (Cause::BaseMissing, "why");
    bench
        .run
        .fail_job((uid, None), why, NOW, NOW, &mut changes)
        .unwrap();
    assert!(bench.run.jobs.is_empty());
    assert_eq!(changes.jobs[&uid].state, JobState::Done);
    assert_eq!(
        (bench.run.run.state, bench.run.run.cause),
        (ended.state, ended.cause)
    );
    let finished = |e: &&crate::event::Event| e.kind == EventKind::RunFinished;
    assert_eq!(changes.events.iter().filter(finished).count(), 0);
}
