//! The Test Anything Protocol, with subtests by indentation.
//!
//! Invariant: a plan that announces more points than there are is a report that breaks off; a point with children is
//! a group, and no test of its own.

use super::{Found, Outcome};
use crate::text::{Pattern, number};

/// A group whose points are being read.
struct Open {
    indent: usize,
    name: String,
    points: u64,
}

/// Reads one output.
pub(super) fn read(text: &str, found: &mut Found) {
    static POINT: Pattern = Pattern::new(
        r"^(\s*)(not ok|ok)\b(?:\s+\d+)?(?:\s+-)?\s*(.*?)(?:\s+#\s*((?i:skip|todo|time)\S*)\s*(.*))?$",
    );
    static PLAN: Pattern = Pattern::new(r"^1\.\.(\d+)(?:\s+#.*)?$");
    static GROUP: Pattern = Pattern::new(r"^(\s*)# Subtest: (.+)$");
    static BAIL: Pattern = Pattern::new(r"^Bail out!\s*(.*)$");
    static ERROR: Pattern = Pattern::new(r"^\s+error: '?(.*?)'?$");
    static MILLIS: Pattern = Pattern::new(r"^\s+duration_ms: ([\d.]+)$");
    let mut open: Vec<Open> = Vec::new();
    let (mut planned, mut points) = (None, 0_u64);
    let mut is_tap = false;
    let mut last = String::new();
    for line in text.lines() {
        let line = line.trim_end();
        if let Some(c) = GROUP.first(line) {
            is_tap = true;
            let indent = c[1].len();
            open.retain(|group| group.indent < indent);
            open.push(Open {
                indent,
                name: c[2].to_owned(),
                points: 0,
            });
        } else if let Some(c) = PLAN.first(line) {
            is_tap = true;
            planned = Some(planned.unwrap_or(0) + number(&c, 1));
        } else if let Some(c) = BAIL.first(line) {
            found.fault(format!("the run was given up: {}", &c[1]));
        } else if let Some(c) = POINT.first(line) {
            let (indent, name) = (c[1].len(), c[3].trim());
            if indent == 0 {
                points += 1;
            }
            let own = open.iter().position(|group| group.indent == indent);
            let is_group = own.is_some_and(|at| open[at].points > 0);
            open.truncate(own.unwrap_or_else(|| {
                let below = open.iter().take_while(|group| group.indent < indent);
                below.count()
            }));
            for group in &mut open {
                group.points += 1;
            }
            if is_group {
                last.clear();
                continue;
            }
            let directive = c.get(4).map_or("", |m| m.as_str()).to_ascii_lowercase();
            let outcome = match (&c[2], directive.as_str()) {
                (_, word) if word.starts_with("skip") || word.starts_with("todo") => {
                    Outcome::Skipped
                }
                ("ok", _) => Outcome::Passed,
                _ => Outcome::Failed,
            };
            let path = open.iter().map(|group| group.name.as_str());
            let mut id: Vec<&str> = path.collect();
            id.push(if name.is_empty() { "unnamed" } else { name });
            last = id.join(" > ");
            let why = c.get(5).map_or("", |m| m.as_str());
            let why = if outcome == Outcome::Skipped { why } else { "" };
            found.add(&last, outcome, None, why);
        } else if let Some(c) = MILLIS.first(line)
            && let Some(at) = found.at.get(&last)
        {
            found.tests[*at].millis = c[1].parse::<f64>().ok().map(|ms| ms.round() as u64);
        } else if let Some(c) = ERROR.first(line) {
            found.explain(&last.clone(), &c[1]);
        }
    }
    match planned {
        Some(planned) if points < planned => {
            found.fault(format!(
                "{planned} tests are planned, and only {points} told"
            ));
        }
        None if is_tap || text.starts_with("TAP version") => {
            found.fault("the plan (`1..N`) is missing");
        }
        _ => {}
    }
}
