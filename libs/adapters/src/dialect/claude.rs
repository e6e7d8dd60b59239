//! Claude Code, `--output-format stream-json`.
//!
//! Invariant: `input_tokens` excludes both cache counters; the usage of a message id that comes again replaces the
//! earlier one.

use serde_json::Value;

use super::{Dialect, count, micros, model, say, session, text, unknown, words};
use crate::claim::{Claim, Why};
use crate::event::{Event, Kind, Sample};
use crate::usage::Tokens;

pub(super) struct Claude;

impl Dialect for Claude {
    fn event(&mut self, value: &Value, events: &mut Vec<Event>) {
        match text(value, &["type"]) {
            "system" => match text(value, &["subtype"]) {
                "init" => {
                    session(value, "session_id", events);
                    model(text(value, &["model"]), events);
                }
                "status" | "compact_boundary" | "api_retry" | "hook_started" | "hook_response"
                | "task_started" | "task_progress" | "task_notification" => {}
                other => unknown(&format!("system/{other}"), events),
            },
            "assistant" => message(value, events),
            "user" => results(value, events),
            "result" => result(value, events),
            "stream_event" | "tool_progress" => {}
            "rate_limit_event" => {
                if text(value, &["rate_limit_info", "status"]) == "rejected" {
                    events.push(Event::Error("rate limit: the provider refuses".into()));
                }
            }
            other => unknown(other, events),
        }
    }
}

fn message(value: &Value, events: &mut Vec<Event>) {
    for block in blocks(value) {
        match text(block, &["type"]) {
            "text" => say(text(block, &["text"]), events),
            "thinking" | "redacted_thinking" => events.push(Event::Reasoning),
            "tool_use" | "server_tool_use" => {
                events.push(Event::Tool(text(block, &["name"]).into()));
            }
            other => unknown(&format!("assistant/{other}"), events),
        }
    }
    let error = words(value.get("error"));
    if !error.is_empty() {
        events.push(Event::Error(error));
    }
    if let Some(usage) = value.pointer("/message/usage") {
        let id = text(value, &["message", "id"]).to_owned();
        events.push(Event::Usage(Sample::new(Kind::Message(id), tokens(usage))));
    }
}

fn results(value: &Value, events: &mut Vec<Event>) {
    for block in blocks(value) {
        if block.get("is_error").and_then(Value::as_bool) == Some(true) {
            events.push(Event::ToolFailed);
        }
    }
}

fn blocks(value: &Value) -> impl Iterator<Item = &Value> {
    let content = value.pointer("/message/content").and_then(Value::as_array);
    content.into_iter().flatten()
}

fn result(value: &Value, events: &mut Vec<Event>) {
    session(value, "session_id", events);
    let denied = value.get("permission_denials").and_then(Value::as_array);
    events.extend(denied.into_iter().flatten().map(|_| Event::Denied));
    if let Some(usage) = value.get("usage") {
        let mut sample = Sample::new(Kind::Final, tokens(usage));
        sample.micros = micros(value, "total_cost_usd");
        sample.own_total = by_model(value);
        events.push(Event::Usage(sample));
    }
    let told = text(value, &["result"]);
    let errors = value.get("errors").and_then(Value::as_array);
    let said = errors
        .and_then(|errors| errors.first())
        .map_or_else(|| told.to_owned(), |error| words(Some(error)));
    let failed = value.get("is_error").and_then(Value::as_bool) == Some(true);
    events.push(Event::Ended(match text(value, &["subtype"]) {
        "success" if !failed => Claim::Success,
        "error_max_turns" => Claim::because(Why::TurnLimit, &said),
        "error_max_budget_usd" => Claim::because(Why::BudgetLimit, &said),
        "error_max_structured_output_retries" => Claim::because(Why::Error, &said),
        other => Claim::failed(if said.is_empty() { other } else { &said }),
    }));
}

fn tokens(usage: &Value) -> Tokens {
    Tokens {
        uncached: count(usage, &["input_tokens"]),
        cache_read: count(usage, &["cache_read_input_tokens"]),
        cache_write: count(usage, &["cache_creation_input_tokens"]),
        output: count(usage, &["output_tokens"]),
    }
}

/// The total over all models, those of helpers included.
fn by_model(value: &Value) -> Option<u64> {
    const PARTS: [&str; 4] = [
        "inputTokens",
        "outputTokens",
        "cacheReadInputTokens",
        "cacheCreationInputTokens",
    ];
    let models = value.get("modelUsage")?.as_object()?;
    let counts = models
        .values()
        .flat_map(|model| PARTS.iter().filter_map(|part| count(model, &[part])));
    counts.reduce(u64::saturating_add)
}
