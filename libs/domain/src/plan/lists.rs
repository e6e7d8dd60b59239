//! Lists and maps of the tree, each within its bounds, and what must be unique in them.
//!
//! Invariant: an entry that is wrong leaves a fault with its own path; the others are still read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    node::{At, Cx, clip, join, show},
    value::{MAX_TEXT, filled, text},
};
use crate::ids::is_user_id;

/// The entries of a list, each with its path. Older forms may write one entry without a list.
pub(super) fn list<'v>(cx: &mut Cx, at: &At<'v>, max: usize, example: &str) -> Option<Vec<At<'v>>> {
    let items = match at.value {
        Value::Array(items) => items.as_slice(),
        Value::String(_) if cx.older() => std::slice::from_ref(at.value),
        other => {
            cx.fault_like(
                &at.path,
                format!("expected a list, found {}", show(other)),
                example,
            );
            return None;
        }
    };
    if items.len() > max {
        cx.fault(
            &at.path,
            format!("has {} entries; at most {max}", items.len()),
        );
        return None;
    }
    let entry = |(index, value)| At {
        value,
        path: format!("{}[{index}]", at.path),
        older_name: at.older_name,
    };
    Some(items.iter().enumerate().map(entry).collect())
}

/// A list of texts.
pub(super) fn texts(cx: &mut Cx, at: &At, max: usize) -> Vec<String> {
    let items = list(cx, at, max, "[\"one\", \"two\"]").unwrap_or_default();
    items
        .iter()
        .filter_map(|item| filled(cx, item, MAX_TEXT))
        .collect()
}

/// Bounds of a map of texts.
pub(super) struct MapRule {
    pub(super) entries: usize,
    pub(super) value: usize,
    pub(super) key: fn(&str) -> bool,
    pub(super) key_rule: &'static str,
    pub(super) example: &'static str,
}

/// A free label: an id-like key, a short value.
pub(super) const LABELS: MapRule = MapRule {
    entries: 64,
    value: 256,
    key: |key| key.len() <= 63 && key.split('/').all(is_user_id),
    key_rule: "at most 63 of A-Z a-z 0-9 . _ - /",
    example: "{ team: core }",
};

/// Environment of a command.
pub(super) const ENV: MapRule = MapRule {
    entries: 200,
    value: 32 * 1024,
    key: |key| {
        let mut chars = key.bytes();
        key.len() <= 128
            && chars
                .next()
                .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
            && chars.all(|b| b.is_ascii_alphanumeric() || b == b'_')
    },
    key_rule: "letters, digits and `_`, not starting with a digit",
    example: "{ CI: \"1\" }",
};

/// A map of texts.
pub(super) fn text_map(cx: &mut Cx, at: &At, rule: &MapRule) -> BTreeMap<String, String> {
    let mut result = BTreeMap::new();
    let Value::Object(map) = at.value else {
        cx.fault_like(
            &at.path,
            format!("expected a mapping of text, found {}", show(at.value)),
            rule.example,
        );
        return result;
    };
    if map.len() > rule.entries {
        cx.fault(
            &at.path,
            format!("has {} entries; at most {}", map.len(), rule.entries),
        );
        return result;
    }
    for (key, value) in map {
        let path = join(&at.path, &clip(key, 80));
        if !(rule.key)(key) {
            cx.fault_like(
                &path,
                format!("is not a name: {}", rule.key_rule),
                rule.example,
            );
            continue;
        }
        let at = At {
            value,
            path,
            older_name: false,
        };
        if let Some(value) = text(cx, &at, rule.value) {
            result.insert(key.clone(), value);
        }
    }
    result
}

/// Ids already seen, without regard to case, and where.
#[derive(Default)]
pub(super) struct Seen(BTreeMap<String, (String, String)>);

impl Seen {
    /// Whether the id is new; else a fault is recorded.
    pub(super) fn first(&mut self, cx: &mut Cx, id: &str, path: &str) -> bool {
        let key = id.to_ascii_lowercase();
        let Some((other, place)) = self.0.get(&key) else {
            self.0.insert(key, (id.to_owned(), path.to_owned()));
            return true;
        };
        let case = if other == id {
            ""
        } else {
            ", and ids are compared without regard to case"
        };
        cx.fault_like(
            path,
            format!("duplicate id `{id}`: `{other}` stands at {place}{case}"),
            &format!("{id}-2"),
        );
        false
    }
}

/// Every entry once, in the order of the first.
pub(super) fn distinct(items: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    items
        .into_iter()
        .filter(|item| seen.insert(item.clone()))
        .collect()
}
