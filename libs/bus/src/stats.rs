//! What happened on the bus since the start, for metrics.
//!
//! Invariant: counters only grow.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one bus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusStats {
    /// Connections made; in process always 0.
    pub connects: u64,
    /// Connections lost.
    pub disconnects: u64,
    /// Times that messages for a slow subscription were dropped by the client.
    pub overflows: u64,
    /// Jobs that were delivered to this process and had been delivered before.
    pub redeliveries: u64,
    /// Calls to publish jobs or events that failed; the outbox kept the rows.
    pub publish_failures: u64,
    /// Measurements that the server stored.
    pub telemetry_sent: u64,
    /// Measurements that were dropped: the buffer was full, or the server did not store them.
    pub telemetry_dropped: u64,
    /// Jobs that this process made dead letters.
    pub dead_letters: u64,
    /// Times that a stream or consumer differed from the configuration.
    pub drifts: u64,
}

impl BusStats {
    /// Each number under its name, as a metric with one label takes them.
    pub fn labelled(&self) -> Vec<(Vec<String>, u64)> {
        let named = [
            ("connects", self.connects),
            ("disconnects", self.disconnects),
            ("overflows", self.overflows),
            ("redeliveries", self.redeliveries),
            ("publish_failures", self.publish_failures),
            ("telemetry_sent", self.telemetry_sent),
            ("telemetry_dropped", self.telemetry_dropped),
            ("dead_letters", self.dead_letters),
            ("drifts", self.drifts),
        ];
        named
            .into_iter()
            .map(|(name, value)| (vec![name.to_owned()], value))
            .collect()
    }
}

/// The same while it grows.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connects: AtomicU64,
    pub(crate) disconnects: AtomicU64,
    pub(crate) overflows: AtomicU64,
    pub(crate) redeliveries: AtomicU64,
    pub(crate) publish_failures: AtomicU64,
    pub(crate) telemetry_sent: AtomicU64,
    pub(crate) telemetry_dropped: AtomicU64,
    pub(crate) dead_letters: AtomicU64,
    pub(crate) drifts: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self) -> BusStats {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        BusStats {
            connects: of(&self.connects),
            disconnects: of(&self.disconnects),
            overflows: of(&self.overflows),
            redeliveries: of(&self.redeliveries),
            publish_failures: of(&self.publish_failures),
            telemetry_sent: of(&self.telemetry_sent),
            telemetry_dropped: of(&self.telemetry_dropped),
            dead_letters: of(&self.dead_letters),
            drifts: of(&self.drifts),
        }
    }
}

/// One more.
pub(crate) fn count(counter: &AtomicU64) {
    add(counter, 1);
}

/// So many more.
pub(crate) fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}
