//! A service that is there while the registry is active, and says where the active one is while it is not.
//!
//! Invariant: a call reaches the use cases of an active registry or is refused with `NOT_ACTIVE`; nothing in between.
//! A caller that works on another database is refused before anything is read, and every answer names ours.

use std::{
    convert::Infallible,
    marker::PhantomData,
    task::{Context, Poll},
    time::Duration,
};

use autopack_domain::{Reason, Refusal};
use autopack_wire::{
    client::DATABASE_HEADER,
    status::{to_status, to_status_after},
};
use futures::future::{BoxFuture, FutureExt as _};
use tokio::sync::watch;
use tonic::{
    body::Body,
    codegen::{Service, http},
    server::NamedService,
};

use super::Api;
use crate::serving::Activity;

/// When a caller that met no active registry may ask again: taking over takes a fraction of a second, and the pauses
/// of a client grow.
const SOON: Duration = Duration::from_millis(100);

/// Makes the service of an active registry.
type Make<S> = fn(Api) -> S;

/// One gRPC service behind the switch.
pub(crate) struct Switch<S> {
    activity: watch::Receiver<Activity>,
    make: Make<S>,
    of: PhantomData<fn() -> S>,
}

impl<S> Switch<S> {
    pub(crate) fn new(activity: watch::Receiver<Activity>, make: Make<S>) -> Self {
        let of = PhantomData;
        Self { activity, make, of }
    }
}

impl<S> Clone for Switch<S> {
    fn clone(&self) -> Self {
        Self::new(self.activity.clone(), self.make)
    }
}

impl<S: NamedService> NamedService for Switch<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Switch<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    /// The generated services are always ready.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let now = self.activity.borrow().clone();
        match now {
            Activity::Active(active) => {
                let ours = active.core.identity.clone();
                if let Some(refusal) = foreign(&request, &ours, &active.core.config.database_masked)
                {
                    return refuse(&refusal);
                }
                let api = Api {
                    core: active.core,
                    shutdown: active.streams,
                };
                let answer = (self.make)(api).call(request);
                async move { answer.await.map(|response| named(response, &ours)) }.boxed()
            }
            Activity::Standby { active, epoch } => refuse(&standby(&active, epoch)),
            Activity::Unreachable(problem) => {
                let text = "the registry has not reached its database; it tries again by itself";
                tracing::debug!(problem, "a call came while the database was out of reach");
                refuse(&Refusal::new(Reason::NotActive, text).with("active", ""))
            }
        }
    }
}

/// Why a caller that works on another database is turned away.
fn foreign(request: &http::Request<Body>, ours: &str, masked: &str) -> Option<Refusal> {
    let theirs = request.headers().get(DATABASE_HEADER)?;
    if theirs.as_bytes() == ours.as_bytes() {
        return None;
    }
    let theirs = theirs.to_str().unwrap_or("an unreadable one");
    let text = format!(
        "this registry keeps the database {ours} ({masked}), and the caller works on {theirs}"
    );
    Some(
        Refusal::new(Reason::DatabaseMismatch, text)
            .with("registry", ours)
            .with("caller", theirs),
    )
}

/// An answer that says which database it comes from.
fn named(mut response: http::Response<Body>, ours: &str) -> http::Response<Body> {
    if let Ok(value) = http::HeaderValue::from_str(ours) {
        response.headers_mut().insert(DATABASE_HEADER, value);
    }
    response
}

fn standby(active: &str, epoch: u64) -> Refusal {
    let place = if active.is_empty() {
        "another registry".to_owned()
    } else {
        format!("the registry at {active}")
    };
    Refusal::new(
        Reason::NotActive,
        format!("this registry is a standby; {place} is active"),
    )
    .with("active", active)
    .with("epoch", epoch)
}

fn refuse(refusal: &Refusal) -> BoxFuture<'static, Result<http::Response<Body>, Infallible>> {
    let status = if refusal.reason == Reason::NotActive {
        to_status_after(refusal, SOON)
    } else {
        to_status(refusal)
    };
    let response = status.into_http();
    std::future::ready(Ok(response)).boxed()
}
