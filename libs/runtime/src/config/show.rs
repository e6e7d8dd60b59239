//! Shows a configuration with its sources.
//!
//! Invariant: what looks like a secret by its key is masked, whatever its value.

use serde_json::Value;

use crate::paths::mask_database_url;

/// Parts of key names whose values are never shown.
const SECRET: [&str; 5] = ["password", "secret", "token", "api_key", "credential"];

/// One line for each plain value: `key = value  # source`.
pub(super) fn lines(tree: &Value, source: impl Fn(&str) -> String) -> String {
    let mut text = String::new();
    walk(tree, &mut String::new(), &mut |key, value| {
        use std::fmt::Write as _;
        let _ = writeln!(text, "{key} = {}  # {}", shown(key, value), source(key));
    });
    text
}

fn walk(value: &Value, path: &mut String, visit: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                let length = path.len();
                if length > 0 {
                    path.push('.');
                }
                path.push_str(key);
                walk(value, path, visit);
                path.truncate(length);
            }
        }
        plain => visit(path, plain),
    }
}

fn shown(key: &str, value: &Value) -> String {
    let last = key.rsplit('.').next().unwrap_or(key).to_ascii_lowercase();
    let names_a_file = last.ends_with("_file") || last.ends_with("_path");
    match value {
        Value::Null => "unset".to_owned(),
        Value::String(text) if text.is_empty() => value.to_string(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        Value::String(text) if text.contains("://") => {
            Value::String(mask_database_url(text)).to_string()
        }
        _ if !names_a_file && SECRET.iter().any(|word| last.contains(word)) => "\"***\"".to_owned(),
        other => other.to_string(),
    }
}
