//! Attempts on offer or in workers' hands, counted by project, run, label and lane.
//!
//! Invariant: the sums equal the loads of the runs; a run's load is replaced as a whole, so counting it twice
//! changes nothing.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use autopack_domain::{RunUid, run::RunAggregate};

/// Attempts of a run, a project, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// All of them.
    pub total: u32,
    /// By `label=value`.
    pub labels: BTreeMap<String, u32>,
    /// By lane.
    pub lanes: BTreeMap<String, u32>,
}

impl Load {
    /// The live attempts of a run.
    pub fn of(run: &RunAggregate) -> Self {
        let mut load = Self::default();
        for attempt in run.attempts.values().filter(|a| !a.state.is_terminal()) {
            load.add(
                attempt.lane(),
                &super::candidate::labels(run, attempt.phase),
            );
        }
        load
    }

    /// One more.
    pub fn add(&mut self, lane: &str, labels: &[String]) {
        self.total += 1;
        bump(&mut self.lanes, lane, 1);
        for label in labels {
            bump(&mut self.labels, label, 1);
        }
    }

    fn plus(&mut self, other: &Self) {
        self.total += other.total;
        other
            .lanes
            .iter()
            .for_each(|(k, n)| bump(&mut self.lanes, k, *n));
        other
            .labels
            .iter()
            .for_each(|(k, n)| bump(&mut self.labels, k, *n));
    }

    fn minus(&mut self, other: &Self) {
        self.total = self.total.saturating_sub(other.total);
        other
            .lanes
            .iter()
            .for_each(|(k, n)| drop_from(&mut self.lanes, k, *n));
        other
            .labels
            .iter()
            .for_each(|(k, n)| drop_from(&mut self.labels, k, *n));
    }
}

fn bump(counts: &mut BTreeMap<String, u32>, key: &str, by: u32) {
    match counts.get_mut(key) {
        Some(n) => *n += by,
        None => {
            counts.insert(key.to_owned(), by);
        }
    }
}

fn drop_from(counts: &mut BTreeMap<String, u32>, key: &str, by: u32) {
    if let Some(n) = counts.get_mut(key) {
        *n = n.saturating_sub(by);
        if *n == 0 {
            counts.remove(key);
        }
    }
}

/// The counts of everything.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    runs: HashMap<RunUid, (Arc<str>, Load)>,
    projects: HashMap<Arc<str>, Load>,
    all: Load,
}

impl Tally {
    /// Replaces the load of a run and returns the one before.
    pub fn set(&mut self, run: RunUid, project: &str, load: Load) -> Load {
        let before = self.take(run);
        if load.total > 0 {
            let project: Arc<str> = match self.projects.get_key_value(project) {
                Some((known, _)) => Arc::clone(known),
                None => Arc::from(project),
            };
            self.projects
                .entry(Arc::clone(&project))
                .or_default()
                .plus(&load);
            self.all.plus(&load);
            self.runs.insert(run, (project, load));
        }
        before
    }

    /// Counts one more attempt of a run.
    pub fn add(&mut self, run: RunUid, project: &str, lane: &str, labels: &[String]) {
        let mut load = self.take(run);
        load.add(lane, labels);
        self.set(run, project, load);
    }

    fn take(&mut self, run: RunUid) -> Load {
        let Some((project, load)) = self.runs.remove(&run) else {
            return Load::default();
        };
        self.all.minus(&load);
        if let Some(sum) = self.projects.get_mut(&project) {
            sum.minus(&load);
            if sum.total == 0 {
                self.projects.remove(&project);
            }
        }
        load
    }

    /// What a run has.
    pub fn load(&self, run: RunUid) -> Load {
        self.runs
            .get(&run)
            .map_or_else(Load::default, |(_, l)| l.clone())
    }

    /// Attempts of all runs.
    pub fn total(&self) -> u32 {
        self.all.total
    }

    /// Attempts of a lane.
    pub fn in_lane(&self, lane: &str) -> u32 {
        self.all.lanes.get(lane).copied().unwrap_or(0)
    }

    /// Attempts of a project.
    pub fn of_project(&self, project: &str) -> u32 {
        self.projects.get(project).map_or(0, |l| l.total)
    }

    /// Attempts of a project with a label.
    pub fn with_label(&self, project: &str, label: &str) -> u32 {
        let load = self.projects.get(project);
        load.and_then(|l| l.labels.get(label)).copied().unwrap_or(0)
    }

    /// Attempts of a run.
    pub fn of_run(&self, run: RunUid) -> u32 {
        self.runs.get(&run).map_or(0, |(_, l)| l.total)
    }
}
