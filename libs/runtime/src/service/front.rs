//! The sockets of a service: gRPC with its probes, and the pages for scrapers.
//!
//! Invariant: sockets are bound before the service starts; health is answered on them at once, everything else as soon as
//! the routes are there.

use std::{net::SocketAddr, path::Path, sync::Arc};

use autopack_wire::{
    serve::{Late, ServeOptions, late_routes, serve_tcp, with_liveness},
    server::{ServerLayer, ServerOptions, TokenTable},
};
use tokio::net::TcpListener;
use tonic::transport::ServerTlsConfig;

use super::{
    http::{self, Pages},
    process::{Process, StartError},
    run::{GRACE, Program},
    settings::Common,
};
use crate::{
    clock::{Clock as _, SystemClock},
    metrics,
    supervise::{Kind, Supervisor},
    telemetry::propagation::{extract, set_parent_context},
};

pub(super) fn layer(tokens: TokenTable, open: bool) -> ServerLayer {
    let clock = SystemClock::new();
    let calls = metrics::counter(metrics::SERVICE_CALLS);
    ServerLayer::new(ServerOptions {
        tokens,
        open,
        now: Some(Arc::new(move || clock.now())),
        extract: Some(Arc::new(move |headers, span| {
            calls.add(1, &[]);
            set_parent_context(span, extract(headers));
        })),
        ..ServerOptions::default()
    })
}

/// The bound addresses.
#[derive(Debug)]
pub(super) struct Addresses {
    grpc: SocketAddr,
    metrics: Option<SocketAddr>,
}

/// Binds the sockets and serves health on them; everything else as soon as the routes are there.
pub(super) async fn listen(
    program: Program,
    common: &Common,
    layer: ServerLayer,
    tls: Option<ServerTlsConfig>,
    pages: Pages,
    process: &Process,
    front: &Supervisor,
) -> Result<(Late, Addresses), StartError> {
    let (routes, late) = late_routes();
    let (routes, probes) = with_liveness(routes, program.services)
        .await
        .map_err(StartError::from)?;
    let listener = bind("listen", &common.listen).await?;
    let grpc = listener.local_addr().map_err(StartError::from)?;
    let options = ServeOptions {
        layer,
        grace: GRACE,
        tls,
        ..ServeOptions::default()
    };
    let ready = pages.ready.clone();
    // Health says NOT_SERVING from the moment at which the tasks are asked to end.
    front.spawn(
        "probes",
        Kind::BestEffort,
        ready.tell(probes, process.tasks.token()),
    );
    let end = front.token().cancelled_owned();
    front.spawn(
        "grpc",
        Kind::Critical,
        serve_tcp(listener, routes, options, end),
    );
    let mut addresses = Addresses {
        grpc,
        metrics: None,
    };
    if !["", "none"].contains(&common.metrics_listen.as_str()) {
        let listener = bind("metrics_listen", &common.metrics_listen).await?;
        addresses.metrics = Some(listener.local_addr().map_err(StartError::from)?);
        front.spawn(
            "metrics",
            Kind::BestEffort,
            http::serve(listener, pages, front.token()),
        );
    }
    tracing::info!(grpc = %addresses.grpc, metrics = ?addresses.metrics, "listening");
    Ok((late, addresses))
}

async fn bind(key: &str, address: &str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| StartError(format!("{key}: cannot listen on {address}: {error}")))
}

/// Writes the addresses beside and moves them, so that a reader never sees half of them.
pub(super) fn write_addresses(
    path: Option<&Path>,
    addresses: &Addresses,
) -> Result<(), StartError> {
    let Some(path) = path else { return Ok(()) };
    let body = serde_json::json!({
        "pid": std::process::id(),
        "grpc": addresses.grpc.to_string(),
        "metrics": addresses.metrics.map(|address| address.to_string()),
    });
    let beside = path.with_extension("part");
    std::fs::write(&beside, body.to_string())
        .and_then(|()| std::fs::rename(&beside, path))
        .map_err(|error| StartError(format!("{} cannot be written: {error}", path.display())))
}
