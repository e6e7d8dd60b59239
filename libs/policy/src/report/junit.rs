//! XML files of the JUnit family: Maven's surefire and failsafe, Gradle, pytest, and what else writes them.
//!
//! Invariant: an id is `classname::name`, of pytest `file::class::name`; a file without its last tag is a report that breaks off.

use super::xml::{Reader, Token, attribute, decode};
use super::{Found, Outcome, seconds};

/// A test case that is being read.
struct Case {
    id: String,
    millis: Option<u64>,
    outcome: Outcome,
    message: String,
}

/// Reads one file.
pub(super) fn read(text: &str, found: &mut Found) {
    let mut reader = Reader::new(text);
    let mut depth = 0_usize;
    let mut is_junit = false;
    let mut case: Option<Case> = None;
    let mut inside = false;
    for token in reader.by_ref() {
        match token {
            Token::Open {
                name,
                attributes,
                is_closed,
            } => {
                match name {
                    "testsuites" | "testsuite" => {
                        is_junit = true;
                        found.seen = true;
                    }
                    "testcase" if is_junit => case = Some(Case::of(attributes)),
                    "failure" | "error" => {
                        inside = !is_closed;
                        told(&mut case, Outcome::Failed, attributes);
                    }
                    "skipped" => told(&mut case, Outcome::Skipped, attributes),
                    _ => {}
                }
                if !is_closed {
                    depth += 1;
                } else if name == "testcase" {
                    end(case.take(), found);
                }
            }
            Token::Close(name) => {
                depth = depth.saturating_sub(1);
                match name {
                    "testcase" => end(case.take(), found),
                    "failure" | "error" => inside = false,
                    _ => {}
                }
            }
            Token::Text(text) => {
                if let Some(case) = case.as_mut().filter(|_| inside) {
                    case.explain(text);
                }
            }
        }
    }
    let broken_off = reader.is_cut || depth > 0 || case.is_some();
    if is_junit && broken_off {
        found.fault("the XML breaks off");
    } else if !is_junit {
        found.fault("the file is no JUnit report");
    }
}

impl Case {
    fn of(attributes: &str) -> Self {
        let text = |name| attribute(attributes, name).unwrap_or_default();
        let (class, name) = (text("classname"), text("name"));
        // Gradle and surefire write `adds()` or `adds`, by version.
        let name = name.strip_suffix("()").unwrap_or(&name);
        let file = text("file");
        let id = file.strip_suffix(".py").map(|module| {
            // pytest: the id with which one test is run.
            let inner = class.strip_prefix(&module.replace('/', "."));
            let inner = inner.unwrap_or("").replace('.', "::");
            if class.is_empty() {
                // A file that could not be collected.
                return file.clone();
            }
            format!("{file}{inner}::{name}")
        });
        Self {
            id: id.unwrap_or_else(|| match (class.is_empty(), name.is_empty()) {
                (true, _) => name.to_owned(),
                (false, true) => class,
                (false, false) => format!("{class}::{name}"),
            }),
            millis: attribute(attributes, "time").and_then(|time| seconds(&time.replace(',', ""))),
            outcome: Outcome::Passed,
            message: String::new(),
        }
    }
}

impl Case {
    /// Takes the message from the text where the attribute has none, or says no more than that there is one.
    fn explain(&mut self, text: &str) {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let line = match self.message.as_str() {
            "" => lines.next(),
            "collection failure" => lines.find_map(|line| line.strip_prefix("E ")),
            _ => None,
        };
        if let Some(line) = line {
            self.message = decode(line.trim());
        }
    }
}

/// A case says that it failed or was skipped.
fn told(case: &mut Option<Case>, outcome: Outcome, attributes: &str) {
    let Some(case) = case else { return };
    let message = attribute(attributes, "message").unwrap_or_default();
    // pytest marks an expected failure as skipped; it ran.
    let expected = attribute(attributes, "type").is_some_and(|kind| kind == "pytest.xfail");
    if case.outcome == Outcome::Passed && !expected {
        case.outcome = outcome;
    }
    if case.message.is_empty() {
        case.message = message;
    }
}

fn end(case: Option<Case>, found: &mut Found) {
    if let Some(case) = case {
        found.add(&case.id, case.outcome, case.millis, &case.message);
    }
}
