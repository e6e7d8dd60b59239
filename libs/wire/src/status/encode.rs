//! A refusal as a status.
//!
//! Invariant: the message is at most [`MAX_MESSAGE`] bytes and the details at most [`MAX_DETAILS`]; faults that
//! do not fit are counted in the metadata as `faultsOmitted`, never dropped in silence.

use std::{collections::HashMap, time::Duration};

use autopack_domain::{ErrorKind, Fault, Reason, Refusal};
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _, pb};

use super::{DOMAIN, FAULT_URL, MAX_DETAILS, MAX_MESSAGE, clip, code_of, description};
use crate::types;

/// Bytes of one value in the metadata.
const MAX_VALUE: usize = 1024;

/// When a caller may try again, where the refusal does not say.
const RETRY: Duration = Duration::from_secs(1);

/// The status of a refusal. Kinds that time heals carry a `RetryInfo` of one second.
pub fn to_status(refusal: &Refusal) -> Status {
    let heals = match refusal.kind() {
        ErrorKind::Unavailable => true,
        ErrorKind::Exhausted => refusal.reason == Reason::LimitExceeded,
        _ => refusal.reason == Reason::LandingBusy,
    };
    build(refusal, code_of(refusal.kind()), heals.then_some(RETRY))
}

/// The status of a refusal that is worth repeating after a span.
pub fn to_status_after(refusal: &Refusal, retry_after: Duration) -> Status {
    build(refusal, code_of(refusal.kind()), Some(retry_after))
}

/// The status of a refusal under another code than its kind's.
pub(crate) fn to_status_with_code(refusal: &Refusal, code: Code) -> Status {
    build(refusal, code, None)
}

/// The status of a request that does not convert.
pub fn invalid_argument(faults: Vec<Fault>) -> Status {
    to_status(&Refusal::invalid(Reason::ArgumentInvalid, faults))
}

fn build(refusal: &Refusal, code: Code, retry_after: Option<Duration>) -> Status {
    let message = clip(&refusal.message, MAX_MESSAGE);
    let mut details = ErrorDetails::new();
    let mut metadata: HashMap<String, String> = refusal
        .metadata
        .iter()
        .map(|(k, v)| (k.clone(), clip(v, MAX_VALUE).to_owned()))
        .collect();
    let (kept, omitted) = bounded(&refusal.faults);
    if omitted > 0 {
        metadata.insert("faultsOmitted".to_owned(), omitted.to_string());
    }
    details.set_error_info(refusal.reason.code(), DOMAIN, metadata);
    for fault in kept {
        details.add_bad_request_violation(fault.path.clone(), description::write(fault));
    }
    by_kind(refusal, message, &mut details);
    if retry_after.is_some() {
        details.set_retry_info(retry_after);
    }
    details.add_help_link(
        format!("autopack explain {}", refusal.reason),
        format!("urn:autopack:reason:{}", refusal.reason),
    );
    let status = Status::with_error_details(code, message, details);
    with_exact_faults(status, kept)
}

fn by_kind(refusal: &Refusal, message: &str, details: &mut ErrorDetails) {
    let code = refusal.reason.code();
    match refusal.kind() {
        ErrorKind::NotFound | ErrorKind::Exists => {
            let (kind, name) = resource(refusal);
            details.set_resource_info(kind, name, "", refusal.reason.text());
        }
        ErrorKind::Precondition => {
            details.add_precondition_failure_violation(
                code,
                subject(refusal),
                clip(message, MAX_VALUE),
            );
            // Each rule that does not hold stands for itself.
            for fault in bounded(&refusal.faults).0 {
                details.add_precondition_failure_violation(
                    code,
                    fault.path.clone(),
                    clip(&fault.problem, MAX_VALUE),
                );
            }
        }
        ErrorKind::Exhausted => {
            details.add_quota_failure_violation(subject(refusal), clip(message, MAX_VALUE));
        }
        ErrorKind::Bug => {
            if let Some(id) = refusal.metadata.get("requestId") {
                details.set_request_info(id.clone(), "");
            }
        }
        ErrorKind::Invalid
        | ErrorKind::Unauthenticated
        | ErrorKind::Denied
        | ErrorKind::Conflict
        | ErrorKind::OutOfRange
        | ErrorKind::Unavailable
        | ErrorKind::Deadline
        | ErrorKind::Cancelled
        | ErrorKind::Corrupt => {}
    }
}

/// What is missing or taken: `RUN_NOT_FOUND` speaks of the `run` of its metadata.
fn resource(refusal: &Refusal) -> (String, String) {
    let code = refusal.reason.code();
    let noun = ["_NOT_FOUND", "_EXISTS", "_REUSED"]
        .iter()
        .find_map(|end| code.strip_suffix(end))
        .unwrap_or(code);
    let noun = noun.to_ascii_lowercase();
    let name = refusal
        .metadata
        .get(&noun)
        .or_else(|| refusal.metadata.values().next())
        .cloned()
        .unwrap_or_default();
    (noun, clip(&name, MAX_VALUE).to_owned())
}

/// What a violation is about, in the form of a resource name.
fn subject(refusal: &Refusal) -> String {
    let parts: Vec<String> = ["run", "tier", "phase", "attempt", "job", "limit"]
        .iter()
        .filter_map(|key| {
            refusal
                .metadata
                .get(*key)
                .map(|value| format!("{key}s/{}", clip(value, MAX_VALUE)))
        })
        .collect();
    if parts.is_empty() {
        DOMAIN.to_owned()
    } else {
        parts.join("/")
    }
}

/// The faults that fit, and how many do not. A fault may travel twice, hence half of the bound.
fn bounded(faults: &[Fault]) -> (&[Fault], usize) {
    let mut left = MAX_DETAILS / 2;
    let fit = faults
        .iter()
        .take_while(|fault| {
            let size = types::Fault::from(*fault).encoded_len() + 64;
            let fits = size <= left;
            left = left.saturating_sub(size);
            fits
        })
        .count();
    (&faults[..fit], faults.len() - fit)
}

/// Adds the faults whose description does not bring them back as details of their own.
fn with_exact_faults(status: Status, faults: &[Fault]) -> Status {
    if faults.iter().all(description::is_faithful) {
        return status;
    }
    let Ok(mut rpc) = pb::Status::decode(status.details()) else {
        return status;
    };
    rpc.details
        .extend(faults.iter().map(|fault| prost_types::Any {
            type_url: FAULT_URL.to_owned(),
            value: types::Fault::from(fault).encode_to_vec(),
        }));
    Status::with_details(status.code(), status.message(), rpc.encode_to_vec().into())
}
