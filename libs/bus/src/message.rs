//! What is sent and received: envelopes, options, items.
//!
//! Invariant: an envelope's id is the outbox row's, so that the relay's own repetition is absorbed.

use std::{sync::Arc, time::Duration};

use autopack_wire::r#gen::{bus::v1::JobMessage, types::v1::Event};

/// A job on its way to the bus.
#[derive(Clone, Debug, PartialEq)]
pub struct JobEnvelope {
    /// The outbox row's UUIDv7, sent as `Nats-Msg-Id`; a new one for each offer.
    pub id: String,
    /// The hint itself; its priority and lane decide the subject.
    pub job: JobMessage,
    /// W3C trace context, sent as a header.
    pub traceparent: Option<String>,
}

/// An event on its way to the bus.
#[derive(Clone, Debug, PartialEq)]
pub struct EventEnvelope {
    /// The event's uid, sent as `Nats-Msg-Id`.
    pub id: String,
    /// The project; only its slug enters the subject.
    pub project: String,
    /// Uid of the run.
    pub run_uid: String,
    /// The fact; its kind enters the subject.
    pub event: Event,
    /// W3C trace context, sent as a header.
    pub traceparent: Option<String>,
}

/// Which jobs a worker wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobOptions {
    /// Lanes; at least one.
    pub lanes: Vec<String>,
    /// After this long without acknowledgement or progress a job is delivered again.
    /// One value per lane for the whole deployment: on a managing bus the last one to bind wins, on another
    /// one a shorter value of the server's consumer is refused.
    pub ack_wait: Duration,
}

impl Default for JobOptions {
    fn default() -> Self {
        Self {
            lanes: vec![crate::subject::DEFAULT_LANE.to_owned()],
            ack_wait: Duration::from_secs(30),
        }
    }
}

/// Which events a consumer wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventOptions {
    /// Events of this run only; `None`: of all runs.
    pub run_uid: Option<String>,
}

/// One item of an event source.
#[derive(Clone, Debug, PartialEq)]
pub enum EventItem {
    /// Events before the next one may have been missed: reload. Always the first item of a source.
    Gap,
    /// The next event.
    Event(Arc<Event>),
}
