//! Events from the bus into the ledger.
//!
//! Invariant: a hole is handed over to be read back and the feed goes on; the bus may go away for as long as it likes.

use std::time::Duration;

use autopack_bus::{EventItem, EventOptions, EventSource};
use autopack_runtime::metrics;
use autopack_wire::types::Event;
use opentelemetry::metrics::Histogram;
use tokio_util::sync::CancellationToken;

use crate::{Shared, ledger::Taken, refill::Behind};

/// Wait after the bus refused.
const RETRY: Duration = Duration::from_secs(1);

/// Takes events in until the token is cancelled.
pub async fn run(shared: Shared, shutdown: CancellationToken) {
    let seconds = metrics::seconds(metrics::TELEMETRY_PHASE_SECONDS);
    while !shutdown.is_cancelled() {
        let subscribed = tokio::select! {
            () = shutdown.cancelled() => return,
            subscribed = shared.ports.bus.events(EventOptions::default()) => subscribed,
        };
        let ended = match subscribed {
            Ok(source) => serve(&shared, source, &seconds, &shutdown).await,
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            tracing::warn!(%error, "events cannot be read from the bus; trying again");
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

async fn serve(
    shared: &Shared,
    mut source: Box<dyn EventSource>,
    seconds: &Histogram<f64>,
    shutdown: &CancellationToken,
) -> Result<(), autopack_bus::BusError> {
    loop {
        let item = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            item = source.next() => item?,
        };
        match item {
            None => return Ok(()),
            // Which runs are behind shows with their next event, or with the next comparison.
            Some(EventItem::Gap) => {}
            Some(EventItem::Event(event)) => take(shared, &event, seconds),
        }
    }
}

/// Counts one event of the bus.
fn take(shared: &Shared, event: &Event, seconds: &Histogram<f64>) {
    let taken = shared.ledger().take(event);
    match taken {
        Taken::Counted(phase) => record(phase, seconds),
        Taken::Old => {}
        Taken::Hole(last) => {
            let Some(run) = &event.run else { return };
            // A run that is met in its middle was not missed: this service came later.
            if last > 0 {
                shared.ledger().add(metrics::TELEMETRY_GAPS.name, &[], 1);
            }
            let behind = Behind {
                run: run.uid.clone(),
                until: event.run_sequence,
                missed: last > 0,
            };
            // Full: the next comparison finds it.
            let _ = shared.behind.try_send(behind);
        }
    }
}

/// Notes how long a phase took.
pub(crate) fn record(phase: Option<(String, f64)>, seconds: &Histogram<f64>) {
    if let Some((state, took)) = phase {
        let labels = metrics::labels(metrics::TELEMETRY_PHASE_SECONDS, &[&state]);
        seconds.record(took, &labels);
    }
}
