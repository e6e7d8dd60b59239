//! goose, `--output-format stream-json`.
//!
//! Invariant: a total without its parts is that of the last turn only in older versions, so it counts as unknown.

use serde_json::Value;

use super::{Dialect, count, model, say, text, unknown, words};
use crate::claim::Claim;
use crate::event::{Event, Kind, Sample};
use crate::usage::Tokens;

pub(super) struct Goose;

impl Dialect for Goose {
    fn event(&mut self, value: &Value, events: &mut Vec<Event>) {
        match text(value, &["type"]) {
            "message" => message(value, events),
            "notification" => {}
            "model_change" => model(text(value, &["model"]), events),
            "error" => {
                let said = words(Some(value));
                events.push(Event::Error(said.clone()));
                events.push(Event::Ended(Claim::failed(&said)));
            }
            "complete" => {
                let tokens = Tokens {
                    uncached: count(value, &["input_tokens"]),
                    output: count(value, &["output_tokens"]),
                    ..Tokens::default()
                };
                if tokens.sum().is_some() {
                    let mut sample = Sample::new(Kind::Final, tokens);
                    sample.own_total = count(value, &["total_tokens"]);
                    events.push(Event::Usage(sample));
                }
                events.push(Event::Ended(Claim::Success));
            }
            other => unknown(other, events),
        }
    }
}

fn message(value: &Value, events: &mut Vec<Event>) {
    let content = value.pointer("/message/content").and_then(Value::as_array);
    let assistant = text(value, &["message", "role"]) == "assistant";
    for block in content.into_iter().flatten() {
        match text(block, &["type"]) {
            "text" if assistant => say(text(block, &["text"]), events),
            "text" | "image" => {}
            "thinking" | "redactedThinking" | "reasoning" => events.push(Event::Reasoning),
            "toolRequest" | "frontendToolRequest" => {
                let name = text(block, &["toolCall", "value", "name"]);
                events.push(Event::Tool(name.into()));
            }
            "toolResponse" => {
                let failed = text(block, &["toolResult", "status"]) == "error"
                    || block.pointer("/toolResult/value/isError") == Some(&Value::Bool(true));
                if failed {
                    events.push(Event::ToolFailed);
                }
            }
            "toolConfirmationRequest" | "actionRequired" => events.push(Event::Denied),
            "systemNotification" | "conversationCompacted" => {}
            other => unknown(&format!("message/{other}"), events),
        }
    }
}
