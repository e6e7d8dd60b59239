//! What Python's unittest prints with `-v`; without it only failures have names.
//!
//! Invariant: the id is the dotted name, with which one test can be run again.

use super::{Found, Outcome};
use crate::gate::counts::python;
use crate::text::Pattern;

/// Reads one output.
pub(super) fn read(text: &str, found: &mut Found) {
    static NAME: Pattern = Pattern::new(r"^([\w.]+) \(([\w.]+)\)(.*)$");
    static END: Pattern = Pattern::new(
        r"\.\.\. (?:.*)?(ok|FAIL|ERROR|skipped(?: .*)?|expected failure|unexpected success)$",
    );
    static HEADING: Pattern = Pattern::new(r"^(?:FAIL|ERROR): ([\w.]+) \(([\w.]+)\)");
    let mut open: Option<String> = None;
    let mut heading: Option<String> = None;
    for line in text.lines() {
        let line = line.trim_end();
        if let Some(c) = HEADING.first(line) {
            let id = id(&c[1], &c[2]);
            found.add(&id, Outcome::Failed, None, "");
            (heading, open) = (Some(id), None);
            continue;
        }
        if let Some(id) = &heading
            && is_error(line)
        {
            found.explain(id, line);
            heading = None;
        }
        if let Some(c) = NAME.first(line) {
            open = Some(id(&c[1], &c[2]));
        }
        // A docstring stands on a line of its own between name and end.
        if let Some(name) = &open
            && let Some(c) = END.first(line)
        {
            let (outcome, message) = outcome(&c[1]);
            found.add(&name.clone(), outcome, None, message);
            open = None;
        }
    }
    if let Some(report) = python::unittest(text) {
        found.count(report.ran());
    }
}

/// `test_a (mod.Case.test_a)` since Python 3.11, `test_a (mod.Case)` before.
fn id(name: &str, place: &str) -> String {
    if place.starts_with("unittest.loader._FailedTest") {
        // A module that could not be loaded.
        name.to_owned()
    } else if place.rsplit('.').next() == Some(name) {
        place.to_owned()
    } else {
        format!("{place}.{name}")
    }
}

fn outcome(word: &str) -> (Outcome, &str) {
    match word {
        "ok" | "expected failure" => (Outcome::Passed, ""),
        "FAIL" | "ERROR" | "unexpected success" => (Outcome::Failed, ""),
        skipped => (
            Outcome::Skipped,
            skipped.trim_start_matches("skipped").trim(),
        ),
    }
}

/// The last line of a traceback, which names the error.
fn is_error(line: &str) -> bool {
    static ERROR: Pattern = Pattern::new(r"^[A-Za-z_][\w.]*(?:Error|Exception|Failure)\b");
    ERROR.is_match(line)
}
