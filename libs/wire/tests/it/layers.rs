//! Server layers: panics, limits, request ids, deadlines.

use std::{
    io::Write,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use autopack_domain::Reason;
use autopack_wire::{
    client::{ClientOptions, Clients},
    registry::WatchRunRequest,
    server::{Principal, ServerLayer, ServerOptions},
    status::from_status,
};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::stub::{Stub, get};

fn clients(stub: &Stub, options: ServerOptions) -> Clients {
    Clients::in_process_with(
        stub.routes(),
        Principal::User,
        &ServerLayer::new(options),
        &ClientOptions::default(),
    )
}

#[tokio::test]
async fn a_panic_is_an_internal_fault_with_the_request_id() {
    let mut clients = clients(&Stub::default(), ServerOptions::default());
    let mut request = tonic::Request::new(get("panic"));
    request
        .metadata_mut()
        .insert("x-request-id", "my-id".parse().unwrap());
    let status = clients.registry.get_run(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(
        status.get_details_request_info().unwrap().request_id,
        "my-id"
    );
    assert!(from_status(&status).is(Reason::InternalFault));
    assert!(!status.message().contains("a defect\n") && status.message().contains("my-id"));
    clients.registry.get_run(get("ok")).await.unwrap();
}

#[tokio::test]
async fn a_panic_in_a_stream_ends_it_with_a_status() {
    let mut clients = clients(&Stub::default(), ServerOptions::default());
    let request = WatchRunRequest {
        run_id: "panic".into(),
        after_sequence: 0,
    };
    let mut stream = clients
        .registry
        .watch_run(request)
        .await
        .unwrap()
        .into_inner();
    assert!(stream.message().await.unwrap().is_some());
    let status = stream.message().await.unwrap_err();
    assert!(from_status(&status).is(Reason::InternalFault), "{status:?}");
}

#[tokio::test]
async fn calls_beyond_the_bound_are_shed() {
    let stub = Stub::default();
    let clients = clients(
        &stub,
        ServerOptions {
            concurrency: 1,
            ..Default::default()
        },
    );
    let mut first = clients.registry.clone();
    let slow = tokio::spawn(async move { first.get_run(get("slow")).await });
    while stub.calls() == 0 {
        tokio::task::yield_now().await;
    }
    let status = clients
        .registry
        .clone()
        .get_run(get("ok"))
        .await
        .unwrap_err();
    let error = from_status(&status);
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(
        error.is(Reason::LimitExceeded)
            && error.retry_after.is_some()
            && error.metadata["limit"] == "1"
    );
    slow.abort();
    assert!(slow.await.unwrap_err().is_cancelled());
    assert_eq!(stub.seen.abandoned.load(Ordering::SeqCst), 1);
    clients.registry.clone().get_run(get("ok")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_server_has_a_longest_deadline() {
    let stub = Stub::default();
    let mut clients = clients(
        &stub,
        ServerOptions {
            max_deadline: Duration::from_secs(2),
            ..Default::default()
        },
    );
    let status = clients.registry.get_run(get("slow")).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(from_status(&status).metadata["deadlineMs"], "2000");
}

#[tokio::test]
async fn a_request_id_unfit_for_logs_is_replaced() {
    let stub = Stub::default();
    let mut clients = clients(&stub, ServerOptions::default());
    for (sent, kept) in [("abc-1", true), ("has space", false), ("", false)] {
        let mut request = tonic::Request::new(get("ok"));
        request
            .metadata_mut()
            .insert("x-request-id", sent.parse().unwrap());
        clients.registry.get_run(request).await.unwrap();
        let seen = stub.seen.last.lock().unwrap().pop().unwrap().1.unwrap();
        assert_eq!(seen == sent, kept, "{sent}: {seen}");
    }
}

#[tokio::test]
async fn a_wrong_token_is_not_outweighed_by_a_trusted_transport() {
    let stub = Stub::default();
    let options = ClientOptions::default().token("not-a-known-token");
    let mut clients = Clients::in_process_with(
        stub.routes(),
        Principal::User,
        &ServerLayer::default(),
        &options,
    );
    let status = clients.registry.get_run(get("ok")).await.unwrap_err();
    assert_eq!((status.code(), stub.calls()), (Code::Unauthenticated, 0));
    assert!(from_status(&status).is(Reason::KeyUnknown));
}

/// Keeps what a subscriber writes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn each_call_has_a_span_with_its_method_and_status() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::CLOSE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let extract: autopack_wire::server::Extract = {
        let seen = seen.clone();
        Arc::new(move |headers, span| {
            seen.lock()
                .unwrap()
                .push((headers.len(), span.is_disabled()));
        })
    };
    let mut clients = clients(
        &Stub::default(),
        ServerOptions {
            extract: Some(extract),
            ..Default::default()
        },
    );
    clients.registry.get_run(get("ok")).await.unwrap();
    clients.registry.get_run(get("x")).await.unwrap_err();
    clients.registry.get_run(get("panic")).await.unwrap_err();
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let closed: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("\"close\""))
        .collect();
    assert_eq!(closed.len(), 3, "{text}");
    for (line, status, failed) in [
        (closed[0], "OK", false),
        (closed[1], "NOT_FOUND", false),
        (closed[2], "INTERNAL", true),
    ] {
        assert!(
            line.contains(&format!("\"rpc.response.status_code\":\"{status}\"")),
            "{line}"
        );
        assert!(
            line.contains("\"rpc.method\":\"autopack.registry.v1.RegistryService/GetRun\""),
            "{line}"
        );
        assert_eq!(
            line.contains("\"error.type\""),
            failed,
            "only our own failures are errors: {line}"
        );
    }
    assert!(
        text.contains("a handler panicked") && text.contains("a defect"),
        "the log has the cause"
    );
    assert_eq!(seen.lock().unwrap().len(), 3);
}
