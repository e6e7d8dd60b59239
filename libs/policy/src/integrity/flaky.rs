//! Flaky tests: which red tests earn another run on the same tree, and what is in quarantine.
//!
//! Invariant: flaky is what had two outcomes on one tree, and nothing else. A run that ends well decides; no list of
//! names turns a red step green. A test that a change brings is never excused.

use autopack_domain::Timestamp;
use autopack_domain::plan::{Quarantined, TestRules};
use autopack_domain::quarantine::Quarantine;

use super::matches;
use crate::report::{Outcome, Reading};

/// Reruns of a red step whose failing tests are all in quarantine.
pub const QUARANTINE_RERUNS: u32 = 3;

/// Whether a test is in quarantine now, by the plan or by what the run has seen.
pub fn is_quarantined(id: &str, plan: &[Quarantined], seen: &Quarantine, now: Timestamp) -> bool {
    let by_plan = plan
        .iter()
        .any(|entry| matches(&entry.id, id) && entry.ends().is_some_and(|ends| now < ends));
    by_plan || seen.get(id).is_some_and(|ends| now < *ends)
}

/// Entries of the plan that have ended and name one of the tests.
pub fn ended<'p>(
    ids: &[String],
    plan: &'p [Quarantined],
    now: Timestamp,
) -> impl Iterator<Item = &'p Quarantined> {
    let named: Vec<&Quarantined> = plan
        .iter()
        .filter(|entry| entry.ends().is_none_or(|ends| now >= ends))
        .filter(|entry| ids.iter().any(|id| matches(&entry.id, id)))
        .collect();
    named.into_iter()
}

/// How many times a red step may be run again: never for a test that the base does not have.
pub fn reruns(
    red: &[String],
    base: Option<&Reading>,
    rules: &TestRules,
    seen: &Quarantine,
    now: Timestamp,
) -> u32 {
    if red.is_empty() || rules.reruns == 0 {
        return 0;
    }
    let known = |id: &String| {
        base.is_none_or(|base| !base.whole || base.tests.iter().any(|test| test.id == *id))
    };
    if !red.iter().all(known) {
        return 0;
    }
    let quarantined = red
        .iter()
        .all(|id| is_quarantined(id, &rules.quarantine, seen, now));
    if quarantined {
        rules.reruns.max(QUARANTINE_RERUNS)
    } else {
        rules.reruns
    }
}

/// Tests that were red in one run of a tree and are good in another: flaky on evidence.
pub fn evidence(red: &Reading, green: &Reading) -> Vec<String> {
    let good = |id: &str| {
        let mut tests = green.tests.iter();
        tests.any(|test| test.id == id && test.outcome == Outcome::Passed)
    };
    red.ids(Outcome::Failed)
        .filter(|id| good(id))
        .map(str::to_owned)
        .collect()
}
