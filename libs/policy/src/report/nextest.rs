//! What cargo-nextest prints.
//!
//! Invariant: a test that failed first and passed when it was tried again has passed; its last line counts.

use super::{Found, Outcome, seconds};
use crate::text::{Pattern, number};

/// Reads one output.
pub(super) fn read(text: &str, found: &mut Found) {
    static TEST: Pattern = Pattern::new(
        r"^\s+(PASS|FAIL|SKIP|TIMEOUT|ABORT|LEAK|LEAK-FAIL|SIG\w+|FLAKY \d+/\d+) \[\s*>?([\d.]*)s?\s*\] (?:\([^)]*\) )?(\S+) (\S+)$",
    );
    static SUMMARY: Pattern =
        Pattern::new(r"^\s+Summary \[\s*[\d.]+s\]\s+(?:\d+/)?(\d+) tests? run: ");
    static STARTS: Pattern = Pattern::new(r"^\s+Starting [1-9]\d* tests? across ");
    let (mut starts, mut ends) = (false, false);
    for line in text.lines() {
        let line = line.trim_end();
        if let Some(c) = TEST.first(line) {
            let outcome = match c[1].split(' ').next().unwrap_or_default() {
                "PASS" | "LEAK" | "FLAKY" => Outcome::Passed,
                "SKIP" => Outcome::Skipped,
                _ => Outcome::Failed,
            };
            found.add(
                &format!("{}::{}", &c[3], &c[4]),
                outcome,
                seconds(&c[2]),
                "",
            );
        } else if let Some(c) = SUMMARY.first(line) {
            ends = true;
            found.count(number(&c, 1));
        } else if STARTS.is_match(line) {
            starts = true;
        }
    }
    if starts && !ends {
        found.fault("the tests start and there is no summary");
    }
}
