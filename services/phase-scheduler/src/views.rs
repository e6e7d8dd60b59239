//! Copies of runs, kept up to date by events.
//!
//! Invariant: a view equals the run at its event number; an event that does not follow directly makes the
//! view stale, and a stale view is read anew before a decision. Runs that wait for a person are not kept.

use std::collections::{BTreeMap, HashMap, HashSet};

use autopack_domain::{RunUid, Timestamp, run::RunAggregate};
use autopack_wire::{convert::RecordedEvent, types};

/// A run as the scheduler knows it.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) run: RunAggregate,
    /// No decision before the view has seen this version: a request of ours led to it.
    pub(crate) awaits: u64,
    /// When to look again.
    pub(crate) wake_at: Option<Timestamp>,
}

/// All views, and what is to be done with them.
#[derive(Debug, Default)]
pub(crate) struct Views {
    pub(crate) known: HashMap<RunUid, View>,
    /// To be read anew.
    pub(crate) stale: HashSet<RunUid>,
    /// To be decided on.
    pub(crate) dirty: HashSet<RunUid>,
    /// Had no room in the last window.
    pub(crate) starved: HashSet<RunUid>,
    /// Wait for a person; an event brings them back.
    pub(crate) parked: HashSet<RunUid>,
    served: u64,
    turns: BTreeMap<RunUid, u64>,
}

impl Views {
    /// Takes an event in.
    pub(crate) fn absorb(&mut self, message: &types::Event) {
        let Ok(recorded) = RecordedEvent::try_from(message.clone()) else {
            tracing::error!(
                sequence = message.sequence,
                "an event does not convert; its run is read anew"
            );
            if let Some(uid) = message.run.as_ref().and_then(|r| r.uid.parse().ok()) {
                self.stale.insert(uid);
            }
            return;
        };
        let uid = recorded.event.run.uid;
        let Some(view) = self.known.get_mut(&uid) else {
            if recorded.event.run.state.is_terminal() {
                self.parked.remove(&uid);
            }
            if !waits_for_a_person(&recorded.event.run) && !recorded.event.run.state.is_terminal() {
                self.stale.insert(uid);
            }
            return;
        };
        if recorded.run_sequence <= view.run.run.last_event {
            return;
        }
        let follows = recorded.run_sequence == view.run.run.last_event + 1;
        // The event's own number: a view at the last event of a command shows that command's version.
        if follows && view.run.absorb(&recorded.event) {
            view.run.run.last_event = recorded.run_sequence;
            self.dirty.insert(uid);
        } else {
            self.stale.insert(uid);
        }
    }

    /// Events may be missing: every run is read anew.
    pub(crate) fn doubt_all(&mut self) {
        self.stale.extend(self.known.keys());
    }

    /// Takes a fresh copy in.
    pub(crate) fn put(&mut self, run: RunAggregate) {
        let uid = run.run.uid;
        self.stale.remove(&uid);
        self.parked.remove(&uid);
        let awaits = self
            .known
            .get(&uid)
            .map_or(0, |v| v.awaits.min(run.run.version));
        self.known.insert(
            uid,
            View {
                run,
                awaits,
                wake_at: None,
            },
        );
        self.dirty.insert(uid);
    }

    /// Forgets runs that need no decision: ended, paused, or held.
    pub(crate) fn forget_idle(&mut self) {
        let gone: Vec<RunUid> = self
            .known
            .iter()
            .filter(|(_, v)| {
                v.run.run.state.is_terminal() || (v.run.is_idle() && waits_for_a_person(&v.run.run))
            })
            .map(|(uid, _)| *uid)
            .collect();
        for uid in gone {
            if self
                .known
                .remove(&uid)
                .is_some_and(|v| !v.run.run.state.is_terminal())
            {
                self.parked.insert(uid);
            }
            self.dirty.remove(&uid);
            self.turns.remove(&uid);
        }
    }

    /// Runs whose time has come.
    pub(crate) fn wake(&mut self, now: Timestamp) {
        for (uid, view) in &mut self.known {
            if view.wake_at.is_some_and(|at| at <= now) {
                view.wake_at = None;
                self.dirty.insert(*uid);
            }
        }
    }

    /// When the next run wants to be looked at.
    pub(crate) fn next_wake(&self) -> Option<Timestamp> {
        self.known.values().filter_map(|v| v.wake_at).min()
    }

    /// Attempts on offer or in workers' hands.
    pub(crate) fn in_flight(&self) -> usize {
        self.known.values().map(|v| v.run.attempts.len()).sum()
    }

    /// The runs to decide on now: higher priority first, then who was served longest ago.
    pub(crate) fn take_dirty(&mut self) -> Vec<RunUid> {
        let mut runs: Vec<RunUid> = self
            .dirty
            .drain()
            .filter(|uid| self.known.contains_key(uid))
            .collect();
        runs.sort_by_key(|uid| {
            let priority = self.known.get(uid).map_or(0, |v| v.run.run.priority);
            (
                std::cmp::Reverse(priority),
                self.turns.get(uid).copied().unwrap_or(0),
                *uid,
            )
        });
        runs
    }

    /// Notes that a run was served.
    pub(crate) fn served(&mut self, uid: RunUid) {
        self.served += 1;
        self.turns.insert(uid, self.served);
    }
}

/// Whether nothing happens to the run until somebody asks.
fn waits_for_a_person(run: &autopack_domain::run::Run) -> bool {
    !run.cancelling && run.open_intents == 0 && run.frozen && (run.paused || !run.started)
}
