//! Runners beyond the toolchains: TAP, and one-line summaries of ctest, rspec, phpunit and dotnet.
//!
//! Invariant: TAP is read only with its plan line, so a program that merely prints `ok 1` is no runner.

use super::Report;
use crate::text::{Pattern, number};

/// A plan `1..N` and its `ok` lines, or prove's `Files=1, Tests=3`. Node's TAP has a summary of its own.
pub(super) fn tap(text: &str) -> Option<Report> {
    static PROVE: Pattern = Pattern::new(r"(?m)^Files=\d+, Tests=(\d+),");
    static OWN_SUMMARY: Pattern = Pattern::new(r"(?m)^# tests[ \t]+\d+\s*$");
    static PLAN: Pattern = Pattern::new(r"(?m)^1\.\.(\d+)(?:\s+#.*)?\s*$");
    static POINT: Pattern = Pattern::new(r"(?m)^(not ok|ok)\b([^\n]*)$");
    static DIRECTIVE: Pattern = Pattern::new(r"(?i)#\s*(skip|todo)\b");
    if let Some(found) = PROVE.last(text) {
        return Some(Report::of(number(&found, 1), 0, 0));
    }
    if OWN_SUMMARY.is_match(text) {
        return None;
    }
    let plan = PLAN.last(text)?;
    if number(&plan, 1) == 0 {
        return Some(Report::none_found());
    }
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for point in POINT.find_all(text) {
        let rest = point.get(2).map_or("", |m| m.as_str());
        match &point[1] {
            _ if DIRECTIVE.is_match(rest) => skipped += 1,
            "ok" => passed += 1,
            _ => failed += 1,
        }
    }
    Some(Report::of(passed, failed, skipped))
}

pub(super) fn summaries(text: &str) -> Option<Report> {
    [ctest(text), rspec(text), phpunit(text), dotnet(text)]
        .into_iter()
        .flatten()
        .reduce(Report::plus)
}

fn ctest(text: &str) -> Option<Report> {
    static SUMMARY: Pattern =
        Pattern::new(r"(?m)^\d+% tests passed, (\d+) tests? failed out of (\d+)\s*$");
    static EMPTY: Pattern = Pattern::new(r"(?m)^No tests were found!!!");
    match SUMMARY.last(text) {
        Some(found) => {
            let failed = number(&found, 1);
            Some(Report::of(
                number(&found, 2).saturating_sub(failed),
                failed,
                0,
            ))
        }
        None => EMPTY.is_match(text).then(Report::none_found),
    }
}

fn rspec(text: &str) -> Option<Report> {
    static SUMMARY: Pattern =
        Pattern::new(r"(?m)^(\d+) examples?, (\d+) failures?(?:, (\d+) pending)?");
    let found = SUMMARY.last(text)?;
    let (failed, skipped) = (number(&found, 2), number(&found, 3));
    let passed = number(&found, 1)
        .saturating_sub(failed)
        .saturating_sub(skipped);
    Some(Report::of(passed, failed, skipped))
}

fn phpunit(text: &str) -> Option<Report> {
    static GREEN: Pattern = Pattern::new(r"(?m)^OK \((\d+) tests?, \d+ assertions?\)");
    static RED: Pattern = Pattern::new(
        r"(?m)^Tests: (\d+), Assertions: \d+(?:, Errors: (\d+))?(?:, Failures: (\d+))?[^\n]*$",
    );
    static EMPTY: Pattern = Pattern::new(r"(?m)^No tests executed!");
    if let Some(found) = GREEN.last(text) {
        return Some(Report::of(number(&found, 1), 0, 0));
    }
    if let Some(found) = RED.last(text) {
        let failed = number(&found, 2).saturating_add(number(&found, 3));
        return Some(Report::of(
            number(&found, 1).saturating_sub(failed),
            failed,
            0,
        ));
    }
    EMPTY.is_match(text).then(Report::none_found)
}

fn dotnet(text: &str) -> Option<Report> {
    static SUMMARY: Pattern = Pattern::new(
        r"(?m)^(?:Passed|Failed)!\s+- Failed:\s+(\d+), Passed:\s+(\d+), Skipped:\s+(\d+), Total:",
    );
    SUMMARY
        .find_all(text)
        .map(|found| Report::of(number(&found, 2), number(&found, 1), number(&found, 3)))
        .reduce(Report::plus)
}
