//! One call of a client: limit, headers, deadline, tries.
//!
//! Invariant: a unary call always has a deadline and tells the server; it covers the wait for a free slot, all
//! tries and the pauses between them. Only UNAVAILABLE is tried again, only for calls that may be repeated or that a
//! standby refused before they began; a request that makes no progress is held back (see [`super::breaker`]). Every
//! call names the database that this process works on, and a method that the server lacks is told by name.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use autopack_domain::{Reason, Refusal};
use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response, header::AUTHORIZATION};
use http_body_util::Full;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout_at},
};
use tonic::{Code, Status, body::Body};
use tower::{Service, ServiceExt as _};

use super::{
    ClientOptions, Database, Gaps, GrpcService, Inject,
    breaker::Breaker,
    replay::{Payload, payload},
    several::Moved,
    timeout::{self, GRPC_TIMEOUT},
};
use crate::{methods, status};

/// The client layers around a transport.
#[derive(Clone)]
pub struct ClientService {
    inner: GrpcService,
    slots: Arc<Semaphore>,
    plan: Arc<Plan>,
}

struct Plan {
    deadline: Duration,
    tries: u32,
    backoff: Duration,
    max_backoff: Duration,
    authorization: Option<HeaderValue>,
    inject: Option<Inject>,
    jitter: RandomState,
    breaker: Breaker,
    database: Database,
    gaps: Gaps,
}

impl ClientService {
    /// The layers with these options.
    pub fn new(inner: GrpcService, options: &ClientOptions) -> Self {
        let authorization = options.token.as_deref().and_then(|token| {
            let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        let plan = Plan {
            deadline: options.deadline,
            tries: options.tries.max(1),
            backoff: options.backoff,
            max_backoff: options.max_backoff,
            authorization,
            inject: options.inject.clone(),
            jitter: RandomState::new(),
            breaker: Breaker::default(),
            database: options
                .database
                .as_ref()
                .map_or_else(Database::default, Database::expected),
            gaps: Gaps::default(),
        };
        Self {
            inner,
            slots: Arc::new(Semaphore::new(options.concurrency.max(1))),
            plan: Arc::new(plan),
        }
    }

    /// The database that the calls work on.
    pub fn database(&self) -> Database {
        self.plan.database.clone()
    }

    /// Methods that the server turned out to lack.
    pub fn gaps(&self) -> Gaps {
        self.plan.gaps.clone()
    }
}

impl Service<Request<Body>> for ClientService {
    type Response = Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Body>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let (inner, slots, plan) = (self.inner.clone(), self.slots.clone(), self.plan.clone());
        // The trace context is that of the span in which the call was made.
        plan.decorate(request.headers_mut());
        Box::pin(async move {
            let path = request.uri().path().to_owned();
            let method = methods::method(&path);
            let asked = timeout::read(request.headers());
            let span = asked.or_else(|| {
                method
                    .is_none_or(methods::Method::is_unary)
                    .then_some(plan.deadline)
            });
            let deadline = span.map(|span| Instant::now() + span);
            let work = async {
                // Never closed.
                let _slot = slots
                    .acquire()
                    .await
                    .map_err(|_| Status::cancelled("the client is closed"))?;
                plan.tries(inner, method, request, deadline).await
            };
            let answer = match deadline {
                Some(deadline) => match timeout_at(deadline, work).await {
                    Ok(answer) if !cut_off(&answer, deadline) => answer,
                    _ => Err(expired(span)),
                },
                None => work.await,
            };
            plan.gaps.check(&path, plan.database.check(answer))
        })
    }
}

impl Plan {
    fn decorate(&self, headers: &mut http::HeaderMap) {
        if let Some(value) = &self.authorization {
            headers.insert(AUTHORIZATION, value.clone());
        }
        if let Some(inject) = &self.inject {
            inject(headers);
        }
        self.database.name(headers);
    }

