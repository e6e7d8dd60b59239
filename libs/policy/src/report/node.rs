//! What `node --test` prints: TAP, or lines with ticks.
//!
//! Invariant: the list of failures that stands at the end repeats tests and is not read.

use super::{Found, Outcome, tap};
use crate::text::{Pattern, number};

/// Reads one output.
pub(super) fn read(text: &str, found: &mut Found) {
    if text.contains("TAP version") {
        tap::read(text, found);
        return;
    }
    static GROUP: Pattern = Pattern::new(r"^(\s*)▶ (.+?)(?: \([\d.]+ms\))?$");
    static POINT: Pattern =
        Pattern::new(r"^(\s*)(✔|✖|﹣|⚠) (.+?) \(([\d.]+)ms\)(?:\s+#\s*(\S.*))?$");
    static TOTAL: Pattern = Pattern::new(r"^ℹ tests (\d+)$");
    static LEFT_OUT: Pattern = Pattern::new(r"^ℹ (?:skipped|todo) (\d+)$");
    let mut open: Vec<(usize, String)> = Vec::new();
    let mut total: Option<u64> = None;
    let mut any = false;
    for line in text.lines() {
        let line = line.trim_end();
        if let Some(c) = TOTAL.first(line) {
            total = Some(number(&c, 1));
        } else if let Some(c) = LEFT_OUT.first(line) {
            total = total.map(|total| total.saturating_sub(number(&c, 1)));
        }
        if total.is_some() {
            continue;
        }
        if let Some(c) = GROUP.first(line) {
            any = true;
            let indent = c[1].len();
            open.retain(|(at, _)| *at < indent);
            open.push((indent, c[2].to_owned()));
        } else if let Some(c) = POINT.first(line) {
            any = true;
            let (indent, name) = (c[1].len(), &c[3]);
            let ends = open
                .iter()
                .any(|(at, group)| *at == indent && group == name);
            open.retain(|(at, _)| *at < indent);
            // The line that ends a group repeats its name.
            if ends {
                continue;
            }
            let directive = c.get(5).map_or("", |m| m.as_str());
            let outcome = match &c[2] {
                _ if directive.starts_with("SKIP") || directive.starts_with("TODO") => {
                    Outcome::Skipped
                }
                "✔" => Outcome::Passed,
                "✖" => Outcome::Failed,
                _ => Outcome::Skipped,
            };
            let path = open.iter().map(|(_, group)| group.as_str());
            let id: Vec<&str> = path.chain([name]).collect();
            let millis = c[4].parse::<f64>().ok().map(|ms| ms.round() as u64);
            found.add(&id.join(" > "), outcome, millis, directive);
        }
    }
    match total {
        Some(total) => found.count(total),
        None if any => found.fault("tests are told, and there is no sum"),
        None => {}
    }
}
