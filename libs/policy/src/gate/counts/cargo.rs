//! Summaries of `cargo test` (one a test binary) and of nextest.
//!
//! Invariant: the sum over all binaries; a workspace whose last binary has no tests is not empty.

use super::Report;
use crate::text::{Pattern, counted_words, number};

pub(super) fn read(text: &str) -> Option<Report> {
    static RESULT: Pattern = Pattern::new(
        r"(?m)^test result: (?:ok|FAILED)\. (\d+) passed; (\d+) failed; (\d+) ignored; \d+ measured; \d+ filtered out",
    );
    static NEXTEST: Pattern =
        Pattern::new(r"(?m)^\s*Summary \[[^\]\n]*\]\s+\d+(?:/\d+)? tests? run: ([^\n]*)$");
    static NEXTEST_NONE: Pattern = Pattern::new(r"(?m)^error: no tests to run\b");
    let mut all = RESULT
        .find_all(text)
        .map(|found| Report::of(number(&found, 1), number(&found, 2), number(&found, 3)))
        .reduce(Report::plus);
    if let Some(found) = NEXTEST.last(text) {
        let summary = nextest(found.get(1).map_or("", |m| m.as_str()));
        all = Some(all.map_or(summary, |sum| sum.plus(summary)));
    }
    if NEXTEST_NONE.is_match(text) && all.is_none_or(|report| report.ran() == 0) {
        return Some(Report::none_found());
    }
    all
}

/// `5 passed (1 slow, 1 flaky), 1 failed, 1 timed out, 2 skipped`
fn nextest(line: &str) -> Report {
    static INNER: Pattern = Pattern::new(r"\([^)]*\)");
    let (mut passed, mut failed, mut skipped) = (0u64, 0u64, 0u64);
    for (count, word) in counted_words(&INNER.replace_all(line, "")) {
        match word {
            "passed" => passed = count,
            "failed" | "timed" | "exec" => failed = failed.saturating_add(count),
            "skipped" => skipped = count,
            _ => {}
        }
    }
    Report::of(passed, failed, skipped)
}
