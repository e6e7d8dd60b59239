//! What the scheduler knows, and what it wants next: no IO, no clock.
//!
//! Invariant: a pass costs what changed since the last one and what it offers, never what waits. A run has one
//! request under way at most, and none while it is in trouble.

use std::collections::{BTreeSet, HashSet, VecDeque};

use autopack_domain::{RunUid, Timestamp, run::RunAggregate};
use autopack_policy::{
    dispatch::{Action, Next, plan_among},
    fair::{Policy, Queue, candidate::candidates, offers::Offer},
};

use crate::{
    dispatch::Asked,
    trouble::Trouble,
    views::{View, Views},
};

/// What the registry is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// The run as it is.
    Read(RunUid),
    /// An action that was decided on this version of the run.
    Ask(RunUid, u64, Action),
}

/// Views, queue and what is under way.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) views: Views,
    pub(crate) queue: Queue,
    pub(crate) trouble: Trouble,
    pub(crate) slots: u32,
    pub(crate) policy_version: u64,
    /// Requests that wait for their turn.
    pub(crate) outbox: VecDeque<Request>,
    reading: HashSet<RunUid>,
    wakes: BTreeSet<(Timestamp, RunUid)>,
}

impl State {
    /// Attempts that a lane may have at a time: what workers hold, and as much again to take next.
    pub(crate) fn window(&self) -> u32 {
        self.slots.saturating_mul(2).max(16)
    }

    /// When the next run wants to be looked at.
    pub(crate) fn next_wake(&self) -> Option<Timestamp> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// The runs that the registry lists: unknown ones are read, and those whose events did not come.
    pub(crate) fn listed(&mut self, runs: impl Iterator<Item = RunUid>) {
        for uid in runs {
            let behind = match self.views.known.get(&uid) {
                Some(view) => !view.busy && !view.is_settled(),
                // Runs that wait for a person are not on the list: one that is known as such did not wait for long.
                None => true,
            };
            if behind {
                self.views.stale.insert(uid);
            }
        }
    }

    /// Other limits or lanes are in force.
    pub(crate) fn set_policy(&mut self, policy: Policy, version: u64) {
        self.policy_version = version;
        if policy != *self.queue.policy() {
            self.queue.set_policy(policy);
            self.views.dirty.extend(self.views.known.keys());
        }
    }

    /// Events may be missing: every run is read anew.
    pub(crate) fn gap(&mut self) {
        self.views.stale.extend(self.views.known.keys());
    }

    /// The slots of all live workers.
    pub(crate) fn set_slots(&mut self, slots: u32) {
        let before = self.window();
        self.slots = slots;
        if self.window() > before {
            self.views.dirty.extend(self.views.known.keys());
        }
    }

    /// Takes in what changed: puts into the outbox what is to be read, and asked for besides offers.
    pub(crate) fn decide(&mut self, now: Timestamp) {
        while let Some(&(at, uid)) = self.wakes.first().filter(|(at, _)| *at <= now) {
            self.wakes.remove(&(at, uid));
            if let Some(view) = self.views.known.get_mut(&uid) {
                view.wake_at = None;
                self.views.dirty.insert(uid);
            }
        }
        let ready: Vec<RunUid> = self.views.stale.iter().copied().collect();
        for uid in ready {
            if !self.trouble.holds(uid, now) && !self.reading.contains(&uid) {
                self.views.stale.remove(&uid);
                self.reading.insert(uid);
                self.outbox.push_back(Request::Read(uid));
            }
        }
        let dirty: Vec<RunUid> = self.views.dirty.drain().collect();
        for uid in dirty {
            self.refresh(uid, now);
        }
    }

