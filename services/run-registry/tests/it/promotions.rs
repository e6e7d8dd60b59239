//! Promotions and integration branches: each RPC with its refusals, over restarts and lost jobs.

use autopack_domain::Reason;
use autopack_wire::{registry as pb, status::from_status, types, types::promotion::State};

use crate::harness::{Harness, PLAN, Place, both, request, until};

both!(
    a_promotion_is_asked_for_carried_out_and_listed,
    a_run_that_breaks_rules_is_refused_with_each_of_them,
    requests_for_a_promotion_are_idempotent_and_one_is_open_at_a_time,
    a_lost_lease_and_a_restart_offer_the_promotion_again,
    a_move_that_may_have_happened_waits_for_who_reads_the_branch,
);

pub(crate) async fn ended(h: &Harness, id: &str) -> types::Run {
    let document = PLAN.replace("id: demo, goal", &format!("id: {id}, base: main, goal"));
    let run = h.create(request(&document)).await.unwrap().run.unwrap();
    h.bootstrap(&run).await;
    for phase in [0, 1] {
        let lease = h.lease(&run, phase).await;
        h.settle(&run, &lease, "").await.unwrap();
    }
    assert_eq!(h.state(id).await, "STATE_DONE_SUCCESS");
    h.run(id).await.run.unwrap()
}

pub(crate) fn asking(id: &str) -> pb::PromoteRunRequest {
    pb::PromoteRunRequest {
        run_id: id.into(),
        ..Default::default()
    }
}

pub(crate) async fn promote(
    h: &Harness,
    request: pb::PromoteRunRequest,
) -> Result<types::Promotion, tonic::Status> {
    let answer = h.clients.promotions().promote_run(request).await?;
    Ok(answer.into_inner().promotion.unwrap())
}

pub(crate) async fn get(h: &Harness, uid: &str) -> types::Promotion {
    let request = pb::GetPromotionRequest {
        promotion_uid: uid.into(),
    };
    let answer = h.clients.promotions().get_promotion(request).await;
    answer.unwrap().into_inner().promotion.unwrap()
}

/// The job of this kind that is on offer, as the snapshot shows it, leased.
pub(crate) async fn take(
    h: &Harness,
    run: &types::Run,
    kind: &str,
) -> (String, pb::LeaseJobResponse) {
    let asked = pb::GetSnapshotRequest {
        run_uid: run.uid.clone(),
    };
    let (worker, mut taken) = (h.worker.clone(), None);
    until("the job is leased", async || {
        let mut dispatch = h.clients.dispatch.clone();
        let snapshot = dispatch.get_snapshot(asked.clone()).await.unwrap();
        let jobs = snapshot.into_inner().jobs;
        let Some(job) = jobs.into_iter().find(|job| job.kind == kind) else {
            return false;
        };
        let lease = pb::LeaseJobRequest {
            job_uid: job.uid.clone(),
            kind: kind.into(),
            run_uid: run.uid.clone(),
            attempt_uid: String::new(),
            worker_uid: worker.clone(),
        };
        match h.clients.work.clone().lease_job(lease).await {
            Ok(answer) => taken = Some((job.uid, answer.into_inner())),
            // What was on offer while the registry started is offered once more.
            Err(status) => assert!(from_status(&status).is(Reason::JobGone), "{status:?}"),
        }
        taken.is_some()
    })
    .await;
    taken.unwrap()
}

async fn finish(h: &Harness, run: &types::Run, job: &str, fence: u64) -> Result<(), tonic::Status> {
    let request = pb::FinishPromotionRequest {
        run_uid: run.uid.clone(),
        job_uid: job.into(),
        fence,
        state: State::Landed.into(),
        commit: "c1".into(),
    };
    let mut work = h.clients.work.clone();
    work.finish_promotion(request).await.map(drop)
}

