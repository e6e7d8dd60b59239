//! What a client learns of a server, what it does about what is missing, and when it stops.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use autopack_domain::Reason;
use autopack_wire::{
    client::{ClientOptions, Clients, DATABASE_HEADER, Offer, Told, in_process_transport},
    contract, methods,
    registry::{
        CancelRunRequest, GetServerInfoRequest, GetServerInfoResponse,
        server_service_server::{ServerService, ServerServiceServer},
    },
    serve::with_probes,
    server::{Principal, ServerLayer},
    status::from_status,
};
use tonic::{Code, Request, Response, Status, service::Routes};
use tower::{ServiceExt as _, util::BoxCloneSyncService};

use crate::stub::{Stub, get};

/// A server that tells what it offers.
struct Teller {
    methods: Vec<String>,
}

#[tonic::async_trait]
impl ServerService for Teller {
    async fn get_server_info(
        &self,
        _: Request<GetServerInfoRequest>,
    ) -> Result<Response<GetServerInfoResponse>, Status> {
        Ok(Response::new(GetServerInfoResponse {
            contract_version: contract::VERSION.into(),
            methods: self.methods.clone(),
            features: vec![contract::VALIDATE_ONLY.into()],
            database_identity: "a".repeat(32),
            ..Default::default()
        }))
    }
}

fn clients(routes: Routes) -> Clients {
    Clients::in_process(routes, Principal::User)
}

/// A server whose answers name a database that the test changes.
fn on_database(stub: &Stub, name: &Arc<Mutex<&'static str>>) -> (Clients, Arc<Mutex<Vec<String>>>) {
    let inner = in_process_transport(stub.routes(), Principal::User, &ServerLayer::default());
    let (name, named) = (name.clone(), Arc::new(Mutex::new(Vec::new())));
    let seen = named.clone();
    let transport = inner
        .map_request(move |request: http::Request<tonic::body::Body>| {
            let sent = request.headers().get(DATABASE_HEADER);
            let sent = sent.and_then(|v| v.to_str().ok()).unwrap_or_default();
            seen.lock().unwrap().push(sent.to_owned());
            request
        })
        .map_response(move |mut response: http::Response<tonic::body::Body>| {
            let value = http::HeaderValue::from_static(*name.lock().unwrap());
            response.headers_mut().insert(DATABASE_HEADER, value);
            response
        });
    let clients = Clients::new(
        BoxCloneSyncService::new(transport),
        &ClientOptions::default(),
    );
    (clients, named)
}

