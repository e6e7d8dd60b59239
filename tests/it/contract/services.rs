//! The services beside the registry: scheduler, telemetry, and, at the end of everything, the worker.

use autopack_domain::Reason as R;
use autopack_wire::scheduler as s;
use autopack_wire::telemetry as t;
use autopack_wire::worker as w;
use prost_types::Duration;

use crate::book::Book;

pub(crate) async fn call(book: &mut Book) {
    scheduler(book).await;
    telemetry(book).await;
    worker(book).await;
}

async fn scheduler(book: &mut Book) {
    let explain = |run: &str, phase: &str| s::ExplainRequest {
        run_id: run.into(),
        phase_id: phase.into(),
    };
    let method = "SchedulerService/Explain";
    let said: s::ExplainResponse = book.ok(method, explain("waiting", "")).await;
    assert!(!said.phases.is_empty());
    book.refused(method, R::RunNotFound, explain("absent", ""))
        .await;
    book.refused(method, R::PhaseNotFound, explain("waiting", "Z"))
        .await;

    let list = |size: i32, token: &str| s::ListQueueRequest {
        page_size: size,
        page_token: token.into(),
        ..Default::default()
    };
    let method = "SchedulerService/ListQueue";
    let _: s::ListQueueResponse = book.ok(method, list(0, "")).await;
    book.refused(method, R::ArgumentInvalid, list(-1, "")).await;
    book.refused(method, R::PageTokenInvalid, list(0, "x"))
        .await;

    for paused in [true, false] {
        let request = s::PauseLaneRequest {
            lane: "gpu".into(),
            paused,
        };
        let answer: s::PauseLaneResponse = book.ok("SchedulerService/PauseLane", request).await;
        assert_eq!(answer.paused_lanes.contains(&"gpu".to_owned()), paused);
    }
}

async fn telemetry(book: &mut Book) {
    let usage = |run: &str| t::GetRunUsageRequest { run_id: run.into() };
    let method = "TelemetryService/GetRunUsage";
    let used: t::GetRunUsageResponse = book.ok(method, usage("worked")).await;
    assert_eq!(used.tokens, 7);
    book.refused(method, R::RunNotFound, usage("absent")).await;

    let stream = |seconds: i64| t::StreamMetricsRequest {
        interval: Some(Duration { seconds, nanos: 0 }),
    };
    let method = "TelemetryService/StreamMetrics";
    let first: t::StreamMetricsResponse = book.ok(method, stream(1)).await;
    assert!(first.time.is_some());
    book.refused(method, R::ArgumentInvalid, stream(-1)).await;
}

async fn worker(book: &mut Book) {
    let status: w::GetStatusResponse = book
        .ok("WorkerService/GetStatus", w::GetStatusRequest {})
        .await;
    assert_eq!(status.lanes, [crate::scene::LANE]);
    let slots: w::ListSlotsResponse = book
        .ok("WorkerService/ListSlots", w::ListSlotsRequest {})
        .await;
    assert_eq!(slots.slots.len(), status.slots as usize);
    let drain = |seconds: i64| w::DrainRequest {
        grace: Some(Duration { seconds, nanos: 0 }),
    };
    book.refused("WorkerService/Drain", R::ArgumentInvalid, drain(-1))
        .await;
    let _: w::DrainResponse = book.ok("WorkerService/Drain", drain(0)).await;
}