async fn a_promotion_is_asked_for_carried_out_and_listed(place: Place) {
    let h = Harness::start(&place).await;
    let run = ended(&h, "a").await;
    let open = promote(&h, asking("a")).await.unwrap();
    assert_eq!(
        (open.target_branch.as_str(), open.strategy.as_str()),
        ("main", "ff")
    );
    assert_eq!(
        (open.state(), open.tested_commit.as_str()),
        (State::Pending, "base")
    );
    let (job, leased) = take(&h, &run, "promote").await;
    assert_eq!(leased.promotion.unwrap().uid, open.uid);
    let prepare = pb::PreparePromotionRequest {
        run_uid: run.uid.clone(),
        job_uid: job.clone(),
        fence: leased.fence,
        from: "m0".into(),
        commit: "c1".into(),
    };
    let mut work = h.clients.work.clone();
    work.prepare_promotion(prepare.clone()).await.unwrap();
    let stored = get(&h, &open.uid).await;
    assert_eq!(
        (stored.intent_from.as_str(), stored.intent_commit.as_str()),
        ("m0", "c1")
    );
    let stale = pb::PreparePromotionRequest {
        fence: leased.fence - 1,
        ..prepare
    };
    let status = work.prepare_promotion(stale).await.unwrap_err();
    assert!(from_status(&status).is(Reason::LeaseFenced));
    finish(&h, &run, &job, leased.fence).await.unwrap();
    let done = get(&h, &open.uid).await;
    assert_eq!(
        (done.state(), done.landed_commit.as_str()),
        (State::Landed, "c1")
    );
    assert!(done.finish_time.is_some());
    let status = finish(&h, &run, &job, leased.fence).await.unwrap_err();
    assert!(from_status(&status).is(Reason::JobGone), "{status:?}");
    assert_eq!(h.state("a").await, "STATE_DONE_SUCCESS");
    let second = pb::PromoteRunRequest {
        target_branch: "release".into(),
        strategy: "squash".into(),
        ..asking("a")
    };
    let second = promote(&h, second).await.unwrap();
    let request = pb::ListPromotionsRequest { run_id: "a".into() };
    let listed = h.clients.promotions().list_promotions(request).await;
    let listed = listed.unwrap().into_inner().promotions;
    let uids: Vec<&str> = listed.iter().map(|p| p.uid.as_str()).collect();
    assert_eq!(uids, [second.uid.as_str(), open.uid.as_str()]);
    // Whoever watches a run that has ended is told all, and that it has ended.
    let request = pb::WatchRunRequest {
        run_id: "a".into(),
        after_sequence: 1,
    };
    let mut watch = h
        .clients
        .registry
        .clone()
        .watch_run(request)
        .await
        .unwrap()
        .into_inner();
    let whole = async {
        let mut events = 0;
        while let Some(_event) = watch.message().await.unwrap() {
            events += 1;
        }
        events
    };
    let bound = std::time::Duration::from_secs(20);
    let events = tokio::time::timeout(bound, whole)
        .await
        .expect("the watch ends");
    assert!(events > 5, "{events}");
    h.stop().await;
}

