//! Whether a caller may call a method.
//!
//! Invariant: what the table does not name is not served; a key, if sent, decides alone, so that a bad key is never
//! outweighed by a trusted transport. A refusal says that a key is missing, wrong or expired, and nothing else of it.

use autopack_domain::{Reason, Refusal};
use http::{Extensions, HeaderMap, header::AUTHORIZATION};
use tonic::Status;

use super::{
    ServerOptions,
    keys::Known,
    principal::{Peer, Principal},
    table::ALLOWED,
};
use crate::status::to_status;

/// The header for a key, beside `authorization`.
const API_KEY: &str = "x-api-key";

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
    let roles = authenticate(options, headers, extensions)?;
    let Some(allowed) = allowed else {
        return Ok(roles.first().copied());
    };
    match roles.iter().find(|role| allowed.contains(role)) {
        Some(role) => Ok(Some(*role)),
        None => Err(denied(roles, path, allowed)),
    }
}

fn denied(roles: &[Principal], path: &str, allowed: &[Principal]) -> Status {
    let names = |list: &[Principal], by: &str| {
        let names: Vec<&str> = list.iter().map(|p| p.as_str()).collect();
        names.join(by)
    };
    let principal = names(roles, " and ");
    let refusal = Refusal::new(
        Reason::PermissionDenied,
        format!(
            "a caller as {principal} may not call {path}; allowed: {}",
            names(allowed, ", ")
        ),
    )
    .with("principal", principal)
    .with("method", path)
    .with("allowed", names(allowed, ","));
    to_status(&refusal)
}

/// What the caller may act as.
fn authenticate<'a>(
    options: &'a ServerOptions,
    headers: &HeaderMap,
    extensions: &'a Extensions,
) -> Result<&'a [Principal], Status> {
    if options.open {
        return Ok(Principal::ALL);
    }
    if let Some(key) = presented(headers) {
        let now = options.now.as_ref().map(|now| now());
        return match options.tokens.find(key, now) {
            Known::Good(roles) => Ok(roles),
            Known::Expired => Err(refuse(Reason::KeyExpired, "the key has expired")),
            Known::Wrong => Err(refuse(Reason::KeyUnknown, "the key is not known")),
        };
    }
    extensions
        .get::<Peer>()
        .and_then(|peer| peer.0.as_ref())
        .map(std::slice::from_ref)
        .ok_or_else(|| refuse(Reason::Unauthenticated, "no key was sent"))
}

/// The key of `authorization: Bearer KEY`, else of `x-api-key: KEY`. What was sent and is no key is the empty one, which
/// nobody has.
fn presented(headers: &HeaderMap) -> Option<&str> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        let (scheme, key) = value
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .unwrap_or_default();
        let is_bearer = scheme.eq_ignore_ascii_case("bearer");
        return Some(if is_bearer { key.trim() } else { "" });
    }
    let value = headers.get(API_KEY)?;
    Some(value.to_str().unwrap_or_default().trim())
}

fn refuse(reason: Reason, message: &str) -> Status {
    to_status(&Refusal::new(
        reason,
        format!("{message}. {}", reason.remedy()),
    ))
}
