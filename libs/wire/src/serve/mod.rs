//! Sockets of a server: Unix and TCP, health and reflection, shutdown with a deadline.
//!
//! Invariant: `serve_*` return within the grace period after the shutdown signal, whatever streams are open.

mod guarded;
mod late;
mod probes;
mod uds;

use std::{future::Future, time::Duration};

use futures::{Stream, stream};
use tokio::{net::TcpListener, sync::oneshot};
use tokio_util::sync::CancellationToken;
use tonic::{
    service::Routes,
    transport::{Server, ServerTlsConfig, server::Connected},
};

pub use guarded::Guarded;
pub use late::{Late, late_routes};
pub use probes::{LIVENESS, Probes, READINESS, with_liveness, with_probes};
pub use uds::{UdsSocket, bind_uds};

use crate::server::{Peer, Principal, ServerLayer};

/// How a server serves.
#[derive(Clone)]
pub struct ServeOptions {
    /// The layers; give the same one to all sockets and in-process clients, so that they share its bounds.
    pub layer: ServerLayer,
    /// From the shutdown signal to the end of the last connection.
    pub grace: Duration,
    /// Connections are asked to end at this age, so that clients spread after a scale-out; `None`: never.
    pub max_connection_age: Option<Duration>,
    /// Whom a peer on the Unix socket with our uid is taken for, unless it sends a token.
    pub uds_principal: Principal,
    /// TLS for TCP.
    pub tls: Option<ServerTlsConfig>,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            layer: ServerLayer::default(),
            grace: Duration::from_secs(10),
            max_connection_age: None,
            uds_principal: Principal::User,
            tls: None,
        }
    }
}

/// Why a server ended, or could not start.
#[derive(Debug)]
pub enum ServeError {
    /// The socket could not be made.
    Socket(std::io::Error),
    /// The transport failed.
    Transport(tonic::transport::Error),
}

impl std::fmt::Display for ServeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(_) => f.write_str("the socket cannot be used"),
            Self::Transport(_) => f.write_str("the server failed"),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Socket(error) => Some(error),
            Self::Transport(error) => Some(error),
        }
    }
}

/// Serves on a Unix socket (mode 0600, peers of our own uid only) until `shutdown`; removes the socket at the end.
pub async fn serve_uds(
    path: &std::path::Path,
    routes: Routes,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let socket = bind_uds(path).await.map_err(ServeError::Socket)?;
    serve_uds_socket(socket, routes, options, shutdown).await
}

/// Serves on a Unix socket that was bound before.
pub async fn serve_uds_socket(
    socket: UdsSocket,
    routes: Routes,
    mut options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    options.tls = None;
    let kill = CancellationToken::new();
    let incoming = uds::incoming(&socket, options.uds_principal, kill.clone());
    serve(incoming, routes, &options, kill, shutdown).await
}

/// Serves on a TCP listener until `shutdown`.
pub async fn serve_tcp(
    listener: TcpListener,
    routes: Routes,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let kill = CancellationToken::new();
    let token = kill.clone();
    let incoming = stream::unfold(listener, move |listener| {
        let token = token.clone();
        async move {
            loop {
                match listener.accept().await {
                    Ok((socket, _)) => {
                        // Without it, small messages wait for the peer's acknowledgement.
                        let _ = socket.set_nodelay(true);
                        return Some((Ok(Guarded::new(socket, Peer(None), token)), listener));
                    }
                    Err(error) => accept_failed(&error).await,
                }
            }
        }
    });
    serve(incoming, routes, &options, kill, shutdown).await
}

/// An accept that fails (out of descriptors, a peer that went away) must not end the server.
async fn accept_failed(error: &std::io::Error) {
    tracing::warn!(error = %error, "a connection could not be accepted");
    tokio::time::sleep(Duration::from_millis(20)).await;
}

async fn serve<IO>(
    incoming: impl Stream<Item = Result<Guarded<IO>, std::io::Error>> + Send,
    routes: Routes,
    options: &ServeOptions,
    kill: CancellationToken,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError>
where
    Guarded<IO>: tokio::io::AsyncRead
        + tokio::io::AsyncWrite
        + Connected<ConnectInfo = Peer>
        + Unpin
        + Send
        + 'static,
{
    let mut server = Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)));
    if let Some(age) = options.max_connection_age {
        server = server
            .max_connection_age(age)
            .max_connection_age_grace(options.grace);
    }
    if let Some(tls) = options.tls.clone() {
        server = server.tls_config(tls).map_err(ServeError::Transport)?;
    }
    let (told, signal) = oneshot::channel();
    let serving = server
        .layer(options.layer.clone())
        .add_routes(routes.prepare())
        .serve_with_incoming_shutdown(incoming, async {
            shutdown.await;
            // The other side is gone only when the server has ended.
            let _ = told.send(());
        });
    let late = async {
        if signal.await.is_ok() {
            tokio::time::sleep(options.grace).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    let result = tokio::select! {
        result = serving => result.map_err(ServeError::Transport),
        () = late => {
            tracing::warn!(grace_ms = options.grace.as_millis() as u64, "connections were still open and are cut off");
            Ok(())
        }
    };
    kill.cancel();
    result
}
