//! A JSON value against a JSON schema, for the part of the language that our own schemas use.
//!
//! Known: `type` (a name or a list), `enum`, `const`, `required`, `properties`, `additionalProperties` (a boolean or a
//! schema), `items`, `minimum`, `maximum`, `minLength`, `oneOf`, `$ref` into `$defs`.
//!
//! Invariant: every fault is reported with its path, up to a bound; a word of the language that is not known is a
//! fault of the schema, never passed over.

use serde_json::{Map, Value};

/// Faults that one value may have before the rest is left out.
const MAX: usize = 20;

/// Words without a rule behind them.
const NOTES: &[&str] = &[
    "$schema",
    "$id",
    "$defs",
    "title",
    "description",
    "default",
    "examples",
];

/// Every fault of a value, as `path: problem`; empty: it fits.
pub fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let check = Check { root: schema };
    check.value(schema, value, "$", &mut found);
    found
}

struct Check<'s> {
    root: &'s Value,
}

impl Check<'_> {
    fn value(&self, schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
        if found.len() >= MAX {
            return;
        }
        let Value::Object(rules) = schema else {
            if schema == &Value::Bool(false) {
                found.push(format!("{path}: is not allowed"));
            }
            return;
        };
        for (word, rule) in rules {
            self.rule(word, rule, rules, value, path, found);
        }
    }

    fn rule(
        &self,
        word: &str,
        rule: &Value,
        rules: &Map<String, Value>,
        value: &Value,
        path: &str,
        found: &mut Vec<String>,
    ) {
        let mut fault = |problem: String| found.push(format!("{path}: {problem}"));
        match word {
            "type" => {
                let names: Vec<&str> = match rule {
                    Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
                    one => one.as_str().into_iter().collect(),
                };
                if !names.iter().any(|name| is_type(name, value)) {
                    let names = names.join(" or ");
                    fault(format!("is {}, not {names}", type_name(value)));
                }
            }
            "enum" => {
                let list = rule.as_array().map(Vec::as_slice).unwrap_or_default();
                if !list.contains(value) {
                    let list: Vec<String> = list.iter().map(ToString::to_string).collect();
                    fault(format!("{value} is none of {}", list.join(", ")));
                }
            }
            "const" => {
                if rule != value {
                    fault(format!("{value} is not {rule}"));
                }
            }
            "minimum" | "maximum" => {
                let (bound, number) = (rule.as_f64(), value.as_f64());
                let beyond = match (bound, number) {
                    (Some(bound), Some(number)) if word == "minimum" => number < bound,
                    (Some(bound), Some(number)) => number > bound,
                    _ => false,
                };
                if beyond {
                    fault(format!("{value} is beyond the {word} {rule}"));
                }
            }
            "minLength" => {
                let least = rule.as_u64().unwrap_or(0) as usize;
                if value.as_str().is_some_and(|t| t.chars().count() < least) {
                    fault(format!("is shorter than {least} characters"));
                }
            }
            "required" => {
                let Value::Object(map) = value else { return };
                for name in rule.as_array().into_iter().flatten() {
                    let name = name.as_str().unwrap_or_default();
                    if !map.contains_key(name) {
                        fault(format!("`{name}` is missing"));
                    }
                }
            }
            "properties" => {
                let (Value::Object(map), Value::Object(known)) = (value, rule) else {
                    return;
                };
                for (name, below) in known {
                    if let Some(value) = map.get(name) {
                        self.value(below, value, &format!("{path}.{name}"), found);
                    }
                }
            }
            "additionalProperties" => {
                let Value::Object(map) = value else { return };
                let known = rules.get("properties").and_then(Value::as_object);
                for (name, value) in map {
                    if known.is_some_and(|known| known.contains_key(name)) {
                        continue;
                    }
                    self.value(rule, value, &format!("{path}.{name}"), found);
                }
            }
            "items" => {
                for (n, value) in value.as_array().into_iter().flatten().enumerate() {
                    self.value(rule, value, &format!("{path}[{n}]"), found);
                }
            }
            "oneOf" => {
                let list = rule.as_array().map(Vec::as_slice).unwrap_or_default();
                let fits = |schema: &&Value| {
                    let mut inner = Vec::new();
                    self.value(schema, value, path, &mut inner);
                    inner.is_empty()
                };
                if list.iter().filter(fits).count() != 1 {
                    fault("fits none, or several, of the forms".to_owned());
                }
            }
            "$ref" => {
                let name = rule.as_str().and_then(|r| r.strip_prefix("#/$defs/"));
                match name.and_then(|name| self.root.get("$defs")?.get(name)) {
                    Some(schema) => self.value(schema, value, path, found),
                    None => fault(format!("the schema has no {rule}")),
                }
            }
            note if NOTES.contains(&note) => {}
            other => fault(format!("the schema has the unknown word `{other}`")),
        }
    }
}

fn is_type(name: &str, value: &Value) -> bool {
    match name {
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        name => name == type_name(value),
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::faults;
    use serde_json::json;

    #[test]
    fn every_fault_is_named_with_its_path() {
        let schema = json!({
            "type": "object",
            "required": ["goal", "paths"],
            "properties": {
                "goal": { "type": "string", "minLength": 1 },
                "paths": { "type": ["array", "null"], "items": { "type": "string" } },
                "kind": { "enum": ["a", "b"] },
                "share": { "type": "integer", "minimum": 1, "maximum": 9 },
                "deep": { "$ref": "#/$defs/deep" }
            },
            "additionalProperties": false,
            "$defs": { "deep": { "oneOf": [{ "const": 1 }, { "type": "string" }] } }
        });
        let good = json!({ "goal": "g", "paths": null, "kind": "a", "share": 9, "deep": 1 });
        assert!(
            faults(&schema, &good).is_empty(),
            "{:?}",
            faults(&schema, &good)
        );
        let bad =
            json!({ "goal": "", "paths": ["x", 1], "kind": "c", "share": 0, "deep": 2, "more": 1 });
        let found = faults(&schema, &bad);
        for words in [
            "$.goal: is shorter",
            "$.paths[1]: is number, not string",
            "$.kind: \"c\" is none of \"a\", \"b\"",
            "$.share: 0 is beyond the minimum 1",
            "$.deep: fits none",
            "$.more: is not allowed",
        ] {
            assert!(
                found.iter().any(|f| f.starts_with(words)),
                "{words}: {found:#?}"
            );
        }
        assert_eq!(faults(&schema, &json!({})).len(), 2, "both are missing");
        assert_eq!(faults(&schema, &json!([])), ["$: is array, not object"]);
    }

    #[test]
    fn a_word_that_is_not_known_is_a_fault_and_a_flood_is_cut() {
        assert_eq!(faults(&json!({ "pattern": "x" }), &json!("x")).len(), 1);
        let many = json!(vec![1; 1000]);
        let schema = json!({ "items": { "type": "string" } });
        assert_eq!(faults(&schema, &many).len(), super::MAX);
    }
}
