//! Maps the client's errors to ours.
//!
//! Invariant: only what a repetition cannot mend is `Config` or `Message`.

use std::{error::Error, time::Duration};

use async_nats::jetstream::{
    Error as ApiError, ErrorCode,
    context::{PublishError, PublishErrorKind},
    stream::{RawMessageError, RawMessageErrorKind},
};

use crate::error::BusError;

/// Anything without a rule of its own.
pub(super) fn unavailable(error: impl std::fmt::Display) -> BusError {
    BusError::Unavailable(error.to_string())
}

/// A failed publication.
pub(super) fn publish(error: &PublishError, after: Duration) -> BusError {
    match error.kind() {
        PublishErrorKind::TimedOut => BusError::Deadline {
            what: "publishing",
            after,
        },
        PublishErrorKind::MaxPayloadExceeded => BusError::Message(error.to_string()),
        _ => match code(error) {
            Some(ErrorCode::STREAM_STORE_FAILED | ErrorCode::INSUFFICIENT_RESOURCES) => {
                BusError::Full(error.to_string())
            }
            _ => unavailable(error),
        },
    }
}

/// A failed call for a stream or consumer, with the server's code if it gave one.
pub(super) fn management(error: impl std::fmt::Display, code: Option<ErrorCode>) -> BusError {
    let text = error.to_string();
    match code {
        Some(ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT) => {
            BusError::Config(format!("JetStream is off on the server: {text}"))
        }
        Some(ErrorCode::INSUFFICIENT_RESOURCES) => BusError::Full(text),
        // A stream or consumer of another shape is in the way.
        Some(ErrorCode(10052 | 10100)) => BusError::Config(text),
        _ => BusError::Unavailable(text),
    }
}

/// Whether a message is not there.
pub(super) fn is_missing(error: &RawMessageError) -> bool {
    match error.kind() {
        RawMessageErrorKind::NoMessageFound => true,
        RawMessageErrorKind::JetStream(api) => api.error_code() == ErrorCode::NO_MESSAGE_FOUND,
        _ => code(error) == Some(ErrorCode::NO_MESSAGE_FOUND),
    }
}

/// The server's own code, wherever it stands in the chain.
pub(super) fn code(error: &(dyn Error + 'static)) -> Option<ErrorCode> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(api) = error.downcast_ref::<ApiError>() {
            return Some(api.error_code());
        }
        next = error.source();
    }
    None
}
