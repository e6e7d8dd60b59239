//! Promotions whose move was stored and may have happened.

use super::{
    promotions::{landed, wanted},
    *,
};
use crate::{
    promotion::{Promotion, PromotionIntent, PromotionState, PromotionStrategy},
    run::{JobState, promote::ASIDE_PAUSE},
};

/// A squash that was prepared, with its job leased.
fn prepared(bench: &mut Bench) -> (Promotion, JobUid, Fence) {
    let (open, job, _) = bench.ask(wanted(PromotionStrategy::Squash)).unwrap();
    let fence = bench.take(job);
    prepare(bench, (job, fence));
    (open, job, fence)
}

fn prepare(bench: &mut Bench, held: (JobUid, Fence)) {
    let intent = PromotionIntent {
        from: "base".into(),
        commit: "c1".into(),
    };
    // The same once more, as after a lost answer, is no other try.
    for _ in 0..2 {
        let mut changes = Changes::default();
        let stored = bench
            .run
            .prepare_promotion(held, intent.clone(), NOW, &mut changes);
        stored.unwrap();
    }
}

impl Bench {
    /// The job fails at this time, and is taken again if it is offered again.
    fn fail_promotion(
        &mut self,
        (job, fence): (JobUid, Option<Fence>),
        cause: Cause,
        now: Timestamp,
    ) -> (JobUid, Changes) {
        let (next, mut changes) = (JobUid(self.uid()), Changes::default());
        let later = now.plus(std::time::Duration::from_secs(5));
        let told = (cause, "away");
        let of = (job, fence, next);
        self.run
            .fail_aside(of, told, later, now, &mut changes)
            .unwrap();
        (next, changes)
    }
}

#[test]
fn a_move_that_may_have_happened_is_tried_until_the_branch_was_read() {
    let mut bench = Bench::succeeded();
    let (open, mut job, fence) = prepared(&mut bench);
    let mut held = Some(fence);
    let hour = std::time::Duration::from_hours(1);
    for round in 0..20 {
        // Also what is final elsewhere, and a worker that is lost.
        let cause = match round % 3 {
            0 => Cause::RepositoryUnavailable,
            1 => Cause::RepositoryDenied,
            _ => Cause::LeaseExpired,
        };
        let now = NOW.plus(hour * round);
        let fence = held.filter(|_| cause != Cause::LeaseExpired);
        let (next, changes) = bench.fail_promotion((job, fence), cause, now);
        let kept = &changes.promotions[&open.uid];
        assert_eq!(kept.state, PromotionState::Pending, "{round}");
        assert_eq!((kept.cause, kept.detail.as_str()), (Some(cause), "away"));
        let again = bench.run.job(next).unwrap();
        assert_eq!(again.failures, 1, "the move alone counts");
        let pause = again.not_before.unwrap().since(now);
        assert!(pause >= std::time::Duration::from_secs(5), "{pause:?}");
        assert!(pause <= ASIDE_PAUSE, "{pause:?}");
        assert_eq!(pause == ASIDE_PAUSE, round > 0, "{pause:?}");
        (job, held) = (next, Some(bench.take(next)));
    }
    let mut changes = Changes::default();
    let held = (job, held.unwrap());
    bench
        .run
        .finish_promotion(held, landed(), NOW, &mut changes)
        .unwrap();
    let ended = &changes.promotions[&open.uid];
    assert_eq!(ended.state, PromotionState::Landed);
    assert_eq!((ended.cause, ended.detail.as_str()), (None, ""));
}

#[test]
fn asking_again_for_what_is_to_be_tried_later_has_it_tried_now() {
    let mut bench = Bench::succeeded();
    let (open, job, fence) = prepared(&mut bench);
    let cause = Cause::RepositoryUnavailable;
    let (waiting, _) = bench.fail_promotion((job, Some(fence)), cause, NOW);
    assert!(bench.run.job(waiting).unwrap().not_before.is_some());
    let (same, now, _) = bench.ask(wanted(PromotionStrategy::Squash)).unwrap();
    assert_eq!(same.uid, open.uid);
    assert!(bench.run.job(waiting).is_err(), "it was offered anew");
    let offered = bench.run.job(now).unwrap();
    assert_eq!((offered.not_before, offered.failures), (None, 1));
    // One that waits for nothing but a worker stays on offer as it is.
    let (_, other, _) = bench.ask(wanted(PromotionStrategy::Squash)).unwrap();
    assert!(bench.run.job(now).is_ok() && bench.run.job(other).is_err());
}

#[test]
fn a_branch_that_was_read_ends_it_at_once_or_lets_it_go_on() {
    // What only somebody who has read the branch can say is final.
    let mut bench = Bench::succeeded();
    let (open, job, fence) = prepared(&mut bench);
    let cause = Cause::PromotionTargetProtected;
    let (_, changes) = bench.fail_promotion((job, Some(fence)), cause, NOW);
    assert_eq!(changes.promotions[&open.uid].state, PromotionState::Failed);
    // A move that was not made is forgotten, and made again; moves without an answer are counted.
    let (open, mut job, mut fence) = prepared(&mut bench);
    let cause = Cause::RepositoryUnavailable;
    for tries in 1..=3 {
        let (next, _) = bench.fail_promotion((job, Some(fence)), cause, NOW);
        (job, fence) = (next, bench.take(next));
        let mut changes = Changes::default();
        let over = bench
            .run
            .withdraw_promotion((job, fence), NOW, &mut changes)
            .unwrap();
        assert_eq!(over, tries == 3, "{tries}");
        let stored = &changes.promotions[&open.uid];
        assert_eq!(stored.intent, None);
        if over {
            assert_eq!(stored.state, PromotionState::Failed);
            assert_eq!(stored.cause, Some(Cause::RepositoryUnavailable));
            assert_eq!(stored.detail, "away");
            assert_eq!(changes.jobs[&job].state, JobState::Done);
        } else {
            prepare(&mut bench, (job, fence));
        }
    }
    assert!(bench.run.is_idle());
    // After it was read, a failure is one like every other.
    let (open, job, fence) = prepared(&mut bench);
    let (next, _) = bench.fail_promotion((job, Some(fence)), cause, NOW);
    let fence = bench.take(next);
    bench
        .run
        .withdraw_promotion((next, fence), NOW, &mut Changes::default())
        .unwrap();
    let denied = Cause::RepositoryDenied;
    let (_, changes) = bench.fail_promotion((next, Some(fence)), denied, NOW);
    assert_eq!(changes.promotions[&open.uid].state, PromotionState::Failed);
}

#[test]
fn causes_that_a_promotion_may_end_with_name_what_helps_a_promotion() {
    for cause in Cause::ALL {
        let remedy = cause.remedy();
        let shared = matches!(
            cause,
            Cause::RepositoryUnavailable
                | Cause::RepositoryDenied
                | Cause::WorkerError
                | Cause::DiskFull
                | Cause::LeaseExpired
        );
        if shared {
            assert!(remedy.contains("promot"), "{cause}: {remedy}");
        }
        if cause.saw_target() {
            assert!(!remedy.contains("autopack retry"), "{cause}: {remedy}");
        }
    }
}
