//! One call through the layers.
//!
//! Invariant: whatever happens inside (a panic, a slow handler), the caller gets a status with a reason and the
//! request id; dropping the call drops the handler's work with it.

use std::{
    convert::Infallible,
    hash::{BuildHasher as _, RandomState},
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt as _, future::BoxFuture};
use http::{HeaderValue, Request, Response};
use tonic::{Status, body::Body};
use tower::Service;
use tracing::{Instrument as _, Span, field::Empty};

use super::{Shared, auth::authorise, body::WatchedBody, reply, unread};
use crate::{client::timeout, methods};

const REQUEST_ID: &str = "x-request-id";

/// The id of a request, as an extension for handlers and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);

/// Ids for requests that bring none: unlike those of any other process, and not secret.
#[derive(Default)]
pub(super) struct RequestIds {
    process: RandomState,
    next: AtomicU64,
}

impl RequestIds {
    /// The caller's id if it is fit for logs, else a new one.
    fn of(&self, headers: &http::HeaderMap) -> RequestId {
        let sent = headers
            .get(REQUEST_ID)
            .and_then(|v| v.to_str().ok())
            .filter(|id| {
                (1..=128).contains(&id.len())
                    && id
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=".contains(&b))
            });
        if let Some(id) = sent {
            return RequestId(id.into());
        }
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        RequestId(format!("{:016x}-{n:x}", self.process.hash_one(0_u8)).into())
    }
}

/// The layers around a service.
#[derive(Clone)]
pub struct ServerService<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> ServerService<S> {
    pub(super) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl<S> Service<Request<Body>> for ServerService<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The clone that was made ready is the one that is called.
        let fresh = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, fresh);
        let shared = self.shared.clone();
        let id = shared.ids.of(request.headers());
        let path: Arc<str> = request.uri().path().into();
        request.extensions_mut().insert(id.clone());
        let span = span(&path, &id);
        if let Some(extract) = &shared.options.extract {
            extract(request.headers(), &span);
        }
        let outer = span.clone();
        async move {
            let answer = AssertUnwindSafe(guarded(inner, shared, &path, request))
                .catch_unwind()
                .await;
            let answer = match answer {
                Ok(Ok(response)) => unread::explained(&path, response),
                Ok(Err(status)) => status.into_http(),
                Err(panic) => reply::panicked(&path, &id.0, panic.as_ref()).into_http(),
            };
            Ok(finish(answer, path, id, outer))
        }
        .instrument(span)
        .boxed()
    }
}

async fn guarded<S>(
    mut inner: S,
    shared: Arc<Shared>,
    path: &str,
    mut request: Request<Body>,
) -> Result<Response<Body>, Status>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let options = &shared.options;
    if let Some(principal) = authorise(options, path, request.headers(), request.extensions())? {
        request.extensions_mut().insert(principal);
    }
    // Probes are answered under load, or the load would look like a failure.
    let method = methods::method(path);
    let _slot = match method {
        Some(_) => Some(
            shared
                .slots
                .try_acquire()
                .map_err(|_| reply::overloaded(options.concurrency))?,
        ),
        None => None,
    };
    let asked = timeout::read(request.headers());
    let limit = if method.is_some_and(methods::Method::is_unary) {
        Some(
            asked
                .unwrap_or(options.max_deadline)
                .min(options.max_deadline),
        )
    } else {
        // A stream's deadline, if the client sets one, bounds the wait for its first message.
        asked
    };
    let work = inner.call(request);
    let answer = match limit {
        Some(limit) => tokio::time::timeout(limit.saturating_sub(margin(limit)), work)
            .await
            .map_err(|_| reply::expired(path, limit))?,
        None => work.await,
    };
    match answer {
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
}

/// The transport cuts a call off at its `grpc-timeout` with CANCELLED; the layer must be first.
fn margin(limit: Duration) -> Duration {
    (limit / 10).min(Duration::from_millis(250))
}

fn span(path: &str, id: &RequestId) -> Span {
    let method = path.trim_start_matches('/');
    tracing::info_span!(
        "rpc",
        otel.name = method,
        otel.kind = "server",
        rpc.system.name = "grpc",
        rpc.method = method,
        rpc.response.status_code = Empty,
        error.type = Empty,
        otel.status_code = Empty,
        request.id = &*id.0,
    )
}

/// Echoes the request id and watches the body for its status.
fn finish(
    mut response: Response<Body>,
    path: Arc<str>,
    id: RequestId,
    span: Span,
) -> Response<Body> {
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    if let Some(status) = Status::from_header_map(response.headers()) {
        super::body::record(&span, status.code());
        return response;
    }
    response.map(|body| Body::new(WatchedBody::new(body, path, id, span)))
}
