//! Text to a tree: one reader for YAML and JSON, within fixed limits.
//!
//! Invariant: whatever the text, the answer is a tree of bounded size and depth without duplicate keys,
//! or one fault that names line and column.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::fault::Fault;

/// Largest document, in bytes.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Deepest nesting of lists and mappings.
pub const MAX_DEPTH: usize = 64;

/// The path of a fault that is about the whole text.
const DOCUMENT: &str = "document";

/// Reads a text as JSON or YAML. `name` is the file's name, if it has one: `*.json` is never YAML.
pub fn parse_document(text: &str, name: &str) -> Result<Value, Fault> {
    if text.len() > MAX_BYTES {
        let problem = format!("is {} bytes; at most {MAX_BYTES} are read", text.len());
        return Err(Fault::new(DOCUMENT, problem));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match tree(text, name) {
        Ok(Value::Null) => Err(Fault::new(DOCUMENT, "is empty").example(super::read::EXAMPLE)),
        result => result,
    }
}

fn tree(text: &str, name: &str) -> Result<Value, Fault> {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    let is_json = name.to_ascii_lowercase().ends_with(".json");
    if is_json || text.trim_start().starts_with(['{', '[', '"']) {
        let error = match json(text) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        // `{a: b}` is YAML; but what was meant as JSON gets the message of the JSON reader.
        let flow = text
            .trim_start()
            .trim_start_matches(['{', '['])
            .trim_start();
        if is_json || flow.starts_with('"') || error.is_data() {
            return Err(located(
                "JSON",
                &error.to_string(),
                error.line(),
                error.column(),
            ));
        }
    }
    yaml(text)
}

fn json(text: &str) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Tree { depth: 0 }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

fn yaml(text: &str) -> Result<Value, Fault> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_aliases: 0,
            max_anchors: 0,
            max_merge_keys: 0,
            max_documents: 1,
            max_nodes: 1_000_000,
            max_events: 4_000_000,
            max_total_scalar_bytes: MAX_BYTES,
        },
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::Error,
        merge_keys: serde_saphyr::options::MergeKeyPolicy::Error,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::Reject,
        strict_booleans: true,
        underscored_numbers_as_strings: true,
        leading_zero_numbers_as_strings: true,
        reject_unsupported_tags: true,
        emit_comments: false,
        with_snippet: false,
    };
    serde_saphyr::with_deserializer_from_str_with_options(text, options, |reader| {
        Tree { depth: 0 }.deserialize(reader)
    })
    .map_err(|error| {
        let (line, column) = error
            .location()
            .map_or((0, 0), |at| (at.line(), at.column()));
        located("YAML", &error.render(), line as usize, column as usize)
    })
}

/// What the reader said, in our words where it names a limit; without the position.
fn located(language: &str, message: &str, line: usize, column: usize) -> Fault {
    let place = if line == 0 {
        String::new()
    } else {
        format!("line {line}, column {column}: ")
    };
    let fault = |problem: &str| Fault::new(DOCUMENT, format!("{place}{problem}"));
    if message.contains("Anchors {") || message.contains("Aliases {") {
        return fault("anchors and aliases are not accepted")
            .example("write the value out; `run.gate`, `run.limits` and `run.default_builder` hold for all phases");
    }
    if message.contains("merge keys") {
        return fault("merge keys (`<<`) are not accepted").example("write the keys out");
    }
    if message.contains("Documents {") {
        return fault("a second document begins here; a plan is one document")
            .example("remove the line `---`");
    }
    if message.contains("Depth {")
        || message.contains("ecursion limit")
        || message.contains("nesting")
    {
        return fault(&format!("nested deeper than {MAX_DEPTH} levels"));
    }
    let message = message.lines().next().unwrap_or_default();
    let message = message
        .rsplit_once(" at line ")
        .map_or(message, |(message, _)| message)
        .trim();
    let message: String = message
        .chars()
        .filter(|c| !c.is_control())
        .take(300)
        .collect();
    let fault = fault(&format!("not readable as {language}: {message}"));
    if message.to_ascii_lowercase().contains("duplicate") {
        return fault.example("write each key once; a list holds several values");
    }
    if message.contains("non-finite") {
        return fault.example("a whole number, or the text in quotes");
    }
    fault
}

