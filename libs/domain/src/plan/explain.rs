//! The normalised plan for people: YAML-like text, each value with the source of it.
//!
//! Invariant: the text is YAML, and any YAML reader gets the stored plan from it.

use std::fmt::Write as _;

use serde_json::Value;

use super::options::Normalised;
use crate::catalogue::Source;

/// Column of the comments, where values are short enough.
const COLUMN: usize = 56;

/// The plan as text, with `# <source>` behind each value.
pub fn explain(normalised: &Normalised) -> String {
    let mut printer = Printer {
        normalised,
        text: String::new(),
    };
    let _ = writeln!(printer.text, "# form: {}", normalised.form);
    for warning in &normalised.warnings {
        let _ = writeln!(printer.text, "# warning: {warning}");
    }
    for phase in &normalised.unbuilt {
        let _ = writeln!(printer.text, "# no builder: {phase}");
    }
    // A plan holds nothing that JSON cannot: serialising does not fail.
    if let Ok(Value::Object(map)) = serde_json::to_value(&normalised.plan) {
        for (key, value) in &map {
            printer.value(&format!("{key}:"), "", value, key);
        }
    }
    printer.text
}

struct Printer<'n> {
    normalised: &'n Normalised,
    text: String,
}

impl Printer<'_> {
    /// Prints a value behind `head`; `indent` is that of the entry, `path` its path in the normalised plan.
    fn value(&mut self, head: &str, indent: &str, value: &Value, path: &str) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                // The first key of a list's entry stands on the line of the dash.
                let in_list = head.ends_with('-');
                if !in_list {
                    self.line(head, "", None);
                }
                let below = format!("{indent}  ");
                for (index, (key, value)) in map.iter().enumerate() {
                    let lead = if in_list && index == 0 {
                        format!("{head} ")
                    } else {
                        below.clone()
                    };
                    self.value(
                        &format!("{lead}{}:", quoted(key)),
                        &below,
                        value,
                        &format!("{path}.{key}"),
                    );
                }
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                self.line(head, "", None);
                let below = format!("{indent}  ");
                for (index, item) in items.iter().enumerate() {
                    self.value(
                        &format!("{below}-"),
                        &below,
                        item,
                        &format!("{path}[{index}]"),
                    );
                }
            }
            other => {
                let source = self.source(path);
                self.line(head, &other.to_string(), source);
            }
        }
    }

    fn line(&mut self, head: &str, value: &str, source: Option<Source>) {
        let line = if value.is_empty() {
            head.to_owned()
        } else {
            format!("{head} {value}")
        };
        let _ = match source {
            Some(source) => writeln!(self.text, "{line:COLUMN$} # {source}"),
            None => writeln!(self.text, "{line}"),
        };
    }

    /// The source of a path, else that of what it is in.
    fn source(&self, path: &str) -> Option<Source> {
        let mut path = path;
        loop {
            if let Some(source) = self.normalised.provenance.get(path) {
                return Some(*source);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }
}

/// A key as YAML takes it.
fn quoted(key: &str) -> String {
    let plain = key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        && !["null", "true", "false"].contains(&key);
    if plain {
        key.to_owned()
    } else {
        Value::from(key).to_string()
    }
}
