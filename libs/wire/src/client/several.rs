//! A list of registries of which one is active: calls go there, and on to another one when it is a standby or away.
//!
//! Invariant: only addresses of the list are dialled. What a standby's `NOT_ACTIVE` names chooses one of them and adds
//! none; a name that is not on the list is ignored and the next one is asked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use autopack_domain::Reason;
use futures::future::BoxFuture;
use http::{Request, Response};
use tonic::{Code, Status, body::Body};
use tower::{Service, ServiceExt as _, util::BoxCloneSyncService};

use super::{
    BadAddress, ClientTls, GrpcService,
    connect::{bad_address, channel},
    transport,
};
use crate::status::from_status;

/// Put into an answer that made the next call go elsewhere: the caller need not wait for as long as the answer says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved;

/// A registry of the list.
struct Target {
    /// Host and port, in lower case, without the scheme.
    place: String,
    service: GrpcService,
}

/// The list, and which of it is asked now.
struct Targets {
    list: Vec<Target>,
    current: AtomicUsize,
}

/// A transport to whichever of the list is active.
#[derive(Clone)]
struct Several(Arc<Targets>);

/// A transport to one address, or to a list of them that commas separate. Nothing is dialled yet.
pub(super) fn transport(addresses: &str, tls: &ClientTls) -> Result<GrpcService, BadAddress> {
    let mut list: Vec<Target> = Vec::new();
    let parts: Vec<&str> = split(addresses).collect();
    let secure = parts.iter().filter(|part| part.starts_with("https://"));
    if ![0, parts.len()].contains(&secure.count()) {
        let problem = "a key that goes to one of them over https would go to another in the open";
        return Err(bad_address(addresses, problem));
    }
    for part in parts {
        let service = transport::over_channel(channel(part, tls)?);
        let place = place(part);
        if list.iter().all(|known| known.place != place) {
            list.push(Target { place, service });
        }
    }
    match list.len() {
        0 => Err(bad_address(addresses, "it is empty")),
        1 => Ok(list.swap_remove(0).service),
        _ => Ok(over(list)),
    }
}

/// Addresses of a list that commas separate.
pub fn split(addresses: &str) -> impl Iterator<Item = &str> {
    let parts = addresses.split(',').map(str::trim);
    parts.filter(|part| !part.is_empty())
}

fn over(list: Vec<Target>) -> GrpcService {
    let current = AtomicUsize::new(0);
    BoxCloneSyncService::new(Several(Arc::new(Targets { list, current })))
}

/// Host and port of an address; a port that is left out is the scheme's.
fn place(address: &str) -> String {
    if address.starts_with("unix:") {
        return address.to_owned();
    }
    let (scheme, rest) = address.split_once("://").unwrap_or(("http", address));
    let place = rest.split('/').next().unwrap_or_default();
    let place = place.to_ascii_lowercase();
    // In brackets, colons are part of the host.
    let after = place.rsplit(']').next().unwrap_or_default();
    match (after.contains(':'), scheme) {
        (true, _) => place,
        (false, "https") => format!("{place}:443"),
        (false, _) => format!("{place}:80"),
    }
}

impl Targets {
    /// Goes on from a registry that does not serve: to the one that it names, else to the next of the list.
    fn leave(&self, at: usize, named: Option<&str>) {
        let named = named.map(place);
        let known = named.and_then(|place| self.list.iter().position(|t| t.place == place));
        let next = known
            .filter(|next| *next != at)
            .unwrap_or((at + 1) % self.list.len());
        let order = Ordering::Relaxed;
        // Of calls that fail together only the first moves.
        let moved = self.current.compare_exchange(at, next, order, order);
        if moved.is_ok() {
            let (from, to) = (&self.list[at].place, &self.list[next].place);
            tracing::debug!(from, to, "asking another registry of the list");
        }
    }
}

impl Service<Request<Body>> for Several {
    type Response = Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Body>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let targets = Arc::clone(&self.0);
        let at = targets.current.load(Ordering::Relaxed);
        let service = targets.list[at].service.clone();
        Box::pin(async move {
            let mut response = match service.oneshot(request).await {
                Ok(response) => response,
                // The way there, not the registry's own word.
                Err(status) if status.code() == Code::Unavailable => {
                    targets.leave(at, None);
                    let mut response = status.into_http();
                    response.extensions_mut().insert(Moved);
                    return Ok(response);
                }
                Err(status) => return Err(status),
            };
            if let Some(active) = standby(&response) {
                targets.leave(at, Some(&active));
                response.extensions_mut().insert(Moved);
            }
            Ok(response)
        })
    }
}

/// The active registry's address if this is the answer of a standby; empty if it does not know one.
fn standby(response: &Response<Body>) -> Option<String> {
    // A refusal before the first byte comes as headers alone.
    let status = Status::from_header_map(response.headers())?;
    if status.code() != Code::Unavailable {
        return None;
    }
    let mut error = from_status(&status);
    error
        .is(Reason::NotActive)
        .then(|| error.metadata.remove("active").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_host_and_port() {
        for (address, expected) in [
            ("http://R1:7878", "r1:7878"),
            ("http://r1:7878/", "r1:7878"),
            ("r1:7878", "r1:7878"),
            ("https://r1", "r1:443"),
            ("http://[::1]:7878", "[::1]:7878"),
            ("http://[::1]", "[::1]:80"),
            ("unix:/run/a.sock", "unix:/run/a.sock"),
        ] {
            assert_eq!(place(address), expected, "{address}");
        }
    }

    #[tokio::test]
    async fn a_list_is_checked_as_a_whole() {
        let tls = ClientTls::default();
        for bad in ["", " , ", "http://a:1,ftp://b:1", "http://a:1,https://b:1"] {
            assert!(transport(bad, &tls).is_err(), "{bad}");
        }
        assert!(transport("http://a:1, b:2,", &tls).is_ok());
        assert_eq!(split("a:1, b:2,").collect::<Vec<_>>(), ["a:1", "b:2"]);
    }
}
