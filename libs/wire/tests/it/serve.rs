//! Real sockets: Unix and TCP, probes, shutdown.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use autopack_domain::Reason;
use autopack_wire::{
    client::{ClientOptions, Clients, channel_http, channel_uds},
    registry::{CreateRunRequest, WatchRunRequest},
    serve::{ServeOptions, bind_uds, serve_tcp, serve_uds_socket, with_probes},
    server::{Principal, ServerLayer, ServerOptions, TokenTable},
    status::from_status,
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::{Code, service::Routes};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::{v1, v1alpha};

use crate::stub::{Stub, get};

const TOKEN: &str = "0123456789-worker-token";
pub(crate) const USER: &str = "0123456789-user-token";

fn options() -> ServeOptions {
    let tokens = TokenTable::default()
        .with(TOKEN, Principal::Worker)
        .unwrap()
        .with(USER, Principal::User)
        .unwrap();
    let layer = ServerLayer::new(ServerOptions {
        tokens,
        ..Default::default()
    });
    ServeOptions {
        layer,
        grace: Duration::from_millis(300),
        ..Default::default()
    }
}

pub(crate) struct Running {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    /// Ends the server; how long that took.
    pub(crate) async fn stop(mut self) -> Duration {
        let start = Instant::now();
        self.stop.take().unwrap().send(()).unwrap();
        self.task.await.unwrap();
        start.elapsed()
    }
}

async fn on_uds(path: PathBuf, routes: Routes) -> Running {
    let socket = bind_uds(&path).await.unwrap();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(async move {
        serve_uds_socket(socket, routes, options(), async { stopped.await.unwrap() })
            .await
            .unwrap();
    });
    Running {
        stop: Some(stop),
        task,
    }
}

pub(crate) async fn on_tcp(routes: Routes) -> (String, Running) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(async move {
        serve_tcp(listener, routes, options(), async {
            stopped.await.unwrap();
        })
        .await
        .unwrap();
    });
    (
        address,
        Running {
            stop: Some(stop),
            task,
        },
    )
}

#[tokio::test]
async fn a_peer_on_the_unix_socket_is_the_user() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let stub = Stub::default();
    let server = on_uds(path.clone(), stub.routes()).await;
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let mut clients = Clients::connect_uds(&path).unwrap();
    clients.registry.get_run(get("ok")).await.unwrap();
    assert_eq!(
        stub.seen.last.lock().unwrap().pop().unwrap().0,
        Some(Principal::User)
    );
    // A token says more than the socket.
    let channel = channel_uds(&path).unwrap();
    let mut worker = Clients::connect_channel(channel, Some(TOKEN));
    worker.registry.get_run(get("ok")).await.unwrap();
    assert_eq!(
        stub.seen.last.lock().unwrap().pop().unwrap().0,
        Some(Principal::Worker)
    );
    drop((clients, worker));
    server.stop().await;
    assert!(!path.exists(), "the socket is gone");
}

#[tokio::test]
async fn a_live_socket_is_not_replaced_and_a_dead_one_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let first = bind_uds(&path).await.unwrap();
    assert_eq!(
        bind_uds(&path).await.unwrap_err().kind(),
        std::io::ErrorKind::AddrInUse
    );
    drop(first);
    // What a killed process leaves behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    drop(bind_uds(&path).await.unwrap());
    std::fs::write(&path, "a file").unwrap();
    assert_eq!(
        bind_uds(&path).await.unwrap_err().kind(),
        std::io::ErrorKind::AddrInUse
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a file");
}

#[tokio::test]
async fn over_tcp_a_token_is_needed() {
    let (address, server) = on_tcp(Stub::default().routes()).await;
    let mut nobody = Clients::connect_http(&address, None).unwrap();
    let error = from_status(&nobody.registry.get_run(get("ok")).await.unwrap_err());
    assert!(error.is(Reason::Unauthenticated));
    let mut worker = Clients::connect_http(&format!("http://{address}"), Some(TOKEN)).unwrap();
    worker.registry.get_run(get("ok")).await.unwrap();
    let error = from_status(
        &worker
            .registry
            .create_run(CreateRunRequest::default())
            .await
            .unwrap_err(),
    );
    assert!(error.is(Reason::PermissionDenied), "{error}");
    drop((nobody, worker));
    server.stop().await;
}

