//! Output of `go test`: `-json`, `-v`, or package lines only.
//!
//! Invariant: package lines alone give zero only where every package says that it has no tests; an
//! `ok` line without the count of its tests is unknown, not zero. Subtests are part of their test.

use serde_json::Value;

use super::Report;
use crate::text::Pattern;

pub(super) fn read(text: &str) -> Option<Report> {
    json(text)
        .or_else(|| verbose(text))
        .or_else(|| packages(text))
}

fn json(text: &str) -> Option<Report> {
    let mut any = false;
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for line in text.lines() {
        if !line.starts_with('{') || !line.contains("\"Action\"") {
            continue;
        }
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let (Some(action), Some(_)) = (event["Action"].as_str(), event["Package"].as_str()) else {
            continue;
        };
        any = true;
        if event["Test"].as_str().is_none_or(|test| test.contains('/')) {
            continue;
        }
        match action {
            "pass" => passed += 1,
            "fail" => failed += 1,
            "skip" => skipped += 1,
            _ => {}
        }
    }
    any.then(|| Report::of(passed, failed, skipped))
}

fn verbose(text: &str) -> Option<Report> {
    static RESULT: Pattern = Pattern::new(r"(?m)^--- (PASS|FAIL|SKIP): \S+ \([\d.]+s\)");
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    let mut any = false;
    for found in RESULT.find_all(text) {
        any = true;
        match found.get(1).map_or("", |m| m.as_str()) {
            "PASS" => passed += 1,
            "FAIL" => failed += 1,
            _ => skipped += 1,
        }
    }
    // Without `-v` only failures are listed: then the number of the others is unknown.
    static VERBOSE: Pattern = Pattern::new(r"(?m)^=== RUN ");
    (any && VERBOSE.is_match(text)).then(|| Report::of(passed, failed, skipped))
}

fn packages(text: &str) -> Option<Report> {
    static TESTED: Pattern = Pattern::new(r"(?m)^(?:ok|FAIL|---)\s+[^\n]*$");
    static EMPTY: Pattern = Pattern::new(
        r"(?m)^(?:\?\s+\S+\s+\[no test files\]|ok\s+\S+\s[^\n]*\[no tests to run\])|^go: warning: [^\n]* matched no packages|^no packages to test",
    );
    let tested = TESTED
        .find_all(text)
        .any(|found| !found[0].contains("[no tests to run]"));
    (!tested && EMPTY.is_match(text)).then(Report::none_found)
}
