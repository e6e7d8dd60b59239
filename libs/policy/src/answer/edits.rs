//! The form `edits`: numbered lines, as submissions have them.
//!
//! Invariant: the edits are those of a submission, read by the same code.

use autopack_domain::submission::read_edits;
use serde_json::Value;

use super::{Answer, Problem, Work, checked, object};

pub(super) fn read(text: &str) -> Result<Answer, Problem> {
    let document = object(text)?;
    if let Some(Value::Array(items)) = document.get("edits") {
        for item in items {
            if let Some(path) = item.get("path").and_then(Value::as_str) {
                checked(path)?;
            }
        }
    }
    let summary = document.get("summary").and_then(Value::as_str);
    let mut answer = Answer {
        summary: summary.unwrap_or_default().to_owned(),
        ..Answer::default()
    };
    let edits = read_edits(&Value::Object(document)).map_err(|faults| {
        let shown: Vec<String> = faults.iter().take(8).map(ToString::to_string).collect();
        Problem::Form(shown.join("\n"))
    })?;
    for edit in edits {
        answer.operations += 1;
        let path = checked(&edit.path)?.to_owned();
        match answer.work(&path)? {
            Work::Edits(edits) => edits.push(edit),
            work @ Work::Steps(_) => *work = Work::Edits(vec![edit]),
        }
    }
    Ok(answer)
}
