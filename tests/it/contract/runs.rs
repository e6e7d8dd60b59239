//! Runs: created, read, watched, controlled.

use autopack_domain::Reason as R;
use autopack_wire::registry as pb;

use crate::book::Book;
use crate::desk::{LONG, NOOP, creation};

pub(crate) async fn call(book: &mut Book) {
    create(book).await;
    control(book).await;
    retry(book).await;
    read(book).await;
}

async fn create(book: &mut Book) {
    let method = "RegistryService/CreateRun";
    let named = |id: &str| pb::CreateRunRequest {
        request_id: "created".into(),
        ..creation(id, NOOP)
    };
    let first: pb::CreateRunResponse = book.ok(method, named("first")).await;
    let again: pb::CreateRunResponse = book.ok(method, named("first")).await;
    assert_eq!(first.run.unwrap().uid, again.run.unwrap().uid);
    let cases = vec![
        (R::RequestIdReused, named("other")),
        (
            R::RunExists,
            pb::CreateRunRequest {
                repository: "/elsewhere".into(),
                ..creation("first", NOOP)
            },
        ),
        (
            R::ArgumentInvalid,
            pb::CreateRunRequest {
                repository: String::new(),
                ..creation("bare", NOOP)
            },
        ),
        (
            R::PlanInvalid,
            pb::CreateRunRequest {
                document: "schema: autopack/plan/v1\nruns: 1".into(),
                ..Default::default()
            },
        ),
        (R::BuilderMissing, creation("unbuilt", "allow_noop: false")),
        (
            R::LimitExceeded,
            pb::CreateRunRequest {
                document: "#".repeat((4 << 20) + 1),
                ..Default::default()
            },
        ),
    ];
    book.each(method, cases).await;
}

/// The calls that take a run and a `request_id`, and refuse a run that has ended.
macro_rules! controls {
    ($book:ident, $ended:literal, $($method:literal, $request:ident, $response:ident, $good:literal;)*) => {$({
        let request = |run: &str, id: &str| pb::$request {
            run_id: run.into(),
            request_id: id.into(),
            ..Default::default()
        };
        let method = concat!("RegistryService/", $method);
        let id = concat!("id-of-", $method);
        let _: pb::$response = $book.ok(method, request($good, id)).await;
        $book.refused(method, R::RequestIdReused, request($ended, id)).await;
        $book.refused(method, R::ArgumentInvalid, request($good, LONG)).await;
        $book.refused(method, R::RunNotFound, request("absent", "")).await;
        $book.refused(method, R::RunState, request($ended, "")).await;
    })*};
}

async fn control(book: &mut Book) {
    book.cancelled("over").await;
    let held = pb::CreateRunRequest {
        hold: true,
        ..creation("held", NOOP)
    };
    let _: pb::CreateRunResponse = book.ok("RegistryService/CreateRun", held).await;
    book.create("going", NOOP).await;
    book.ended("well").await;
    controls!(book, "over",
        "StartRun", StartRunRequest, StartRunResponse, "held";
        "PauseRun", PauseRunRequest, PauseRunResponse, "going";
        "ResumeRun", ResumeRunRequest, ResumeRunResponse, "going";
    );
    controls!(book, "well",
        "CancelRun", CancelRunRequest, CancelRunResponse, "going";
    );
}

async fn retry(book: &mut Book) {
    let run = book
        .started("failed", &format!("max_attempts: 1, {NOOP}"))
        .await;
    for (phase, cause) in [(0, "BUILDER_FAILED"), (1, "")] {
        let held = book.lease(&run, phase).await;
        book.settle(&run, &held, cause).await;
    }
    let retry = |run: &str, phase: &str, id: &str| pb::RetryRunRequest {
        run_id: run.into(),
        request_id: id.into(),
        phase_id: phase.into(),
    };
    let method = "RegistryService/RetryRun";
    let cases = vec![
        (R::RunNotFound, retry("absent", "", "")),
        (R::PhaseNotFound, retry("failed", "Z", "")),
        (R::PhaseState, retry("failed", "B", "")),
        (R::RunState, retry("over", "", "")),
        (R::ArgumentInvalid, retry("failed", "", LONG)),
    ];
    book.each(method, cases).await;
    let _: pb::RetryRunResponse = book.ok(method, retry("failed", "A", "retried")).await;
    book.refused(method, R::RequestIdReused, retry("over", "", "retried"))
        .await;

    let add = |run: &str, tier: &str, document: &str, id: &str| pb::AddPhaseRequest {
        run_id: run.into(),
        request_id: id.into(),
        tier_id: tier.into(),
        document: document.into(),
        ..Default::default()
    };
    let phase = "{ id: C, name: c, goal: c, builder: { kind: noop }, gate: { steps: [] } }";
    let other = phase.replace("id: C", "id: D");
    let method = "RegistryService/AddPhase";
    let added: pb::AddPhaseResponse = book.ok(method, add("failed", "T1", phase, "added")).await;
    assert_eq!(added.phase.unwrap_or_default().id, "C");
    let cases = vec![
        (R::RequestIdReused, add("failed", "T1", &other, "added")),
        (R::ArgumentInvalid, add("failed", "T1", &other, LONG)),
        (R::PlanInvalid, add("failed", "T9", &other, "")),
        (R::RunNotFound, add("absent", "T1", &other, "")),
        (R::RunState, add("over", "T1", &other, "")),
    ];
    book.each(method, cases).await;
}

