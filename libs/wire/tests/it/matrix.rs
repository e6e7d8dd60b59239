//! Every RPC by every principal, through the real layers.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use autopack_domain::{Reason, Timestamp};
use autopack_wire::{
    methods,
    server::{ALLOWED, Grant, Peer, Principal, ServerLayer, ServerOptions, TokenTable, digest},
    status::from_status,
};
use http::{Request, Response};
use tonic::{Code, Status, body::Body};
use tower::{Layer as _, ServiceExt as _, service_fn};

/// Sends a request through the layers to a service that always says OK.
async fn call(layer: &ServerLayer, path: &str, dress: impl FnOnce(&mut Request<Body>)) -> Code {
    let ok = service_fn(|_: Request<Body>| async {
        Ok::<_, Infallible>(Status::ok("").into_http::<Body>())
    });
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = path.parse().unwrap();
    dress(&mut request);
    let response: Response<Body> = layer.layer(ok).oneshot(request).await.unwrap();
    Status::from_header_map(response.headers()).unwrap().code()
}

fn token(principal: Principal) -> String {
    format!("token-of-the-{principal}")
}

fn layer(open_probes: bool) -> ServerLayer {
    let tokens = Principal::ALL
        .iter()
        .fold(TokenTable::default(), |table, p| {
            table.with(&token(*p), *p).unwrap()
        });
    ServerLayer::new(ServerOptions {
        tokens,
        open_probes,
        ..Default::default()
    })
}

#[test]
fn every_rpc_stands_in_the_table_once() {
    let table: Vec<&str> = ALLOWED.iter().map(|(path, _)| *path).collect();
    let rpcs: BTreeSet<&str> = methods::all().map(|(path, _)| path).collect();
    assert_eq!(table.iter().copied().collect::<BTreeSet<_>>(), rpcs);
    assert_eq!(table.len(), rpcs.len(), "a row stands twice");
    assert!(ALLOWED.iter().all(|(_, allowed)| !allowed.is_empty()));
}

#[tokio::test]
async fn the_table_decides_for_tokens_and_for_trusted_peers() {
    let layer = layer(true);
    for (path, allowed) in ALLOWED {
        for principal in Principal::ALL {
            let want = if allowed.contains(principal) {
                Code::Ok
            } else {
                Code::PermissionDenied
            };
            let by_peer = call(&layer, path, |r| {
                r.extensions_mut().insert(Peer(Some(*principal)));
            })
            .await;
            let by_token = call(&layer, path, |r| {
                r.headers_mut().insert(
                    "authorization",
                    format!("Bearer {}", token(*principal)).parse().unwrap(),
                );
            })
            .await;
            let by_api_key = call(&layer, path, |r| {
                r.headers_mut()
                    .insert("x-api-key", token(*principal).parse().unwrap());
            })
            .await;
            assert_eq!(
                (by_peer, by_token, by_api_key),
                (want, want, want),
                "{principal} {path}"
            );
        }
        let remote = call(&layer, path, |r| {
            r.extensions_mut().insert(Peer(None));
        });
        assert_eq!(remote.await, Code::Unauthenticated, "{path}");
        assert_eq!(
            call(&layer, path, |_| {}).await,
            Code::Unauthenticated,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_malformed_credential_is_no_credential() {
    let layer = layer(true);
    let path = ALLOWED[0].0;
    for bad in [
        "Bearer",
        "Bearer ",
        "Basic dXNlcg==",
        "token-of-the-operator",
        "Bearer token-of-the-operato",
    ] {
        let code = call(&layer, path, |r| {
            r.headers_mut()
                .insert("authorization", bad.parse().unwrap());
            r.extensions_mut().insert(Peer(Some(Principal::User)));
        });
        assert_eq!(code.await, Code::Unauthenticated, "{bad}");
    }
    let code = call(&layer, path, |r| {
        r.headers_mut().insert(
            "authorization",
            "bearer token-of-the-operator".parse().unwrap(),
        );
    });
    assert_eq!(code.await, Code::Ok, "the scheme's case does not matter");
}

#[tokio::test]
async fn what_the_table_does_not_name_is_not_served() {
    let user = |r: &mut Request<Body>| {
        r.extensions_mut().insert(Peer(Some(Principal::User)));
    };
    for path in [
        "/autopack.registry.v1.RegistryService/DropEverything",
        "/",
        "/grpc.health.v1.Healthy/Check",
    ] {
        assert_eq!(
            call(&layer(true), path, user).await,
            Code::Unimplemented,
            "{path}"
        );
    }
}

#[tokio::test]
async fn probes_are_open_only_if_configured() {
    for path in [
        "/grpc.health.v1.Health/Check",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ] {
        assert_eq!(call(&layer(true), path, |_| {}).await, Code::Ok);
        assert_eq!(
            call(&layer(false), path, |_| {}).await,
            Code::Unauthenticated
        );
        let closed = layer(false);
        let code = call(&closed, path, |r| {
            r.extensions_mut().insert(Peer(Some(Principal::Auditor)));
        });
        assert_eq!(code.await, Code::Ok);
    }
}

/// Sends a request and reads the reason of its refusal.
async fn reason(layer: &ServerLayer, dress: impl FnOnce(&mut Request<Body>)) -> Option<Reason> {
    let ok = service_fn(|_: Request<Body>| async {
        Ok::<_, Infallible>(Status::ok("").into_http::<Body>())
    });
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = ALLOWED[0].0.parse().unwrap();
    dress(&mut request);
    let response: Response<Body> = layer.layer(ok).oneshot(request).await.unwrap();
    let status = Status::from_header_map(response.headers()).unwrap();
    (status.code() != Code::Ok).then(|| from_status(&status).reason.unwrap())
}

#[tokio::test]
async fn a_refusal_says_missing_wrong_or_expired() {
    let now = Arc::new(Mutex::new(Timestamp(0)));
    let clock = Arc::clone(&now);
    let tokens = TokenTable::default().grant(Grant {
        digest: digest("a-key-for-an-hour").unwrap(),
        roles: vec![Principal::Reader, Principal::User],
        expires: Some(Timestamp(3_600_000_000)),
    });
    let layer = ServerLayer::new(ServerOptions {
        tokens,
        now: Some(Arc::new(move || *clock.lock().unwrap())),
        ..Default::default()
    });
    let with = |name: &'static str, value: &'static str| {
        move |r: &mut Request<Body>| {
            r.headers_mut().insert(name, value.parse().unwrap());
        }
    };
    assert_eq!(reason(&layer, |_| {}).await, Some(Reason::Unauthenticated));
    for bad in ["another-key-of-16", "", "a-key-for-an-hou"] {
        let sent = reason(&layer, with("x-api-key", bad)).await;
        assert_eq!(sent, Some(Reason::KeyUnknown), "{bad}");
    }
    assert_eq!(
        reason(&layer, with("x-api-key", "a-key-for-an-hour")).await,
        None,
        "the second role is allowed"
    );
    *now.lock().unwrap() = Timestamp(3_600_000_000);
    assert_eq!(
        reason(&layer, with("authorization", "Bearer a-key-for-an-hour")).await,
        Some(Reason::KeyExpired)
    );
    let open = ServerLayer::new(ServerOptions {
        open: true,
        ..Default::default()
    });
    assert_eq!(reason(&open, |_| {}).await, None);
}
