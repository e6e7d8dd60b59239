//! Workers that announced themselves, and when they last gave a sign of life.

use std::{collections::HashMap, time::Duration};

use autopack_domain::WorkerUid;

/// A worker.
#[derive(Clone, Debug)]
pub(crate) struct WorkerEntry {
    pub(crate) slots: u32,
    pub(crate) seen: Duration,
}

/// The table of workers; in memory: a registry that starts anew asks them to register again.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    known: HashMap<WorkerUid, WorkerEntry>,
}

/// Workers at most; a bound against a client that registers for ever.
const MAX: usize = 10_000;

impl Workers {
    pub(crate) fn register(&mut self, uid: WorkerUid, slots: u32, now: Duration) -> bool {
        if self.known.len() >= MAX {
            return false;
        }
        self.known.insert(uid, WorkerEntry { slots, seen: now });
        true
    }

    /// Notes a sign of life; false for an unknown worker.
    pub(crate) fn seen(&mut self, uid: WorkerUid, now: Duration) -> bool {
        self.known.get_mut(&uid).map(|w| w.seen = now).is_some()
    }

    /// Workers that are known.
    pub(crate) fn count(&self) -> u64 {
        self.known.len() as u64
    }

    /// Slots of workers that gave a sign of life within `patience`; forgets the others.
    pub(crate) fn slots(&mut self, now: Duration, patience: Duration) -> u32 {
        self.known
            .retain(|_, w| now.saturating_sub(w.seen) <= patience);
        self.known.values().map(|w| w.slots).sum()
    }
}
