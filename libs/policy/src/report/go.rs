//! What `go test` prints, with `-v` or `-json`.
//!
//! Invariant: an id is `package.Test/sub`; in text the package stands after its tests, so they wait for it.

use std::collections::HashMap;

use serde_json::Value;

use super::{Found, Outcome, seconds};
use crate::text::Pattern;

/// Reads one output; lines of both forms may stand in it.
pub(super) fn read(text: &str, found: &mut Found) {
    static END: Pattern = Pattern::new(r"^\s*--- (PASS|FAIL|SKIP): (\S+)(?: \(([\d.]+)s\))?$");
    static PACKAGE: Pattern =
        Pattern::new(r"^(ok|FAIL|---|\?)\s+(\S+)\s+(?:\(cached\)|[\d.]+s|\[.*\])");
    static BROKEN: Pattern = Pattern::new(r"^FAIL\s+(\S+) \[(?:build|setup) failed\]$");
    static MESSAGE: Pattern = Pattern::new(r"^\s+\S+\.go:\d+: (.+)$");
    static RUN: Pattern = Pattern::new(r"^=== (?:RUN|NAME|CONT)\s+(\S+)$");
    let mut waiting: Vec<(String, Outcome, Option<u64>)> = Vec::new();
    let mut said: HashMap<String, String> = HashMap::new();
    let mut running = String::new();
    let (mut runs, mut packages) = (false, 0_u64);
    for line in text.lines() {
        let line = line.trim_end();
        if line.starts_with('{') && event(line, found) {
            continue;
        }
        if let Some(c) = RUN.first(line) {
            runs = true;
            c[1].clone_into(&mut running);
        } else if let Some(c) = END.first(line) {
            let millis = c.get(3).and_then(|m| seconds(m.as_str()));
            waiting.push((c[2].to_owned(), outcome(&c[1]), millis));
            // Without `-v` the messages stand after the end.
            c[2].clone_into(&mut running);
        } else if let Some(c) = BROKEN.first(line) {
            found.add(&c[1], Outcome::Failed, None, line);
            packages += 1;
        } else if let Some(c) = PACKAGE.first(line) {
            packages += 1;
            for (test, outcome, millis) in waiting.drain(..) {
                let message = said.remove(&test).unwrap_or_default();
                found.add(&format!("{}.{test}", &c[2]), outcome, millis, &message);
            }
            said.clear();
        } else if let Some(c) = MESSAGE.first(line) {
            said.entry(running.clone())
                .or_insert_with(|| c[1].to_owned());
        }
    }
    let broken_off = !waiting.is_empty() || (runs && packages == 0);
    for (test, outcome, millis) in waiting {
        let message = said.remove(&test).unwrap_or_default();
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
    let (Some(action), Some(package)) = (event["Action"].as_str(), event["Package"].as_str())
    else {
        return event["Action"].is_string();
    };
    let test = event["Test"].as_str();
    match (action, test) {
        ("pass" | "fail" | "skip", Some(test)) => {
            let millis = event["Elapsed"]
                .as_f64()
                .map(|s| (s * 1000.0).round() as u64);
            found.add(&format!("{package}.{test}"), outcome(action), millis, "");
        }
        ("fail", None) if event["FailedBuild"].is_string() => {
            found.add(package, Outcome::Failed, None, "the package does not build");
        }
        _ => {}
    }
    true
}
