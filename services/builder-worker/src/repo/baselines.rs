//! Results of tests by tree and gate, so that the base of a phase need not be run again.
//!
//! Invariant: what is remembered was seen on that very tree, with these very steps; it is bounded, and lost with the
//! process, which costs a run and no more.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use autopack_domain::plan::GateSpec;
use autopack_git::Oid;
use autopack_policy::report::Reading;
use sha2::{Digest, Sha256};

use super::hex;

/// Trees whose results are remembered a repository.
const REMEMBERED: usize = 16;

/// A tree and the steps that ran on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key(Oid, String);

impl Key {
    /// The key of a tree under a gate.
    pub(crate) fn of(tree: &Oid, gate: &GateSpec) -> Self {
        let mut digest = Sha256::new();
        for step in gate.setup.iter().chain(gate.steps.iter().flatten()) {
            digest.update(serde_json::to_vec(step).unwrap_or_default());
            digest.update([0]);
        }
        Self(tree.clone(), hex(&digest.finalize(), 16))
    }
}

/// The report of each step of a gate on one tree.
#[derive(Debug, Clone)]
pub(crate) struct Baseline {
    steps: Arc<Vec<Option<Reading>>>,
}

impl Baseline {
    /// From the steps that ran, each with its place.
    pub(crate) fn of(
        reports: impl Iterator<Item = (Option<usize>, Option<Reading>)>,
        steps: usize,
    ) -> Self {
        let mut all = vec![None; steps];
        for (index, report) in reports {
            if let Some(slot) = index.and_then(|index| all.get_mut(index)) {
                *slot = report;
            }
        }
        Self {
            steps: Arc::new(all),
        }
    }

    /// The report of one step.
    pub(crate) fn of_step(&self, index: usize) -> Option<&Reading> {
        self.steps.get(index)?.as_ref()
    }

    /// The report of a step, if it is one of the gate.
    pub(crate) fn of_done(&self, index: Option<usize>) -> Option<&Reading> {
        self.of_step(index?)
    }

    /// Whether any test has a name.
    pub(crate) fn has_tests(&self) -> bool {
        self.steps
            .iter()
            .flatten()
            .any(|read| !read.tests.is_empty())
    }

    /// The reports of the same steps, where both have one.
    pub(crate) fn pairs<'a>(
        &'a self,
        other: &'a Self,
    ) -> impl Iterator<Item = (&'a Reading, &'a Reading)> {
        let pairs = self.steps.iter().zip(other.steps.iter());
        pairs.filter_map(|(a, b)| Some((a.as_ref()?, b.as_ref()?)))
    }

    /// Whether a test with this id ran.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.tests().any(|known| known == id)
    }

    /// Ids whose last part is this name.
    pub(crate) fn ids_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.tests().filter(move |id| is_named(id, name))
    }

    fn tests(&self) -> impl Iterator<Item = &str> {
        let readings = self.steps.iter().flatten();
        readings.flat_map(|read| read.tests.iter().map(|test| test.id.as_str()))
    }

    /// All tests as one report.
    pub(crate) fn whole(&self) -> Reading {
        let mut readings = self.steps.iter().flatten();
        let Some(mut whole) = readings.next().cloned() else {
            return Reading {
                kind: autopack_domain::plan::ReportKind::Junit,
                tests: Vec::new(),
                whole: false,
                problem: None,
            };
        };
        for more in readings {
            whole.tests.extend(more.tests.iter().cloned());
            whole.whole &= more.whole;
        }
        whole
    }
}

/// `a::b`, `a.b`, `a > b`, `a b` and `b[1]` are named `b`.
fn is_named(id: &str, name: &str) -> bool {
    let id = id.split('[').next().unwrap_or(id);
    id.strip_suffix(name)
        .is_some_and(|before| before.is_empty() || before.ends_with([':', '.', ' ', '/', '#']))
}

/// The results that a repository remembers, the latest first.
#[derive(Debug, Default)]
pub(crate) struct Baselines(Mutex<VecDeque<(Key, Baseline)>>);

impl Baselines {
    /// What is known of a tree.
    pub(crate) fn get(&self, key: &Key) -> Option<Baseline> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.iter().find(|(known, _)| known == key);
        found.map(|(_, baseline)| baseline.clone())
    }

    /// Remembers a tree, and forgets the oldest.
    pub(crate) fn remember(&self, key: Key, baseline: Baseline) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(known, _)| *known != key);
        all.push_front((key, baseline));
        all.truncate(REMEMBERED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_last_part_of_an_id() {
        for (id, name, found) in [
            ("demo::tests::adds", "adds", true),
            ("tests/test_a.py::test_x[1-2]", "test_x", true),
            ("mod.Case.test_x", "test_x", true),
            ("a.test.js::group adds two", "adds two", true),
            ("demo::tests::readds", "adds", false),
            ("adds", "adds", true),
        ] {
            assert_eq!(is_named(id, name), found, "{id} {name}");
        }
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let baselines = Baselines::default();
        let gate = GateSpec {
            profile: autopack_domain::plan::GateProfile::Normal,
            setup: Vec::new(),
            steps: None,
            tests: autopack_domain::plan::TestRules::default(),
        };
        let key = |n: usize| Key::of(&Oid::parse(&format!("{n:040x}")).unwrap(), &gate);
        for n in 0..=REMEMBERED {
            baselines.remember(key(n), Baseline::of(std::iter::empty(), 1));
        }
        assert!(baselines.get(&key(0)).is_none());
        assert!(baselines.get(&key(1)).is_some() && baselines.get(&key(REMEMBERED)).is_some());
    }
}
