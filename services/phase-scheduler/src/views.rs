//! Copies of runs, kept up to date by events.
//!
//! Invariant: a view equals the run at its event number; an event that does not follow directly makes the
//! view stale, and a stale view is read anew before a decision. Runs that wait for a person are not kept.

use std::collections::{BTreeSet, HashMap, HashSet};

use autopack_domain::{
    RunUid, Timestamp,
    run::{Run, RunAggregate},
    states::PhaseState,
};
use autopack_policy::fair::{Load, candidate::labels};
use autopack_wire::{convert::RecordedEvent, types};

/// A run as the scheduler knows it.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) run: RunAggregate,
    /// No decision before the view has seen this version: a request of ours led to it.
    pub(crate) awaits: u64,
    /// A request about this run is under way.
    pub(crate) busy: bool,
    /// Phases that we asked for and that do not show yet.
    pub(crate) asked: Vec<usize>,
    /// When to look again.
    pub(crate) wake_at: Option<Timestamp>,
    /// Phases of the open tier that are queued.
    pub(crate) queued: BTreeSet<usize>,
    /// Phases may differ in lane, labels or priority.
    pub(crate) mixed: bool,
    tier: Option<usize>,
}

impl View {
    fn new(run: RunAggregate) -> Self {
        let mut view = Self {
            awaits: 0,
            busy: false,
            asked: Vec::new(),
            wake_at: None,
            queued: BTreeSet::new(),
            mixed: run.has_mixed_phases(),
            tier: None,
            run,
        };
        view.scan();
        view
    }

    /// Whether a decision on this view can be right.
    pub(crate) fn is_settled(&self) -> bool {
        !self.busy && self.awaits <= self.run.run.version
    }

    /// Attempts of the run, with those that we asked for.
    pub(crate) fn load(&self) -> Load {
        let mut load = Load::of(&self.run);
        for &phase in &self.asked {
            let p = &self.run.phases[phase];
            if p.state == PhaseState::Queued && p.current.is_none() {
                load.add(&self.run.lane(phase), &labels(&self.run, phase));
            }
        }
        load
    }

    fn scan(&mut self) {
        self.tier = self.run.open_tier();
        let all = 0..self.run.phases.len();
        self.queued = all.filter(|&p| self.is_queued(p)).collect();
    }

    /// After an event about one phase: only what it changed is looked at, until the next tier opens.
    fn rescan(&mut self, phase: Option<usize>) {
        if self.run.open_tier() != self.tier {
            self.scan();
        } else if let Some(phase) = phase {
            if self.is_queued(phase) {
                self.queued.insert(phase);
            } else {
                self.queued.remove(&phase);
            }
        }
    }

    fn is_queued(&self, phase: usize) -> bool {
        let p = &self.run.phases[phase];
        Some(p.tier) == self.tier && p.state == PhaseState::Queued
    }
}

/// All views, and what is to be done with them.
#[derive(Debug, Default)]
pub(crate) struct Views {
    pub(crate) known: HashMap<RunUid, View>,
    /// To be read anew.
    pub(crate) stale: HashSet<RunUid>,
    /// To be decided on.
    pub(crate) dirty: HashSet<RunUid>,
    /// The last event of runs to be read: a copy from before it is read once more.
    heard: HashMap<RunUid, u64>,
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
                self.heard.remove(&uid);
            }
            if !waits_for_a_person(&recorded.event.run) && !recorded.event.run.state.is_terminal() {
                self.doubt(uid, recorded.run_sequence);
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
            view.rescan(recorded.event.phase.as_ref().map(|(i, _)| *i));
            self.dirty.insert(uid);
        } else {
            self.doubt(uid, recorded.run_sequence);
        }
    }

    /// The run is to be read as it is after this event. A read that is under way may have come before it.
    fn doubt(&mut self, uid: RunUid, event: u64) {
        self.stale.insert(uid);
        let heard = self.heard.entry(uid).or_default();
        *heard = event.max(*heard);
    }

    /// Takes a fresh copy in; what was asked for before it was read still counts until it shows.
    pub(crate) fn put(&mut self, run: RunAggregate) {
        let uid = run.run.uid;
        let heard = self.heard.remove(&uid);
        let seen = self.known.get(&uid).map(|view| view.run.run.last_event);
        match heard.max(seen) {
            Some(event) if event > run.run.last_event => self.doubt(uid, event),
            _ => _ = self.stale.remove(&uid),
        }
        let mut view = View::new(run);
        if let Some(old) = self.known.remove(&uid) {
            view.awaits = old.awaits.min(view.run.run.version);
            view.busy = old.busy;
            view.asked = old.asked;
            view.wake_at = old.wake_at;
        }
        self.known.insert(uid, view);
        self.dirty.insert(uid);
    }

    /// Forgets a run that needs no decision: ended, paused, or held. Returns its project.
    pub(crate) fn forget_if_idle(&mut self, uid: RunUid) -> Option<String> {
        let view = self.known.get(&uid)?;
        let run = &view.run.run;
        let ended = run.state.is_terminal();
        if view.busy || !(ended || (view.run.is_idle() && waits_for_a_person(run))) {
            return None;
        }
        let project = run.project.clone();
        self.known.remove(&uid);
        self.dirty.remove(&uid);
        Some(project)
    }
}

/// Whether nothing happens to the run until somebody asks.
fn waits_for_a_person(run: &Run) -> bool {
    !run.cancelling && run.open_intents == 0 && run.frozen && (run.paused || !run.started)
}
