//! `/metrics`, `/livez` and `/readyz` on an address of their own.
//!
//! Invariant: nothing here waits for the service's work; a scrape that comes while everything is down is answered.

use std::io;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::ready::Readiness;
use crate::{switches::Switches, telemetry::Meters};

/// What the pages show.
#[derive(Clone)]
pub(super) struct Pages {
    pub(super) meters: Meters,
    pub(super) ready: Readiness,
    pub(super) switches: Switches,
}

/// Serves until the token is cancelled.
pub(super) async fn serve(
    listener: TcpListener,
    pages: Pages,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .with_state(pages);
    axum::serve(listener, router)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
}

async fn metrics(State(pages): State<Pages>) -> impl IntoResponse {
    let kind = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    match pages.meters.render() {
        Ok(text) => (StatusCode::OK, kind, text),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            kind,
            format!("{error}\n"),
        ),
    }
}

async fn readyz(State(pages): State<Pages>) -> impl IntoResponse {
    let missing = pages.ready.missing();
    let on: Vec<&str> = pages.switches.on().collect();
    let body = serde_json::json!({
        "ready": missing.is_empty(),
        "waits_for": missing,
        "switches": on,
    });
    let code = if missing.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        code,
        [(CONTENT_TYPE, "application/json")],
        format!("{body}\n"),
    )
}
