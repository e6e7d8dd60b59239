//! The layers of every server, as one tower layer around its routes.
//!
//! Invariant, from outside in: a span for the RPC, a request id, a net for panics, authorisation, a bound on
//! concurrent calls that sheds instead of queueing, a deadline. Sockets and in-process clients share the
//! layer, so neither has a way around it.

mod auth;
mod body;
mod keys;
mod principal;
mod reply;
mod service;
mod table;
mod unread;

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use tower::Layer;

pub use auth::authorise;
pub use keys::{Grant, Known, Now, ShortToken, TokenTable, digest};
pub use principal::{Peer, Principal};
pub use service::{RequestId, ServerService};
pub use table::ALLOWED;

/// Continues the caller's trace: reads headers, sets the parent of the span.
pub type Extract = Arc<dyn Fn(&http::HeaderMap, &tracing::Span) + Send + Sync>;

/// Bytes of one request that a service should decode: a plan of 4 MiB and what surrounds it.
pub const MAX_DECODE: usize = 5 * 1024 * 1024;

/// Bounds and credentials of a server.
#[derive(Clone)]
pub struct ServerOptions {
    /// The longest a unary call may take.
    pub max_deadline: Duration,
    /// Calls at a time; more are refused with `LIMIT_EXCEEDED`.
    pub concurrency: usize,
    /// Keys and whose they are.
    pub tokens: TokenTable,
    /// Ask nobody for a key: whoever reaches the socket may act as anybody.
    pub open: bool,
    /// The wall time, for keys that expire.
    pub now: Option<Now>,
    /// Whether health and reflection answer without a credential.
    pub open_probes: bool,
    /// Continues the caller's trace.
    pub extract: Option<Extract>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            max_deadline: Duration::from_mins(1),
            concurrency: 1024,
            tokens: TokenTable::default(),
            open: false,
            now: None,
            open_probes: true,
            extract: None,
        }
    }
}

/// The layer; clones share the bound on concurrent calls.
#[derive(Clone)]
pub struct ServerLayer {
    shared: Arc<Shared>,
}

struct Shared {
    options: ServerOptions,
    slots: Arc<Semaphore>,
    ids: service::RequestIds,
}

impl ServerLayer {
    /// The layer with these options.
    pub fn new(options: ServerOptions) -> Self {
        let slots = Arc::new(Semaphore::new(options.concurrency.max(1)));
        Self {
            shared: Arc::new(Shared {
                options,
                slots,
                ids: service::RequestIds::default(),
            }),
        }
    }
}

impl Default for ServerLayer {
    fn default() -> Self {
        Self::new(ServerOptions::default())
    }
}

impl<S> Layer<S> for ServerLayer {
    type Service = ServerService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ServerService::new(inner, self.shared.clone())
    }
}
