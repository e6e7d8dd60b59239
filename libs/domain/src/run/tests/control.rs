//! Cancel, pause, retry, landing intents, replay of events.

use super::*;
use crate::run::JobState;

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
fn a_job_on_offer_ends_with_the_cancelled_run() {
    let mut bench = Bench::new(false);
    let job = JobUid(bench.uid());
    let mut changes = Changes::default();
    bench
        .run
        .offer_job(job, JobKind::Bootstrap, NOW, &mut changes)
        .unwrap();
    let mut changes = Changes::default();
    bench.run.cancel("enough", NOW, &mut changes).unwrap();
    assert_eq!(bench.run.run.state, RunState::DoneCancelled);
    assert_eq!(changes.jobs[&job].state, JobState::Done, "as it is stored");
    assert!(bench.run.job(job).is_err());
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
        // Nor does a spent budget end a phase that the branch may hold.
        let mut changes = Changes::default();
        let spent = bench
            .run
            .exhaust(0, Cause::BudgetTokens, "spent", NOW, &mut changes);
        assert_eq!(spent.unwrap_err().reason, crate::Reason::PhaseState);
        assert_eq!(bench.run.phases[0].state, PhaseState::Queued);
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
            (job, Some(fence)),
            (Cause::BaseMissing, "no branch x"),
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
