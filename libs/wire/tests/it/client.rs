//! Client layers, in process and over a channel: deadline, repetition, headers, limits.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use autopack_domain::{ErrorKind, Reason};
use autopack_wire::{
    client::{ClientOptions, Clients},
    registry::{CancelRunRequest, CreateRunRequest, WatchRunRequest},
    server::{Principal, ServerLayer},
    status::from_status,
};
use tonic::Code;

use crate::stub::{Stub, get};

fn clients(stub: &Stub) -> Clients {
    Clients::in_process(stub.routes(), Principal::User)
}

fn with(stub: &Stub, options: &ClientOptions) -> Clients {
    Clients::in_process_with(
        stub.routes(),
        Principal::User,
        &ServerLayer::default(),
        options,
    )
}

#[tokio::test]
async fn an_in_process_call_reaches_the_handler_with_its_principal() {
    let stub = Stub::default();
    let inject: autopack_wire::client::Inject = Arc::new(|headers| {
        headers.insert(
            "traceparent",
            http::HeaderValue::from_static("00-0123-45-01"),
        );
    });
    let mut clients = with(&stub, &ClientOptions::default().inject(inject));
    let answer = clients.registry.get_run(get("ok")).await.unwrap();
    assert!(answer.metadata().contains_key("x-request-id"));
    let seen = stub.seen.last.lock().unwrap();
    assert_eq!(seen[0].0, Some(Principal::User));
    assert_eq!(
        seen[0].1.as_deref(),
        answer.metadata().get("x-request-id").unwrap().to_str().ok()
    );
    assert_eq!(seen[0].2.as_deref(), Some("00-0123-45-01"));
}

#[tokio::test]
async fn a_refusal_comes_back_with_its_faults() {
    let mut clients = clients(&Stub::default());
    let error = from_status(&clients.registry.get_run(get("faulty")).await.unwrap_err());
    assert!(error.is(Reason::ArgumentInvalid));
    assert_eq!(error.faults[0].allowed, ["ok"]);
    let error = from_status(&clients.registry.get_run(get("x")).await.unwrap_err());
    assert!(error.is(Reason::RunNotFound) && error.metadata["run"] == "x");
}

#[tokio::test(start_paused = true)]
async fn a_deterministic_refusal_is_not_asked_for_again_and_again() {
    let stub = Stub::default();
    let mut clients = clients(&stub);
    let end = tokio::time::Instant::now() + Duration::from_mins(10);
    while tokio::time::Instant::now() < end {
        let status = clients.registry.get_run(get("faulty")).await.unwrap_err();
        let error = from_status(&status);
        assert!(error.is(Reason::ArgumentInvalid) && error.faults[0].allowed == ["ok"]);
        clients.registry.get_run(get("ok")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let others = 6000;
    assert!(stub.calls() >= others, "another request is not held up");
    assert!(stub.calls() <= others + 60, "{}", stub.calls() - others);
}

#[tokio::test(start_paused = true)]
async fn a_read_is_repeated_while_the_registry_is_unavailable() {
    let stub = Stub::default();
    clients(&stub).registry.get_run(get("flaky")).await.unwrap();
    assert_eq!(stub.calls(), 3);
    let error = clients(&stub)
        .registry
        .get_run(get("down"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), stub.calls()),
        (Code::Unavailable, 8),
        "five tries, then the answer"
    );
}

#[tokio::test(start_paused = true)]
async fn a_command_is_repeated_only_with_a_request_id() {
    let stub = Stub::default();
    let error = clients(&stub)
        .registry
        .create_run(CreateRunRequest::default())
        .await
        .unwrap_err();
    assert_eq!((error.code(), stub.calls()), (Code::Unavailable, 1));
    let stub = Stub::default();
    let request = CreateRunRequest {
        request_id: "r-1".into(),
        document: "x".repeat(100_000),
        ..Default::default()
    };
    assert!(
        clients(&stub)
            .registry
            .create_run(request)
            .await
            .unwrap()
            .into_inner()
            .existing
    );
    assert_eq!(stub.calls(), 2);
}

#[tokio::test]
async fn other_errors_are_not_repeated() {
    let stub = Stub::default();
    let mut clients = clients(&stub);
    let request = CancelRunRequest {
        request_id: "r".into(),
        ..Default::default()
    };
    assert_eq!(
        clients
            .registry
            .cancel_run(request)
            .await
            .unwrap_err()
            .code(),
        Code::Unimplemented
    );
    clients.registry.get_run(get("faulty")).await.unwrap_err();
    assert_eq!(stub.calls(), 1);
}

#[tokio::test]
async fn a_deadline_ends_the_call_and_the_handler() {
    let stub = Stub::default();
    let options = ClientOptions {
        deadline: Duration::from_millis(100),
        ..Default::default()
    };
    let start = Instant::now();
    let error = with(&stub, &options)
        .registry
        .get_run(get("slow"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert_eq!(from_status(&error).kind, ErrorKind::Deadline);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(
        stub.seen.abandoned.load(Ordering::SeqCst),
        1,
        "its work was dropped"
    );
}

#[tokio::test]
async fn a_request_may_set_its_own_deadline() {
    let mut clients = clients(&Stub::default());
    let mut request = tonic::Request::new(get("slow"));
    request.set_timeout(Duration::from_millis(50));
    let error = clients.registry.get_run(request).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_no_deadline() {
    let options = ClientOptions {
        deadline: Duration::from_millis(10),
        ..Default::default()
    };
    let mut clients = with(&Stub::default(), &options);
    let request = WatchRunRequest {
        run_id: "open".into(),
        after_sequence: 0,
    };
    let mut stream = clients
        .registry
        .watch_run(request)
        .await
        .unwrap()
        .into_inner();
    assert!(stream.message().await.unwrap().is_some());
    assert!(
        tokio::time::timeout(Duration::from_hours(1), stream.message())
            .await
            .is_err(),
        "still open"
    );
}

#[tokio::test]
async fn calls_beyond_the_limit_wait() {
    let options = ClientOptions {
        concurrency: 1,
        deadline: Duration::from_millis(300),
        ..Default::default()
    };
    let stub = Stub::default();
    let clients = with(&stub, &options);
    let (mut a, mut b) = (clients.registry.clone(), clients.registry.clone());
    let mut short = tonic::Request::new(get("ok"));
    short.set_timeout(Duration::from_millis(50));
    let (slow, second) = tokio::join!(a.get_run(get("slow")), b.get_run(short));
    assert_eq!(
        (slow.unwrap_err().code(), second.unwrap_err().code()),
        (Code::DeadlineExceeded, Code::DeadlineExceeded)
    );
    assert_eq!(stub.calls(), 1, "the second never got a slot");
    b.get_run(get("ok")).await.unwrap();
}

#[test]
fn addresses_are_checked() {
    for bad in ["", "ftp://x", "https://x", "http://"] {
        assert!(Clients::connect_http(bad, None).is_err(), "{bad}");
    }
    let long = format!("/{}", "x".repeat(200));
    let error = autopack_wire::client::channel_uds(std::path::Path::new(&long)).unwrap_err();
    assert!(error.to_string().contains("107 bytes"), "{error}");
}

#[test]
fn options_do_not_print_the_token() {
    assert!(
        !format!(
            "{:?}",
            ClientOptions::default().token("secret-secret-secret")
        )
        .contains("secret-")
    );
}
