//! Workers: jobs taken, renewed, reported on, given back.

use autopack_domain::Reason as R;
use autopack_wire::registry as pb;
use autopack_wire::types::{self, attempt::State};

use crate::book::Book;
use crate::desk::{ABSENT, Held, NOOP, settlement};

pub(crate) async fn call(book: &mut Book) {
    lease(book).await;
    let run = book.started("worked", NOOP).await;
    let held = book.lease(&run, 0).await;
    report(book, &run, &held).await;
    end(book, &run, &held).await;
    jobs(book).await;
}

async fn lease(book: &mut Book) {
    let endless = pb::RegisterWorkerRequest {
        name: "x".repeat(257),
        ..Default::default()
    };
    book.refused("WorkService/RegisterWorker", R::ArgumentInvalid, endless)
        .await;
    let other = book.started("unpicked", NOOP).await;
    let worker = book.worker().await;
    let picky = "builder: { kind: noop }, labels: { worker.gpu: h100 }";
    let run = book.started("picky", picky).await;
    book.offer(&run, &[0]).await;
    let snapshot = book.snapshot(&run).await;
    let attempt = snapshot.attempts.into_iter().next().unwrap_or_default();
    let lease = |run: &str, job: &str, worker: &str| pb::LeaseJobRequest {
        job_uid: job.into(),
        kind: "phase".into(),
        run_uid: run.into(),
        attempt_uid: attempt.uid.clone(),
        worker_uid: worker.into(),
    };
    let cases = vec![
        (R::ArgumentInvalid, lease(&run.uid, "a job", &worker)),
        (R::RunNotFound, lease(ABSENT, &attempt.job, &worker)),
        (R::LeaseFenced, lease(&other.uid, ABSENT, &worker)),
        (R::WorkerNotEligible, lease(&run.uid, &attempt.job, &worker)),
        (
            R::RegistryUnavailable,
            lease(&run.uid, &attempt.job, ABSENT),
        ),
    ];
    book.each("WorkService/LeaseJob", cases).await;
    book.offer(&other, &[0]).await;
    let snapshot = book.snapshot(&other).await;
    let attempt = snapshot.attempts.into_iter().next().unwrap_or_default();
    let gone = pb::LeaseJobRequest {
        attempt_uid: attempt.uid,
        ..lease(&other.uid, ABSENT, &worker)
    };
    book.refused("WorkService/LeaseJob", R::JobGone, gone).await;

    let beat = |worker: &str| pb::HeartbeatRequest {
        worker_uid: worker.into(),
        ..Default::default()
    };
    let answer: pb::HeartbeatResponse = book.ok("WorkService/Heartbeat", beat(&worker)).await;
    assert!(!answer.unknown_worker);
    book.refused("WorkService/Heartbeat", R::ArgumentInvalid, beat("me"))
        .await;
}

async fn report(book: &mut Book, run: &types::Run, held: &Held) {
    let stage = |run: &str, fence: u64, stage: State| pb::ReportStageRequest {
        run_uid: run.into(),
        attempt_uid: held.uid.clone(),
        fence,
        stage: stage.into(),
    };
    let method = "WorkService/ReportStage";
    let cases = vec![
        (
            R::ArgumentInvalid,
            stage(&run.uid, held.fence, State::Succeeded),
        ),
        (R::RunNotFound, stage(ABSENT, held.fence, State::Governing)),
        (
            R::LeaseFenced,
            stage(&run.uid, held.fence + 1, State::Governing),
        ),
    ];
    book.each(method, cases).await;
    let _: pb::ReportStageResponse = book
        .ok(method, stage(&run.uid, held.fence, State::Governing))
        .await;

    let usage = |run: &str, fence: u64, provenance: &str| pb::RecordUsageRequest {
        run_uid: run.into(),
        attempt_uid: held.uid.clone(),
        fence,
        usage: vec![types::Usage {
            total: 7,
            provenance: provenance.into(),
            ..Default::default()
        }],
    };
    let method = "WorkService/RecordUsage";
    let cases = vec![
        (R::ArgumentInvalid, usage(&run.uid, held.fence, "guessed")),
        (R::RunNotFound, usage(ABSENT, held.fence, "reported")),
        (R::LeaseFenced, usage(&run.uid, held.fence + 1, "reported")),
    ];
    book.each(method, cases).await;
    let _: pb::RecordUsageResponse = book
        .ok(method, usage(&run.uid, held.fence, "reported"))
        .await;
}

