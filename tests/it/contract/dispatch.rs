//! What schedulers ask and decide.

use autopack_domain::Reason as R;
use autopack_wire::registry as pb;
use pb::offer_outcome::Outcome;

use crate::book::Book;
use crate::desk::{ABSENT, NOOP};

/// Phases of an offer, at most.
const MOST: u32 = 2_000;

pub(crate) async fn call(book: &mut Book) {
    let run = book.started("offered", NOOP).await;
    let now = book.version(&run).await;
    let active: pb::ListActiveRunsResponse = book
        .ok(
            "DispatchService/ListActiveRuns",
            pb::ListActiveRunsRequest {},
        )
        .await;
    assert!(active.run_uids.contains(&run.uid));

    let snapshot = |run: &str| pb::GetSnapshotRequest {
        run_uid: run.into(),
    };
    let method = "DispatchService/GetSnapshot";
    book.refused(method, R::ArgumentInvalid, snapshot("offered"))
        .await;
    book.refused(method, R::RunNotFound, snapshot(ABSENT)).await;

    let job = |run: &str, version: u64, kind: &str| pb::OfferJobRequest {
        run_uid: run.into(),
        expected_version: version,
        kind: kind.into(),
    };
    let over = book.cancelled("closed").await;
    let closed = book.version(&over).await;
    let cases = vec![
        (R::ArgumentInvalid, job(&run.uid, now, "surprise")),
        (R::RunNotFound, job(ABSENT, now, "cleanup")),
        (R::VersionConflict, job(&run.uid, now + 9, "cleanup")),
        (R::RunState, job(&over.uid, closed, "bootstrap")),
    ];
    book.each("DispatchService/OfferJob", cases).await;

    let phases = |run: &str, version: u64, phases: Vec<u32>| pb::OfferPhasesRequest {
        run_uid: run.into(),
        expected_version: version,
        phases,
    };
    let cases = vec![
        (R::ArgumentInvalid, phases("offered", now, vec![0])),
        (R::RunNotFound, phases(ABSENT, now, vec![0])),
        (R::PhaseNotFound, phases(&run.uid, now, vec![9])),
        (R::VersionConflict, phases(&run.uid, now + 9, vec![0])),
        (R::LimitExceeded, phases(&run.uid, now, (0..MOST).collect())),
    ];
    book.each("DispatchService/OfferPhases", cases).await;

    let batch = |offers: Vec<pb::OfferPhasesRequest>| pb::OfferBatchRequest { offers };
    let method = "DispatchService/OfferBatch";
    let two = vec![phases(&run.uid, now, vec![0]), phases(ABSENT, now, vec![0])];
    let done: pb::OfferBatchResponse = book.ok(method, batch(two)).await;
    let outcomes: Vec<_> = done
        .outcomes
        .into_iter()
        .filter_map(|o| o.outcome)
        .collect();
    let [Outcome::Offered(offered), Outcome::Refused(refused)] = &outcomes[..] else {
        panic!("{outcomes:?}");
    };
    assert_eq!(offered.offered, 1);
    assert_eq!(refused.code, i32::from(tonic::Code::NotFound));
    let many = vec![phases(&run.uid, now, vec![1]); 65];
    book.refused(method, R::LimitExceeded, batch(many)).await;

    waits(book).await;
    budgets(book).await;
    let policy = pb::GetPolicyRequest { known_version: 0 };
    let _: pb::GetPolicyResponse = book.ok("DispatchService/GetPolicy", policy).await;
    for paused in [true, false] {
        let request = pb::PauseLaneRequest {
            lane: "gpu".into(),
            paused,
        };
        let answer: pb::PauseLaneResponse = book.ok("DispatchService/PauseLane", request).await;
        assert_eq!(answer.paused_lanes.contains(&"gpu".to_owned()), paused);
    }
}

async fn waits(book: &mut Book) {
    let run = book
        .started(
            "waiting",
            "builder: { kind: external, timeout_seconds: 60 }",
        )
        .await;
    let now = book.version(&run).await;
    let expire = |run: &str, version: u64, phase: u32| pb::ExpireWaitsRequest {
        run_uid: run.into(),
        expected_version: version,
        phases: vec![phase],
    };
    let method = "DispatchService/ExpireWaits";
    // Its deadline has not passed.
    let done: pb::ExpireWaitsResponse = book.ok(method, expire(&run.uid, now, 0)).await;
    assert_eq!(done.expired, 0);
    let cases = vec![
        (R::ArgumentInvalid, expire("waiting", now, 0)),
        (R::RunNotFound, expire(ABSENT, now, 0)),
        (R::PhaseNotFound, expire(&run.uid, now, 9)),
        (R::VersionConflict, expire(&run.uid, now + 9, 0)),
    ];
    book.each(method, cases).await;
}

async fn budgets(book: &mut Book) {
    let run = book.started("spent", NOOP).await;
    book.lease(&run, 1).await;
    let now = book.version(&run).await;
    let exhaust = |run: &str, version: u64, phase: u32, cause: &str| pb::ExhaustBudgetRequest {
        run_uid: run.into(),
        expected_version: version,
        phases: vec![phase],
        cause: cause.into(),
        detail: "9 of 9".into(),
    };
    let (method, tokens) = ("DispatchService/ExhaustBudget", "BUDGET_TOKENS");
    let cases = vec![
        (R::ArgumentInvalid, exhaust(&run.uid, now, 0, "SURPRISE")),
        (R::ArgumentInvalid, exhaust(&run.uid, now, 0, "GATE_FAILED")),
        (R::RunNotFound, exhaust(ABSENT, now, 0, tokens)),
        (R::PhaseNotFound, exhaust(&run.uid, now, 9, tokens)),
        (R::PhaseState, exhaust(&run.uid, now, 1, tokens)),
        (R::VersionConflict, exhaust(&run.uid, now + 9, 0, tokens)),
    ];
    book.each(method, cases).await;
    let _: pb::ExhaustBudgetResponse = book.ok(method, exhaust(&run.uid, now, 0, tokens)).await;
}