/// Builds a [`Value`], counting depth and refusing what it cannot hold.
#[derive(Clone, Copy)]
struct Tree {
    depth: usize,
}

impl Tree {
    fn below<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format_args!(
                "nested deeper than {MAX_DEPTH} levels"
            )));
        }
        Ok(Self {
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping, a list, text, a number, true, false or null")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i128<E: serde::de::Error>(self, value: i128) -> Result<Value, E> {
        Err(E::custom(format_args!("the number {value} is too large")))
    }

    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<Value, E> {
        Err(E::custom(format_args!("the number {value} is too large")))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom(format_args!("{value} is not a finite number")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(below)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                let key: String = key.chars().take(80).collect();
                return Err(A::Error::custom(format_args!("duplicate key `{key}`")));
            }
            let value = entries.next_value_seed(below)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        parse_document(text, "").expect_err(text).problem
    }

    #[test]
    fn yaml_and_json_give_the_same_tree() {
        let json = r#"{"a": [1, -2, 1.5, true, null, "x\u00e9\ud83d\ude00"], "b": {}}"#;
        let yaml = "a:\n- 1\n- -2\n- 1.5\n- true\n- null\n- \"xé😀\"\nb: {}\n";
        assert_eq!(
            parse_document(json, "").unwrap(),
            parse_document(yaml, "").unwrap()
        );
        assert_eq!(
            parse_document("{a: b}", "").unwrap(),
            serde_json::json!({"a": "b"})
        );
        assert_eq!(
            parse_document("\u{feff}{\"a\":\t1}", "").unwrap(),
            serde_json::json!({"a": 1})
        );
    }

    #[test]
    fn scalars_that_only_look_like_something_else_stay_text() {
        let tree = parse_document(
            "a: yes\nb: 0755\nc: 1_000\nd: no\ne: on\nf: 2024-01-01\n",
            "",
        )
        .unwrap();
        let object = tree.as_object().unwrap();
        assert!(object.values().all(Value::is_string), "{tree}");
    }

    #[test]
    fn limits_and_syntax_are_faults_with_a_place() {
        assert!(problem("").contains("is empty"));
        assert!(problem(" \n# only a comment\n").contains("is empty"));
        assert!(problem(&"a".repeat(MAX_BYTES + 1)).contains("at most"));
        assert!(
            problem("a: 1\na: 2\n").contains("line 2"),
            "{}",
            problem("a: 1\na: 2\n")
        );
        assert!(problem("{\"a\": 1, \"a\": 2}").contains("duplicate key `a`"));
        assert!(problem("{\"a\": }").contains("line 1, column 7: not readable as JSON"));
        assert!(problem("a: [1\n").contains("not readable as YAML"));
        for deep in [
            "[".repeat(100),
            format!("{}1{}", "[".repeat(100), "]".repeat(100)),
            format!("a: {}1{}", "[".repeat(100), "]".repeat(100)),
            format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100)),
            "- ".repeat(200),
            (0..200).map(|n| " ".repeat(n) + "a:\n").collect(),
            "{".repeat(100_000),
            "[".repeat(100_000),
        ] {
            let problem = problem(&deep);
            assert!(
                problem.contains("deeper than 64") || problem.contains("not readable"),
                "{problem}"
            );
        }
    }

    #[test]
    fn anchors_tags_merges_second_documents_and_odd_numbers_are_refused() {
        for text in [
            "a: &x 1\nb: *x\n",
            "a: &x 1\n",
            "a: {<<: {b: 1}}\n",
            "a: !foo 1\n",
            "a: 1\n---\nb: 2\n",
            "a: .nan\n",
            "a: .inf\n",
            "a: 1e999\n",
            "{\"a\": NaN}",
            "{\"a\": 1e999}",
            "? [a]\n: 1\n",
        ] {
            let fault = parse_document(text, "");
            assert!(fault.is_err(), "{text}: {fault:?}");
        }
        assert_eq!(
            problem("a: &x 1\nb: *x\n"),
            "line 1, column 7: anchors and aliases are not accepted"
        );
        assert!(problem("a: 1\n---\nb: 2\n").contains("second document"));
    }
}
