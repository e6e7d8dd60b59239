//! The event source: a live subscription that tells when it may have missed something.
//!
//! Invariant: after each reconnection, overflow or hole in the numbers a gap comes before the next
//! event. The stream keeps events for late readers; a live consumer needs none of it, because it
//! reloads from the registry anyway and a position in a stream that was made anew means nothing.

use std::sync::Arc;

use async_nats::{Message, Subscriber};
use async_trait::async_trait;
use autopack_wire::r#gen::types::v1::Event;
use futures::StreamExt as _;
use prost::Message as _;
use tokio::{sync::watch, time::timeout};

use super::{Link, Shared, fault};
use crate::{
    continuity::Feed,
    error::BusError,
    message::{EventItem, EventOptions},
    port::EventSource,
    subject,
};

pub(super) struct Events {
    shared: Arc<Shared>,
    subscriber: Subscriber,
    link: watch::Receiver<Link>,
    feed: Feed,
    disturbed: bool,
}

/// Subscribes, and returns once the server knows.
pub(super) async fn open(shared: &Arc<Shared>, options: &EventOptions) -> Result<Events, BusError> {
    let mut link = shared.link.clone();
    link.mark_unchanged();
    let filter = subject::events_of(options.run_uid.as_deref());
    let subscribe = async {
        let subscriber = shared.client.subscribe(filter).await;
        let subscriber = subscriber.map_err(fault::unavailable)?;
        shared.client.flush().await.map_err(fault::unavailable)?;
        Ok::<_, BusError>(subscriber)
    };
    let after = shared.request_timeout;
    let late = |_| BusError::Deadline {
        what: "subscribing",
        after,
    };
    let subscriber = timeout(after, subscribe).await.map_err(late)??;
    Ok(Events {
        shared: Arc::clone(shared),
        subscriber,
        link,
        feed: Feed::new(options.run_uid.is_some()),
        disturbed: false,
    })
}

impl Events {
    /// After a disturbance: waits until the server knows the subscription again, so that whoever
    /// reloads because of the gap misses nothing after it.
    async fn settle(&mut self) {
        let flush = self.shared.client.flush();
        let _ = timeout(self.shared.request_timeout, flush).await;
        self.disturbed = false;
        self.feed.gap();
    }

    fn accept(&mut self, message: &Message) {
        let headers = message.headers.as_ref();
        let id = headers.and_then(|h| h.get(async_nats::header::NATS_MESSAGE_ID));
        match Event::decode(message.payload.clone()) {
            Ok(event) => self
                .feed
                .push(Arc::new(event), id.map_or("", |id| id.as_str())),
            Err(error) => {
                tracing::warn!(subject = %message.subject, %error, "an event could not be read");
                self.feed.gap();
            }
        }
    }
}

#[async_trait]
impl EventSource for Events {
    async fn next(&mut self) -> Result<Option<EventItem>, BusError> {
        let closed = self.shared.closed.clone();
        loop {
            if let Some(item) = self.feed.pop() {
                return Ok(Some(item));
            }
            if self.disturbed {
                self.settle().await;
                continue;
            }
            tokio::select! {
                biased;
                () = closed.cancelled() => return Ok(None),
                changed = self.link.changed() => {
                    if changed.is_err() {
                        return Ok(None);
                    }
                    self.disturbed = true;
                }
                message = self.subscriber.next() => match message {
                    Some(message) => self.accept(&message),
                    None => return Ok(None),
                },
            }
        }
    }
}