    /// Puts the next offers into the outbox, at most `batch`; none before the limits are known.
    pub(crate) fn offer(&mut self, now: Timestamp, batch: usize) {
        if self.policy_version == 0 {
            return;
        }
        let mut offers: Vec<(RunUid, Vec<usize>)> = Vec::new();
        for pick in self.queue.pick(now, self.window(), batch) {
            match offers.iter_mut().find(|(run, _)| *run == pick.run) {
                Some((_, phases)) => phases.push(pick.phase),
                None => offers.push((pick.run, vec![pick.phase])),
            }
        }
        for (uid, phases) in offers {
            self.queue.suspend(uid);
            if let Some(view) = self.views.known.get_mut(&uid) {
                view.asked.clone_from(&phases);
                self.ask(uid, Action::OfferPhases(phases));
            }
        }
    }

    /// Puts the run where its view says.
    fn refresh(&mut self, uid: RunUid, now: Timestamp) {
        if let Some(project) = self.views.forget_if_idle(uid) {
            self.queue.forget(uid, &project);
            self.trouble.clear(uid);
            return;
        }
        let window = self.window();
        let Some(view) = self.views.known.get_mut(&uid) else {
            return;
        };
        let settled = view.is_settled();
        if settled {
            view.asked.clear();
        }
        let idle = settled
            && !self.views.stale.contains(&uid)
            && !self.reading.contains(&uid)
            && !self.trouble.holds(uid, now);
        let mut next = Next::default();
        if idle {
            let limit = if view.mixed {
                usize::MAX
            } else {
                window as usize
            };
            next = plan(view, now, limit);
        }
        let mut ready = Vec::new();
        let mut action = None;
        match next.actions.into_iter().next() {
            Some(Action::OfferPhases(phases)) => ready = candidates(&view.run, &phases),
            other => action = other,
        }
        let (load, offers) = (view.load(), Offer::of(&view.run));
        self.queue
            .put(uid, &view.run.run.project, ready, load, offers);
        if let Some(at) = next.wake_at {
            self.wake(uid, at);
        }
        if let Some(action) = action {
            self.ask(uid, action);
        }
    }

    fn ask(&mut self, uid: RunUid, action: Action) {
        if let Some(view) = self.views.known.get_mut(&uid) {
            view.busy = true;
            let version = view.run.run.version;
            self.outbox.push_back(Request::Ask(uid, version, action));
        }
    }

    fn wake(&mut self, uid: RunUid, at: Timestamp) {
        let Some(view) = self.views.known.get_mut(&uid) else {
            return;
        };
        if let Some(old) = view.wake_at.replace(at) {
            self.wakes.remove(&(old, uid));
        }
        self.wakes.insert((at, uid));
    }

    /// The run was read.
    pub(crate) fn read(&mut self, uid: RunUid, run: RunAggregate) {
        self.reading.remove(&uid);
        self.views.put(run);
    }

    /// The registry is away: the run is read when it is back.
    pub(crate) fn read_later(&mut self, uid: RunUid) {
        self.reading.remove(&uid);
        self.views.stale.insert(uid);
    }

    /// The run cannot be read; it is tried again, ever more seldom.
    pub(crate) fn unreadable(&mut self, uid: RunUid, now: Timestamp) {
        self.reading.remove(&uid);
        let at = self.trouble.strike(uid, now);
        self.views.stale.insert(uid);
        self.wakes.insert((at, uid));
    }

    /// The registry answered.
    pub(crate) fn answered(&mut self, uid: RunUid, asked: Asked, now: Timestamp) {
        let Some(view) = self.views.known.get_mut(&uid) else {
            return;
        };
        view.busy = false;
        self.views.dirty.insert(uid);
        match asked {
            Asked::Done(version) => {
                view.awaits = version;
                self.trouble.clear(uid);
            }
            Asked::Later => {}
            Asked::Held(_) => {
                let at = self.trouble.held(uid, now);
                self.wake(uid, at);
            }
            Asked::Stale => {
                let at = self.trouble.strike(uid, now);
                self.views.stale.insert(uid);
                self.wake(uid, at);
            }
        }
    }
}

/// The next actions of a run, over the phases that may be ready.
pub(crate) fn plan(view: &View, now: Timestamp, limit: usize) -> Next {
    plan_among(&view.run, view.queued.iter().copied(), now, limit)
}
