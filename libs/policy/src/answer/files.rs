//! The form `files`: whole files in one JSON object.
//!
//! Invariant: each file stands there once, with one of three modes.

use serde_json::Value;

use super::{Answer, Problem, Step, checked, object};

const KEYS: &[&str] = &["path", "mode", "content", "new_content"];

pub(super) fn read(text: &str) -> Result<Answer, Problem> {
    let document = object(text)?;
    let unknown = document
        .keys()
        .find(|key| !["summary", "files"].contains(&key.as_str()));
    if let Some(key) = unknown {
        let key: String = key.chars().take(60).collect();
        return form(format!("unknown field `{key}`; allowed: summary, files"));
    }
    let Some(Value::Array(files)) = document.get("files") else {
        return form("`files` is missing or no list".to_owned());
    };
    let summary = document.get("summary").and_then(Value::as_str);
    let mut answer = Answer {
        summary: summary.unwrap_or_default().to_owned(),
        ..Answer::default()
    };
    for (n, file) in files.iter().enumerate() {
        let Value::Object(map) = file else {
            return form(format!("files[{n}] is no object"));
        };
        if let Some(key) = map.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let key: String = key.chars().take(60).collect();
            return form(format!("files[{n}]: unknown field `{key}`"));
        }
        let word = |key: &str| map.get(key).and_then(Value::as_str);
        let Some(path) = word("path") else {
            return form(format!("files[{n}].path is missing"));
        };
        let path = checked(path)?;
        if answer.files.iter().any(|(known, _)| known == path) {
            return form(format!("`{path}` stands there twice"));
        }
        let content = word("content").or(word("new_content"));
        let step = match (word("mode").unwrap_or("write"), content) {
            ("delete" | "remove", _) => Step::Remove,
            ("create", Some(content)) => Step::Create(content.to_owned()),
            ("write" | "modify", Some(content)) => Step::Write(content.to_owned()),
            ("create" | "write" | "modify", None) => {
                return form(format!("`{path}` has no `content`"));
            }
            (mode, _) => {
                let mode: String = mode.chars().take(60).collect();
                return form(format!(
                    "`{path}`: unknown mode `{mode}`; allowed: create, write, delete"
                ));
            }
        };
        answer.operations += 1;
        answer.step(path, step)?;
    }
    Ok(answer)
}

fn form<T>(text: String) -> Result<T, Problem> {
    Err(Problem::Form(text))
}
