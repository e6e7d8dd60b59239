//! The traits that services see.
//!
//! Invariant: both implementations pass the same suite (`tests/it/conformance.rs`); what differs is
//! written at the method.

use std::{collections::HashSet, time::Duration};

use async_trait::async_trait;
use autopack_wire::r#gen::bus::v1::JobMessage;

use crate::{
    dead_letter::DeadLetters,
    error::BusError,
    message::{EventEnvelope, EventItem, EventOptions, JobEnvelope, JobOptions},
    stats::BusStats,
    telemetry::TelemetryBus,
};

/// Jobs to workers, events to whoever wants them. Sources end when the bus is closed or dropped.
#[async_trait]
pub trait Bus: DeadLetters + TelemetryBus + Send + Sync {
    /// Publishes jobs in order and returns their stream sequences. After an error some may be stored:
    /// send all again, ids absorb the rest.
    async fn publish_jobs(&self, jobs: Vec<JobEnvelope>) -> Result<Vec<u64>, BusError>;

    /// Publishes events in order. After an error some may be stored: send all again.
    async fn publish_events(&self, events: Vec<EventEnvelope>) -> Result<(), BusError>;

    /// A source of jobs; cheap, one per worker slot is fine.
    async fn jobs(&self, options: JobOptions) -> Result<Box<dyn JobSource>, BusError>;

    /// A source of events from now on; its first item is a gap.
    async fn events(&self, options: EventOptions) -> Result<Box<dyn EventSource>, BusError>;

    /// Whether the job of this stream sequence is still stored: waiting, delayed or in somebody's hands.
    async fn has_job(&self, sequence: u64) -> Result<bool, BusError>;

    /// Uids of all jobs that are stored: waiting, delayed or in somebody's hands.
    async fn stored_jobs(&self) -> Result<HashSet<String>, BusError>;

    /// Makes streams and consumers that are missing and mends those that differ from the configuration.
    /// Nothing to do in process, and for a bus that does not manage them.
    async fn maintain(&self) -> Result<(), BusError>;

    /// Identity of the job stream; another one means that every earlier sequence is gone.
    async fn stream_epoch(&self) -> Result<String, BusError>;

    /// Whether the bus can be reached at this moment, for readiness.
    fn is_connected(&self) -> bool;

    /// What happened since the start.
    fn stats(&self) -> BusStats;

    /// Ends the bus: sources end, and what was taken but never handed out goes back. Waits at most
    /// for the deadline.
    async fn close(&self, deadline: Duration);
}

/// Jobs, one at a time.
#[async_trait]
pub trait JobSource: Send {
    /// Waits for the next job; `None` once the bus is closed. Takes exactly one message, and a dropped
    /// `next` loses nothing.
    async fn next(&mut self) -> Result<Option<Box<dyn JobDelivery>>, BusError>;
}

/// A job in a worker's hands. Dropped without an answer, it is delivered again at once.
#[async_trait]
pub trait JobDelivery: Send + Sync {
    /// The hint.
    fn job(&self) -> &JobMessage;

    /// How often it was delivered, this time included; starts at 1. A hint only: it restarts with the stream.
    fn deliveries(&self) -> u64;

    /// Its stream sequence.
    fn sequence(&self) -> u64;

    /// W3C trace context of the publisher.
    fn traceparent(&self) -> Option<&str>;

    /// Done: the message is gone, as the bus confirmed. Says nothing about ownership.
    async fn ack(self: Box<Self>) -> Result<(), BusError>;

    /// Not now: delivered again after the delay.
    async fn nak(self: Box<Self>, delay: Duration) -> Result<(), BusError>;

    /// Never: becomes a dead letter with this text, and is gone from the queue.
    async fn give_up(self: Box<Self>, detail: &str) -> Result<(), BusError>;

    /// Still at it: `ack_wait` starts anew.
    async fn progress(&self) -> Result<(), BusError>;
}

/// Events in the order of publication.
#[async_trait]
pub trait EventSource: Send {
    /// Waits for the next item; `None` once the bus is closed. A dropped `next` loses nothing.
    async fn next(&mut self) -> Result<Option<EventItem>, BusError>;
}
