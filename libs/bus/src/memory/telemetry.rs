//! Telemetry of the in-process bus.
//!
//! Invariant: a reader that lagged misses measurements and is told so by their numbers.

use std::sync::Arc;

use async_trait::async_trait;
use autopack_wire::r#gen::bus::v1::TelemetryMessage;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::InProcessBus;
use crate::{
    error::BusError,
    stats::count,
    telemetry::{
        Measurement, Numbers, Readings, TelemetryBus, TelemetryItem, TelemetryOptions,
        TelemetrySource,
    },
};

/// Where measurements pass through.
pub(super) struct Hub {
    numbers: Numbers,
    sender: broadcast::Sender<Arc<TelemetryMessage>>,
}

impl Hub {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            numbers: Numbers::new(),
            sender: broadcast::channel(capacity.max(1)).0,
        }
    }
}

#[async_trait]
impl TelemetryBus for InProcessBus {
    fn send_telemetry(&self, measurement: Measurement) -> bool {
        let shared = &self.shared;
        let message = shared.telemetry.numbers.message(measurement);
        let Some(message) = message.filter(|_| !shared.closed.is_cancelled()) else {
            count(&shared.counters.telemetry_dropped);
            return false;
        };
        // An error means that nobody listens, which is fine.
        let _ = shared.telemetry.sender.send(Arc::new(message));
        count(&shared.counters.telemetry_sent);
        true
    }

    async fn telemetry(
        &self,
        options: TelemetryOptions,
    ) -> Result<Box<dyn TelemetrySource>, BusError> {
        let shared = self.open()?;
        Ok(Box::new(Source {
            receiver: shared.telemetry.sender.subscribe(),
            kind: options.kind,
            readings: Readings::default(),
            closed: shared.closed.clone(),
        }))
    }
}

struct Source {
    receiver: broadcast::Receiver<Arc<TelemetryMessage>>,
    kind: Option<String>,
    readings: Readings,
    closed: CancellationToken,
}

#[async_trait]
impl TelemetrySource for Source {
    async fn next(&mut self) -> Result<Option<TelemetryItem>, BusError> {
        loop {
            if let Some(item) = self.readings.pop() {
                return Ok(Some(item));
            }
            let received = tokio::select! {
                biased;
                () = self.closed.cancelled() => return Ok(None),
                received = self.receiver.recv() => received,
            };
            match received {
                Ok(message) => {
                    if self.kind.as_ref().is_none_or(|kind| *kind == message.kind) {
                        self.readings.push(message);
                    }
                }
                // The numbers tell what is missing.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(None),
            }
        }
    }
}
