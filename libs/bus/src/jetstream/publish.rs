//! Publishes jobs and events.
//!
//! Invariant: nothing is queued in the client while the connection is down: the call fails, and the
//! outbox keeps the row.

use async_nats::{
    connection::State,
    header::HeaderMap,
    jetstream::{context::PublishErrorKind, message::PublishMessage},
};
use bytes::Bytes;
use prost::Message as _;
use tokio::time::timeout;

use super::{Shared, fault};
use crate::{
    error::BusError,
    message::{EventEnvelope, JobEnvelope},
    stats::count,
    subject,
};

/// Header of the W3C trace context; header names of NATS are case-sensitive.
pub(super) const TRACEPARENT: &str = "traceparent";
/// Publications in flight at once.
const WINDOW: usize = 256;

struct Outgoing {
    subject: String,
    id: String,
    traceparent: Option<String>,
    body: Bytes,
}

/// Publishes jobs; their sequences in order.
pub(super) async fn jobs(shared: &Shared, jobs: &[JobEnvelope]) -> Result<Vec<u64>, BusError> {
    for envelope in jobs {
        let lane = subject::lane(&envelope.job.lane);
        // A lane without a consumer would keep its jobs from everybody.
        if shared.consumers.is_new(&lane) {
            shared.ensure().await?;
        }
    }
    let prepare = |envelope: &JobEnvelope| Outgoing {
        subject: subject::job(envelope.job.priority, &envelope.job.lane),
        id: envelope.id.clone(),
        traceparent: envelope.traceparent.clone(),
        body: envelope.job.encode_to_vec().into(),
    };
    all(shared, jobs, prepare).await
}

/// Publishes events.
pub(super) async fn events(shared: &Shared, events: &[EventEnvelope]) -> Result<(), BusError> {
    let prepare = |envelope: &EventEnvelope| Outgoing {
        subject: subject::event(&envelope.project, &envelope.run_uid, &envelope.event.kind),
        id: envelope.id.clone(),
        traceparent: envelope.traceparent.clone(),
        body: envelope.event.encode_to_vec().into(),
    };
    all(shared, events, prepare).await.map(|_| ())
}

async fn all<T>(
    shared: &Shared,
    items: &[T],
    prepare: impl Fn(&T) -> Outgoing,
) -> Result<Vec<u64>, BusError> {
    let done = windows(shared, items, prepare).await;
    done.inspect_err(|_| count(&shared.counters.publish_failures))
}

async fn windows<T>(
    shared: &Shared,
    items: &[T],
    prepare: impl Fn(&T) -> Outgoing,
) -> Result<Vec<u64>, BusError> {
    let mut sequences = Vec::with_capacity(items.len());
    for window in items.chunks(WINDOW) {
        let done = match send(shared, window, &prepare).await {
            Err(Refused::NoStream) => {
                shared.ensure().await?;
                send(shared, window, &prepare).await
            }
            done => done,
        };
        sequences.extend(done.map_err(BusError::from)?);
    }
    Ok(sequences)
}

enum Refused {
    NoStream,
    Because(BusError),
}

impl From<Refused> for BusError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NoStream => Self::Unavailable("the stream is gone".into()),
            Refused::Because(error) => error,
        }
    }
}

/// Sends a window without waiting between its messages, then awaits each acknowledgement.
async fn send<T>(
    shared: &Shared,
    window: &[T],
    prepare: &impl Fn(&T) -> Outgoing,
) -> Result<Vec<u64>, Refused> {
    if shared.client.connection_state() != State::Connected {
        let down = BusError::Unavailable("the connection is down".into());
        return Err(Refused::Because(down));
    }
    let after = shared.request_timeout;
    let late = || {
        Refused::Because(BusError::Deadline {
            what: "publishing",
            after,
        })
    };
    let refuse = |error: async_nats::jetstream::context::PublishError| match error.kind() {
        PublishErrorKind::StreamNotFound => Refused::NoStream,
        _ => Refused::Because(fault::publish(&error, after)),
    };
    let mut acks = Vec::with_capacity(window.len());
    for item in window {
        let Outgoing {
            subject,
            id,
            traceparent,
            body,
        } = prepare(item);
        let mut headers = HeaderMap::new();
        if let Some(traceparent) = traceparent {
            headers.insert(TRACEPARENT, traceparent);
        }
        let message = PublishMessage::build()
            .payload(body)
            .headers(headers)
            .message_id(id);
        let sent = timeout(after, shared.context.send_publish(subject, message)).await;
        acks.push(sent.map_err(|_| late())?.map_err(refuse)?);
    }
    let mut sequences = Vec::with_capacity(acks.len());
    for ack in acks {
        sequences.push(ack.await.map_err(refuse)?.sequence);
    }
    Ok(sequences)
}
