//! Tests that a phase promises: red before the change, green with it.
//!
//! Invariant: a promise is kept only by a test that ran and is good on the result, and that was not good on the base
//! with the result's test files.

use super::matches;
use crate::report::{Outcome, Reading};

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// No test of this name ran on the result.
    Missing(String),
    /// It is not good on the result.
    NotGreen(String),
    /// It is good without the change: it proves nothing.
    NotRed(String),
}

impl Broken {
    /// For people.
    pub fn text(&self) -> String {
        match self {
            Self::Missing(name) => format!("{name}: no such test ran on the result"),
            Self::NotGreen(id) => format!("{id}: is not green on the result"),
            Self::NotRed(id) => format!("{id}: is green without the change, so it proves nothing"),
        }
    }
}

/// Promises that the result's own report breaks already.
pub fn on_result(promised: &[String], result: &Reading) -> Vec<Broken> {
    let mut broken = Vec::new();
    for name in promised {
        let mut named = result
            .tests
            .iter()
            .filter(|t| matches(name, &t.id))
            .peekable();
        if named.peek().is_none() {
            broken.push(Broken::Missing(name.clone()));
        }
        let bad = named.filter(|test| test.outcome != Outcome::Passed);
        broken.extend(bad.map(|test| Broken::NotGreen(test.id.clone())));
    }
    broken
}

/// Promises of which every test is good without the change. `before` is the report of the base with the result's test
/// files; `None`: it could not be read, as when that does not build.
pub fn without_change(
    promised: &[String],
    result: &Reading,
    before: Option<&Reading>,
) -> Vec<Broken> {
    let Some(before) = before else {
        return Vec::new();
    };
    let good = |id: &str| {
        let mut tests = before.tests.iter();
        tests.any(|test| test.id == id && test.outcome == Outcome::Passed)
    };
    let proves_nothing = |name: &&String| {
        let mut named = result
            .tests
            .iter()
            .filter(|t| matches(name, &t.id))
            .peekable();
        named.peek().is_some() && named.all(|test| good(&test.id))
    };
    let names = promised.iter().filter(proves_nothing);
    names.map(|name| Broken::NotRed(name.clone())).collect()
}
