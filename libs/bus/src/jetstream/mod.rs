//! The bus over NATS JetStream.
//!
//! Invariant: each request has a deadline; each task belongs to the bus and ends with it. Streams and
//! consumers are made anew when they are gone, so that a lost broker disk is a delay.

mod connect;
mod consumers;
mod dead_letters;
mod delivery;
mod events;
mod fault;
mod identity;
mod publish;
mod puller;
mod scan;
mod source;
mod streams;
mod telemetry;

use std::{collections::HashSet, sync::Arc, time::Duration};

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
    stats::{BusStats, Counters},
    subject::{JOBS_ALL, JOBS_STREAM},
    telemetry::Numbers,
};
use autopack_wire::r#gen::bus::v1::{JobMessage, TelemetryMessage};
use consumers::Consumers;
use prost::Message as _;
use streams::Streams;

/// Deliveries dropped at the same moment that are handed back at once; more wait for `ack_wait`.
const RETURNS: usize = 1024;

/// Jobs read at a time when the whole stream is looked through.
const PAGE: usize = 500;
/// Oldest nats-server that reads a stream in batches.
const BATCHES: (u64, u64, u64) = (2, 11, 0);

/// Oldest supported nats-server.
pub const FLOOR: (u64, u64, u64) = (2, 11, 11);

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
    consumers: Consumers,
    counters: Arc<Counters>,
    numbers: Numbers,
    outgoing: mpsc::Sender<TelemetryMessage>,
    tail: publish::Tail,
    /// The server is too old to read a stream in batches.
    one_by_one: bool,
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
        let counters = Arc::new(Counters::default());
        let (client, link) = connect::connect(&config, &counters).await?;
        let mut context = async_nats::jetstream::new(client.clone());
        context.set_timeout(config.request_timeout);
        let version = connect::check_version(&client, config.allow_unsupported)?;
        let (returns, dropped) = mpsc::channel(RETURNS);
        let (outgoing, buffer) = mpsc::channel(config.telemetry_buffer.max(1));
        let shared = Arc::new(Shared {
            streams: Streams::new(context.clone(), &config),
            consumers: Consumers::new(&config, version < (2, 10, 0)),
            counters,
            numbers: Numbers::new(),
            outgoing,
            tail: publish::Tail::default(),
            one_by_one: version < BATCHES,
            client,
            context,
            link,
            returns,
            request_timeout: config.request_timeout,
            closed: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let bus = Self { shared };
        bus.shared.ensure().await?;
        let closed = bus.shared.closed.clone();
        let tasks = &bus.shared.tasks;
        tasks.spawn(delivery::hand_back(dropped, closed));
        tasks.spawn(telemetry::send(Arc::clone(&bus.shared), buffer));
        Ok(bus)
    }

    fn open(&self) -> Result<&Arc<Shared>, BusError> {
        if self.shared.closed.is_cancelled() {
            return Err(BusError::Closed);
        }
        Ok(&self.shared)
    }
}

impl Shared {
    /// Streams and consumers as configured, on a bus that manages them.
    async fn ensure(&self) -> Result<(), BusError> {
        self.streams.ensure(&self.counters).await?;
        match self.streams.find(JOBS_STREAM).await? {
            Some(jobs) => self.consumers.ensure(&jobs, &self.counters).await,
            None => Ok(()),
        }
    }

    /// The consumers of these lanes are there.
    async fn bind(&self, lanes: &[String], ack_wait: Duration) -> Result<(), BusError> {
        let jobs = self.streams.get(JOBS_STREAM, &self.counters).await?;
        let consumers = &self.consumers;
        consumers.bind(&jobs, lanes, ack_wait, &self.counters).await
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

    async fn stored_jobs(&self) -> Result<HashSet<String>, BusError> {
        let shared = self.open()?;
        let stream = shared.streams.get(JOBS_STREAM, &shared.counters).await?;
        let mut uids = HashSet::new();
        let mut from = stream.cached_info().state.first_sequence;
        loop {
            let page = scan::batch(shared, &stream, JOBS_ALL, from, PAGE).await?;
            let full = page.len() == PAGE;
            from = page.last().map_or(from, |message| message.sequence + 1);
            let jobs = page.iter().map(|m| JobMessage::decode(m.payload.clone()));
            uids.extend(jobs.filter_map(Result::ok).map(|job| job.job_uid));
            if !full {
                return Ok(uids);
            }
        }
    }

    async fn maintain(&self) -> Result<(), BusError> {
        self.open()?.ensure().await
    }

    async fn stream_epoch(&self) -> Result<String, BusError> {
        let shared = self.open()?;
        let stream = shared.streams.get(JOBS_STREAM, &shared.counters).await?;
        Ok(streams::epoch(&stream))
    }

    fn is_connected(&self) -> bool {
        !self.shared.closed.is_cancelled()
            && self.shared.client.connection_state() == State::Connected
    }

    fn stats(&self) -> BusStats {
        self.shared.counters.read()
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
