//! Answers that the layers give instead of the service.

use std::{any::Any, time::Duration};

use autopack_domain::{Reason, Refusal};
use tonic::Status;

use crate::status::to_status;

/// The deadline passed.
pub(super) fn expired(path: &str, span: Duration) -> Status {
    to_status(
        &Refusal::new(
            Reason::DeadlineExceeded,
            format!("{path} did not end within {} ms", span.as_millis()),
        )
        .with("method", path)
        .with("deadlineMs", span.as_millis()),
    )
}

/// Too many calls at a time.
pub(super) fn overloaded(limit: usize) -> Status {
    to_status(
        &Refusal::new(
            Reason::LimitExceeded,
            format!("{limit} calls are in progress, which is the bound; try again shortly"),
        )
        .with("limit", limit),
    )
}

/// A defect: the caller learns the request id, the log the rest.
pub(super) fn panicked(path: &str, request_id: &str, payload: &(dyn Any + Send)) -> Status {
    let text = payload
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!(
        rpc.method = path,
        request.id = request_id,
        panic = text,
        "a handler panicked"
    );
    to_status(
        &Refusal::new(
            Reason::InternalFault,
            format!("{path} failed by a defect; request id {request_id}"),
        )
        .with("method", path)
        .with("requestId", request_id),
    )
}
