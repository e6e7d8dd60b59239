//! Refusals and gRPC status: one closed table between kinds and codes, with details a machine can read.
//!
//! Invariant: every status that leaves here carries exactly one `ErrorInfo`; what a refusal said (reason,
//! metadata, every fault with what is allowed) is the same at the other end. An unknown reason, of a newer
//! peer, degrades to its code.

use autopack_domain::{ErrorKind, Reason};
use tonic::Code;

mod decode;
mod description;
mod encode;

#[cfg(test)]
mod tests;

pub use decode::{RemoteError, from_status};
pub(crate) use encode::to_status_with_code;
pub use encode::{invalid_argument, to_status, to_status_after};

/// `ErrorInfo.domain` of every error of the product.
pub const DOMAIN: &str = "autopack";

/// Type of the details that carry a fault whose description is ambiguous.
const FAULT_URL: &str = "type.googleapis.com/autopack.types.v1.Fault";

/// Bytes of a message that travel.
pub const MAX_MESSAGE: usize = 8 * 1024;

/// Bytes of encoded details that travel: they are an HTTP/2 header, for which the client sets the limit.
pub const MAX_DETAILS: usize = 96 * 1024;

/// The gRPC code of a kind.
pub const fn code_of(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::Invalid => Code::InvalidArgument,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::Denied => Code::PermissionDenied,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Exists => Code::AlreadyExists,
        ErrorKind::Precondition => Code::FailedPrecondition,
        ErrorKind::Conflict => Code::Aborted,
        ErrorKind::OutOfRange => Code::OutOfRange,
        ErrorKind::Exhausted => Code::ResourceExhausted,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Deadline => Code::DeadlineExceeded,
        ErrorKind::Cancelled => Code::Cancelled,
        ErrorKind::Corrupt => Code::DataLoss,
        ErrorKind::Bug => Code::Internal,
    }
}

/// The kind of a gRPC code; codes that the product never sends are read as what a caller can do about them.
pub const fn kind_of(code: Code) -> ErrorKind {
    match code {
        Code::InvalidArgument => ErrorKind::Invalid,
        Code::Unauthenticated => ErrorKind::Unauthenticated,
        Code::PermissionDenied => ErrorKind::Denied,
        Code::NotFound => ErrorKind::NotFound,
        Code::AlreadyExists => ErrorKind::Exists,
        // UNIMPLEMENTED: the server is older than the caller.
        Code::FailedPrecondition | Code::Unimplemented => ErrorKind::Precondition,
        Code::Aborted => ErrorKind::Conflict,
        Code::OutOfRange => ErrorKind::OutOfRange,
        Code::ResourceExhausted => ErrorKind::Exhausted,
        Code::Unavailable => ErrorKind::Unavailable,
        Code::DeadlineExceeded => ErrorKind::Deadline,
        Code::Cancelled => ErrorKind::Cancelled,
        Code::DataLoss => ErrorKind::Corrupt,
        Code::Internal | Code::Unknown | Code::Ok => ErrorKind::Bug,
    }
}

/// The reason that stands for a kind when nothing more is known.
pub const fn fallback_reason(kind: ErrorKind) -> Reason {
    match kind {
        ErrorKind::Invalid => Reason::ArgumentInvalid,
        ErrorKind::Unauthenticated => Reason::Unauthenticated,
        ErrorKind::Denied => Reason::PermissionDenied,
        ErrorKind::NotFound => Reason::RunNotFound,
        ErrorKind::Exists => Reason::RunExists,
        ErrorKind::Precondition => Reason::RunState,
        ErrorKind::Conflict => Reason::VersionConflict,
        ErrorKind::OutOfRange => Reason::SnapshotTooOld,
        ErrorKind::Exhausted => Reason::LimitExceeded,
        ErrorKind::Unavailable => Reason::RegistryUnavailable,
        ErrorKind::Deadline => Reason::DeadlineExceeded,
        ErrorKind::Cancelled => Reason::CallCancelled,
        ErrorKind::Corrupt => Reason::DataCorrupt,
        ErrorKind::Bug => Reason::InternalFault,
    }
}

/// The code's name in the gRPC specification, such as `DEADLINE_EXCEEDED`.
pub const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The longest start of a text of at most `max` bytes that ends between characters.
pub(crate) fn clip(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let end = (0..=max)
        .rev()
        .find(|i| text.is_char_boundary(*i))
        .unwrap_or(0);
    &text[..end]
}
