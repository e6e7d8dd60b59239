//! The reading context, and sections of the tree with their paths.
//!
//! Invariant: reading goes on after a fault, so that all faults of a plan come back at once.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    keys::{Keys, meant},
    options::{PlanForm, ReadOptions, Warning, WarningCode},
};
use crate::{
    catalogue::Source,
    fault::{Fault, Faults},
};

/// Everything that is collected while reading.
pub(super) struct Cx<'o> {
    pub(super) options: &'o ReadOptions,
    pub(super) form: PlanForm,
    pub(super) faults: Faults,
    pub(super) warnings: Vec<Warning>,
    pub(super) provenance: BTreeMap<String, Source>,
    hints: u32,
}

/// At most this many warnings are kept.
const MAX_WARNINGS: usize = 1000;
/// Near misses are looked for this often; a file of garbage must not cost more.
const MAX_HINTS: u32 = 500;
/// Keys of a user's own, which are not looked at.
const OWN: &str = "x-";

impl<'o> Cx<'o> {
    pub(super) fn new(options: &'o ReadOptions, form: PlanForm) -> Self {
        let (faults, provenance) = (Faults::default(), BTreeMap::new());
        Self {
            options,
            form,
            faults,
            warnings: Vec::new(),
            provenance,
            hints: MAX_HINTS,
        }
    }

    /// Whether the text is of an older form, which is mapped rather than checked.
    pub(super) fn older(&self) -> bool {
        self.form != PlanForm::V1
    }

    pub(super) fn fault(&mut self, path: &str, problem: impl Into<String>) {
        self.faults.push(Fault::new(path, problem));
    }

    /// A fault with a value that would be right.
    pub(super) fn fault_like(&mut self, path: &str, problem: impl Into<String>, example: &str) {
        self.faults.push(Fault::new(path, problem).example(example));
    }

    pub(super) fn warn(
        &mut self,
        code: WarningCode,
        path: &str,
        text: impl Into<String>,
        original: &str,
    ) {
        if self.warnings.len() < MAX_WARNINGS {
            let original = clip(original, 2000);
            self.warnings.push(Warning {
                code,
                path: path.to_owned(),
                text: text.into(),
                original,
            });
        }
    }

    /// Whether a near miss may still be looked for; `cost` grows with the number of words.
    pub(super) fn may_hint(&mut self, cost: u32) -> bool {
        self.hints = self.hints.saturating_sub(cost);
        self.hints > 0
    }

    /// Records where the value at a path of the normalised plan came from.
    pub(super) fn source(&mut self, path: impl Into<String>, source: Source) {
        self.provenance.insert(path.into(), source);
    }

    /// The value that was found, or the default with its source; records which.
    pub(super) fn or<T>(
        &mut self,
        path: impl Into<String>,
        found: Option<T>,
        default: T,
        source: Source,
    ) -> T {
        self.source(
            path,
            if found.is_some() {
                Source::Plan
            } else {
                source
            },
        );
        found.unwrap_or(default)
    }
}

/// A mapping and where it stands in the text.
pub(super) struct Section<'v> {
    pub(super) map: &'v Map<String, Value>,
    pub(super) path: String,
}

/// A value and where it stands in the text.
pub(super) struct At<'v> {
    pub(super) value: &'v Value,
    pub(super) path: String,
    /// Whether it was found under a name that only older forms have.
    pub(super) older_name: bool,
}

impl At<'_> {
    /// Where a value under this name came from.
    pub(super) fn source(&self) -> Source {
        if self.older_name {
            Source::OlderForm
        } else {
            Source::Plan
        }
    }
}

impl<'v> Section<'v> {
    /// The value as a mapping; anything else is a fault.
    pub(super) fn read(cx: &mut Cx, at: &At<'v>, example: &str) -> Option<Self> {
        if let Value::Object(map) = at.value {
            return Some(Self {
                map,
                path: at.path.clone(),
            });
        }
        cx.fault_like(
            &at.path,
            format!("expected a mapping, found {}", show(at.value)),
            example,
        );
        None
    }

    /// Reports keys that the section does not have.
    pub(super) fn check(&self, cx: &mut Cx, keys: &Keys) {
        for (key, value) in self.map {
            let name = key.as_str();
            let known = keys.v1.contains(&name) || (cx.older() && keys.older.contains(&name));
            if known || name.starts_with(OWN) {
                continue;
            }
            let path = join(&self.path, &clip(key, 80));
            let guess = if cx.may_hint(1) {
                meant(name, keys.v1)
            } else {
                None
            };
            let hint = guess.map_or(String::new(), |guess| format!(" (did you mean `{guess}`?)"));
            if cx.older() {
                let text = format!("the key is not known and ignored{hint}");
                cx.warn(WarningCode::UnknownKey, &path, text, &value.to_string());
            } else {
                let fault = Fault::new(path, format!("unknown key{hint}"));
                let example = format!("`{OWN}{}` for a key of your own", clip(name, 40));
                cx.faults
                    .push(fault.allowed(keys.v1.iter().copied()).example(example));
            }
        }
    }

    /// The value under a name. In older forms an empty value counts as left out; in `plan/v1` it is a fault.
    pub(super) fn get(&self, cx: &mut Cx, name: &str) -> Option<At<'v>> {
        let value = self.map.get(name)?;
        let path = join(&self.path, name);
        if value.is_null() {
            if !cx.older() {
                cx.fault_like(&path, "is left empty", "a value, or leave the key out");
            }
            return None;
        }
        Some(At {
            value,
            path,
            older_name: false,
        })
    }

    /// The value under the first of several names that is present; the others are for older forms only.
    pub(super) fn any(&self, cx: &mut Cx, names: &[&str]) -> Option<At<'v>> {
        let usable = if cx.older() {
            names.len()
        } else {
            1.min(names.len())
        };
        let mut found: Option<At<'v>> = None;
        for (index, name) in names[..usable].iter().enumerate() {
            let Some(mut at) = self.get(cx, name) else {
                continue;
            };
            if let Some(first) = &found {
                if first.value != at.value {
                    let text = format!("ignored, because `{}` is given", first.path);
                    cx.warn(
                        WarningCode::KeyShadowed,
                        &at.path,
                        text,
                        &at.value.to_string(),
                    );
                }
            } else {
                at.older_name = index > 0;
                found = Some(at);
            }
        }
        found
    }
}

/// The path of a key below a path.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// At most so many characters of a text, without control characters.
pub(super) fn clip(text: &str, max: usize) -> String {
    let mut clipped: String = text
        .chars()
        .take(max)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if clipped.len() < text.len() && text.chars().nth(max).is_some() {
        clipped.push('…');
    }
    clipped
}

/// A value in the words of a fault.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text `{}`", clip(text, 60)),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(_) => "a mapping".to_owned(),
    }
}
