//! Summaries of pytest and unittest.
//!
//! Invariant: an expected failure ran and is no failure; a skipped or deselected test did not run.

use super::Report;
use crate::text::{Pattern, counted_words, number};

/// The last summary line, with or without `=` rules (`-q`); else `collected 0 items`.
pub(crate) fn pytest(text: &str) -> Option<Report> {
    static SUMMARY: Pattern = Pattern::new(
        r"(?m)^(?:=+ )?((?:\d+ (?:passed|failed|errors?|skipped|xfailed|xpassed|deselected|warnings?|reruns?|rerun|subtests? passed|subtests? failed|subtests? skipped)(?:, )?)+|no tests ran|no tests collected[^=\n]*?) in [\d.]+ ?s(?:econds)?(?: \([^)\n]*\))?(?: =+)?\s*$",
    );
    static EMPTY: Pattern = Pattern::new(r"(?m)^collect(?:ed|ing) 0 items\s*$");
    let Some(found) = SUMMARY.last(text) else {
        return EMPTY.is_match(text).then(Report::none_found);
    };
    let line = found.get(1)?.as_str();
    let (mut passed, mut failed, mut skipped) = (0u64, 0u64, 0u64);
    for (count, word) in counted_words(line) {
        match word {
            "passed" | "xfailed" | "xpassed" => passed = passed.saturating_add(count),
            "failed" | "error" | "errors" => failed = failed.saturating_add(count),
            "skipped" => skipped = skipped.saturating_add(count),
            _ => {}
        }
    }
    if passed == 0 && failed == 0 && skipped == 0 {
        return Some(Report::none_found());
    }
    Some(Report::of(passed, failed, skipped))
}

/// `Ran N tests in` and the word that follows it.
pub(crate) fn unittest(text: &str) -> Option<Report> {
    static SUMMARY: Pattern = Pattern::new(
        r"(?m)^Ran (\d+) tests? in [\d.]+s\n\s*\n(OK|FAILED|NO TESTS RAN)(?: \(([^)\n]*)\))?",
    );
    static PART: Pattern =
        Pattern::new(r"(failures|errors|skipped|expected failures|unexpected successes)=(\d+)");
    let found = SUMMARY.last(text)?;
    let ran = number(&found, 1);
    let (mut failed, mut skipped) = (0u64, 0u64);
    for part in PART.find_all(found.get(3).map_or("", |m| m.as_str())) {
        let count = number(&part, 2);
        match part.get(1).map_or("", |m| m.as_str()) {
            "failures" | "errors" | "unexpected successes" => failed = failed.saturating_add(count),
            "skipped" => skipped = skipped.saturating_add(count),
            _ => {}
        }
    }
    if ran == 0 && failed == 0 {
        return Some(Report {
            found_none: true,
            ..Report::of(0, 0, skipped)
        });
    }
    let passed = ran.saturating_sub(failed).saturating_sub(skipped);
    Some(Report::of(passed, failed, skipped))
}
