//! Numbers for metrics: read from what the registry keeps anyway.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Core, lock};

/// Counters that nothing else keeps.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// The last event that was seen to be committed.
    pub(crate) committed: AtomicU64,
    /// Leases that ended without their worker's word.
    pub(crate) expired: AtomicU64,
    /// Events that the bus could not take.
    pub(crate) left_out: AtomicU64,
}

/// The registry's numbers at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Raised by each start of a registry on this database.
    pub epoch: u64,
    /// Events committed and not yet published, as far as commits of this process tell.
    pub outbox_depth: u64,
    /// Events that the bus can never take, such as too large ones.
    pub events_left_out: u64,
    /// Leases in force.
    pub leases: u64,
    /// Leases that ended without their worker's word.
    pub leases_expired: u64,
    /// Workers that give signs of life.
    pub workers: u64,
    /// Slots of those workers.
    pub slots: u64,
}

impl Core {
    /// The numbers now.
    pub fn figures(&self) -> Figures {
        let get = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Figures {
            epoch: self.epoch,
            outbox_depth: get(&self.counts.committed).saturating_sub(*self.published.borrow()),
            events_left_out: get(&self.counts.left_out),
            leases: lock(&self.leases).count(),
            leases_expired: get(&self.counts.expired),
            workers: self.live_workers(),
            slots: u64::from(self.live_slots()),
        }
    }
}
