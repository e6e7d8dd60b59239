//! One lane: projects take turns by their tags, runs of a project by their deadlines.
//!
//! Invariant: a project with waiting runs is among the turns, or its own limits hold all of them; the clock is
//! the tag of the last turn and never goes back.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use autopack_domain::RunUid;

/// What an offer moves the tag of a project of share 1 on by; divisible by many shares.
const TURN: u64 = 720_720_000;

/// Phases of a run that the same rules judge alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Class {
    /// 0 to 9.
    pub(super) priority: u8,
    /// The labels that have a limit.
    pub(super) labels: Arc<[String]>,
}

/// Where a run stands among the runs of its project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// Smaller is sooner.
    pub(super) deadline: i64,
    /// The run's last turn: who had his longest ago is sooner.
    pub(super) turn: u64,
    /// The run.
    pub(super) run: RunUid,
}

#[derive(Clone, Debug, Default)]
struct Waiting {
    tag: u64,
    classes: BTreeMap<Class, BTreeSet<Key>>,
}

/// The projects that wait in a lane.
#[derive(Clone, Debug, Default)]
pub(super) struct LaneQueue {
    clock: u64,
    turns: BTreeSet<(u64, Arc<str>)>,
    projects: BTreeMap<Arc<str>, Waiting>,
}

impl LaneQueue {
    /// A run waits.
    pub(super) fn link(&mut self, project: &Arc<str>, class: &Class, key: Key) {
        let waiting = self.projects.entry(Arc::clone(project)).or_default();
        waiting
            .classes
            .entry(class.clone())
            .or_default()
            .insert(key);
    }

    /// The run does not wait any more.
    pub(super) fn unlink(&mut self, project: &Arc<str>, class: &Class, key: Key) {
        let Some(waiting) = self.projects.get_mut(project) else {
            return;
        };
        if let Some(runs) = waiting.classes.get_mut(class) {
            runs.remove(&key);
            if runs.is_empty() {
                waiting.classes.remove(class);
            }
        }
        if waiting.classes.is_empty() {
            let tag = waiting.tag;
            self.turns.remove(&(tag, Arc::clone(project)));
            if tag <= self.clock {
                self.projects.remove(project);
            }
        }
    }

    /// The project may have a run that can be served: it takes part in the turns, without credit from before.
    pub(super) fn activate(&mut self, project: &str) {
        let Some((name, _)) = self.projects.get_key_value(project) else {
            return;
        };
        let name = Arc::clone(name);
        let Some(waiting) = self.projects.get_mut(project) else {
            return;
        };
        let place = (waiting.tag, name);
        if waiting.classes.is_empty() || self.turns.contains(&place) {
            return;
        }
        waiting.tag = waiting.tag.max(self.clock);
        self.turns.insert((waiting.tag, place.1));
    }

    /// Every project takes part again: other limits are in force.
    pub(super) fn activate_all(&mut self) {
        let names: Vec<Arc<str>> = self.projects.keys().cloned().collect();
        for name in &names {
            self.activate(name);
        }
    }

    /// The project whose turn it is; it is out of the turns until it is charged or activated.
    pub(super) fn pop(&mut self) -> Option<Arc<str>> {
        self.turns.pop_first().map(|(_, project)| project)
    }

    /// The project had its turn.
    pub(super) fn charge(&mut self, project: &str, share: u32) {
        if let Some(waiting) = self.projects.get_mut(project) {
            self.clock = self.clock.max(waiting.tag);
            waiting.tag += TURN / u64::from(share.max(1));
        }
    }

    /// The first run of each class of the project.
    pub(super) fn heads(&self, project: &str) -> impl Iterator<Item = (&Class, Key)> {
        let waiting = self.projects.get(project).into_iter();
        let classes = waiting.flat_map(|w| &w.classes);
        classes.filter_map(|(class, runs)| Some((class, *runs.first()?)))
    }

    /// Nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.projects.values().all(|w| w.classes.is_empty())
    }
}
