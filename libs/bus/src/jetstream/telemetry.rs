//! Telemetry over JetStream: a bounded buffer, one task that sends, and sources that tell what is missing.
//!
//! Invariant: sending never waits; whatever the server does not confirm is counted as dropped, once.

use std::{sync::Arc, time::Duration};

use async_nats::{
    connection::State,
    jetstream::{
        Message,
        consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
        message::PublishMessage,
    },
};
use async_trait::async_trait;
use autopack_wire::r#gen::bus::v1::TelemetryMessage;
use futures::StreamExt as _;
use prost::Message as _;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use super::{JetStreamBus, Shared, fault};
use crate::{
    error::BusError,
    stats::{add, count},
    subject::{self, TELEMETRY_STREAM},
    telemetry::{
        Measurement, Readings, TelemetryBus, TelemetryItem, TelemetryOptions, TelemetrySource,
    },
};

/// Messages sent before the first answer is awaited.
const WINDOW: usize = 64;
/// Pause before binding again.
const RETRY: Duration = Duration::from_millis(250);
/// How long the server waits for messages, and how often it says that it still does.
const EXPIRES: Duration = Duration::from_secs(30);
const HEARTBEAT: Duration = Duration::from_secs(5);
/// What a reader took and did not confirm comes again after this long; numbers tell that it did.
const ACK_WAIT: Duration = Duration::from_secs(5);
/// A reader that is gone is forgotten by the server after this long.
const FORGOTTEN: Duration = Duration::from_mins(5);

#[async_trait]
impl TelemetryBus for JetStreamBus {
    fn send_telemetry(&self, measurement: Measurement) -> bool {
        let shared = &self.shared;
        let message = shared.numbers.message(measurement);
        let sent = message.is_some_and(|message| shared.outgoing.try_send(message).is_ok());
        if !sent {
            count(&shared.counters.telemetry_dropped);
        }
        sent
    }

    async fn telemetry(
        &self,
        options: TelemetryOptions,
    ) -> Result<Box<dyn TelemetrySource>, BusError> {
        let shared = self.open()?;
        let messages = open(shared, &options).await?;
        Ok(Box::new(Source {
            shared: Arc::clone(shared),
            options,
            messages: Some(messages),
            held: None,
            readings: Readings::default(),
        }))
    }
}

/// Sends what is in the buffer until the bus is closed, and then what is left.
pub(super) async fn send(shared: Arc<Shared>, mut buffer: mpsc::Receiver<TelemetryMessage>) {
    let mut link = shared.link.clone();
    let mut window = Vec::with_capacity(WINDOW);
    loop {
        tokio::select! {
            biased;
            count = buffer.recv_many(&mut window, WINDOW) => if count == 0 { return },
            () = shared.closed.cancelled() => return,
        }
        // Asked after the wait: what is sent while the connection is down would queue in the client.
        while shared.client.connection_state() != State::Connected {
            // Meanwhile the buffer fills, and then drops.
            tokio::select! {
                () = shared.closed.cancelled() => {
                    return add(&shared.counters.telemetry_dropped, window.len() as u64);
                }
                _ = link.changed() => {}
                () = sleep(RETRY) => {}
            }
        }
        publish(&shared, &mut window).await;
    }
}

async fn publish(shared: &Shared, window: &mut Vec<TelemetryMessage>) {
    let all = window.len() as u64;
    let after = shared.request_timeout;
    let mut acks = Vec::with_capacity(window.len());
    for message in window.drain(..) {
        let publication = PublishMessage::build()
            .payload(message.encode_to_vec().into())
            .message_id(format!(
                "{}-{}-{}",
                message.sender, message.kind, message.number
            ));
        let subject = subject::telemetry(&message.kind);
        let sent = timeout(after, shared.context.send_publish(subject, publication)).await;
        acks.extend(sent.ok().and_then(Result::ok));
    }
    let mut stored = 0;
    for ack in acks {
        stored += u64::from(ack.await.is_ok());
    }
    add(&shared.counters.telemetry_sent, stored);
    if stored < all {
        add(&shared.counters.telemetry_dropped, all - stored);
        tracing::debug!(dropped = all - stored, "telemetry was dropped");
    }
}

async fn open(shared: &Shared, options: &TelemetryOptions) -> Result<pull::Stream, BusError> {
    let stream = shared
        .streams
        .get(TELEMETRY_STREAM, &shared.counters)
        .await?;
    let filter = match &options.kind {
        Some(kind) => subject::telemetry(kind),
        None => subject::TELEMETRY_ALL.to_owned(),
    };
    let common = pull::Config {
        filter_subject: filter,
        ..pull::Config::default()
    };
    let consumer: PullConsumer = match &options.durable {
        Some(name) => {
            let name = format!("telemetry-{}", subject::token(name));
            let config = pull::Config {
                durable_name: Some(name.clone()),
                deliver_policy: DeliverPolicy::All,
                ack_policy: AckPolicy::Explicit,
                ack_wait: ACK_WAIT,
                // One in hand at a time keeps the order over a change of readers.
                max_ack_pending: 1,
                ..common
            };
            stream.get_or_create_consumer(&name, config).await
        }
        None => {
            stream
                .create_consumer(pull::Config {
                    deliver_policy: DeliverPolicy::New,
                    ack_policy: AckPolicy::None,
                    inactive_threshold: FORGOTTEN,
                    ..common
                })
                .await
        }
    }
    .map_err(fault::unavailable)?;
    let messages = consumer
        .stream()
        .max_messages_per_batch(WINDOW)
        .expires(EXPIRES)
        .heartbeat(HEARTBEAT);
    messages.messages().await.map_err(fault::unavailable)
}

struct Source {
    shared: Arc<Shared>,
    options: TelemetryOptions,
    messages: Option<pull::Stream>,
    /// What was handed out last; acknowledged when more is asked for.
    held: Option<Message>,
    readings: Readings,
}

impl Source {
    /// Binds anew after the consumer or the connection was lost.
    async fn bind(&mut self) {
        match open(&self.shared, &self.options).await {
            Ok(messages) => self.messages = Some(messages),
            Err(error) => {
                tracing::debug!(%error, "the telemetry stream cannot be read yet");
                sleep(RETRY).await;
            }
        }
    }

    async fn receive(&mut self) {
        let Some(messages) = &mut self.messages else {
            return self.bind().await;
        };
        match messages.next().await {
            Some(Ok(message)) => {
                match TelemetryMessage::decode(message.payload.clone()) {
                    Ok(decoded) => self.readings.push(Arc::new(decoded)),
                    Err(error) => tracing::warn!(%error, "a measurement could not be read"),
                }
                self.held = self.options.durable.is_some().then_some(message);
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "the telemetry stream is bound again");
                self.messages = None;
            }
            None => self.messages = None,
        }
    }
}

#[async_trait]
impl TelemetrySource for Source {
    async fn next(&mut self) -> Result<Option<TelemetryItem>, BusError> {
        let closed = self.shared.closed.clone();
        loop {
            if let Some(item) = self.readings.pop() {
                return Ok(Some(item));
            }
            if let Some(message) = &self.held {
                if let Err(error) = message.ack().await {
                    tracing::debug!(error, "a measurement comes again; its number tells");
                }
                self.held = None;
            }
            tokio::select! {
                biased;
                () = closed.cancelled() => return Ok(None),
                () = self.receive() => {}
            }
        }
    }
}
