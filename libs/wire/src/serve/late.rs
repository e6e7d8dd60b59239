//! Routes that come after the socket is bound: until then every call is refused as unavailable.
//!
//! Invariant: a server that waits for its database or bus answers health checks, and tells every other caller to try
//! again; the routes are set once.

use std::{
    convert::Infallible,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use autopack_domain::{Reason, Refusal};
use futures::future::BoxFuture;
use http::{Request, Response};
use tonic::{body::Body, service::Routes};
use tower::{Service, ServiceExt as _};

use crate::status::to_status_after;

/// When a caller may ask again: a start takes a fraction of a second where nothing is missing.
const SOON: Duration = Duration::from_millis(100);

/// Where the routes are put when they are there.
#[derive(Clone, Debug, Default)]
pub struct Late {
    routes: Arc<OnceLock<Routes>>,
}

/// Routes that hand every call to those that [`Late::set`] brings.
pub fn late_routes() -> (Routes, Late) {
    let late = Late::default();
    let router = Routes::default()
        .into_axum_router()
        .fallback_service(late.clone());
    (Routes::from(router), late)
}

impl Late {
    /// From now on calls are served. The first routes stay; `false` if there were some.
    pub fn set(&self, routes: Routes) -> bool {
        self.routes.set(routes.prepare()).is_ok()
    }
}

impl<B> Service<Request<B>> for Late
where
    B: http_body::Body<Data = prost::bytes::Bytes> + Send + 'static,
    B::Error: Into<tonic::codegen::StdError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let routes = self.routes.get().cloned();
        Box::pin(async move {
            let Some(routes) = routes else {
                let refusal = Refusal::new(
                    Reason::RegistryUnavailable,
                    "the service is starting: it waits for its database, its bus or the registry",
                );
                return Ok(to_status_after(&refusal, SOON).into_http());
            };
            let request = request.map(Body::new);
            match routes.oneshot(request).await {
                Ok(response) => Ok(response.map(Body::new)),
                Err(never) => match never {},
            }
        })
    }
}
