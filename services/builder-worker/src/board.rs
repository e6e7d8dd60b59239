//! What each slot does, and how the worker stands: written by the slots, read by whoever asks.
//!
//! Invariant: the board only shows; nothing is decided by it, and an entry never outlives what it shows by more than
//! the step that follows.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use autopack_domain::run::JobKind;
use autopack_domain::worker::WorkerProfile;
use autopack_domain::{Timestamp, WorkerUid};
use tokio::time::Instant;

use crate::leases::Lease;

/// How the worker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stand {
    /// The registry has not answered yet.
    Starting,
    /// It takes jobs.
    Active,
    /// It takes none, and ends what it has.
    Draining,
    /// It has handed back everything.
    Drained,
}

/// A job in a slot.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) lease: Arc<Lease>,
    pub(crate) kind: JobKind,
    pub(crate) run_id: String,
    pub(crate) phase_id: String,
    /// Number of the attempt; 0 for other kinds.
    pub(crate) attempt: u32,
}

/// What a slot does.
#[derive(Debug, Clone)]
pub(crate) enum Doing {
    /// It waits for a job.
    Nothing,
    /// It asks for a lease.
    Leasing,
    /// It works.
    Working(Work),
}

/// A slot.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) doing: Doing,
    /// By the registry's clock.
    pub(crate) since: Timestamp,
}

/// The board of one worker.
#[derive(Debug, Default)]
pub(crate) struct Board {
    profile: OnceLock<Arc<WorkerProfile>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    stand: Stand,
    worker: Option<WorkerUid>,
    slots: Vec<Slot>,
    heard: Option<Instant>,
    /// When a slot last began or ended a job; the start, before the first one.
    worked: Instant,
}

impl Default for State {
    fn default() -> Self {
        Self {
            stand: Stand::Starting,
            worker: None,
            slots: Vec::new(),
            heard: None,
            worked: Instant::now(),
        }
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the worker says about itself; the first word stays.
    pub(crate) fn introduce(&self, profile: Arc<WorkerProfile>) {
        let _ = self.profile.set(profile);
    }

    /// What the worker says about itself; `None` before it started.
    pub(crate) fn profile(&self) -> Option<Arc<WorkerProfile>> {
        self.profile.get().cloned()
    }

    /// The registry knows the worker by this uid.
    pub(crate) fn registered(&self, worker: WorkerUid) {
        let mut state = self.lock();
        state.worker = Some(worker);
        state.heard = Some(Instant::now());
    }

    /// The registry answered.
    pub(crate) fn heard(&self) {
        self.lock().heard = Some(Instant::now());
    }

    /// The uid that the registry gave last, and how long ago it last answered.
    pub(crate) fn registry(&self) -> (Option<WorkerUid>, Option<Duration>) {
        let state = self.lock();
        (state.worker, state.heard.map(|at| at.elapsed()))
    }

    /// The worker goes on to another stand, never back.
    pub(crate) fn move_to(&self, stand: Stand) {
        let mut state = self.lock();
        state.stand = state.stand.max(stand);
    }

    /// How the worker stands.
    pub(crate) fn stand(&self) -> Stand {
        self.lock().stand
    }

    /// The slots are there and idle.
    pub(crate) fn set_up(&self, slots: usize, now: Timestamp) {
        let idle = Slot {
            doing: Doing::Nothing,
            since: now,
        };
        self.lock().slots = vec![idle; slots];
    }

    /// A slot does something else.
    pub(crate) fn put(&self, slot: usize, doing: Doing, now: Timestamp) {
        let mut state = self.lock();
        let Some(slot) = state.slots.get_mut(slot) else {
            return;
        };
        let works = |doing: &Doing| matches!(doing, Doing::Working(_));
        let worked = works(&slot.doing) || works(&doing);
        *slot = Slot { doing, since: now };
        if worked {
            state.worked = Instant::now();
        }
    }

    /// How long no slot has had a job; zero while one has.
    pub(crate) fn rested(&self) -> Duration {
        if self.used() > 0 {
            return Duration::ZERO;
        }
        self.lock().worked.elapsed()
    }

    /// Every slot.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        self.lock().slots.clone()
    }

    /// Slots that have a job.
    pub(crate) fn used(&self) -> u32 {
        let state = self.lock();
        let used = state
            .slots
            .iter()
            .filter(|slot| matches!(slot.doing, Doing::Working(_)));
        u32::try_from(used.count()).unwrap_or(u32::MAX)
    }
}
