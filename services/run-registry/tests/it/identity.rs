//! Which database a registry keeps, what it offers, and whom it turns away.

use std::sync::{Arc, Mutex};

use autopack_domain::Reason;
use autopack_wire::{
    client::{ClientOptions, Clients, GrpcService, Offer, Told, in_process_transport},
    contract, registry as pb,
    server::{ALLOWED, Principal, ServerLayer},
    status::from_status,
};
use tower::{ServiceExt as _, service_fn, util::BoxCloneSyncService};

use crate::harness::{Harness, PLAN, Place, both, request};

both!(
    scenario_two_servers_on_different_databases,
    a_registry_says_what_it_offers,
    the_identity_outlives_the_registry,
);

async fn info(h: &Harness) -> pb::GetServerInfoResponse {
    let mut server = h.clients.server();
    let answer = server.get_server_info(pb::GetServerInfoRequest {}).await;
    answer.unwrap().into_inner()
}

/// One address behind which now one registry answers, now another.
fn switching(between: [GrpcService; 2], at: &Arc<Mutex<usize>>) -> GrpcService {
    let at = at.clone();
    BoxCloneSyncService::new(service_fn(move |request| {
        let chosen = between[*at.lock().unwrap()].clone();
        chosen.oneshot(request)
    }))
}

async fn scenario_two_servers_on_different_databases(one: Place) {
    let two = if one.base.is_some() {
        Place::postgres()
    } else {
        Place::sqlite()
    };
    let (a, b) = (Harness::start(&one).await, Harness::start(&two).await);
    a.create(request(PLAN)).await.unwrap();
    let at = Arc::new(Mutex::new(0));
    let routes = [&a, &b]
        .map(|h| in_process_transport(h.routes.clone(), Principal::User, &ServerLayer::default()));
    let mut clients = Clients::new(switching(routes, &at), &ClientOptions::default());
    let asked = || pb::GetRunRequest {
        run_id: "demo".into(),
        brief: true,
    };
    clients.registry.get_run(asked()).await.unwrap();
    let ours = info(&a).await.database_identity;
    assert_eq!(clients.database().identity(), Some(ours.as_str()));

    // The other one does not know the run; what it would say of it is never heard.
    *at.lock().unwrap() = 1;
    let refused = clients.registry.get_run(asked()).await.unwrap_err();
    let error = from_status(&refused);
    assert!(error.is(Reason::DatabaseMismatch), "{error:?}");
    let theirs = info(&b).await.database_identity;
    assert_eq!(error.metadata["registry"], theirs);
    assert_eq!(error.metadata["caller"], ours);
    assert!(error.message.contains(&info(&b).await.database), "{error}");
    assert!(!error.message.contains("password"), "{error}");
    // And nothing is written there.
    let written = clients.registry.create_run(request(PLAN)).await;
    assert!(from_status(&written.unwrap_err()).is(Reason::DatabaseMismatch));
    let mut registry = b.clients.registry.clone();
    let listed = registry.list_runs(pb::ListRunsRequest::default()).await;
    assert!(listed.unwrap().into_inner().runs.is_empty());

    *at.lock().unwrap() = 0;
    clients.registry.get_run(asked()).await.unwrap();
    a.stop().await;
    b.stop().await;
}

async fn a_registry_says_what_it_offers(place: Place) {
    let h = Harness::start(&place).await;
    let info = info(&h).await;
    assert_eq!(info.contract_version, contract::VERSION);
    assert_eq!(info.contract_digest, contract::digest());
    assert_eq!(info.features, contract::FEATURES);
    let own = ALLOWED.iter().map(|(path, _)| *path);
    let own: Vec<&str> = own
        .filter(|path| path.starts_with("/autopack.registry."))
        .collect();
    for path in &own {
        assert!(info.methods.iter().any(|m| m == path), "{path} is missing");
    }
    assert_eq!(
        info.methods.len(),
        own.len(),
        "and nothing that is not served"
    );
    assert!(!info.database.contains(":postgres@"), "{}", info.database);
    let offer = Offer::learn(&h.clients).await.unwrap();
    assert_eq!((offer.told, offer.missing().len()), (Told::ServerInfo, 0));
    assert!(h.clients.gaps().list().is_empty());
    h.stop().await;
}

async fn the_identity_outlives_the_registry(place: Place) {
    let h = Harness::start(&place).await;
    let first = info(&h).await.database_identity;
    assert_eq!(first.len(), 32);
    h.stop().await;
    let h = Harness::start(&place).await;
    assert_eq!(info(&h).await.database_identity, first);
    let mut registry = h.clients.registry.clone();
    let told = registry.get_info(pb::GetInfoRequest {}).await.unwrap();
    assert_eq!(told.into_inner().database_identity, first);
    h.stop().await;
}
