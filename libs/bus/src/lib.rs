//! The bus: jobs and events behind one trait, in one process or over NATS JetStream.
//!
//! Invariant: what is on the bus is a hint. Messages may be lost, doubled or reordered; safety comes from
//! the registry's fences, and a lost stream is a delay, never a loss.
//!
//! | module | its part |
//! |---|---|
//! | [`port`] | the traits that services see |
//! | [`dead_letter`] | jobs that were given up on |
//! | [`telemetry`] | measurements, with best effort |
//! | [`stats`] | counters for metrics |
//! | [`message`] | envelopes and options |
//! | [`subject`] | subjects and stream names |
//! | [`config`] | where the bus is and how to reach it |
//! | [`settings`] | the same as plain values of a configuration file |
//! | [`error`] | what can go wrong, and whether to try again |
//! | [`memory`] | the in-process bus |
//! | [`jetstream`] | the bus over NATS JetStream |

use std::sync::Arc;

#[cfg(feature = "chaos")]
pub mod chaos;
pub mod config;
mod continuity;
pub mod dead_letter;
pub mod error;
pub mod jetstream;
pub mod memory;
pub mod message;
pub mod port;
pub mod settings;
pub mod stats;
pub mod subject;
pub mod telemetry;

pub use config::{BusConfig, Secret, TlsFiles};
pub use dead_letter::{DeadLetter, DeadLetters, DeadPage, DeadReason};
pub use error::BusError;
pub use jetstream::JetStreamBus;
pub use memory::{InProcessBus, Limits};
pub use message::{EventEnvelope, EventItem, EventOptions, JobEnvelope, JobOptions};
pub use port::{Bus, EventSource, JobDelivery, JobSource};
pub use settings::BusSettings;
pub use stats::BusStats;
pub use telemetry::{Measurement, TelemetryBus, TelemetryItem, TelemetryOptions, TelemetrySource};

pub use autopack_wire::r#gen::{
    bus::v1::{JobMessage, TelemetryMessage},
    types::v1::Event,
};

/// Opens the bus that the configuration names: in process, or JetStream.
pub async fn connect(config: BusConfig) -> Result<Arc<dyn Bus>, BusError> {
    if config.is_in_process() {
        return Ok(Arc::new(InProcessBus::new(Limits {
            deliveries: config.max_deliver,
            telemetry: config.telemetry_buffer,
            ..Limits::default()
        })));
    }
    // On the heap: the states of a connection would make every caller's future large.
    Ok(Arc::new(Box::pin(JetStreamBus::connect(config)).await?))
}
