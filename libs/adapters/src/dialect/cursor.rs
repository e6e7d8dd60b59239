//! cursor-agent, `--output-format stream-json`.
//!
//! Invariant: versions that tell no usage leave it unknown.

use serde_json::Value;

use super::{Dialect, count, model, say, session, text, unknown};
use crate::claim::Claim;
use crate::event::{Event, Kind, Sample};
use crate::usage::Tokens;

pub(super) struct Cursor;

impl Dialect for Cursor {
    fn event(&mut self, value: &Value, events: &mut Vec<Event>) {
        match text(value, &["type"]) {
            "system" => {
                session(value, "session_id", events);
                model(text(value, &["model"]), events);
            }
            "user" => {}
            "assistant" => {
                let content = value.pointer("/message/content").and_then(Value::as_array);
                for block in content.into_iter().flatten() {
                    say(text(block, &["text"]), events);
                }
            }
            "thinking" => events.push(Event::Reasoning),
            "tool_call" => tool(value, events),
            "result" => result(value, events),
            other => unknown(other, events),
        }
    }
}

fn tool(value: &Value, events: &mut Vec<Event>) {
    let call = value.get("tool_call").and_then(Value::as_object);
    let first = call.and_then(|call| call.iter().next());
    match text(value, &["subtype"]) {
        "started" => {
            let name = first.map_or("", |(name, _)| name.as_str());
            events.push(Event::Tool(name.to_owned()));
        }
        "completed" => {
            let result = first.and_then(|(_, call)| call.get("result"));
            if result.is_some_and(|result| result.get("rejected").is_some()) {
                events.push(Event::Denied);
            } else if result.is_some_and(|result| result.get("error").is_some()) {
                events.push(Event::ToolFailed);
            }
        }
        other => unknown(&format!("tool_call/{other}"), events),
    }
}

fn result(value: &Value, events: &mut Vec<Event>) {
    if let Some(usage) = value.get("usage").filter(|usage| usage.is_object()) {
        let tokens = Tokens {
            uncached: count(usage, &["inputTokens"]),
            cache_read: count(usage, &["cacheReadTokens"]),
            cache_write: count(usage, &["cacheWriteTokens"]),
            output: count(usage, &["outputTokens"]),
        };
        events.push(Event::Usage(Sample::new(Kind::Final, tokens)));
    }
    let failed = value.get("is_error").and_then(Value::as_bool) == Some(true);
    let said = text(value, &["result"]);
    events.push(Event::Ended(match text(value, &["subtype"]) {
        "success" if !failed => Claim::Success,
        other => Claim::failed(if said.is_empty() { other } else { said }),
    }));
}
