//! Promotions and looks on the run aggregate.

use super::*;
use crate::{
    PromotionUid, Reason, Refusal,
    integration::Seen,
    promotion::{Promoted, Promotion, PromotionIntent, PromotionState, PromotionStrategy, Wanted},
    run::{
        JobState,
        promote::{NewPromotion, PULL_REQUEST_PATIENCE},
    },
};

pub(super) fn wanted(strategy: PromotionStrategy) -> Wanted {
    Wanted {
        strategy,
        target: "main".into(),
        expected: String::new(),
        pull_request: false,
    }
}

impl Bench {
    pub(super) fn succeeded() -> Self {
        let mut bench = Self::started();
        (0..4).for_each(|phase| bench.pass(phase));
        assert_eq!(bench.run.run.state, RunState::DoneSuccess);
        bench
    }

    pub(super) fn ask(&mut self, wanted: Wanted) -> Result<(Promotion, JobUid, Changes), Refusal> {
        self.ask_at(wanted, NOW)
    }

    pub(super) fn ask_at(
        &mut self,
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<(Promotion, JobUid, Changes), Refusal> {
        let (uid, job) = (PromotionUid(self.uid()), JobUid(self.uid()));
        let new = NewPromotion {
            uid,
            job,
            wanted,
            by: "ann".into(),
            request: String::new(),
        };
        let mut changes = Changes::default();
        let promotion = self.run.request_promotion(new, now, &mut changes)?;
        Ok((promotion, job, changes))
    }

    pub(super) fn take(&mut self, job: JobUid) -> Fence {
        let worker = WorkerUid(uuid::Uuid::nil());
        let taken = self
            .run
            .lease_job(job, worker, NOW, &mut Changes::default());
        taken.unwrap()
    }
}

pub(super) fn landed() -> Promoted {
    Promoted {
        state: PromotionState::Landed,
        commit: "c1".into(),
        url: String::new(),
    }
}

#[test]
fn a_promotion_is_asked_for_prepared_and_ended_on_a_run_that_has_ended() {
    let mut bench = Bench::started();
    let refusal = bench.ask(wanted(PromotionStrategy::Merge)).unwrap_err();
    assert_eq!(refusal.reason, Reason::RunState);
    let mut bench = Bench::succeeded();
    let copy = bench.run.clone();
    let (open, job, changes) = bench.ask(wanted(PromotionStrategy::Merge)).unwrap();
    assert_eq!(
        (open.state, open.tested.as_str()),
        (PromotionState::Pending, "base")
    );
    assert_eq!(changes.promotions[&open.uid], open);
    let told = changes.events.last().unwrap();
    assert_eq!(told.kind, crate::EventKind::JobOffered);
    assert_eq!(
        told.run.state,
        RunState::DoneSuccess,
        "the run stays as it is"
    );
    assert!(!bench.run.is_idle(), "it stays in memory");
    let mut copy = copy;
    assert!(copy.absorb(told));
    assert_eq!(copy.jobs, bench.run.jobs);
    let (same, ..) = bench.ask(wanted(PromotionStrategy::Merge)).unwrap();
    assert_eq!(same, open, "the same once more is the one that is open");
    let refusal = bench.ask(wanted(PromotionStrategy::Squash)).unwrap_err();
    assert_eq!(refusal.reason, Reason::PromotionBusy);
    let fence = bench.take(job);
    let intent = PromotionIntent {
        from: "base".into(),
        commit: "c1".into(),
    };
    let stale = bench.run.prepare_promotion(
        (job, Fence(fence.0 - 1)),
        intent.clone(),
        NOW,
        &mut Changes::default(),
    );
    assert_eq!(stale.unwrap_err().reason, Reason::LeaseFenced);
    let mut changes = Changes::default();
    bench
        .run
        .prepare_promotion((job, fence), intent.clone(), NOW, &mut changes)
        .unwrap();
    assert_eq!(changes.promotions[&open.uid].intent, Some(intent));
    let mut changes = Changes::default();
    bench
        .run
        .finish_promotion((job, fence), landed(), NOW, &mut changes)
        .unwrap();
    let ended = &changes.promotions[&open.uid];
    assert_eq!(
        (ended.state, ended.commit.as_str()),
        (PromotionState::Landed, "c1")
    );
    assert_eq!(changes.jobs[&job].state, JobState::Done);
    assert!(bench.run.is_idle() && bench.run.promotion.is_none());
    for event in &changes.events {
        assert!(copy.absorb(event));
    }
    assert!(copy.is_idle(), "{:?}", copy.jobs);
}

#[test]
fn a_failure_that_time_may_heal_is_tried_again_and_a_final_one_is_not() {
    let mut bench = Bench::succeeded();
    let (open, mut job, _) = bench.ask(wanted(PromotionStrategy::FastForward)).unwrap();
    let later = Timestamp(NOW.0 + 5);
    let mut changes = Changes::default();
    for tries in 1..=3 {
        let fence = bench.take(job);
        let next = JobUid(bench.uid());
        changes = Changes::default();
        let cause = (Cause::RepositoryUnavailable, "away");
        bench
            .run
            .fail_aside((job, Some(fence), next), cause, later, NOW, &mut changes)
            .unwrap();
        job = next;
        if tries < 3 {
            let again = bench.run.job(next).unwrap();
            assert_eq!((again.failures, again.not_before), (tries, Some(later)));
        }
    }
    let ended = &changes.promotions[&open.uid];
    assert_eq!(ended.state, PromotionState::Failed);
    assert_eq!(ended.cause, Some(Cause::RepositoryUnavailable));
    assert!(bench.run.is_idle());
    assert_eq!(bench.run.run.state, RunState::DoneSuccess);
    assert_eq!(bench.run.run.cause, None, "the run is not what failed");
    // A hand-over is nobody's failure, and a final cause ends it at once.
    let (open, job, _) = bench.ask(wanted(PromotionStrategy::FastForward)).unwrap();
    bench.take(job);
    let next = JobUid(bench.uid());
    let over = (Cause::HandedOver, "");
    bench
        .run
        .fail_aside((job, None, next), over, later, NOW, &mut Changes::default())
        .unwrap();
    let again = bench.run.job(next).unwrap();
    assert_eq!((again.failures, again.not_before), (0, None));
    let fence = bench.take(next);
    let unused = JobUid(bench.uid());
    let mut changes = Changes::default();
    let cause = (Cause::PromotionDiverged, "main moved on");
    bench
        .run
        .fail_aside((next, Some(fence), unused), cause, later, NOW, &mut changes)
        .unwrap();
    assert_eq!(changes.promotions[&open.uid].detail, "main moved on");
}

#[test]
fn a_pull_request_needs_no_job_and_gives_way_to_another_promotion() {
    let mut bench = Bench::succeeded();
    let mut by_request = wanted(PromotionStrategy::FastForward);
    by_request.pull_request = true;
    let (open, ..) = bench.ask(by_request.clone()).unwrap();
    assert!(bench.run.is_idle(), "no worker has to do with it");
    let end = Promoted {
        state: PromotionState::Opened,
        commit: String::new(),
        url: "https://git.example/1".into(),
    };
    let mut changes = Changes::default();
    let stranger = PromotionUid(bench.uid());
    let refusal = bench
        .run
        .finish_pull_request(stranger, Ok(end.clone()), NOW, &mut changes);
    assert_eq!(refusal.unwrap_err().reason, Reason::PromotionNotFound);
    let ended = bench
        .run
        .finish_pull_request(open.uid, Ok(end), NOW, &mut changes)
        .unwrap();
    assert_eq!(ended.url, "https://git.example/1");
    let (given_up, ..) = bench.ask(by_request.clone()).unwrap();
    // Whoever is to open it may be about to: only an old one gives way.
    let squash = || wanted(PromotionStrategy::Squash);
    let refusal = bench.ask(squash()).unwrap_err();
    assert_eq!(refusal.reason, Reason::PromotionBusy);
    assert!(
        refusal.message.contains("--pull-request"),
        "{}",
        refusal.message
    );
    let young = Timestamp(NOW.plus(PULL_REQUEST_PATIENCE).0 - 1);
    assert!(bench.ask_at(squash(), young).is_err());
    // Asking for the same again gives whoever asks the whole time.
    let (same, ..) = bench.ask_at(by_request, young).unwrap();
    assert_eq!((same.uid, same.asked_at), (given_up.uid, young));
    let old = NOW.plus(PULL_REQUEST_PATIENCE);
    assert!(bench.ask_at(squash(), old).is_err());
    let old = young.plus(PULL_REQUEST_PATIENCE);
    let (_, job, changes) = bench.ask_at(squash(), old).unwrap();
    let ended = &changes.promotions[&given_up.uid];
    assert_eq!(ended.state, PromotionState::Failed);
    assert_eq!(ended.cause, Some(Cause::PullRequestUnclear));
    assert!(bench.run.job(job).is_ok());
}

#[test]
fn a_look_is_beside_the_run_and_there_is_one_at_a_time() {
    let mut bench = Bench::new(false);
    let job = JobUid(bench.uid());
    let early = bench
        .run
        .request_look(job, "", None, NOW, &mut Changes::default());
    assert_eq!(early.unwrap_err().reason, Reason::RunState);
    bench.bootstrap();
    let asked = bench
        .run
        .request_look(job, "main", None, NOW, &mut Changes::default())
        .unwrap();
    assert_eq!((asked.target.as_str(), asked.looked_at), ("main", None));
    let other = JobUid(bench.uid());
    let again = bench
        .run
        .request_look(other, "else", None, NOW, &mut Changes::default())
        .unwrap();
    assert_eq!(again, asked);
    // Phases go on beside it, and a lost offer is made again.
    bench.pass(0);
    let moved = JobUid(bench.uid());
    bench
        .run
        .reoffer_job(job, moved, NOW, &mut Changes::default());
    let fence = bench.take(moved);
    let seen = Seen {
        tip: "t".into(),
        commits: 2,
        ..Seen::default()
    };
    let mut changes = Changes::default();
    bench
        .run
        .finish_look((moved, fence), seen.clone(), NOW, &mut changes)
        .unwrap();
    let stored = changes.integration.unwrap();
    assert_eq!((stored.looked_at, &stored.seen), (Some(NOW), &seen));
    assert!(!bench.run.looks());
    // One that fails keeps what was seen before.
    let job = JobUid(bench.uid());
    bench
        .run
        .request_look(job, "", Some(stored), NOW, &mut Changes::default())
        .unwrap();
    let fence = bench.take(job);
    let next = JobUid(bench.uid());
    let mut changes = Changes::default();
    let cause = (Cause::RepositoryDenied, "no");
    bench
        .run
        .fail_aside((job, Some(fence), next), cause, NOW, NOW, &mut changes)
        .unwrap();
    let stored = changes
        .integration
        .or(bench.run.integration.clone())
        .unwrap();
    assert_eq!(stored.seen, seen);
    bench.check();
}