#[tokio::test]
async fn large_details_fit_through_a_socket() {
    let (address, server) = on_tcp(Stub::default().routes()).await;
    let mut client = Clients::connect_http(&address, Some(TOKEN)).unwrap();
    let error = from_status(&client.registry.get_run(get("many")).await.unwrap_err());
    assert_eq!(error.faults.len(), 300, "{error}");
    drop(client);
    server.stop().await;
}

#[tokio::test]
async fn an_expired_deadline_is_deadline_exceeded_on_the_wire() {
    let (address, server) = on_tcp(Stub::default().routes()).await;
    // A client without our layers, and without a clock of its own: the server's answer is what counts.
    let channel = channel_http(&address).unwrap();
    let mut bare = autopack_wire::registry::registry_service_client::RegistryServiceClient::new(
        channel.clone(),
    );
    let mut request = tonic::Request::new(get("slow"));
    request
        .metadata_mut()
        .insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
    // Long enough for the server's whole margin before the transport's own CANCELLED.
    request.set_timeout(Duration::from_millis(2500));
    let error = bare.get_run(request).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded, "{error:?}");
    let options = ClientOptions {
        deadline: Duration::from_millis(50),
        ..Default::default()
    }
    .token(TOKEN);
    let error = Clients::over_channel(channel, &options)
        .registry
        .get_run(get("slow"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    drop(bare);
    server.stop().await;
}

#[tokio::test]
async fn a_client_waits_for_a_server_that_is_starting() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let mut clients = Clients::connect_uds(&path).unwrap();
    let call = tokio::spawn(async move { clients.registry.get_run(get("ok")).await.map(|_| ()) });
    tokio::time::sleep(Duration::from_millis(60)).await;
    let server = on_uds(path, Stub::default().routes()).await;
    call.await.unwrap().unwrap();
    server.stop().await;
}

#[tokio::test]
async fn an_open_stream_does_not_hold_up_the_shutdown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let server = on_uds(path.clone(), Stub::default().routes()).await;
    let mut clients = Clients::connect_uds(&path).unwrap();
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
    stream.message().await.unwrap().unwrap();
    let took = server.stop().await;
    assert!(took < Duration::from_secs(3), "{took:?}");
    let end = tokio::time::timeout(Duration::from_secs(3), stream.message())
        .await
        .expect("the stream ends");
    let error = from_status(&end.unwrap_err());
    assert!(error.is(Reason::RegistryUnavailable), "{error}");
}

#[tokio::test]
async fn health_and_reflection_answer_without_a_token() {
    let name = "autopack.registry.v1.RegistryService";
    let (routes, probes) = with_probes(Stub::default().routes(), &[name])
        .await
        .unwrap();
    let (address, server) = on_tcp(routes).await;
    let channel = channel_http(&address).unwrap();
    let mut health = HealthClient::new(channel.clone());
    let mut ask = async |service: &str| {
        let request = HealthCheckRequest {
            service: service.into(),
        };
        health
            .check(request)
            .await
            .map(|r| r.into_inner().status().as_str_name())
    };
    assert_eq!(
        (ask("").await.unwrap(), ask(name).await.unwrap()),
        ("NOT_SERVING", "NOT_SERVING")
    );
    probes.set_ready(true).await;
    assert_eq!(
        (ask("").await.unwrap(), ask(name).await.unwrap()),
        ("SERVING", "SERVING")
    );
    probes.set("liveness", true).await;
    assert_eq!(ask("liveness").await.unwrap(), "SERVING");
    assert_eq!(ask("nobody").await.unwrap_err().code(), Code::NotFound);

    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let mut answers = client
        .server_reflection_info(futures::stream::iter([request]))
        .await
        .unwrap()
        .into_inner();
    let listed = format!(
        "{:?}",
        answers.message().await.unwrap().unwrap().message_response
    );
    for service in [name, "grpc.health.v1.Health"] {
        assert!(listed.contains(service), "{listed}");
    }
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(name.into()),
        ),
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let mut answers = client
        .server_reflection_info(futures::stream::iter([request]))
        .await
        .unwrap()
        .into_inner();
    assert!(answers.message().await.unwrap().is_some());
    drop((client, answers, health));
    server.stop().await;
}
