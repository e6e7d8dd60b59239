//! A service that is there while the registry is active, and says where the active one is while it is not.
//!
//! Invariant: a call reaches the use cases of an active registry or is refused with `NOT_ACTIVE`; nothing in between.

use std::{
    convert::Infallible,
    future::Ready,
    marker::PhantomData,
    task::{Context, Poll},
};

use autopack_domain::{Reason, Refusal};
use autopack_wire::status::to_status;
use futures::future::Either;
use tokio::sync::watch;
use tonic::{
    body::Body,
    codegen::{Service, http},
    server::NamedService,
};

use super::Api;
use crate::serving::Activity;

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
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Self::Response, Infallible>>>;

    /// The generated services are always ready.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let now = self.activity.borrow().clone();
        match now {
            Activity::Active(active) => {
                let api = Api {
                    core: active.core,
                    shutdown: active.streams,
                };
                Either::Left((self.make)(api).call(request))
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

fn refuse<L>(refusal: &Refusal) -> Either<L, Ready<Result<http::Response<Body>, Infallible>>> {
    let response = to_status(refusal).into_http();
    Either::Right(std::future::ready(Ok(response)))
}
