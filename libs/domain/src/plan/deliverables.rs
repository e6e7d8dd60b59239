//! Deliverables: exact in `plan/v1`; in older forms any nesting of lists, with prose behind the paths.
//!
//! Invariant: what is kept as a deliverable is a path; prose is kept as an acceptance criterion, never lost.

use serde_json::Value;

use super::{
    model::ScopeSpec,
    node::{At, Cx, clip, join, show},
    options::WarningCode,
    scope::{MAX_PATHS, plain_path},
    value::{MAX_TEXT, filled},
};

/// One deliverable of `plan/v1`: a file, or a folder with a trailing `/`.
pub(super) fn one(cx: &mut Cx, at: &At) -> Option<String> {
    let path = plain_path(cx, at)?;
    if path.contains(['*', '?']) {
        let problem = format!(
            "`{}` is a pattern; a deliverable is one file, or a folder with a trailing `/`",
            clip(&path, 80)
        );
        cx.fault_like(&at.path, problem, "docs/");
        return None;
    }
    Some(path)
}

/// Deliverables of older forms: lists and mappings in any nesting, with annotations behind the paths.
pub(super) fn flatten(cx: &mut Cx, at: &At, spec: &mut ScopeSpec) {
    if spec.deliverables.len() >= MAX_PATHS {
        return;
    }
    match at.value {
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                let path = format!("{}[{index}]", at.path);
                flatten(
                    cx,
                    &At {
                        value,
                        path,
                        older_name: true,
                    },
                    spec,
                );
            }
        }
        Value::Object(map) => {
            let whole = map.get("path").filter(|path| path.is_string());
            for (key, value) in map
                .iter()
                .filter(|(_, value)| whole.is_none_or(|path| std::ptr::eq(path, *value)))
            {
                let path = join(&at.path, &clip(key, 80));
                flatten(
                    cx,
                    &At {
                        value,
                        path,
                        older_name: true,
                    },
                    spec,
                );
            }
        }
        Value::String(written) => {
            let plain = leading_path(written);
            if plain.is_empty() {
                let text = "does not begin with a path; kept as an acceptance criterion";
                cx.warn(WarningCode::EntryMoved, &at.path, text, written);
                spec.acceptance_criteria.extend(filled(cx, at, MAX_TEXT));
                return;
            }
            if plain != written.trim() {
                let text = format!("the text behind the path `{plain}` is dropped");
                cx.warn(WarningCode::AnnotationDropped, &at.path, text, written);
            }
            let value = Value::String(plain);
            let plain = At {
                value: &value,
                path: at.path.clone(),
                older_name: true,
            };
            spec.deliverables.extend(plain_path(cx, &plain));
        }
        other => {
            let text = format!("expected a path, found {}; dropped", show(other));
            cx.warn(WarningCode::EntryMoved, &at.path, text, &other.to_string());
        }
    }
}

/// The path that a text begins with; empty if it begins with prose or a pattern.
fn leading_path(text: &str) -> String {
    let Some(word) = text.split_whitespace().next() else {
        return String::new();
    };
    let alone = text.split_whitespace().nth(1).is_none();
    let word = word
        .trim_matches(['`', '"', '\''])
        .trim_end_matches([':', ',', ';']);
    let extension = word.rsplit_once('.').is_some_and(|(stem, end)| {
        !stem.is_empty()
            && !end.is_empty()
            && end.len() <= 10
            && end.chars().all(char::is_alphanumeric)
    });
    let is_path = alone || extension || word.contains(['/', '\\']) || word.starts_with('.');
    if is_path && !word.contains(['*', '?']) {
        word.to_owned()
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::leading_path;

    #[test]
    fn annotations_behind_a_path_are_recognised() {
        for (written, path) in [
            ("src/x.py modifications", "src/x.py"),
            ("src/x.py: add a function", "src/x.py"),
            ("`src/x.py` (new)", "src/x.py"),
            ("Makefile", "Makefile"),
            ("setup.cfg update", "setup.cfg"),
            ("docs/", "docs/"),
            (".env.example with all keys", ".env.example"),
            ("Unit tests for the login", ""),
            ("e.g. something", ""),
            ("src/**/*.py", ""),
            ("", ""),
        ] {
            assert_eq!(leading_path(written), path, "{written}");
        }
    }
}
