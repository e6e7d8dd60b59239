//! Attempts by project, run, label and lane, and the limits that they are held against.
//!
//! Invariant: the counts follow the writer, command by command, and a batch that fails is counted back; so what
//! the next offer sees is what is committed plus what its own batch did before, and two schedulers that decide at
//! the same time cannot pass a limit together.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};

use autopack_domain::{RunUid, project::ProjectLimits, run::RunAggregate};
use autopack_policy::{
    dispatch::Hold,
    fair::{Load, Policy, Tally, candidate::labels, limits::Place},
};
use autopack_store_write::Watch;

use super::lock;

/// Versions that one epoch may give out.
const VERSIONS: u64 = 1 << 24;

/// The counts and the limits.
#[derive(Debug)]
pub(crate) struct Ledger {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    policy: Policy,
    version: u64,
    tally: Tally,
    /// What the runs of the open batch had before it.
    undo: HashMap<RunUid, (String, Load)>,
}

impl Inner {
    fn set(&mut self, run: RunUid, project: &str, load: Load) {
        let before = self.tally.set(run, project, load);
        let undo = self.undo.entry(run);
        undo.or_insert_with(|| (project.to_owned(), before));
    }
}

impl Ledger {
    /// Without counts; versions of this epoch are larger than those of earlier ones.
    pub(crate) fn new(policy: Policy, epoch: u64) -> Self {
        Self {
            inner: Mutex::new(Inner {
                policy,
                version: epoch * VERSIONS + 1,
                tally: Tally::default(),
                undo: HashMap::new(),
            }),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    /// At the start: what a run has, as it is stored.
    pub(crate) fn found(&self, run: RunUid, project: &str, load: Load) {
        self.inner().tally.set(run, project, load);
    }

    /// What is in force, and its version.
    pub(crate) fn policy(&self) -> (Policy, u64) {
        let inner = self.inner();
        (inner.policy.clone(), inner.version)
    }

    /// The version of what is in force.
    pub(crate) fn version(&self) -> u64 {
        self.inner().version
    }

    /// Other limits are stored.
    pub(crate) fn set_limits(&self, project: &str, limits: ProjectLimits) {
        let mut inner = self.inner();
        inner.policy.set_limits(project, limits);
        inner.version += 1;
    }

    /// A pause is stored, or its end.
    pub(crate) fn pause(&self, lane: &str, paused: bool) {
        let mut inner = self.inner();
        inner.policy.pause(lane, paused);
        inner.version += 1;
    }

    /// Attempts of a project.
    pub(crate) fn running(&self, project: &str) -> u32 {
        self.inner().tally.of_project(project)
    }

    /// The rules that hold a phase back which its own run does not.
    pub(crate) fn holds(&self, run: &RunAggregate, phase: usize) -> Vec<Hold> {
        let inner = self.inner();
        with_place(run, phase, |p| inner.policy.holds(p, &inner.tally))
    }

    /// Whether one more attempt may be offered.
    pub(crate) fn admits(&self, run: &RunAggregate, phase: usize) -> bool {
        let inner = self.inner();
        with_place(run, phase, |p| inner.policy.admits(p, &inner.tally))
    }

    /// An attempt was offered by the command that is carried out now.
    pub(crate) fn count(&self, run: &RunAggregate, phase: usize) {
        let mut inner = self.inner();
        let mut load = inner.tally.load(run.run.uid);
        load.add(&run.lane(phase), &labels(run, phase));
        inner.set(run.run.uid, &run.run.project, load);
    }
}

impl Watch for Ledger {
    fn changed(&self, run: &RunAggregate) {
        let load = Load::of(run);
        self.inner().set(run.run.uid, &run.run.project, load);
    }

    fn committed(&self) {
        self.inner().undo.clear();
    }

    fn undone(&self) {
        let mut inner = self.inner();
        for (run, (project, load)) in std::mem::take(&mut inner.undo) {
            inner.tally.set(run, &project, load);
        }
    }
}

fn with_place<T>(run: &RunAggregate, phase: usize, ask: impl FnOnce(Place<'_>) -> T) -> T {
    ask(Place {
        run: run.run.uid,
        project: &run.run.project,
        lane: &run.lane(phase),
        labels: &labels(run, phase),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use autopack_domain::ids::RunUid;

    /// A batch that failed is as if it had not been.
    #[test]
    fn an_undone_batch_leaves_the_counts_of_the_last_commit() {
        let ledger = Ledger::new(Policy::default(), 3);
        let run = RunUid(uuid::Uuid::from_u128(1));
        let load = |n: usize| {
            let mut load = Load::default();
            (0..n).for_each(|_| load.add("default", &[]));
            load
        };
        ledger.found(run, "p", load(2));
        ledger.inner().set(run, "p", load(3));
        ledger.inner().set(run, "p", load(5));
        assert_eq!(ledger.running("p"), 5);
        ledger.undone();
        assert_eq!(ledger.running("p"), 2);
        ledger.inner().set(run, "p", load(1));
        ledger.committed();
        ledger.undone();
        assert_eq!(ledger.running("p"), 1);
        assert!(ledger.version() > Ledger::new(Policy::default(), 2).version());
    }
}
