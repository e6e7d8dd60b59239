//! Typed values of the tree: text, ids, numbers and choices, each within its bounds.
//!
//! Invariant: `None` means that the value is absent or that a fault was recorded, never silently wrong.

use serde_json::Value;

use super::{
    keys::nearest,
    node::{At, Cx, clip, show},
    options::WarningCode,
};
use crate::{
    fault::Fault,
    ids::{ID_RULE, is_user_id},
};

/// Longest text of any kind, in bytes.
pub(super) const MAX_TEXT: usize = 64 * 1024;
/// Longest name (it becomes a commit's subject).
pub(super) const MAX_NAME: usize = 200;
/// Longest goal of a run.
pub(super) const MAX_GOAL: usize = 4096;

/// Text of several lines.
pub(super) fn text(cx: &mut Cx, at: &At, max: usize) -> Option<String> {
    let text = match at.value {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) if cx.older() => {
            let text = at.value.to_string();
            cx.warn(WarningCode::ValueChanged, &at.path, "read as text", &text);
            text
        }
        other => {
            let scalar = other.is_number() || other.is_boolean();
            let quoted = if scalar {
                other.to_string()
            } else {
                "text".to_owned()
            };
            cx.fault_like(
                &at.path,
                format!("expected text, found {}", show(other)),
                &format!("\"{quoted}\""),
            );
            return None;
        }
    };
    if text.len() > max {
        cx.fault(
            &at.path,
            format!("is {} bytes long; at most {max}", text.len()),
        );
        return None;
    }
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t' | '\r');
    match text.chars().find(|c| odd(*c)) {
        None => Some(text),
        Some(_) if cx.older() => {
            cx.warn(
                WarningCode::ValueChanged,
                &at.path,
                "control characters are removed",
                &text,
            );
            Some(text.chars().filter(|c| !odd(*c)).collect())
        }
        Some(c) => {
            cx.fault(
                &at.path,
                format!("contains the control character U+{:04X}", u32::from(c)),
            );
            None
        }
    }
}

/// Text that says something.
pub(super) fn filled(cx: &mut Cx, at: &At, max: usize) -> Option<String> {
    let text = text(cx, at, max)?;
    if !text.trim().is_empty() {
        return Some(text.trim().to_owned());
    }
    if !cx.older() {
        cx.fault_like(&at.path, "is empty", "a text, or leave the key out");
    }
    None
}

/// One line of text.
pub(super) fn line(cx: &mut Cx, at: &At, max: usize) -> Option<String> {
    let limit = if cx.older() { MAX_TEXT } else { max };
    let text = filled(cx, at, limit)?;
    if text.len() <= max
        && !text.contains(|c: char| c.is_control() || "\u{2028}\u{2029}".contains(c))
    {
        return Some(text);
    }
    if cx.older() {
        let short = first_line(&text, max);
        cx.warn(
            WarningCode::ValueChanged,
            &at.path,
            format!("shortened to `{}`", clip(&short, 80)),
            &text,
        );
        return Some(short);
    }
    cx.fault(&at.path, "has several lines; it must be one");
    None
}

/// The first line of a text, at most so many bytes, white space squeezed.
pub(super) fn first_line(text: &str, max: usize) -> String {
    let text = text.trim().lines().next().unwrap_or_default();
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|w| !w.is_empty())
        .collect();
    let words = words.join(" ");
    if words.len() <= max {
        return words;
    }
    let mut end = max.saturating_sub('…'.len_utf8());
    while !words.is_char_boundary(end) {
        end -= 1;
    }
    let cut = words[..end]
        .rfind(' ')
        .filter(|at| *at > end / 2)
        .unwrap_or(end);
    format!("{}…", words[..cut].trim_end())
}

/// An id that the user chose. Older forms get an id that satisfies the rule, with a warning.
pub(super) fn id(cx: &mut Cx, at: &At) -> Option<String> {
    let id = text(cx, at, if cx.older() { MAX_TEXT } else { 1024 })?;
    if is_user_id(&id) {
        return Some(id);
    }
    let mended = mend(&id);
    if cx.older() && is_user_id(&mended) {
        cx.warn(
            WarningCode::IdChanged,
            &at.path,
            format!("became `{mended}`: an id is {ID_RULE}"),
            &id,
        );
        return Some(mended);
    }
    let example = if is_user_id(&mended) {
        mended
    } else {
        "P1.1".to_owned()
    };
    cx.fault_like(
        &at.path,
        format!("`{}` is not an id: {ID_RULE}", clip(&id, 80)),
        &example,
    );
    None
}

