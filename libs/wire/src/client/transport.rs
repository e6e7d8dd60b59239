//! Failures of the way to the server as statuses.
//!
//! Invariant: a connection that cannot be made or breaks is UNAVAILABLE with a reason, a deadline that the channel
//! noticed is DEADLINE_EXCEEDED; neither is UNKNOWN. What the server itself answered is left alone.

use autopack_domain::{Reason, Refusal};
use http_body_util::BodyExt as _;
use tonic::{Code, Status, body::Body, transport::Channel};
use tower::{ServiceExt as _, util::BoxCloneSyncService};

use super::GrpcService;
use crate::status::to_status;

/// A channel whose errors are statuses.
pub(super) fn over_channel(channel: Channel) -> GrpcService {
    let service = channel
        .map_err(|error| failure(&error))
        .map_response(|response| response.map(|body: Body| Body::new(body.map_err(broken))));
    BoxCloneSyncService::new(service)
}

/// The status of a call that got no answer.
fn failure(error: &(dyn std::error::Error + 'static)) -> Status {
    let mut text = String::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<tonic::TimeoutExpired>() {
            return to_status(&Refusal::new(
                Reason::DeadlineExceeded,
                "the call did not end within its deadline",
            ));
        }
        if let Some(status) = error.downcast_ref::<Status>() {
            return status.clone();
        }
        let part = error.to_string();
        if !text.ends_with(&part) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(&part);
        }
        cause = error.source();
    }
    unavailable(&text)
}

/// The status of a stream that broke off.
fn broken(status: Status) -> Status {
    match status.code() {
        Code::Unknown | Code::Cancelled => unavailable(status.message()),
        _ => status,
    }
}

fn unavailable(text: &str) -> Status {
    to_status(
        &Refusal::new(
            Reason::RegistryUnavailable,
            format!("the registry cannot be reached: {text}"),
        )
        .with("cause", text),
    )
}
