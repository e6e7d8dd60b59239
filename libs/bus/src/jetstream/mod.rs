//! The bus over NATS JetStream.
//!
//! Invariant: each request has a deadline; each task belongs to the bus and ends with it. Streams and
//! consumers are made anew when they are gone, so that a lost broker disk is a delay.

mod connect;
mod delivery;
mod events;
mod fault;
mod publish;
mod puller;
mod source;
mod streams;

use std::{sync::Arc, time::Duration};

use async_nats::{
    Client,
    connection::State,
    jetstream::{Context, Message},
};
use async_trait::async_trait;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::BusConfig,
    error::BusError,
    message::{EventEnvelope, EventOptions, JobEnvelope, JobOptions},
    port::{Bus, EventSource, JobSource},
};
use streams::Streams;

/// Deliveries dropped at the same moment that are handed back at once; more wait for `ack_wait`.
const RETURNS: usize = 1024;

/// Oldest supported nats-server.
pub const FLOOR: (u64, u64, u64) = (2, 11, 0);

/// What happened to the connection; sources compare it with what they saw last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Link {
    /// Connections made so far.
    connects: u64,
    /// Times that messages were dropped because a subscription was full.
    overflows: u64,
}

/// What every part of the bus shares.
pub(crate) struct Shared {
    client: Client,
    context: Context,
    streams: Streams,
    link: watch::Receiver<Link>,
    returns: mpsc::Sender<Message>,
    request_timeout: Duration,
    closed: CancellationToken,
    tasks: TaskTracker,
}

/// Jobs and events over NATS JetStream.
pub struct JetStreamBus {
    shared: Arc<Shared>,
}

impl JetStreamBus {
    /// Connects, checks the server's version, and makes the streams if they are missing.
    pub async fn connect(config: BusConfig) -> Result<Self, BusError> {
        let (client, link) = connect::connect(&config).await?;
        let mut context = async_nats::jetstream::new(client.clone());
        context.set_timeout(config.request_timeout);
        let old_server = connect::check_version(&client, config.allow_unsupported)?;
        let streams = Streams::new(context.clone(), &config, old_server);
        streams.ensure().await?;
        let (returns, dropped) = mpsc::channel(RETURNS);
        let closed = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(delivery::hand_back(dropped, closed.clone()));
        Ok(Self {
            shared: Arc::new(Shared {
                client,
                context,
                streams,
                link,
                returns,
                request_timeout: config.request_timeout,
                closed,
                tasks,
            }),
        })
    }

    fn open(&self) -> Result<&Arc<Shared>, BusError> {
        if self.shared.closed.is_cancelled() {
            return Err(BusError::Closed);
        }
        Ok(&self.shared)
    }
}

impl Drop for JetStreamBus {
    fn drop(&mut self) {
        self.shared.closed.cancel();
    }
}

#[async_trait]
impl Bus for JetStreamBus {
    async fn publish_jobs(&self, jobs: Vec<JobEnvelope>) -> Result<Vec<u64>, BusError> {
        publish::jobs(self.open()?, &jobs).await
    }

    async fn publish_events(&self, events: Vec<EventEnvelope>) -> Result<(), BusError> {
        publish::events(self.open()?, &events).await
    }

    async fn jobs(&self, options: JobOptions) -> Result<Box<dyn JobSource>, BusError> {
        Ok(Box::new(source::open(self.open()?, &options).await?))
    }

    async fn events(&self, options: EventOptions) -> Result<Box<dyn EventSource>, BusError> {
        Ok(Box::new(events::open(self.open()?, &options).await?))
    }

    async fn has_job(&self, sequence: u64) -> Result<bool, BusError> {
        self.open()?.streams.has_job(sequence).await
    }

    async fn stream_epoch(&self) -> Result<String, BusError> {
        self.open()?.streams.epoch().await
    }

    fn reconnects(&self) -> u64 {
        self.shared.link.borrow().connects.saturating_sub(1)
    }

    fn is_connected(&self) -> bool {
        !self.shared.closed.is_cancelled()
            && self.shared.client.connection_state() == State::Connected
    }

    async fn close(&self, deadline: Duration) {
        self.shared.closed.cancel();
        self.shared.tasks.close();
        let end = async {
            self.shared.tasks.wait().await;
            if let Err(error) = self.shared.client.flush().await {
                tracing::debug!(%error, "the connection to the bus was gone at the end");
            }
        };
        if timeout(deadline, end).await.is_err() {
            tracing::warn!("the bus did not end in time; what it held is delivered again later");
        }
    }
}