async fn read(book: &mut Book) {
    let get = |run: &str| pb::GetRunRequest {
        run_id: run.into(),
        brief: false,
    };
    let found: pb::GetRunResponse = book.ok("RegistryService/GetRun", get("FIRST")).await;
    assert_eq!(found.phases.len(), 2);
    book.refused("RegistryService/GetRun", R::RunNotFound, get("absent"))
        .await;

    let list = |state: &str, size: i32, token: &str| pb::ListRunsRequest {
        page_size: size,
        page_token: token.into(),
        state: state.into(),
        ..Default::default()
    };
    let listed: pb::ListRunsResponse = book.ok("RegistryService/ListRuns", list("", 2, "")).await;
    assert_eq!(
        (listed.runs.len(), listed.next_page_token.is_empty()),
        (2, false)
    );
    book.refused(
        "RegistryService/ListRuns",
        R::ArgumentInvalid,
        list("READY", 0, ""),
    )
    .await;
    book.refused(
        "RegistryService/ListRuns",
        R::PageTokenInvalid,
        list("", 0, "x"),
    )
    .await;

    let watch = |run: &str, after: u64| pb::WatchRunRequest {
        run_id: run.into(),
        after_sequence: after,
    };
    let first: pb::WatchRunResponse = book.ok("RegistryService/WatchRun", watch("first", 0)).await;
    let is_snapshot = matches!(
        first.message,
        Some(pb::watch_run_response::Message::Snapshot(_))
    );
    assert!(is_snapshot, "{first:?}");
    book.refused(
        "RegistryService/WatchRun",
        R::RunNotFound,
        watch("absent", 0),
    )
    .await;
    book.refused(
        "RegistryService/WatchRun",
        R::SnapshotTooOld,
        watch("first", 1 << 40),
    )
    .await;

    let explain = |run: &str, phase: &str| pb::ExplainRunRequest {
        run_id: run.into(),
        phase_id: phase.into(),
    };
    let method = "RegistryService/ExplainRun";
    let said: pb::ExplainRunResponse = book.ok(method, explain("first", "A")).await;
    assert_eq!(said.phases.len(), 1);
    book.refused(method, R::RunNotFound, explain("absent", ""))
        .await;
    book.refused(method, R::PhaseNotFound, explain("first", "Z"))
        .await;

    let attempts = |run: &str, phase: &str| pb::ListAttemptsRequest {
        run_id: run.into(),
        phase_id: phase.into(),
    };
    let method = "RegistryService/ListAttempts";
    let said: pb::ListAttemptsResponse = book.ok(method, attempts("failed", "A")).await;
    assert_eq!(said.attempts.len(), 1);
    book.refused(method, R::RunNotFound, attempts("absent", ""))
        .await;
    book.refused(method, R::PhaseNotFound, attempts("failed", "Z"))
        .await;

    let facts = |run: &str| pb::ListFactsRequest { run_id: run.into() };
    let said: pb::ListFactsResponse = book.ok("RegistryService/ListFacts", facts("failed")).await;
    assert_eq!(said.failures.len(), 1);
    book.refused("RegistryService/ListFacts", R::RunNotFound, facts("absent"))
        .await;

    let changes = |size: i32| pb::ListChangesRequest {
        after_sequence: 0,
        page_size: size,
    };
    let said: pb::ListChangesResponse = book.ok("RegistryService/ListChanges", changes(1)).await;
    assert_eq!((said.run_uids.len(), said.more), (1, true));
    book.refused(
        "RegistryService/ListChanges",
        R::ArgumentInvalid,
        changes(-1),
    )
    .await;
}