async fn a_run_that_breaks_rules_is_refused_with_each_of_them(place: Place) {
    let h = Harness::start(&place).await;
    let run = h.create(request(PLAN)).await.unwrap().run.unwrap();
    h.bootstrap(&run).await;
    for key in ["a", "b"] {
        let request = pb::RecordIssueRequest {
            run_id: "demo".into(),
            phase_id: "A".into(),
            issue: Some(types::NewIssue {
                key: key.into(),
                severity: "major".into(),
                source: "probe".into(),
                category: "docs".into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        h.clients.issues().record_issue(request).await.unwrap();
    }
    let status = promote(&h, asking("demo")).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::FailedPrecondition);
    let refusal = from_status(&status);
    assert!(refusal.is(Reason::PromotionIneligible), "{refusal:?}");
    let refusal = refusal.into_refusal();
    let unmet: Vec<&str> = refusal.metadata["rules"].split(',').collect();
    assert!(
        unmet.contains(&"done_success") && unmet.contains(&"no_tier_not_clean"),
        "{unmet:?}"
    );
    let paths: Vec<&str> = refusal.faults.iter().map(|f| f.path.as_str()).collect();
    let expected: Vec<String> = unmet
        .iter()
        .map(|r| format!("promotion_rules.{r}"))
        .collect();
    assert_eq!(paths, expected);
    assert!(refusal.faults.iter().all(|f| !f.problem.is_empty()));
    let details = tonic_types::StatusExt::get_error_details(&status);
    let violations = details.precondition_failure().unwrap().violations.len();
    assert_eq!(
        violations,
        1 + unmet.len(),
        "one for the whole and one for each"
    );
    h.stop().await;
}

async fn requests_for_a_promotion_are_idempotent_and_one_is_open_at_a_time(place: Place) {
    let h = Harness::start(&place).await;
    let run = ended(&h, "a").await;
    let named = pb::PromoteRunRequest {
        request_id: "r-1".into(),
        ..asking("a")
    };
    let open = promote(&h, named.clone()).await.unwrap();
    assert_eq!(promote(&h, named.clone()).await.unwrap().uid, open.uid);
    assert_eq!(promote(&h, asking("a")).await.unwrap().uid, open.uid);
    let joining = pb::PromoteRunRequest {
        request_id: "r-2".into(),
        ..asking("a")
    };
    for _ in 0..2 {
        let joined = promote(&h, joining.clone()).await.unwrap();
        assert_eq!(joined.uid, open.uid, "also when its answer was lost");
    }
    let other = pb::PromoteRunRequest {
        strategy: "merge".into(),
        ..asking("a")
    };
    let status = promote(&h, other.clone()).await.unwrap_err();
    assert!(from_status(&status).is(Reason::PromotionBusy));
    let reused = pb::PromoteRunRequest {
        request_id: "r-1".into(),
        ..other
    };
    let status = promote(&h, reused).await.unwrap_err();
    assert!(
        from_status(&status).is(Reason::RequestIdReused),
        "{status:?}"
    );
    let (job, leased) = take(&h, &run, "promote").await;
    finish(&h, &run, &job, leased.fence).await.unwrap();
    let again = promote(&h, named).await.unwrap();
    assert_eq!(
        (again.uid.as_str(), again.state()),
        (open.uid.as_str(), State::Landed)
    );
    h.stop().await;
}

async fn a_lost_lease_and_a_restart_offer_the_promotion_again(place: Place) {
    let h = Harness::start(&place).await;
    let run = ended(&h, "a").await;
    let open = promote(&h, asking("a")).await.unwrap();
    let (first, leased) = take(&h, &run, "promote").await;
    h.clock.advance(std::time::Duration::from_mins(1));
    let (second, again) = take(&h, &run, "promote").await;
    assert_ne!(first, second);
    assert!(again.fence > leased.fence);
    let status = finish(&h, &run, &first, leased.fence).await.unwrap_err();
    assert!(from_status(&status).is(Reason::JobGone), "{status:?}");
    assert_eq!(get(&h, &open.uid).await.state(), State::Pending);
    let release = pb::ReleaseLeaseRequest {
        run_uid: run.uid.clone(),
        uid: second,
        fence: again.fence,
    };
    h.clients.work.clone().release_lease(release).await.unwrap();
    h.stop().await;
    // Another process finds it on offer, of a run that ended long ago.
    let h = Harness::start(&place).await;
    let (job, leased) = take(&h, &run, "promote").await;
    assert_eq!(leased.promotion.unwrap().uid, open.uid);
    finish(&h, &run, &job, leased.fence).await.unwrap();
    assert_eq!(get(&h, &open.uid).await.state(), State::Landed);
    let open = promote(&h, asking("a")).await.unwrap();
    let (job, leased) = take(&h, &run, "promote").await;
    let failed = pb::FailJobRequest {
        run_uid: run.uid.clone(),
        job_uid: job,
        fence: leased.fence,
        cause: "PROMOTION_DIVERGED".into(),
        detail: "main moved on".into(),
    };
    h.clients.work.clone().fail_job(failed).await.unwrap();
    let done = get(&h, &open.uid).await;
    assert_eq!(
        (done.state(), done.cause.as_str()),
        (State::Failed, "PROMOTION_DIVERGED")
    );
    assert_eq!(
        h.state("a").await,
        "STATE_DONE_SUCCESS",
        "the run did not fail"
    );
    h.stop().await;
}

/// The worker's job fails with this cause.
async fn fail(h: &Harness, run: &types::Run, job: &str, fence: u64, cause: &str) {
    let failed = pb::FailJobRequest {
        run_uid: run.uid.clone(),
        job_uid: job.into(),
        fence,
        cause: cause.into(),
        detail: "away".into(),
    };
    h.clients.work.clone().fail_job(failed).await.unwrap();
}

async fn a_move_that_may_have_happened_waits_for_who_reads_the_branch(place: Place) {
    let h = Harness::start(&place).await;
    let run = ended(&h, "a").await;
    let open = promote(&h, asking("a")).await.unwrap();
    let prepare = |job: &str, fence: u64, from: &str, commit: &str| {
        let request = pb::PreparePromotionRequest {
            run_uid: run.uid.clone(),
            job_uid: job.into(),
            fence,
            from: from.into(),
            commit: commit.into(),
        };
        let mut work = h.clients.work.clone();
        async move {
            let answer = work.prepare_promotion(request).await?;
            Ok::<_, tonic::Status>(answer.into_inner().ended)
        }
    };
    let (job, leased) = take(&h, &run, "promote").await;
    let half = prepare(&job, leased.fence, "m0", "").await.unwrap_err();
    assert_eq!(half.code(), tonic::Code::InvalidArgument, "{half:?}");
    let stored = prepare(&job, leased.fence, "m0", "c1").await;
    assert!(!stored.unwrap());
    fail(&h, &run, &job, leased.fence, "REPOSITORY_DENIED").await;
    for cause in ["REPOSITORY_UNAVAILABLE", "WORKER_ERROR", "DISK_FULL"] {
        let (job, leased) = take(&h, &run, "promote").await;
        fail(&h, &run, &job, leased.fence, cause).await;
        let kept = get(&h, &open.uid).await;
        assert_eq!(
            (kept.state(), kept.cause.as_str(), kept.detail.as_str()),
            (State::Pending, cause, "away")
        );
    }
    // Three moves were stored, and each time the branch was found without it.
    for tries in 1..=3 {
        let (job, leased) = take(&h, &run, "promote").await;
        let over = prepare(&job, leased.fence, "", "").await.unwrap();
        assert_eq!(over, tries == 3, "{tries}");
        if over {
            break;
        }
        prepare(&job, leased.fence, "m0", "c1").await.unwrap();
        fail(&h, &run, &job, leased.fence, "REPOSITORY_UNAVAILABLE").await;
    }
    let done = get(&h, &open.uid).await;
    assert_eq!(
        (done.state(), done.cause.as_str()),
        (State::Failed, "REPOSITORY_UNAVAILABLE")
    );
    h.stop().await;
}
