//! The JSON of jest and of vitest, which is the same.
//!
//! Invariant: an id begins with the file, below the checkout; a file that could not be loaded is a failed test of its
//! own.

use serde_json::Value;

use super::{Found, Outcome};

/// Reads one file, or an output in which the JSON stands on a line of its own.
pub(super) fn read(text: &str, found: &mut Found) {
    let Some(report) = object(text) else {
        if text.trim_start().starts_with('{') {
            found.fault("the JSON breaks off");
        }
        return;
    };
    let Some(files) = report["testResults"].as_array() else {
        found.fault("the JSON has no `testResults`");
        return;
    };
    for file in files {
        let name = file["name"].as_str().unwrap_or("");
        let tests = file["assertionResults"].as_array();
        for test in tests.into_iter().flatten() {
            let outcome = match test["status"].as_str().unwrap_or("") {
                "passed" => Outcome::Passed,
                "failed" => Outcome::Failed,
                _ => Outcome::Skipped,
            };
            let full = match test["fullName"].as_str() {
                Some(full) => full.trim(),
                None => test["title"].as_str().unwrap_or(""),
            };
            let message = test["failureMessages"][0].as_str().unwrap_or("");
            let millis = test["duration"].as_f64().map(|ms| ms.round() as u64);
            found.add(&format!("{name}::{full}"), outcome, millis, message);
        }
        if tests.is_none_or(Vec::is_empty) && file["status"] == "failed" {
            let message = file["message"].as_str().unwrap_or("");
            found.add(name, Outcome::Failed, None, message);
        }
    }
    let number = |key: &str| report[key].as_u64().unwrap_or(0);
    found.count(number("numPassedTests").saturating_add(number("numFailedTests")));
}

/// The report among what else was printed.
fn object(text: &str) -> Option<Value> {
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    text.lines()
        .filter(|line| line.starts_with('{') && line.contains("\"testResults\""))
        .find_map(|line| serde_json::from_str(line).ok())
}
