//! What the registry answers, as the worker reads it.
//!
//! Invariant: a call that is late or refused is an error that says which; nothing of an answer is guessed.

use std::time::Duration;

use autopack_domain::{ErrorKind, Fault, Reason, Timestamp};
use autopack_wire::convert::read;
use autopack_wire::r#gen::registry::v1 as proto;
use autopack_wire::status::from_status;
use tonic::{Response, Status};

use crate::error::CallError;
use crate::ports::Abilities;

/// Waits for an answer, at most for the deadline.
pub(super) async fn answer<R>(
    deadline: Duration,
    call: impl Future<Output = Result<Response<R>, Status>>,
) -> Result<R, CallError> {
    match tokio::time::timeout(deadline, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(call_error(&status)),
        Err(_) => Err(late(deadline)),
    }
}

pub(super) fn late(deadline: Duration) -> CallError {
    let message = format!(
        "the registry did not answer within {} s",
        deadline.as_secs()
    );
    CallError::refused(Reason::DeadlineExceeded, message)
}

pub(super) fn call_error(status: &Status) -> CallError {
    let remote = from_status(status);
    CallError {
        kind: remote.kind,
        reason: remote.reason,
        message: remote.message,
    }
}

/// An answer of a registry that speaks otherwise than we do.
pub(super) fn unreadable(faults: &[Fault]) -> CallError {
    let faults: Vec<String> = faults.iter().take(10).map(ToString::to_string).collect();
    CallError {
        kind: ErrorKind::Corrupt,
        reason: None,
        message: format!(
            "the registry's answer cannot be read: {}",
            faults.join("; ")
        ),
    }
}

pub(super) fn parse<V: std::str::FromStr>(field: &str, text: &str) -> Result<V, CallError> {
    text.parse()
        .map_err(|_| unreadable(&[Fault::new(field, "is not a uid")]))
}

pub(super) fn convert<P, D: TryFrom<P, Error = Vec<Fault>>>(
    message: Option<P>,
) -> Result<Option<D>, CallError> {
    message
        .map(|message| D::try_from(message).map_err(|faults| unreadable(&faults)))
        .transpose()
}

pub(super) fn moment(time: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    read(|at| at.time_optional(time)).ok().flatten()
}

pub(super) fn abilities(worker: proto::WorkerAbilities) -> Abilities {
    Abilities {
        capabilities: worker.capabilities.into_iter().collect(),
        labels: worker.labels.into_iter().collect(),
    }
}

pub(super) fn span(duration: Option<prost_types::Duration>) -> Duration {
    duration.map_or(Duration::ZERO, |d| {
        let nanos = u32::try_from(d.nanos).unwrap_or(0).min(999_999_999);
        Duration::new(u64::try_from(d.seconds).unwrap_or(0), nanos)
    })
}
