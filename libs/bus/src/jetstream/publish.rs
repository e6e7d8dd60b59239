//! Publishes jobs and events.
//!
//! Invariant: nothing is queued in the client while the connection is down: the call fails, and the
//! outbox keeps the row. A call that succeeds has proof that the stream stored each message.

use std::sync::{Mutex, PoisonError};

use async_nats::{
    connection::State,
    header::{HeaderMap, NATS_MESSAGE_ID},
    jetstream::{
        context::{PublishError, PublishErrorKind},
        message::PublishMessage,
        publish::PublishAck,
    },
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
    let acks = all(shared, jobs, prepare).await?;
    Ok(acks.iter().map(|ack| ack.sequence).collect())
}

/// Publishes events.
pub(super) async fn events(shared: &Shared, events: &[EventEnvelope]) -> Result<(), BusError> {
    let prepare = |envelope: &EventEnvelope| Outgoing {
        subject: subject::event(&envelope.project, &envelope.run_uid, &envelope.event.kind),
        id: envelope.id.clone(),
        traceparent: envelope.traceparent.clone(),
        body: envelope.event.encode_to_vec().into(),
    };
    for window in events.chunks(WINDOW) {
        let before = shared.tail.take();
        if let Some(before) = before
            && window.len() > 1
        {
            let last = send(shared, window, &prepare, Acks::Last).await;
            if let Ok(Some(tail)) = last.map(|acks| follows(&acks, before, window.len())) {
                shared.tail.set(tail);
                continue;
            }
            // One of them was refused, or was there already, or another registry publishes too: each is asked for.
        }
        let acks = all(shared, window, prepare).await?;
        if let Some(tail) = acks.last().filter(|ack| !ack.duplicate) {
            shared.tail.set(tail.sequence);
        }
    }
    Ok(())
}

/// Where the stream ends, if it grew by just this window: then it stored each of its messages.
fn follows(acks: &[PublishAck], before: u64, window: usize) -> Option<u64> {
    let ack = acks.last().filter(|ack| !ack.duplicate)?;
    (ack.sequence == before + window as u64).then_some(ack.sequence)
}

async fn all<T>(
    shared: &Shared,
    items: &[T],
    prepare: impl Fn(&T) -> Outgoing,
) -> Result<Vec<PublishAck>, BusError> {
    let done = windows(shared, items, prepare).await;
    done.inspect_err(|_| count(&shared.counters.publish_failures))
}

async fn windows<T>(
    shared: &Shared,
    items: &[T],
    prepare: impl Fn(&T) -> Outgoing,
) -> Result<Vec<PublishAck>, BusError> {
    let mut acks = Vec::with_capacity(items.len());
    for window in items.chunks(WINDOW) {
        let done = match send(shared, window, &prepare, Acks::All).await {
            Err(Refused::NoStream) => {
                shared.ensure().await?;
                send(shared, window, &prepare, Acks::All).await
            }
            done => done,
        };
        acks.extend(done.map_err(BusError::from)?);
    }
    Ok(acks)
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

/// Which messages of a window are acknowledged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Acks {
    All,
    /// The last one: an acknowledgement costs the server and us about as much as the message.
    Last,
}

/// Sends a window without waiting between its messages, then awaits the acknowledgements.
async fn send<T>(
    shared: &Shared,
    window: &[T],
    prepare: &impl Fn(&T) -> Outgoing,
    wanted: Acks,
) -> Result<Vec<PublishAck>, Refused> {
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
    let refuse = |error: PublishError| match error.kind() {
        PublishErrorKind::StreamNotFound => Refused::NoStream,
        _ => Refused::Because(fault::publish(&error, after)),
    };
    let mut awaited = Vec::with_capacity(window.len());
    for (n, item) in window.iter().enumerate() {
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
        headers.insert(NATS_MESSAGE_ID, id);
        if wanted == Acks::Last && n + 1 < window.len() {
            let sending = shared.client.publish_with_headers(subject, headers, body);
            let sent = timeout(after, sending).await.map_err(|_| late())?;
            sent.map_err(|e| Refused::Because(fault::unavailable(e)))?;
            continue;
        }
        let message = PublishMessage::build().payload(body).headers(headers);
        let sent = timeout(after, shared.context.send_publish(subject, message)).await;
        awaited.push(sent.map_err(|_| late())?.map_err(refuse)?);
    }
    let mut acks = Vec::with_capacity(awaited.len());
    for ack in awaited {
        acks.push(ack.await.map_err(refuse)?);
    }
    Ok(acks)
}

/// Where the stream of events ended with our last message, if nothing is known to have come after it.
#[derive(Debug, Default)]
pub(super) struct Tail(Mutex<Option<u64>>);

impl Tail {
    /// Takes it: it is not known again until a publication has succeeded.
    fn take(&self) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, sequence: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(sequence);
    }
}

#[cfg(test)]
mod tests {
    use super::{PublishAck, follows};

    #[test]
    fn only_a_stream_that_grew_by_the_window_has_stored_the_window() {
        let ack = |sequence, duplicate| PublishAck {
            stream: "S".into(),
            sequence,
            domain: String::new(),
            duplicate,
            value: None,
        };
        assert_eq!(follows(&[ack(15, false)], 10, 5), Some(15));
        assert_eq!(follows(&[ack(14, false)], 10, 5), None, "one is missing");
        assert_eq!(
            follows(&[ack(16, false)], 10, 5),
            None,
            "another publishes too"
        );
        assert_eq!(
            follows(&[ack(15, true)], 10, 5),
            None,
            "it was there already"
        );
        assert_eq!(follows(&[], 10, 5), None);
    }
}
