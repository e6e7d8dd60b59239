//! Summaries of Maven's surefire and failsafe, and what Gradle prints.
//!
//! Invariant: a module's total is the line without a time; the lines with one are single classes and
//! would count twice. Gradle prints no count of a green run: unknown, unless no task had sources.

use super::Report;
use crate::text::{Pattern, number};

pub(super) fn maven(text: &str) -> Option<Report> {
    static TOTAL: Pattern = Pattern::new(
        r"(?m)^(?:\[\w+\] )?Tests run: (\d+), Failures: (\d+), Errors: (\d+), Skipped: (\d+)(?:, Flakes: \d+)?[ \t]*$",
    );
    static EMPTY: Pattern = Pattern::new(
        r"(?m)^(?:\[\w+\] )?(?:No tests to run\.?|There are no tests to run\.?|Tests are skipped\.?)\s*$",
    );
    let total = TOTAL
        .find_all(text)
        .map(|found| {
            let failed = number(&found, 2).saturating_add(number(&found, 3));
            let skipped = number(&found, 4);
            let passed = number(&found, 1)
                .saturating_sub(failed)
                .saturating_sub(skipped);
            Report::of(passed, failed, skipped)
        })
        .reduce(Report::plus);
    total.or_else(|| EMPTY.is_match(text).then(Report::none_found))
}

pub(super) fn gradle(text: &str) -> Option<Report> {
    static COMPLETED: Pattern =
        Pattern::new(r"(?m)^(\d+) tests? completed(?:, (\d+) failed)?(?:, (\d+) skipped)?\s*$");
    static LINE: Pattern = Pattern::new(r"(?m)^\S[^\n]* > [^\n]* (PASSED|FAILED|SKIPPED)\s*$");
    static TASK: Pattern =
        Pattern::new(r"(?m)^> Task :(?:\S+:)?\w*[tT]est(?: (NO-SOURCE|SKIPPED)| [^\n]*)?[ \t]*$");
    let completed = COMPLETED
        .find_all(text)
        .map(|found| {
            let (failed, skipped) = (number(&found, 2), number(&found, 3));
            let passed = number(&found, 1)
                .saturating_sub(failed)
                .saturating_sub(skipped);
            Report::of(passed, failed, skipped)
        })
        .reduce(Report::plus);
    let mut listed = Report::default();
    for found in LINE.find_all(text) {
        listed = listed.plus(match found.get(1).map_or("", |m| m.as_str()) {
            "PASSED" => Report::of(1, 0, 0),
            "FAILED" => Report::of(0, 1, 0),
            _ => Report::of(0, 0, 1),
        });
    }
    if completed.is_some() {
        return completed;
    }
    if listed.counts.passed > 0 {
        return Some(listed);
    }
    let mut tasks = TASK.find_all(text).peekable();
    let empty = tasks.peek().is_some() && tasks.all(|found| found.get(1).is_some());
    empty.then(Report::none_found)
}