/// BUILD-129: a loop without a pause asked 286 times for a run that was not there.
#[tokio::test(start_paused = true)]
async fn scenario_286_rounds_on_a_404_the_client_must_stop() {
    let stub = Stub::default();
    let mut clients = clients(stub.routes());
    for round in 0..286 {
        let status = clients.registry.get_run(get("gone")).await.unwrap_err();
        let error = from_status(&status);
        assert!(error.is(Reason::RunNotFound), "{round}: {error:?}");
        assert_eq!(error.metadata["run"], "gone", "the answer stays precise");
    }
    assert!(
        stub.calls() <= 10,
        "{} calls reached the server",
        stub.calls()
    );
    // A loop with a pause of a second, over an hour: it is looked for ever more seldom, and another run at once.
    let before = stub.calls();
    for _ in 0..3600 {
        clients.registry.get_run(get("gone")).await.unwrap_err();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let asked = stub.calls() - before;
    assert!((60..=140).contains(&asked), "{asked}");
    clients.registry.get_run(get("ok")).await.unwrap();
}

#[tokio::test]
async fn a_method_that_the_server_lacks_is_told_by_name_and_recorded_once() {
    let stub = Stub::default();
    let mut clients = clients(stub.routes());
    assert!(clients.gaps().list().is_empty());
    for _ in 0..3 {
        let request = CancelRunRequest::default();
        let status = clients.registry.cancel_run(request).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
        let error = from_status(&status);
        assert!(error.is(Reason::MethodMissing), "{error:?}");
        let name = "autopack.registry.v1.RegistryService/CancelRun";
        assert_eq!(error.metadata["method"], name);
        assert!(error.message.contains(name), "{error}");
    }
    let known = ["/autopack.registry.v1.RegistryService/CancelRun"];
    assert_eq!(clients.gaps().list(), known);
    assert_eq!(clients.clone().gaps().list(), known, "clones share them");
    clients.registry.get_run(get("ok")).await.unwrap();
    assert_eq!(clients.gaps().list(), known, "what works is no gap");
}

#[tokio::test]
async fn the_server_itself_tells_what_it_offers_and_the_rest_is_a_gap() {
    let lacks = "/autopack.registry.v1.RegistryService/ListWorkers";
    let served = methods::all().map(|(path, _)| path.to_owned());
    let methods = served.filter(|path| path != lacks).collect();
    let stub = Stub::default();
    let routes = stub
        .routes()
        .add_service(ServerServiceServer::new(Teller { methods }));
    let clients = clients(routes);
    let offer = Offer::learn(&clients).await.unwrap();
    assert_eq!(
        (offer.told, offer.missing()),
        (Told::ServerInfo, vec![lacks])
    );
    assert!(offer.has(contract::VALIDATE_ONLY) && !offer.has("time_travel"));
    assert_eq!(offer.database_identity, "a".repeat(32));
    assert_eq!(clients.gaps().list(), [lacks]);
}

#[tokio::test]
async fn an_older_server_is_asked_by_reflection() {
    let (routes, _probes) = with_probes(Stub::default().routes(), &[]).await.unwrap();
    let clients = clients(routes);
    let offer = Offer::learn(&clients).await.unwrap();
    assert_eq!(offer.told, Told::Reflection);
    let served = "/autopack.registry.v1.RegistryService/GetRun";
    assert!(offer.methods.contains(served), "{:?}", offer.methods);
    assert!(
        !offer.has(contract::VALIDATE_ONLY),
        "reflection tells no features"
    );
    let asked = "/autopack.registry.v1.ServerService/GetServerInfo";
    assert!(clients.gaps().list().contains(&asked.to_owned()));
}

#[tokio::test]
async fn a_server_with_neither_is_taken_as_it_is() {
    let clients = clients(Stub::default().routes());
    let offer = Offer::learn(&clients).await.unwrap();
    assert_eq!((offer.told, offer.missing().len()), (Told::Nobody, 0));
}

#[tokio::test]
async fn the_first_answer_decides_the_database_and_another_one_is_refused() {
    let stub = Stub::default();
    let name = Arc::new(Mutex::new("one"));
    let (mut clients, named) = on_database(&stub, &name);
    assert_eq!(clients.database().identity(), None);
    for _ in 0..2 {
        clients.registry.get_run(get("ok")).await.unwrap();
    }
    assert_eq!(clients.database().identity(), Some("one"));
    assert_eq!(
        *named.lock().unwrap(),
        ["", "one"],
        "from then on it is named"
    );
    *name.lock().unwrap() = "two";
    let status = clients.registry.get_run(get("ok")).await.unwrap_err();
    let error = from_status(&status);
    assert!(error.is(Reason::DatabaseMismatch), "{error:?}");
    assert_eq!(
        (
            error.metadata["caller"].as_str(),
            error.metadata["registry"].as_str()
        ),
        ("one", "two")
    );
    *name.lock().unwrap() = "one";
    clients.registry.get_run(get("ok")).await.unwrap();
}

#[tokio::test]
async fn a_client_may_know_its_database_beforehand() {
    let stub = Stub::default();
    let transport = in_process_transport(stub.routes(), Principal::User, &ServerLayer::default());
    let options = ClientOptions {
        database: Some("one".into()),
        ..ClientOptions::default()
    };
    let mut clients = Clients::new(transport, &options);
    assert_eq!(clients.database().identity(), Some("one"));
    clients.registry.get_run(get("ok")).await.unwrap();
    assert_eq!(stub.calls(), 1, "a server that names none is not refused");
}
