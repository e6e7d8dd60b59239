//! A list of registries: calls find the active one, and go nowhere else.

use std::time::{Duration, Instant};

use autopack_domain::Reason;
use autopack_wire::{
    client::{ClientOptions, ClientTls, Clients},
    registry::PauseRunRequest,
    status::from_status,
};

use crate::{
    serve::{Running, USER, on_tcp},
    stub::{Stub, get},
};

fn clients(addresses: &[&str]) -> Clients {
    let options = ClientOptions::default().token(USER);
    Clients::at(&addresses.join(","), &ClientTls::default(), &options).unwrap()
}

/// Two stubs on sockets.
async fn two() -> [(Stub, String, Running); 2] {
    let (one, two) = (Stub::default(), Stub::default());
    let ((at_one, run_one), (at_two, run_two)) =
        (on_tcp(one.routes()).await, on_tcp(two.routes()).await);
    [
        (one, format!("http://{at_one}"), run_one),
        (two, format!("http://{at_two}"), run_two),
    ]
}

/// A call that carries no request id: sent again only because nobody has begun it.
fn pause() -> PauseRunRequest {
    PauseRunRequest {
        run_id: "ok".into(),
        ..PauseRunRequest::default()
    }
}

#[tokio::test]
async fn a_standby_is_left_for_the_registry_that_it_names_and_back() {
    let [(one, at_one, run_one), (two, at_two, run_two)] = two().await;
    let mut clients = clients(&[&at_one, &at_two]);
    one.stand_by(Some(&at_two));
    let since = Instant::now();
    clients.registry.pause_run(pause()).await.unwrap();
    clients.registry.get_run(get("ok")).await.unwrap();
    assert_eq!((one.calls(), two.calls()), (1, 2), "asked once, then left");
    let took = since.elapsed();
    assert!(took < Duration::from_millis(900), "no second try after 1 s");

    one.stand_by(None);
    two.stand_by(Some(&at_one));
    let calls = (0..8).map(|_| {
        let mut registry = clients.registry.clone();
        async move { registry.get_run(get("ok")).await }
    });
    for answer in futures::future::join_all(calls).await {
        answer.unwrap();
    }
    assert_eq!(one.calls(), 1 + 8, "calls that fail together move once");
    run_one.stop().await;
    run_two.stop().await;
}

#[tokio::test]
async fn a_registry_that_is_away_is_left_for_the_next_one() {
    let [(one, at_one, run_one), (two, at_two, run_two)] = two().await;
    let mut clients = clients(&[&at_one, &at_two]);
    clients.registry.get_run(get("ok")).await.unwrap();
    run_one.stop().await;
    clients.registry.get_run(get("ok")).await.unwrap();
    assert_eq!((one.calls(), two.calls()), (1, 1));
    run_two.stop().await;
}

/// What a standby says cannot lead a client, and its key, to an address that nobody configured.
#[tokio::test]
async fn an_address_that_is_not_on_the_list_is_never_dialled() {
    let [(one, at_one, run_one), (two, at_two, run_two)] = two().await;
    let foreign = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = format!("http://{}", foreign.local_addr().unwrap());
    let mut clients = clients(&[&at_one, &at_two]);
    for named in [elsewhere.as_str(), "", "nonsense"] {
        one.stand_by(Some(named));
        two.stand_by(Some(named));
        let error = clients.registry.get_run(get("ok")).await.unwrap_err();
        assert!(from_status(&error).is(Reason::NotActive), "{error:?}");
    }
    assert!(one.calls() >= 3 && two.calls() >= 3, "both were asked");
    let asked = one.calls() + two.calls();
    assert_eq!(asked, 15, "five tries a call, no more");
    two.stand_by(None);
    clients.registry.get_run(get("ok")).await.unwrap();
    let dialled = tokio::time::timeout(Duration::ZERO, foreign.accept()).await;
    assert!(dialled.is_err(), "somebody connected: {dialled:?}");
    run_one.stop().await;
    run_two.stop().await;
}

/// With one address, as before: the standby's own word on when to come back holds.
#[tokio::test]
async fn one_address_is_asked_again_until_it_serves() {
    let stub = Stub::default();
    let (at, running) = on_tcp(stub.routes()).await;
    stub.stand_by(Some("http://127.0.0.1:1"));
    let mut registry = clients(&[&at]).registry;
    let call = tokio::spawn(async move { registry.pause_run(pause()).await });
    while stub.calls() == 0 {
        tokio::task::yield_now().await;
    }
    stub.stand_by(None);
    call.await.unwrap().unwrap();
    assert_eq!(stub.calls(), 2);
    running.stop().await;
}
