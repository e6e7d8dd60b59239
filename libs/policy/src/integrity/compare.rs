//! Removed and switched off tests; failures that are new, and such that the base has as well.
//!
//! Invariant: a test that moves with its file is a removed and a new one: the plan has to say that it may be. What a
//! quarantine names is not protected from being removed.

use std::collections::HashMap;

use autopack_domain::plan::TestRules;
use serde::{Deserialize, Serialize};

use super::any_matches;
use crate::report::{Outcome, Reading};

/// Most tests of each list.
pub const MAX_LISTED: usize = 200;

/// What happened to a test without leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It is not there any more.
    Removed,
    /// It ran on the base and does not run any more.
    Skipped,
    /// It asserts nothing any more.
    Emptied,
}

impl What {
    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Removed => "ran on the base and is not in the result",
            Self::Skipped => "ran on the base and is skipped in the result",
            Self::Emptied => "asserts nothing any more",
        }
    }

    /// The rule of the plan that would allow it.
    pub fn rule(self) -> &'static str {
        match self {
            Self::Removed => "may_remove",
            Self::Skipped => "may_skip",
            Self::Emptied => "may_empty",
        }
    }
}

/// A test that a change has weakened without leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weakened {
    /// The test.
    pub id: String,
    /// What happened to it.
    pub what: What,
}

/// Two reports against each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Without leave.
    pub weakened: Vec<Weakened>,
    /// In the result only.
    pub added: usize,
    /// Removed or switched off, as the plan says it may.
    pub declared: usize,
    /// Red on both.
    pub known_failures: Vec<String>,
    /// Red on the base, good now.
    pub mended: Vec<String>,
    /// Red now, and not on the base.
    pub broken: Vec<String>,
}

/// Compares the result's report with the base's. Of reports that do not name all tests only failures are compared.
pub fn compare(base: &Reading, result: &Reading, rules: &TestRules) -> Compared {
    let outcomes = |reading: &Reading| -> HashMap<String, Outcome> {
        let pairs = reading.tests.iter().map(|t| (t.id.clone(), t.outcome));
        pairs.collect()
    };
    let (before, after) = (outcomes(base), outcomes(result));
    let mut compared = Compared::default();
    for test in result.tests.iter().filter(|t| t.outcome == Outcome::Failed) {
        let list = if before.get(&test.id) == Some(&Outcome::Failed) {
            &mut compared.known_failures
        } else {
            &mut compared.broken
        };
        push(list, test.id.clone());
    }
    if !base.whole || !result.whole || base.kind != result.kind {
        return compared;
    }
    compared.added = after.keys().filter(|id| !before.contains_key(*id)).count();
    for test in &base.tests {
        let (what, allowed) = match (test.outcome, after.get(&test.id)) {
            (Outcome::Failed, Some(Outcome::Passed)) => {
                push(&mut compared.mended, test.id.clone());
                continue;
            }
            (_, None) => (What::Removed, &rules.may_remove),
            (Outcome::Passed | Outcome::Failed, Some(Outcome::Skipped)) => {
                (What::Skipped, &rules.may_skip)
            }
            (Outcome::Skipped, Some(_))
            | (Outcome::Passed | Outcome::Failed, Some(Outcome::Passed | Outcome::Failed)) => {
                continue;
            }
        };
        if any_matches(allowed, &test.id) {
            compared.declared += 1;
        } else {
            let id = test.id.clone();
            push(&mut compared.weakened, Weakened { id, what });
        }
    }
    compared
}

fn push<T>(list: &mut Vec<T>, item: T) {
    if list.len() < MAX_LISTED {
        list.push(item);
    }
}
