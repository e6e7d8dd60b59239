//! Puts one layer over another.
//!
//! Invariant: a value given as text gets the type of the default, as far as that is known.

use std::collections::BTreeMap;

use autopack_domain::fault::{Fault, Faults};
use serde_json::{Map, Value};

use super::Source;
use crate::switches::flag;

/// The value at a path.
pub(super) fn find<'a>(tree: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter()
        .try_fold(tree, |at, key| at.as_object()?.get(key))
}

/// Merges a parsed file into the tree.
pub(super) fn merge(
    tree: &mut Value,
    over: Value,
    path: &mut Vec<String>,
    source: &Source,
    sources: &mut BTreeMap<String, Source>,
    faults: &mut Faults,
) {
    let (Value::Object(known), Value::Object(given)) = (&mut *tree, &over) else {
        *tree = over;
        sources.insert(path.join("."), source.clone());
        return;
    };
    // A table without default keys is a map that the user fills.
    let open = known.is_empty();
    for (key, value) in given {
        path.push(key.clone());
        if open || known.contains_key(key) {
            let slot = known.entry(key.clone()).or_insert(Value::Null);
            merge(slot, value.clone(), path, source, sources, faults);
        } else {
            faults.push(unknown(&path.join("."), known));
        }
        path.pop();
    }
}

/// Sets one value from text, read as the default is.
pub(super) fn set(
    tree: &mut Value,
    default: &Value,
    path: &[String],
    given_as: &str,
    text: &str,
) -> Result<(), Fault> {
    let mut at = tree;
    for key in path {
        let Value::Object(known) = at else {
            return Err(Fault::new(given_as, "names a key below a plain value"));
        };
        if !known.is_empty() && !known.contains_key(key) {
            return Err(unknown(given_as, known));
        }
        at = known.entry(key.clone()).or_insert(Value::Null);
    }
    *at = parse(default, given_as, text)?;
    Ok(())
}

/// Puts a value where one is known to be.
pub(super) fn put(tree: &mut Value, path: &[String], value: Value) {
    let mut at = tree;
    for key in path {
        let Value::Object(known) = at else { return };
        at = known.entry(key.clone()).or_insert(Value::Null);
    }
    *at = value;
}

fn parse(default: &Value, given_as: &str, text: &str) -> Result<Value, Fault> {
    match default {
        Value::String(_) => Ok(Value::String(text.to_owned())),
        Value::Bool(_) => flag(given_as, text).map(Value::Bool),
        Value::Number(_) => {
            let number = text.trim().parse::<i64>().map(Value::from).ok();
            let number = number.or_else(|| text.trim().parse::<u64>().map(Value::from).ok());
            let number = number.or_else(|| text.trim().parse::<f64>().map(Value::from).ok());
            number.ok_or_else(|| {
                Fault::new(given_as, format!("`{text}` is not a number"))
                    .example(default.to_string())
            })
        }
        Value::Array(_) | Value::Object(_) => as_toml(text)
            .filter(|v| v.is_array() || v.is_object())
            .ok_or_else(|| {
                Fault::new(given_as, "is not a TOML list or table").example(r#"["a", "b"]"#)
            }),
        // An optional value says nothing of its type: a number or flag if it reads as one.
        Value::Null => Ok(as_toml(text)
            .filter(|value| !value.is_object())
            .unwrap_or_else(|| Value::String(text.to_owned()))),
    }
}

fn as_toml(text: &str) -> Option<Value> {
    let table: toml::Table = toml::from_str(&format!("value = {text}")).ok()?;
    if table.len() > 1 {
        return None;
    }
    serde_json::to_value(table.get("value")?).ok()
}

fn unknown(path: &str, known: &Map<String, Value>) -> Fault {
    Fault::new(path, "is not a known key").allowed(known.keys().cloned())
}
