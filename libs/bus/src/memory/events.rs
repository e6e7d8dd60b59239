//! The event source of the in-process bus.
//!
//! Invariant: a consumer that lagged gets a gap in place of what it missed.

use std::sync::Arc;

use async_trait::async_trait;
use autopack_wire::r#gen::types::v1::Event;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use crate::{
    continuity::Feed,
    error::BusError,
    message::{EventEnvelope, EventItem},
    port::EventSource,
};

/// What each consumer gets a cheap copy of.
#[derive(Clone)]
pub(super) struct Sent {
    id: Arc<str>,
    run_uid: Arc<str>,
    event: Arc<Event>,
}

impl From<EventEnvelope> for Sent {
    fn from(envelope: EventEnvelope) -> Self {
        Self {
            id: envelope.id.into(),
            run_uid: envelope.run_uid.into(),
            event: Arc::new(envelope.event),
        }
    }
}

pub(super) struct Events {
    receiver: broadcast::Receiver<Sent>,
    run_uid: Option<String>,
    closed: CancellationToken,
    feed: Feed,
}

impl Events {
    pub(super) fn new(
        receiver: broadcast::Receiver<Sent>,
        run_uid: Option<String>,
        closed: CancellationToken,
    ) -> Self {
        let feed = Feed::new(run_uid.is_some());
        Self {
            receiver,
            run_uid,
            closed,
            feed,
        }
    }
}

#[async_trait]
impl EventSource for Events {
    async fn next(&mut self) -> Result<Option<EventItem>, BusError> {
        loop {
            if let Some(item) = self.feed.pop() {
                return Ok(Some(item));
            }
            let received = tokio::select! {
                biased;
                () = self.closed.cancelled() => return Ok(None),
                received = self.receiver.recv() => received,
            };
            match received {
                Ok(envelope) => {
                    if self
                        .run_uid
                        .as_ref()
                        .is_none_or(|run| **run == *envelope.run_uid)
                    {
                        self.feed.push(envelope.event, &envelope.id);
                    }
                }
                Err(RecvError::Lagged(_)) => self.feed.gap(),
                Err(RecvError::Closed) => return Ok(None),
            }
        }
    }
}
