//! What builders did, by the lines that they left outside the repository.
//!
//! Invariant: a line is written before anything else, so no effect is without one.

use std::collections::{BTreeMap, BTreeSet};

use crate::scene::Scene;

/// An attempt at most once; every attempt that was accepted was made; no line of an attempt that nobody knows.
#[track_caller]
pub(crate) fn check(scene: &Scene) {
    let text = std::fs::read_to_string(&scene.ledger).unwrap();
    let mut made: BTreeMap<(String, u64), usize> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(words.len(), 3, "a line of the ledger: {line}");
        *made
            .entry((words[0].to_owned(), words[1].parse().unwrap()))
            .or_default() += 1;
    }
    let twice: Vec<_> = made.iter().filter(|(_, times)| **times > 1).collect();
    assert!(
        twice.is_empty(),
        "attempts whose builder ran twice: {twice:?}"
    );
    let stored = scene.cluster.database.sql(
        "SELECT phase.id, attempt.number, attempt.state = 'SUCCEEDED' OR attempt.commit_sha <> '' \
         FROM attempt JOIN phase ON phase.run_uid = attempt.run_uid AND phase.idx = attempt.phase",
    );
    let mut known = BTreeSet::new();
    for line in stored.lines() {
        let words: Vec<&str> = line.split('|').collect();
        let attempt = (words[0].to_owned(), words[1].parse().unwrap());
        let accepted = words[2] == "t";
        assert!(
            !accepted || made.contains_key(&attempt),
            "{attempt:?} was accepted, and no builder ran for it"
        );
        known.insert(attempt);
    }
    let unknown: Vec<_> = made.keys().filter(|made| !known.contains(made)).collect();
    assert!(
        unknown.is_empty(),
        "builders of attempts that nobody knows: {unknown:?}"
    );
}
