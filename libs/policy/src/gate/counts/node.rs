//! Summaries of the JavaScript runners: node's own, jest, vitest, mocha, deno, bun.
//!
//! Invariant: each is read in its own form only; none of these forms is a prefix of another's.

use super::Report;
use crate::text::{Pattern, counted_words, number};

/// `# tests 3` (TAP) or `ℹ tests 3`, and the lines after it.
pub(super) fn built_in(text: &str) -> Option<Report> {
    static SUMMARY: Pattern = Pattern::new(
        r"(?m)^(?:#|ℹ) tests[ \t]+(\d+)\n(?:(?:#|ℹ) suites \d+\n)?((?:(?:#|ℹ) (?:pass|fail|ok|cancelled|skipped|todo)[^\n]*\n?)*)",
    );
    static PART: Pattern = Pattern::new(r"(?m)^\S+ (pass|fail|cancelled|skipped|todo)\s+(\d+)\s*$");
    let found = SUMMARY.last(text)?;
    let total = number(&found, 1);
    let parts = found.get(2).map_or("", |m| m.as_str());
    let (mut failed, mut skipped) = (0u64, 0u64);
    for part in PART.find_all(parts) {
        let count = number(&part, 2);
        match part.get(1).map_or("", |m| m.as_str()) {
            "fail" | "cancelled" => failed = failed.saturating_add(count),
            "skipped" | "todo" => skipped = skipped.saturating_add(count),
            _ => {}
        }
    }
    let passed = total.saturating_sub(failed).saturating_sub(skipped);
    Some(Report::of(passed, failed, skipped))
}

/// `Tests:       1 failed, 2 passed, 3 total`
pub(super) fn jest(text: &str) -> Option<Report> {
    static SUMMARY: Pattern = Pattern::new(
        r"(?m)^Tests:[ \t]+((?:\d+ (?:failed|passed|skipped|todo|pending), )*\d+ total)\s*$",
    );
    static EMPTY: Pattern =
        Pattern::new(r"(?m)^No tests found, exiting with code \d|^No tests found related to");
    match SUMMARY.last(text) {
        Some(found) => Some(words(found.get(1)?.as_str())),
        None => EMPTY.is_match(text).then(Report::none_found),
    }
}

/// `      Tests  1 failed | 2 passed (3)`
pub(super) fn vitest(text: &str) -> Option<Report> {
    static SUMMARY: Pattern = Pattern::new(
        r"(?m)^\s+Tests  (no tests|(?:\d+ (?:failed|passed|skipped|todo|expected fail)(?: \| )?)+(?: \(\d+\))?)\s*$",
    );
    static EMPTY: Pattern = Pattern::new(r"(?m)^\s*No test files found, exiting with code \d");
    match SUMMARY.last(text) {
        Some(found) if &found[1] == "no tests" => Some(Report::of(0, 0, 0)),
        Some(found) => Some(words(found.get(1)?.as_str())),
        None => EMPTY.is_match(text).then(Report::none_found),
    }
}

/// `  3 passing (12ms)`, then `pending` and `failing`.
pub(super) fn mocha(text: &str) -> Option<Report> {
    static SUMMARY: Pattern = Pattern::new(
        r"(?m)^[ \t]+(\d+) passing \([\d.]+\w+\)[ \t]*\n(?:[ \t]+(\d+) pending[ \t]*\n)?(?:[ \t]+(\d+) failing[ \t]*$)?",
    );
    static EMPTY: Pattern = Pattern::new(r"(?m)^Error: No test files found");
    // The summary may end the text without a line end.
    let ended = format!("{text}\n");
    let report = SUMMARY
        .last(&ended)
        .map(|found| Report::of(number(&found, 1), number(&found, 3), number(&found, 2)));
    report.or_else(|| EMPTY.is_match(text).then(Report::none_found))
}

/// `ok | 3 passed (2 steps) | 0 failed | 1 ignored (12ms)`
pub(super) fn deno(text: &str) -> Option<Report> {
    static SUMMARY: Pattern = Pattern::new(
        r"(?m)^(?:ok|FAILED) \| (\d+) passed(?: \([^)\n]*\))? \| (\d+) failed(?: \([^)\n]*\))?(?: \| (\d+) ignored(?: \([^)\n]*\))?)?",
    );
    static EMPTY: Pattern = Pattern::new(r"(?m)^error: No test modules found");
    let report = SUMMARY
        .last(text)
        .map(|found| Report::of(number(&found, 1), number(&found, 2), number(&found, 3)));
    report.or_else(|| EMPTY.is_match(text).then(Report::none_found))
}

/// ` 3 pass`, ` 1 skip`, ` 0 fail`, then `Ran 4 tests across 1 file.`
pub(super) fn bun(text: &str) -> Option<Report> {
    static SUMMARY: Pattern = Pattern::new(
        r"(?m)^[ \t]*(\d+) pass[ \t]*\n((?:[ \t]*\d+ (?:skip|todo|fail|filtered out|errors?|snapshots|expect\(\) calls)[^\n]*\n)*)Ran \d+ tests? across",
    );
    static EMPTY: Pattern = Pattern::new(
        r"(?m)^(?:error: )?No tests found!|^(?:error: )?The following filters did not match any test files|^\s*0 test files matching",
    );
    let Some(found) = SUMMARY.last(text) else {
        return EMPTY.is_match(text).then(Report::none_found);
    };
    let (mut failed, mut skipped) = (0u64, 0u64);
    for (count, word) in counted_words(found.get(2).map_or("", |m| m.as_str())) {
        match word {
            "fail" | "error" | "errors" => failed = failed.saturating_add(count),
            "skip" | "todo" => skipped = skipped.saturating_add(count),
            _ => {}
        }
    }
    Some(Report::of(number(&found, 1), failed, skipped))
}

/// A list in the words that jest and vitest share.
fn words(list: &str) -> Report {
    let (mut passed, mut failed, mut skipped) = (0u64, 0u64, 0u64);
    for (count, word) in counted_words(list) {
        match word {
            "passed" | "expected" => passed = passed.saturating_add(count),
            "failed" => failed = failed.saturating_add(count),
            "skipped" | "todo" | "pending" => skipped = skipped.saturating_add(count),
            _ => {}
        }
    }
    Report::of(passed, failed, skipped)
}
