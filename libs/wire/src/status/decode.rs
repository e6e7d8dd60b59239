//! A status as an error that a caller can branch on.
//!
//! Invariant: any status whatsoever can be read; details that do not parse are as good as absent.

use std::{collections::BTreeMap, time::Duration};

use autopack_domain::{ErrorKind, Fault, Reason, Refusal};
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{StatusExt as _, pb};

use super::{DOMAIN, FAULT_URL, code_name, description, fallback_reason, kind_of};
use crate::types;

/// What a peer, or the way to it, said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteError {
    /// Decides what the caller does.
    pub kind: ErrorKind,
    /// The gRPC code as it came.
    pub code: Code,
    /// The stable reason; `None` if the peer sent none or one that this version does not know.
    pub reason: Option<Reason>,
    /// The reason as it was spelled; empty if none was sent.
    pub reason_code: String,
    /// For people.
    pub message: String,
    /// Variables of the message.
    pub metadata: BTreeMap<String, String>,
    /// Faults of the input.
    pub faults: Vec<Fault>,
    /// Not to be tried again before.
    pub retry_after: Option<Duration>,
}

/// Reads a status.
pub fn from_status(status: &Status) -> RemoteError {
    let details = status.get_error_details();
    let info = details.error_info().filter(|info| info.domain == DOMAIN);
    let reason_code = info.map_or_else(String::new, |info| info.reason.clone());
    let described = details.bad_request().map_or_else(Vec::new, |bad| {
        bad.field_violations
            .iter()
            .map(|v| description::parse(v.field.clone(), &v.description))
            .collect()
    });
    let exact = exact_faults(status);
    RemoteError {
        kind: kind_of(status.code()),
        code: status.code(),
        reason: Reason::parse(&reason_code),
        reason_code,
        message: status.message().to_owned(),
        metadata: info.map_or_else(BTreeMap::new, |info| {
            info.metadata.clone().into_iter().collect()
        }),
        faults: if exact.is_empty() { described } else { exact },
        retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
    }
}

fn exact_faults(status: &Status) -> Vec<Fault> {
    let Ok(rpc) = pb::Status::decode(status.details()) else {
        return Vec::new();
    };
    rpc.details
        .iter()
        .filter(|any| any.type_url == FAULT_URL)
        .filter_map(|any| types::Fault::decode(any.value.as_slice()).ok())
        .map(Fault::from)
        .collect()
}

impl RemoteError {
    /// Whether the reason is this one.
    pub fn is(&self, reason: Reason) -> bool {
        self.reason == Some(reason)
    }

    /// As a refusal of this process; an unknown reason becomes the one that stands for its kind.
    pub fn into_refusal(self) -> Refusal {
        Refusal {
            reason: self.reason.unwrap_or(fallback_reason(self.kind)),
            message: self.message,
            metadata: self.metadata,
            faults: self.faults,
        }
    }
}

impl From<Status> for RemoteError {
    fn from(status: Status) -> Self {
        from_status(&status)
    }
}

impl std::fmt::Display for RemoteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = if self.reason_code.is_empty() {
            code_name(self.code)
        } else {
            &self.reason_code
        };
        write!(f, "{name}: {}", self.message)
    }
}

impl std::error::Error for RemoteError {}