/// The nearest text that satisfies the rule for ids; empty if nothing is left.
fn mend(id: &str) -> String {
    let mut mended = String::new();
    for c in id.chars() {
        let c = if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '-'
        };
        let begins = mended.is_empty() && !c.is_ascii_alphanumeric();
        let repeats = matches!(c, '-' | '.') && mended.ends_with(c);
        if !(begins || repeats) {
            mended.push(c);
        }
    }
    mended.truncate(120);
    let mended = mended.trim_end_matches(['.', '-', '_']);
    if mended.to_ascii_lowercase().ends_with(".lock") {
        mended.replace('.', "-")
    } else {
        mended.to_owned()
    }
}

/// A whole number within bounds. In older forms zero and less count as left out.
pub(super) fn number(cx: &mut Cx, at: &At, min: u64, max: u64) -> Option<u64> {
    let value = match at.value {
        Value::Number(number) => number
            .as_f64()
            .filter(|f| f.fract() == 0.0 && f.abs() < 9e15)
            .map(|f| f as i64),
        Value::String(text) if cx.older() => text.trim().parse().ok(),
        _ => None,
    };
    let problem = match value {
        Some(value) if u64::try_from(value).is_ok_and(|value| (min..=max).contains(&value)) => {
            return u64::try_from(value).ok();
        }
        Some(value) if cx.older() && value < 1 => return None,
        Some(value) if value < min as i64 => format!("{value} is too small"),
        Some(value) => format!("{value} is too large"),
        None => format!("expected a whole number, found {}", show(at.value)),
    };
    cx.fault_like(
        &at.path,
        format!("{problem}; {min} to {max}"),
        &min.max(1).to_string(),
    );
    None
}

/// [`number`] for fields of 32 bits.
pub(super) fn number32(cx: &mut Cx, at: &At, min: u32, max: u32) -> Option<u32> {
    number(cx, at, min.into(), max.into()).and_then(|value| u32::try_from(value).ok())
}

/// `true` or `false`.
pub(super) fn boolean(cx: &mut Cx, at: &At) -> Option<bool> {
    if let Value::Bool(value) = at.value {
        return Some(*value);
    }
    let fault = Fault::new(
        &at.path,
        format!("expected true or false, found {}", show(at.value)),
    );
    cx.faults
        .push(fault.allowed(["true", "false"]).example("true"));
    None
}

/// One of a closed list. In older forms case does not count, and an unknown value is left out with a warning.
pub(super) fn choice<T>(
    cx: &mut Cx,
    at: &At,
    parse: fn(&str) -> Option<T>,
    allowed: &[&str],
) -> Option<T> {
    if let Value::String(text) = at.value {
        let parsed = if cx.older() {
            parse(&text.trim().to_ascii_lowercase())
        } else {
            parse(text)
        };
        if parsed.is_some() {
            return parsed;
        }
    }
    if cx.older() {
        let original = at
            .value
            .as_str()
            .map_or_else(|| at.value.to_string(), str::to_owned);
        let text = format!(
            "`{}` is not one of {}; the default is used",
            clip(&original, 60),
            allowed.join(", ")
        );
        cx.warn(WarningCode::UnknownValue, &at.path, text, &original);
        return None;
    }
    let near = at.value.as_str().filter(|_| cx.may_hint(1));
    let near = near.and_then(|text| nearest(&text.to_ascii_lowercase(), allowed));
    let hint = near.map_or(String::new(), |near| format!(" (did you mean `{near}`?)"));
    let fault = Fault::new(&at.path, format!("unknown value: {}{hint}", show(at.value)));
    let example = near
        .or_else(|| allowed.first().copied())
        .unwrap_or_default();
    cx.faults
        .push(fault.allowed(allowed.iter().copied()).example(example));
    None
}