async fn end(book: &mut Book, run: &types::Run, held: &Held) {
    let settle = |run_uid: &str, fence: u64, cause: &str| pb::SettleAttemptRequest {
        run_uid: run_uid.into(),
        fence,
        ..settlement(run, held, cause)
    };
    let cases = vec![
        (R::ArgumentInvalid, settle(&run.uid, held.fence, "SURPRISE")),
        (R::RunNotFound, settle(ABSENT, held.fence, "")),
        (R::LeaseFenced, settle(&run.uid, held.fence + 1, "")),
    ];
    book.each("WorkService/SettleAttempt", cases).await;

    let release = |run: &str, fence: u64, uid: &str| pb::ReleaseLeaseRequest {
        run_uid: run.into(),
        uid: uid.into(),
        fence,
    };
    let method = "WorkService/ReleaseLease";
    let cases = vec![
        (R::ArgumentInvalid, release(&run.uid, held.fence, "it")),
        (R::RunNotFound, release(ABSENT, held.fence, &held.uid)),
        (R::LeaseFenced, release(&run.uid, held.fence + 1, &held.uid)),
    ];
    book.each(method, cases).await;
    let _: pb::ReleaseLeaseResponse = book
        .ok(method, release(&run.uid, held.fence, &held.uid))
        .await;

    let snapshot = |run: &str| pb::RecordSnapshotRequest {
        run_uid: run.into(),
        tier: 0,
        commit: "c1".into(),
    };
    let method = "WorkService/RecordSnapshot";
    book.refused(method, R::ArgumentInvalid, snapshot("worked"))
        .await;
    book.refused(method, R::RunNotFound, snapshot(ABSENT)).await;
    let _: pb::RecordSnapshotResponse = book.ok(method, snapshot(&run.uid)).await;
}

/// Jobs that are no phases: a bootstrap that fails, and a cleanup.
async fn jobs(book: &mut Book) {
    let run = book.create("unready", NOOP).await;
    let offer = |version: u64, kind: &str| pb::OfferJobRequest {
        run_uid: run.uid.clone(),
        expected_version: version,
        kind: kind.into(),
    };
    let version = book.version(&run).await;
    let _: pb::OfferJobResponse = book
        .ok("DispatchService/OfferJob", offer(version, "bootstrap"))
        .await;
    let held = book.take_job(&run, "bootstrap").await;
    let finish = |run: &str, job: &str, fence: u64| pb::FinishBootstrapRequest {
        run_uid: run.into(),
        job_uid: job.into(),
        fence,
        ..Default::default()
    };
    let cases = vec![
        (R::ArgumentInvalid, finish(&run.uid, "it", held.fence)),
        (R::RunNotFound, finish(ABSENT, &held.uid, held.fence)),
        (R::JobGone, finish(&run.uid, ABSENT, held.fence)),
        (R::LeaseFenced, finish(&run.uid, &held.uid, held.fence + 1)),
    ];
    book.each("WorkService/FinishBootstrap", cases).await;

    let fail = |run: &str, job: &str, fence: u64, cause: &str| pb::FailJobRequest {
        run_uid: run.into(),
        job_uid: job.into(),
        fence,
        cause: cause.into(),
        detail: "by hand".into(),
    };
    let (method, cause) = ("WorkService/FailJob", "BASE_MISSING");
    let cases = vec![
        (
            R::ArgumentInvalid,
            fail(&run.uid, &held.uid, held.fence, "SURPRISE"),
        ),
        (R::RunNotFound, fail(ABSENT, &held.uid, held.fence, cause)),
        (R::JobGone, fail(&run.uid, ABSENT, held.fence, cause)),
        (
            R::LeaseFenced,
            fail(&run.uid, &held.uid, held.fence + 1, cause),
        ),
    ];
    book.each(method, cases).await;
    let _: pb::FailJobResponse = book
        .ok(method, fail(&run.uid, &held.uid, held.fence, cause))
        .await;

    let run = book.started("stray", NOOP).await;
    let offer = pb::OfferJobRequest {
        run_uid: run.uid.clone(),
        expected_version: book.version(&run).await,
        kind: "cleanup".into(),
    };
    let _: pb::OfferJobResponse = book.ok("DispatchService/OfferJob", offer).await;
    let held = book.take_job(&run, "cleanup").await;
    let finish = |run: &str, job: &str, fence: u64| pb::FinishCleanupRequest {
        run_uid: run.into(),
        job_uid: job.into(),
        fence,
        landed_attempt_uid: String::new(),
    };
    let method = "WorkService/FinishCleanup";
    let cases = vec![
        (R::ArgumentInvalid, finish(&run.uid, "it", held.fence)),
        (R::RunNotFound, finish(ABSENT, &held.uid, held.fence)),
        (R::JobGone, finish(&run.uid, ABSENT, held.fence)),
        (R::LeaseFenced, finish(&run.uid, &held.uid, held.fence + 1)),
    ];
    book.each(method, cases).await;
    let _: pb::FinishCleanupResponse = book
        .ok(method, finish(&run.uid, &held.uid, held.fence))
        .await;
}