    async fn tries(
        &self,
        inner: GrpcService,
        method: Option<methods::Method>,
        request: Request<Body>,
        deadline: Option<Instant>,
    ) -> Result<Response<Body>, Status> {
        let (parts, body) = request.into_parts();
        let (bytes, most) = match payload(method, body).await? {
            Payload::Once(body) => {
                let request = Request::from_parts(parts, body);
                return inner.oneshot(with_timeout(request, deadline)).await;
            }
            Payload::Single(bytes) => (bytes, 1),
            Payload::Kept(bytes) => (bytes, self.tries),
        };
        let key = self.breaker.key(parts.uri.path(), &bytes);
        if let Some(status) = self.breaker.held(key) {
            return Err(status);
        }
        let mut pause = self.backoff;
        let mut tried = 1;
        loop {
            let request = Request::from_parts(parts.clone(), Body::new(Full::new(bytes.clone())));
            let answer = inner.clone().oneshot(with_timeout(request, deadline)).await;
            let status = refusal(&answer);
            self.breaker.note(key, status.as_ref());
            let Some(why) = status.as_ref().and_then(unavailable) else {
                return answer;
            };
            // Another registry is asked next: what this one said of its own return does not matter.
            let asked = if moved(&answer) {
                Duration::ZERO
            } else {
                why.asked
            };
            let wait = asked.max(self.jittered(pause, tried));
            let most = if why.untouched { self.tries } else { most };
            // A pause beyond the deadline would only hide why the call failed.
            if tried >= most || deadline.is_some_and(|d| Instant::now() + wait >= d) {
                return answer;
            }
            sleep(wait).await;
            pause = (pause * 2).min(self.max_backoff);
            tried += 1;
        }
    }

    /// Half of the pause to the whole pause.
    fn jittered(&self, pause: Duration, tried: u32) -> Duration {
        let share = self.jitter.hash_one((tried, Instant::now())) % 1000;
        pause / 2 + (pause / 2).mul_f64(share as f64 / 1000.0)
    }
}

/// Tells the server what is left.
fn with_timeout(mut request: Request<Body>, deadline: Option<Instant>) -> Request<Body> {
    if let Some(deadline) = deadline {
        let left = deadline.saturating_duration_since(Instant::now());
        if let Ok(value) = HeaderValue::try_from(timeout::write(left)) {
            request.headers_mut().insert(GRPC_TIMEOUT, value);
        }
    }
    request
}

/// Whether the transport ended the call at its deadline: it keeps the same time and says CANCELLED.
fn cut_off(answer: &Result<Response<Body>, Status>, deadline: Instant) -> bool {
    refusal(answer).is_some_and(|status| status.code() == Code::Cancelled)
        && Instant::now() >= deadline
}

/// The status of an answer that is a refusal before the first byte.
fn refusal(answer: &Result<Response<Body>, Status>) -> Option<Status> {
    match answer {
        // It comes as headers alone.
        Ok(response) => {
            Status::from_header_map(response.headers()).filter(|status| status.code() != Code::Ok)
        }
        Err(status) => Some(status.clone()),
    }
}

/// Why a call may be tried again.
struct Unavailable {
    /// The pause that the server asks for, or none.
    asked: Duration,
    /// The server has not begun it, so that any call may be repeated.
    untouched: bool,
}

/// `Some` if the status is UNAVAILABLE.
fn unavailable(status: &Status) -> Option<Unavailable> {
    if status.code() != Code::Unavailable {
        return None;
    }
    let error = status::from_status(status);
    Some(Unavailable {
        asked: error.retry_after.unwrap_or_default(),
        untouched: error.is(Reason::NotActive),
    })
}

/// Whether the next try goes to another registry.
fn moved(answer: &Result<Response<Body>, Status>) -> bool {
    answer
        .as_ref()
        .is_ok_and(|response| response.extensions().get::<Moved>().is_some())
}

fn expired(span: Option<Duration>) -> Status {
    let within = span.map_or_else(String::new, |span| {
        format!(" within {} ms", span.as_millis())
    });
    let refusal = Refusal::new(
        Reason::DeadlineExceeded,
        format!("the call did not end{within}"),
    )
    .with("deadlineMs", span.unwrap_or_default().as_millis());
    status::to_status(&refusal)
}
