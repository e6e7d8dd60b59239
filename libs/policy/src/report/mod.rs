//! Reports of test runners, read into one form: id, outcome, duration, message.
//!
//! Invariant: whatever a text holds, reading it ends, and the result is bounded; a report that begins and does not end
//! is told by name. Ids do not depend on where the checkout lies, nor on line numbers.
//!
//! Limits: a report is written by what it tests. It can name tests that do not exist; it cannot turn a red step green.
//!
//! - [`source`]: which form a step's report has
//! - `cargo`, `go`, `jest`, `junit`, `nextest`, `node`, `pytest`, `tap`, `unittest`: one form each
//! - `xml`: the little of XML that JUnit needs

mod cargo;
mod go;
mod jest;
mod junit;
mod nextest;
mod node;
mod pytest;
pub mod source;
mod tap;
mod unittest;
mod xml;

use std::collections::HashMap;

use autopack_domain::gate::TestCounts;
use autopack_domain::plan::ReportKind;
use serde::{Deserialize, Serialize};

pub use source::{Source, detect};

use crate::text::{one_line, plain};

/// Most tests that one report names; later ones are counted as missing.
pub const MAX_TESTS: usize = 20_000;
/// Longest id, in characters.
pub const MAX_ID: usize = 300;
/// Longest message, in characters.
pub const MAX_MESSAGE: usize = 500;
/// Longest report that is read, in bytes.
pub const MAX_REPORT: usize = 16 * 1024 * 1024;

/// What became of one test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did not run.
    Skipped,
    /// It ran and is good; an expected failure is.
    Passed,
    /// It ran and is bad, or could not be collected.
    Failed,
}

/// One test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestResult {
    /// The same in every run of the same test.
    pub id: String,
    /// What became of it.
    pub outcome: Outcome,
    /// How long it took, where the runner says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub millis: Option<u64>,
    /// Why it failed or was skipped, the first line of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// A report that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Its form.
    pub kind: ReportKind,
    /// Each test once, in the order of the report.
    pub tests: Vec<TestResult>,
    /// Every test of the run is named.
    pub whole: bool,
    /// Why the report cannot be believed: it breaks off, or it is not of its form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Reading {
    /// How many tests ended how.
    pub fn counts(&self) -> TestCounts {
        let of = |outcome| self.tests.iter().filter(|t| t.outcome == outcome).count() as u64;
        TestCounts {
            passed: of(Outcome::Passed),
            failed: of(Outcome::Failed),
            skipped: of(Outcome::Skipped),
        }
    }

    /// The ids of tests with this outcome.
    pub fn ids(&self, outcome: Outcome) -> impl Iterator<Item = &str> {
        let found = self.tests.iter().filter(move |t| t.outcome == outcome);
        found.map(|test| test.id.as_str())
    }
}

/// Reads a report.
///
/// `texts` are its files, or the one output of the step; `root` is the folder of the checkout, which is taken out of
/// ids. `None`: nothing in the texts is of this form.
pub fn read(kind: ReportKind, texts: &[&str], root: &str) -> Option<Reading> {
    let mut found = Found {
        root: format!("{}/", root.trim_end_matches('/')),
        ..Found::default()
    };
    for text in texts {
        let text = head(text);
        if kind == ReportKind::Junit {
            junit::read(text, &mut found);
            continue;
        }
        let text = plain(text);
        match kind {
            ReportKind::Pytest => pytest::read(&text, &mut found),
            ReportKind::Unittest => unittest::read(&text, &mut found),
            ReportKind::Cargo => cargo::read(&text, &mut found),
            ReportKind::Nextest => nextest::read(&text, &mut found),
            ReportKind::Go => go::read(&text, &mut found),
            ReportKind::Node => node::read(&text, &mut found),
            ReportKind::Jest | ReportKind::Vitest => jest::read(&text, &mut found),
            ReportKind::Tap => tap::read(&text, &mut found),
            ReportKind::Junit => {}
        }
    }
    found.reading(kind)
}

/// The beginning that is read.
fn head(text: &str) -> &str {
    let mut end = text.len().min(MAX_REPORT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// What a reader has found so far.
#[derive(Default)]
struct Found {
    /// The folder of the checkout, with a slash at its end.
    root: String,
    tests: Vec<TestResult>,
    at: HashMap<String, usize>,
    /// Something of the form was there.
    seen: bool,
    /// Tests that ran, as the runner counts them; `None`: it does not, and every test is named.
    ran: Option<u64>,
    left_out: bool,
    problem: Option<String>,
}

impl Found {
    /// Adds a test. One that comes again keeps its worst outcome.
    fn add(&mut self, id: &str, outcome: Outcome, millis: Option<u64>, message: &str) {
        self.seen = true;
        let id = one_line(&self.below_root(id), MAX_ID);
        if id.is_empty() {
            return;
        }
        let message = self.message(message);
        if let Some(test) = self.at.get(&id).and_then(|at| self.tests.get_mut(*at)) {
            if outcome > test.outcome {
                test.outcome = outcome;
                test.message = message;
            } else if test.message.is_empty() && outcome == test.outcome {
                test.message = message;
            }
            test.millis = test.millis.or(millis);
            return;
        }
        if self.tests.len() >= MAX_TESTS {
            self.left_out = true;
            return;
        }
        self.at.insert(id.clone(), self.tests.len());
        self.tests.push(TestResult {
            id,
            outcome,
            millis,
            message,
        });
    }

    /// Gives a test that is known already its message.
    fn explain(&mut self, id: &str, message: &str) {
        let message = self.message(message);
        let id = one_line(&self.below_root(id), MAX_ID);
        if let Some(test) = self.at.get(&id).and_then(|at| self.tests.get_mut(*at))
            && test.message.is_empty()
        {
            test.message = message;
        }
    }

    /// The first line that says something.
    fn message(&self, text: &str) -> String {
        let mut lines = text.lines().map(str::trim);
        let line = lines.find(|line| !line.is_empty() && !line.starts_with('●'));
        one_line(&self.below_root(line.unwrap_or("")), MAX_MESSAGE)
    }

    fn below_root(&self, text: &str) -> String {
        if self.root.len() > 1 {
            text.replace(&self.root, "")
        } else {
            text.to_owned()
        }
    }

    /// The runner says that so many tests ran.
    fn count(&mut self, ran: u64) {
        self.seen = true;
        self.ran = Some(self.ran.unwrap_or(0).saturating_add(ran));
    }

    fn fault(&mut self, problem: impl Into<String>) {
        self.seen = true;
        self.problem.get_or_insert(problem.into());
    }

    fn reading(self, kind: ReportKind) -> Option<Reading> {
        let named = self
            .tests
            .iter()
            .filter(|test| test.outcome != Outcome::Skipped)
            .count() as u64;
        let whole =
            !self.left_out && self.problem.is_none() && self.ran.is_none_or(|ran| named >= ran);
        self.seen.then_some(Reading {
            kind,
            tests: self.tests,
            whole,
            problem: self.problem,
        })
    }
}

/// Milliseconds of a text such as `0.012`, in seconds.
fn seconds(text: &str) -> Option<u64> {
    let seconds: f64 = text.trim().parse().ok()?;
    (seconds.is_finite() && (0.0..1e9).contains(&seconds))
        .then(|| (seconds * 1000.0).round() as u64)
}
