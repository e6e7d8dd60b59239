//! The form `lines`: one JSON object a line, so that an answer that breaks off loses its last line only.
//!
//! Invariant: a complete line that is not understood is a fault; a line that is none (prose, fences) is left out; the
//! last line may be incomplete only if the answer was cut.

use serde_json::{Map, Value};

use super::{Answer, Problem, Step, checked};

pub(super) fn read(text: &str, cut: bool) -> Result<Answer, Problem> {
    let mut answer = Answer::default();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let last = lines.iter().rposition(|line| !line.is_empty());
    for (n, line) in lines.iter().enumerate() {
        if !line.starts_with('{') {
            continue;
        }
        let value: Map<String, Value> = match serde_json::from_str(line) {
            Ok(value) => value,
            Err(_) if cut && Some(n) == last => break,
            Err(error) => {
                return Err(Problem::Form(format!("line {}: {error}", n + 1)));
            }
        };
        operation(&mut answer, &value).map_err(|problem| at_line(problem, n + 1))?;
    }
    if answer.operations == 0 && answer.announced.is_none() && !cut {
        let text = "the answer holds no line with an operation";
        return Err(Problem::Form(text.to_owned()));
    }
    if answer.is_short() && !cut {
        let text = format!(
            "the answer announces {} operations and has {}",
            answer.announced.unwrap_or(0),
            answer.operations
        );
        return Err(Problem::Form(text));
    }
    Ok(answer)
}

fn at_line(problem: Problem, line: usize) -> Problem {
    match problem {
        Problem::Form(text) => Problem::Form(format!("line {line}: {text}")),
        Problem::Misfit(text) => Problem::Misfit(format!("line {line}: {text}")),
        Problem::Escape(text) => Problem::Escape(format!("line {line}: {text}")),
    }
}

fn operation(answer: &mut Answer, line: &Map<String, Value>) -> Result<(), Problem> {
    let kind = word(line, "type").or_else(|_| word(line, "op"))?;
    if kind == "meta" {
        word(line, "summary")
            .unwrap_or_default()
            .clone_into(&mut answer.summary);
        let total = line.get("total_operations").and_then(Value::as_u64);
        answer.announced = total.and_then(|total| usize::try_from(total).ok());
        return Ok(());
    }
    let path = word(line, "file_path").or_else(|_| word(line, "path"))?;
    let path = checked(path)?;
    answer.operations += 1;
    match kind {
        "create" => answer.step(path, Step::Create(word(line, "content")?.to_owned())),
        "write" => answer.step(path, Step::Write(word(line, "content")?.to_owned())),
        "delete" => answer.step(path, Step::Remove),
        "modify" => modify(answer, path, line),
        other => {
            let other: String = other.chars().take(60).collect();
            form(format!(
                "unknown type `{other}`; allowed: meta, create, write, modify, delete"
            ))
        }
    }
}

fn modify(answer: &mut Answer, path: &str, line: &Map<String, Value>) -> Result<(), Problem> {
    let Some(Value::Array(steps)) = line.get("operations") else {
        return form(format!("`{path}`: `operations` is missing or no list"));
    };
    if steps.is_empty() {
        answer.warnings.push(format!("{path}: an empty `modify`"));
    }
    for step in steps {
        let Value::Object(step) = step else {
            return form(format!("`{path}`: an operation is no object"));
        };
        let own = |key: &str| word(step, key).map(str::to_owned);
        let kind = word(step, "type").or_else(|_| word(step, "op"))?;
        let step = match kind {
            "append" => Step::Append(own("content")?),
            "insert_after" => Step::InsertAfter {
                anchor: own("anchor")?,
                content: own("content")?,
            },
            "replace" => Step::Replace {
                old: own("old_text")?,
                new: own("new_text")?,
            },
            "replace_all" => Step::ReplaceAll {
                old: own("old_text")?,
                new: own("new_text")?,
            },
            other => {
                let other: String = other.chars().take(60).collect();
                return form(format!(
                    "`{path}`: unknown operation `{other}`; allowed: append, insert_after, replace, replace_all"
                ));
            }
        };
        answer.step(path, step)?;
    }
    Ok(())
}

fn word<'m>(map: &'m Map<String, Value>, key: &str) -> Result<&'m str, Problem> {
    match map.get(key).and_then(Value::as_str) {
        Some(text) => Ok(text),
        None => form(format!("`{key}` is missing or no text")),
    }
}

fn form<T>(text: String) -> Result<T, Problem> {
    Err(Problem::Form(text))
}
