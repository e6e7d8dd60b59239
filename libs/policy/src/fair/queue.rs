//! Turns, deadlines and windows: the queue itself.
//!
//! Invariant: a run is put as a whole and taken out as a whole; between, its candidates are only offered. The work
//! of [`Queue::put`] and of each offer grows with the logarithm of what waits, never with what waits.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use autopack_domain::{RunUid, Timestamp};

use super::{
    Candidate, Load, Policy, Tally, handicap,
    lane::{Class, Key, LaneQueue},
    offers::{Offer, Offers},
};

/// A phase to offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pick {
    /// Its run.
    pub run: RunUid,
    /// Index of the phase.
    pub phase: usize,
    /// Its project.
    pub project: Arc<str>,
    /// Its lane.
    pub lane: Arc<str>,
    /// 0 to 9.
    pub priority: u8,
    /// Since when it is ready.
    pub since: Timestamp,
}

/// Phases of one run, lane and class, in plan order.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) phases: VecDeque<(usize, Timestamp)>,
    key: Option<Key>,
}

/// A run with candidates.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) project: Arc<str>,
    pub(super) groups: BTreeMap<(Arc<str>, Class), Group>,
}

/// The queue over all runs.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    pub(super) policy: Policy,
    pub(super) tally: Tally,
    pub(super) offers: Offers,
    pub(super) lanes: BTreeMap<Arc<str>, LaneQueue>,
    pub(super) runs: HashMap<RunUid, Entry>,
    /// The last turn of each run: when, and which.
    served: HashMap<RunUid, (Timestamp, u64)>,
    turn: u64,
    work: u64,
}

enum Head {
    Serve(Class, Key),
    /// The project's own limits hold everything.
    Held,
    /// An older offer in the stream holds everything.
    Barred,
}

impl Queue {
    /// What is in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What runs or is on offer.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Since when the longest waiting candidate of each run and lane is ready.
    pub fn oldest(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        let groups = self.runs.values().flat_map(|entry| &entry.groups);
        groups.filter_map(|((lane, _), group)| {
            let (_, since) = group.phases.front()?;
            Some((lane.as_ref(), *since))
        })
    }

    /// Steps taken so far: the measure of what the queue costs.
    pub fn work(&self) -> u64 {
        self.work
    }

