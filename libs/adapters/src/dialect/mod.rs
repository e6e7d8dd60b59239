//! What the lines of each agent mean, one dialect a file.
//!
//! Invariant: a dialect reads what it knows and names what it does not; it never fails.

mod acp;
mod aider;
mod claude;
mod codex;
mod cursor;
mod gemini;
mod goose;
mod opencode;
mod plain;

use autopack_domain::plan::Adapter;
use serde_json::Value;

use crate::event::Event;
use crate::lines::clip;

/// Translates the objects of one stream.
pub(crate) trait Dialect: Send {
    /// One object to events.
    fn event(&mut self, value: &Value, events: &mut Vec<Event>);

    /// What is to be sent to the agent now.
    fn replies(&mut self) -> Vec<u8> {
        Vec::new()
    }
}

/// The dialect of an adapter.
pub(crate) fn of(adapter: Adapter, prompt: &str, folder: &str) -> Box<dyn Dialect> {
    match adapter {
        Adapter::Claude => Box::new(claude::Claude),
        Adapter::Codex => Box::new(codex::Codex::default()),
        Adapter::Gemini | Adapter::Qwen => Box::new(gemini::Gemini),
        Adapter::Opencode => Box::new(opencode::Opencode),
        Adapter::Aider => Box::new(aider::Aider),
        Adapter::Goose => Box::new(goose::Goose),
        Adapter::CursorAgent => Box::new(cursor::Cursor),
        Adapter::Acp => Box::new(acp::Acp::new(prompt, folder)),
        Adapter::Plain => Box::new(plain::Plain),
    }
}

/// The text at a path of keys; empty if there is none.
fn text<'v>(value: &'v Value, path: &[&str]) -> &'v str {
    path.iter()
        .try_fold(value, |value, key| value.get(key))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The whole number at a path of keys.
fn count(value: &Value, path: &[&str]) -> Option<u64> {
    path.iter()
        .try_fold(value, |value, key| value.get(key))
        .and_then(Value::as_u64)
}

/// Money in millionths of a dollar.
fn micros(value: &Value, key: &str) -> Option<u64> {
    let dollars = value.get(key)?.as_f64()?;
    let micros = (dollars * 1_000_000.0).round();
    (micros.is_finite() && (0.0..1e15).contains(&micros)).then_some(micros as u64)
}

/// What a text or an object says about an error.
fn words(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => clip(text, 500),
        Some(value) => {
            let known = ["message", "error", "data"]
                .iter()
                .find_map(|key| value.get(key))
                .map(|inner| words(Some(inner)));
            known
                .filter(|words| !words.is_empty())
                .unwrap_or_else(|| clip(&value.to_string(), 500))
        }
    }
}

/// A session's id, if one is told.
fn session(value: &Value, key: &str, events: &mut Vec<Event>) {
    let id = text(value, &[key]);
    if !id.is_empty() {
        events.push(Event::Session(clip(id, 200)));
    }
}

/// A model's name, if one is told.
fn model(name: &str, events: &mut Vec<Event>) {
    if !name.is_empty() {
        events.push(Event::Model(clip(name, 200)));
    }
}

/// Text for the reader, if there is any.
fn say(words: &str, events: &mut Vec<Event>) {
    if !words.is_empty() {
        events.push(Event::Text(words.to_owned()));
    }
}

/// An event that nobody knows.
fn unknown(kind: &str, events: &mut Vec<Event>) {
    let kind = if kind.is_empty() { "(no type)" } else { kind };
    events.push(Event::Unknown(clip(kind, 60)));
}
