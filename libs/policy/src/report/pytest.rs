//! What pytest prints: a line per test with `-v`, the short summary with `-rA`, failures in any case.
//!
//! Invariant: a session that starts and has no last line is broken off. Without `-v` only failures have names, which
//! the summary's count shows.

use super::{Found, Outcome};
use crate::gate::counts::python;
use crate::text::Pattern;

/// Reads one output.
pub(super) fn read(text: &str, found: &mut Found) {
    static VERBOSE: Pattern = Pattern::new(
        r"^(\S+\.py::.+?) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)(?: \((.*)\))?\s*(?:\[\s*\d+%\])?$",
    );
    static PARALLEL: Pattern = Pattern::new(
        r"^\[gw\d+\] \[\s*\d+%\] (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS) (\S+\.py::.+?)\s*$",
    );
    static SHORT: Pattern =
        Pattern::new(r"^(PASSED|FAILED|ERROR|XFAIL|XPASS) (\S+\.py(?:::.+?)?)(?: - (.*))?$");
    static STARTS: Pattern =
        Pattern::new(r"(?m)^(?:=+ test session starts =+|collected [1-9]\d* items?\b.*)\s*$");
    for line in text.lines() {
        let line = line.trim_end();
        let part =
            |c: &regex::Captures<'_>, n: usize| c.get(n).map_or("", |m| m.as_str()).to_owned();
        if let Some(c) = VERBOSE.first(line) {
            found.add(&part(&c, 1), outcome(&part(&c, 2)), None, &part(&c, 3));
        } else if let Some(c) = PARALLEL.first(line) {
            found.add(&part(&c, 2), outcome(&part(&c, 1)), None, "");
        } else if let Some(c) = SHORT.first(line) {
            found.add(&part(&c, 2), outcome(&part(&c, 1)), None, &part(&c, 3));
        }
    }
    match python::pytest(text) {
        Some(report) => found.count(report.ran()),
        None if STARTS.is_match(text) => {
            found.fault("the pytest session starts and does not end");
        }
        None => {}
    }
}

fn outcome(word: &str) -> Outcome {
    match word {
        "FAILED" | "ERROR" => Outcome::Failed,
        "SKIPPED" => Outcome::Skipped,
        _ => Outcome::Passed,
    }
}