    /// Other limits or lanes are in force. The caller puts every run again: which labels matter may have changed.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
        self.lanes.values_mut().for_each(LaneQueue::activate_all);
    }

    /// Replaces what is known of a run: its ready phases in the order of the plan, its live attempts, and which of
    /// these lie in the stream.
    pub fn put(
        &mut self,
        run: RunUid,
        project: &str,
        candidates: Vec<Candidate>,
        load: Load,
        offers: Vec<Offer>,
    ) {
        self.suspend(run);
        self.tally.set(run, project, load);
        self.offers.set(run, offers);
        if !candidates.is_empty() {
            let limits = &self.policy.limits(project).labels;
            let none: Arc<[String]> = Arc::from([]);
            let mut groups: BTreeMap<(Arc<str>, Class), Group> = BTreeMap::new();
            for c in candidates {
                let counts = |l: &&String| limits.contains_key(l.as_str());
                let labels = if limits.is_empty() || !c.labels.iter().any(|l| counts(&l)) {
                    Arc::clone(&none)
                } else {
                    c.labels.iter().filter(counts).cloned().collect()
                };
                let priority = c.priority;
                let group = groups.entry((c.lane, Class { priority, labels }));
                group.or_default().phases.push_back((c.phase, c.since));
            }
            let project = Arc::from(project);
            self.runs.insert(run, Entry { project, groups });
            self.relink(run);
        }
        self.lanes.values_mut().for_each(|l| l.activate(project));
        self.work += 1;
    }

    /// The run waits for an answer: its candidates are not offered, its attempts count on.
    pub fn suspend(&mut self, run: RunUid) {
        let Some(mut entry) = self.runs.remove(&run) else {
            return;
        };
        for ((lane, class), group) in &mut entry.groups {
            if let Some((key, lane)) = group.key.take().zip(self.lanes.get_mut(lane)) {
                lane.unlink(&entry.project, class, key);
            }
        }
    }

    /// The run is gone.
    pub fn forget(&mut self, run: RunUid, project: &str) {
        self.suspend(run);
        self.tally.set(run, project, Load::default());
        self.offers.set(run, Vec::new());
        self.served.remove(&run);
        self.lanes.retain(|_, lane| !lane.is_empty());
        self.lanes.values_mut().for_each(|l| l.activate(project));
    }

    /// The phases to offer now, in order: at most `most`, and no more attempts than `window` in any lane.
    pub fn pick(&mut self, now: Timestamp, window: u32, most: usize) -> Vec<Pick> {
        let mut picks = Vec::new();
        let lanes = self.lanes.keys().filter(|l| !self.policy.lane_is_paused(l));
        let lanes: Vec<Arc<str>> = lanes.cloned().collect();
        for lane in lanes {
            let mut barred = Vec::new();
            while picks.len() < most && self.tally.in_lane(&lane) < window {
                let Some(project) = self.lanes.get_mut(&lane).and_then(LaneQueue::pop) else {
                    break;
                };
                match self.head(&lane, &project, now) {
                    Head::Serve(class, key) => {
                        picks.extend(self.serve(&lane, &project, &class, key, now));
                    }
                    Head::Held => {}
                    Head::Barred => barred.push(project),
                }
            }
            if let Some(lane) = self.lanes.get_mut(&lane) {
                for project in &barred {
                    lane.activate(project);
                }
            }
        }
        picks
    }

    /// The run of the project whose turn it is.
    fn head(&mut self, lane: &str, project: &str, now: Timestamp) -> Head {
        self.work += 1;
        if self.policy.project_is_full(project, &self.tally) {
            return Head::Held;
        }
        let Some(queue) = self.lanes.get(lane) else {
            return Head::Held;
        };
        let mut best: Option<(&Class, Key)> = None;
        let mut barred = false;
        for (class, key) in queue.heads(project) {
            self.work += 1;
            let mut labels = class.labels.iter();
            if labels.any(|l| self.policy.label_is_full(project, l, &self.tally)) {
                continue;
            }
            if self.offers.bars(lane, class.priority, now) {
                barred = true;
                continue;
            }
            if best.is_none_or(|(_, k)| key < k) {
                best = Some((class, key));
            }
        }
        match best {
            Some((class, key)) => Head::Serve(class.clone(), key),
            None if barred => Head::Barred,
            None => Head::Held,
        }
    }

    fn serve(
        &mut self,
        lane: &Arc<str>,
        project: &Arc<str>,
        class: &Class,
        key: Key,
        now: Timestamp,
    ) -> Option<Pick> {
        if let Some(queue) = self.lanes.get_mut(lane) {
            queue.charge(project, self.policy.limits(project).share);
        }
        let entry = self.runs.get_mut(&key.run)?;
        let group = entry.groups.get_mut(&(Arc::clone(lane), class.clone()))?;
        let (phase, since) = group.phases.pop_front()?;
        self.tally.add(key.run, project, lane, &class.labels);
        self.turn += 1;
        self.served.insert(key.run, (now, self.turn));
        self.relink(key.run);
        if let Some(queue) = self.lanes.get_mut(lane) {
            queue.activate(project);
        }
        Some(Pick {
            run: key.run,
            phase,
            project: Arc::clone(project),
            lane: Arc::clone(lane),
            priority: class.priority,
            since,
        })
    }

    /// Puts the run where its deadlines say; out of the turns if it has all that it may have.
    fn relink(&mut self, run: RunUid) {
        let Some(entry) = self.runs.get_mut(&run) else {
            return;
        };
        let full = self.policy.run_is_full(&entry.project, run, &self.tally);
        let (last, turn) = self
            .served
            .get(&run)
            .copied()
            .unwrap_or((Timestamp(i64::MIN), 0));
        for ((lane, class), group) in &mut entry.groups {
            self.work += 1;
            if !self.lanes.contains_key(lane) {
                self.lanes.insert(Arc::clone(lane), LaneQueue::default());
            }
            let Some(queue) = self.lanes.get_mut(lane) else {
                continue;
            };
            if let Some(key) = group.key.take() {
                queue.unlink(&entry.project, class, key);
            }
            if let Some(&(_, since)) = group.phases.front().filter(|_| !full) {
                let key = Key {
                    deadline: since.max(last).0 + handicap(class.priority),
                    turn,
                    run,
                };
                queue.link(&entry.project, class, key);
                group.key = Some(key);
            }
        }
    }
}
