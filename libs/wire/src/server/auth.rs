//! Whether a caller may call a method.
//!
//! Invariant: what the table does not name is not served; a bearer token, if sent, decides alone, so that a bad
//! token is never outweighed by a trusted transport.

use autopack_domain::{Reason, Refusal};
use http::{Extensions, HeaderMap, header::AUTHORIZATION};
use tonic::Status;

use super::{ServerOptions, principal::Peer, principal::Principal, table::ALLOWED};
use crate::status::to_status;

const PROBES: &[&str] = &[
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
];

/// The caller, if it may call the method; `None` for probes without a credential.
pub fn authorise(
    options: &ServerOptions,
    path: &str,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Option<Principal>, Status> {
    let probe = PROBES.iter().any(|prefix| path.starts_with(prefix));
    if probe && options.open_probes {
        return Ok(None);
    }
    let allowed = ALLOWED
        .iter()
        .find(|(method, _)| *method == path)
        .map(|(_, allowed)| *allowed);
    if allowed.is_none() && !probe {
        return Err(Status::unimplemented(format!(
            "no method {}",
            crate::status::clip(path, 200)
        )));
    }
    let principal = authenticate(options, headers, extensions)?;
    match allowed {
        Some(allowed) if !allowed.contains(&principal) => {
            let list: Vec<&str> = allowed.iter().map(|p| p.as_str()).collect();
            let refusal = Refusal::new(
                Reason::PermissionDenied,
                format!(
                    "a {principal} may not call {path}; allowed: {}",
                    list.join(", ")
                ),
            )
            .with("principal", principal)
            .with("method", path)
            .with("allowed", list.join(","));
            Err(to_status(&refusal))
        }
        _ => Ok(Some(principal)),
    }
}

fn authenticate(
    options: &ServerOptions,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Principal, Status> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        let token = value.to_str().ok().and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        return token
            .and_then(|token| options.tokens.find(token))
            .ok_or_else(|| {
                unauthenticated("the credential in `authorization` is not a known `Bearer` token")
            });
    }
    extensions
        .get::<Peer>()
        .and_then(|peer| peer.0)
        .ok_or_else(|| unauthenticated("no credential was sent"))
}

fn unauthenticated(message: &str) -> Status {
    let text = format!("{message}. {}", Reason::Unauthenticated.remedy());
    to_status(&Refusal::new(Reason::Unauthenticated, text))
}
