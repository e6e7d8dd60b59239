//! A job in a worker's hands.
//!
//! Invariant: dropped without an answer it is handed back at once, as far as the bus still lives; else
//! the server delivers it again after `ack_wait`.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{AckKind, Message};
use async_trait::async_trait;
use autopack_wire::r#gen::bus::v1::JobMessage;
use prost::Message as _;
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    dead_letters::{self, Corpse},
    fault,
    publish::TRACEPARENT,
};
use crate::{
    dead_letter::DeadReason, error::BusError, port::JobDelivery, stats::count, subject::JOBS_STREAM,
};

pub(super) struct Delivery {
    shared: Arc<Shared>,
    message: Option<Message>,
    job: JobMessage,
    deliveries: u64,
    sequence: u64,
    traceparent: Option<String>,
}

/// A message that nobody can read.
pub(super) struct Unreadable {
    pub(super) message: Message,
    pub(super) why: String,
}

impl Delivery {
    /// Reads a message; one that nobody can read is returned with the reason.
    pub(super) fn read(shared: Arc<Shared>, message: Message) -> Result<Self, Box<Unreadable>> {
        let job = match JobMessage::decode(message.payload.clone()) {
            Ok(job) => job,
            Err(error) => {
                let why = error.to_string();
                return Err(Box::new(Unreadable { message, why }));
            }
        };
        let (deliveries, sequence) = match message.info() {
            Ok(info) => (
                u64::try_from(info.delivered).unwrap_or(1),
                info.stream_sequence,
            ),
            Err(error) => {
                let why = error.to_string();
                return Err(Box::new(Unreadable { message, why }));
            }
        };
        if deliveries > 1 {
            count(&shared.counters.redeliveries);
        }
        let headers = message.headers.as_ref();
        let traceparent = headers
            .and_then(|h| h.get(TRACEPARENT))
            .map(ToString::to_string);
        Ok(Self {
            shared,
            message: Some(message),
            job,
            deliveries,
            sequence,
            traceparent,
        })
    }

    /// The message itself, unanswered.
    pub(super) fn into_message(mut self) -> Option<Message> {
        self.message.take()
    }

    fn take(&mut self) -> Result<Message, BusError> {
        self.message.take().ok_or(BusError::Closed)
    }
}

#[async_trait]
impl JobDelivery for Delivery {
    fn job(&self) -> &JobMessage {
        &self.job
    }

    fn deliveries(&self) -> u64 {
        self.deliveries
    }

    fn sequence(&self) -> u64 {
        self.sequence
    }

    fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }

    async fn ack(mut self: Box<Self>) -> Result<(), BusError> {
        let message = self.take()?;
        bounded(&self.shared, "acknowledging", message.double_ack()).await
    }

    async fn nak(mut self: Box<Self>, delay: Duration) -> Result<(), BusError> {
        let message = self.take()?;
        let kind = AckKind::Nak((!delay.is_zero()).then_some(delay));
        bounded(&self.shared, "handing back", message.ack_with(kind)).await
    }

    async fn give_up(mut self: Box<Self>, detail: &str) -> Result<(), BusError> {
        // Until it is buried it is handed back if this is dropped.
        if let Some(message) = &self.message {
            bury(&self.shared, message, DeadReason::Refused, detail).await?;
        }
        self.take().map(drop)
    }

    async fn progress(&self) -> Result<(), BusError> {
        let Some(message) = &self.message else {
            return Err(BusError::Closed);
        };
        let send = message.ack_with(AckKind::Progress);
        bounded(&self.shared, "reporting progress", send).await
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(message) = self.message.take()
            && self.shared.returns.try_send(message).is_err()
        {
            tracing::debug!("a dropped job comes back after its ack_wait only");
        }
    }
}

/// Makes a dead letter of a message, and takes it out of the queue.
pub(super) async fn bury(
    shared: &Shared,
    message: &Message,
    reason: DeadReason,
    detail: &str,
) -> Result<(), BusError> {
    let info = message.info().map_err(fault::unavailable)?;
    let jobs = shared.streams.get(JOBS_STREAM, &shared.counters).await?;
    let corpse = Corpse {
        sequence: info.stream_sequence,
        subject: message.subject.as_str(),
        headers: message.headers.as_ref(),
        body: message.payload.clone(),
        deliveries: u64::try_from(info.delivered).unwrap_or(1),
    };
    dead_letters::store(shared, &jobs, corpse, reason, detail).await?;
    let term = message.double_ack_with(AckKind::Term);
    bounded(shared, "removing a dead job", term).await
}

async fn bounded(
    shared: &Shared,
    what: &'static str,
    call: impl Future<Output = Result<(), async_nats::Error>>,
) -> Result<(), BusError> {
    let after = shared.request_timeout;
    match timeout(after, call).await {
        Ok(done) => done.map_err(fault::unavailable),
        Err(_) => Err(BusError::Deadline { what, after }),
    }
}

/// Hands dropped deliveries back until the bus is closed, and then what was dropped before.
pub(super) async fn hand_back(mut dropped: mpsc::Receiver<Message>, closed: CancellationToken) {
    loop {
        let message = tokio::select! {
            message = dropped.recv() => message,
            () = closed.cancelled(), if !dropped.is_closed() => {
                dropped.close();
                continue;
            }
        };
        let Some(message) = message else { return };
        give_back(&message).await;
    }
}

/// Hands one message back at once; on failure it comes back after `ack_wait`.
pub(super) async fn give_back(message: &Message) {
    if let Err(error) = message.ack_with(AckKind::Nak(None)).await {
        tracing::debug!(error, "a job could not be handed back");
    }
}
