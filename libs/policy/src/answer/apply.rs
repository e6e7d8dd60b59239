//! The changes of one file, on its text.
//!
//! Invariant: all of them apply, or none; a file that is there is never made anew by a `create`.

use autopack_domain::submission::Edit;

use super::{Problem, Step, Work};
use crate::edits::{self, Edited};

/// How much a whole file may change at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most lines of a file that is written as a whole.
    pub lines: usize,
    /// Files with fewer lines may grow and shrink at will.
    pub small: usize,
    /// The phase is a small fix: at most 30 % of a file's lines may change.
    pub small_fix: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lines: 1000,
            small: 20,
            small_fix: false,
        }
    }
}

/// Applies the changes of one file; `None`: there is no such file, or it is gone. Warnings go to `odd`.
pub fn apply(
    path: &str,
    text: Option<&str>,
    work: &Work,
    limits: Limits,
    odd: &mut Vec<String>,
) -> Result<Option<String>, Problem> {
    match work {
        Work::Edits(list) => {
            let list: Vec<&Edit> = list.iter().collect();
            match edits::apply(path, text, &list).map_err(Problem::Misfit)? {
                Edited::Text(text) => Ok(Some(text)),
                Edited::Removed => Ok(None),
            }
        }
        Work::Steps(steps) => {
            let mut now = text.map(str::to_owned);
            for step in steps {
                now = one(path, now, step, limits, odd)?;
            }
            Ok(now)
        }
    }
}

fn one(
    path: &str,
    text: Option<String>,
    step: &Step,
    limits: Limits,
    odd: &mut Vec<String>,
) -> Result<Option<String>, Problem> {
    let misfit = |text: String| Err(Problem::Misfit(format!("{path}: {text}")));
    match (step, text) {
        (Step::Create(_), Some(_)) => {
            misfit("`create` of a file that exists; change it instead".to_owned())
        }
        (Step::Create(content), None) | (Step::Write(content), None) => {
            within(path, None, content, limits)?;
            Ok(Some(ended(content)))
        }
        (Step::Write(content), Some(before)) => {
            within(path, Some(&before), content, limits)?;
            Ok(Some(ended(content)))
        }
        (Step::Remove, Some(_)) => Ok(None),
        (Step::Remove, None) => {
            odd.push(format!("{path}: removed although it was not there"));
            Ok(None)
        }
        (Step::Append(content), text) => Ok(Some(joined(&text.unwrap_or_default(), content))),
        (_, None) => misfit("is not there; use `create`".to_owned()),
        (Step::InsertAfter { anchor, content }, Some(text)) => {
            let found = (!anchor.is_empty())
                .then(|| text.find(anchor.as_str()))
                .flatten();
            let Some(at) = found else {
                odd.push(format!(
                    "{path}: an anchor was not found; its text went to the end"
                ));
                return Ok(Some(joined(&text, content)));
            };
            let end = text[at + anchor.len()..]
                .find('\n')
                .map_or(text.len(), |n| at + anchor.len() + n + 1);
            let head = joined(&text[..end], content);
            Ok(Some(format!("{head}{}", &text[end..])))
        }
        (Step::Replace { old, .. } | Step::ReplaceAll { old, .. }, Some(_)) if old.is_empty() => {
            misfit("`old_text` is empty".to_owned())
        }
        (Step::Replace { old, new }, Some(text)) => {
            if !text.contains(old.as_str()) {
                let shown: String = old.chars().take(120).collect();
                return misfit(format!(
                    "`old_text` does not stand there: `{}`",
                    shown.escape_debug()
                ));
            }
            Ok(Some(text.replacen(old.as_str(), new, 1)))
        }
        (Step::ReplaceAll { old, new }, Some(text)) => {
            if !text.contains(old.as_str()) {
                odd.push(format!("{path}: nothing to replace"));
            }
            Ok(Some(text.replace(old.as_str(), new)))
        }
    }
}

/// Whether a whole file stays within its limits: what is cut off, blown up or rewritten is more likely a slip.
fn within(path: &str, before: Option<&str>, after: &str, limits: Limits) -> Result<(), Problem> {
    let count = |text: &str| text.lines().count();
    let misfit = |text: String| Err(Problem::Misfit(format!("{path}: {text}")));
    let new = count(after);
    if new > limits.lines {
        return misfit(format!(
            "{new} lines; a file of more than {} is changed by edits",
            limits.lines
        ));
    }
    let Some(before) = before else { return Ok(()) };
    let old = count(before);
    if old > limits.lines {
        return misfit(format!(
            "has {old} lines and is changed by edits, not written anew"
        ));
    }
    if old < limits.small {
        return Ok(());
    }
    if new * 5 < old * 2 {
        return misfit(format!("shrinks from {old} to {new} lines: more than 60 %"));
    }
    if new > old * 3 {
        return misfit(format!(
            "grows from {old} to {new} lines: more than three times"
        ));
    }
    let kept = similar(before, after);
    if limits.small_fix && (old - kept.min(old)) * 10 > old * 3 {
        return misfit(format!(
            "{} of {old} lines change: more than 30 % for a small fix",
            old - kept.min(old)
        ));
    }
    Ok(())
}

/// Lines that both have.
fn similar(before: &str, after: &str) -> usize {
    let mut left = std::collections::HashMap::new();
    for line in before.lines() {
        *left.entry(line).or_insert(0_usize) += 1;
    }
    let mut kept = 0;
    for line in after.lines() {
        if let Some(count) = left.get_mut(line).filter(|count| **count > 0) {
            *count -= 1;
            kept += 1;
        }
    }
    kept
}

/// A text file ends with the end of a line.
fn ended(content: &str) -> String {
    if content.is_empty() || content.ends_with('\n') {
        content.to_owned()
    } else {
        format!("{content}\n")
    }
}

/// Text after whole lines.
fn joined(before: &str, content: &str) -> String {
    format!("{}{}", ended(before), ended(content))
}
