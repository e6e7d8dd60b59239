//! What `go test` prints, with `-v` or `-json`.
//!
//! Invariant: an id is `package.Test/sub`; in text the package stands after its tests, so they wait for it.

use serde_json::Value;

use super::{Found, Outcome, seconds};
use crate::text::Pattern;

/// Reads one output; lines of both forms may stand in it.
pub(super) fn read(text: &str, found: &mut Found) {
    static END: Pattern = Pattern::new(r"^\s*--- (PASS|FAIL|SKIP): (\S+)(?: \(([\d.]+)s\))?$");
    static PACKAGE: Pattern = Pattern::new(r"^(ok|FAIL|---|\?)\s+(\S+)\s+(?:\(cached\)|[\d.]+s|\[.*\])");
    static BROKEN: Pattern = Pattern::new(r"^FAIL\s+(\S+) \[(?:build|setup) failed\]$");
    static MESSAGE: Pattern = Pattern::new(r"^\s+\S+\.go:\d+: (.+)$");
    let mut waiting: Vec<(String, Outcome, Option<u64>, String)> = Vec::new();
    let mut said = String::new();
    let (mut runs, mut packages) = (false, 0_u64);
    for line in text.lines() {
        let line = line.trim_end();
        if line.starts_with('{') && event(line, found) {
            continue;
        }
        if line.starts_with("=== RUN") {
            runs = true;
            said.clear();
        } else if let Some(c) = END.first(line) {
            let millis = c.get(3).and_then(|m| seconds(m.as_str()));
            waiting.push((c[2].to_owned(), outcome(&c[1]), millis, said.clone()));
            said.clear();
        } else if let Some(c) = BROKEN.first(line) {
            found.add(&c[1], Outcome::Failed, None, line);
            packages += 1;
        } else if let Some(c) = PACKAGE.first(line) {
            packages += 1;
            for (test, outcome, millis, message) in waiting.drain(..) {
                found.add(&format!("{}.{test}", &c[2]), outcome, millis, &message);
            }
        } else if let Some(c) = MESSAGE.first(line) {
            // Go prints a test's messages before or after its end.
            match waiting.last_mut() {
                Some((_, Outcome::Failed, _, message)) if message.is_empty() => {
                    c[1].clone_into(message);
                }
                _ if said.is_empty() => c[1].clone_into(&mut said),
                _ => {}
            }
        }
    }
    let broken_off = !waiting.is_empty() || (runs && packages == 0);
    for (test, outcome, millis, message) in waiting {
        found.add(&test, outcome, millis, &message);
    }
    if broken_off {
        found.fault("tests run and their package does not end");
    }
}

fn outcome(word: &str) -> Outcome {
    match word {
        "PASS" | "pass" => Outcome::Passed,
        "SKIP" | "skip" => Outcome::Skipped,
        _ => Outcome::Failed,
    }
}

/// One line of `-json`; false: it is none.
fn event(line: &str, found: &mut Found) -> bool {
    let Ok(event) = serde_json::from_str::<Value>(line) else {
        return false;
    };
    let (Some(action), Some(package)) = (event["Action"].as_str(), event["Package"].as_str()) else {
        return event["Action"].is_string();
    };
    let test = event["Test"].as_str();
    match (action, test) {
        ("pass" | "fail" | "skip", Some(test)) => {
            let millis = event["Elapsed"].as_f64().map(|s| (s * 1000.0).round() as u64);
            found.add(&format!("{package}.{test}"), outcome(action), millis, "");
        }
        ("fail", None) if event["FailedBuild"].is_string() => {
            found.add(package, Outcome::Failed, None, "the package does not build");
        }
        _ => {}
    }
    true
}
