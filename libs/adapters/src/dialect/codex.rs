//! Codex, `codex exec --json`.
//!
//! Invariant: `input_tokens` includes the cached ones; the numbers of a turn are the running total of the thread.

use serde_json::Value;

use super::{Dialect, count, say, session, text, unknown, words};
use crate::claim::Claim;
use crate::event::{Event, Kind, Sample};
use crate::usage::Tokens;

#[derive(Default)]
pub(super) struct Codex {
    turns: u64,
}

impl Dialect for Codex {
    fn event(&mut self, value: &Value, events: &mut Vec<Event>) {
        match text(value, &["type"]) {
            "thread.started" => session(value, "thread_id", events),
            "turn.started" => {
                self.turns += 1;
                if self.turns > 1 {
                    events.push(Event::Resumed);
                }
            }
            "item.started" | "item.updated" => known_item(value, events),
            "item.completed" => item(value, events),
            "turn.completed" => {
                if let Some(usage) = value.get("usage") {
                    events.push(Event::Usage(Sample::new(Kind::Running, tokens(usage))));
                }
                events.push(Event::Ended(Claim::Success));
            }
            "turn.failed" => {
                if let Some(usage) = value.get("usage").filter(|usage| usage.is_object()) {
                    events.push(Event::Usage(Sample::new(Kind::Running, tokens(usage))));
                }
                events.push(Event::Ended(Claim::failed(&words(value.get("error")))));
            }
            "error" => events.push(Event::Error(words(value.get("message")))),
            other => unknown(other, events),
        }
    }
}

const ITEMS: [&str; 10] = [
    "agent_message",
    "reasoning",
    "command_execution",
    "file_change",
    "mcp_tool_call",
    "collab_tool_call",
    "web_search",
    "todo_list",
    "error",
    "plan_update",
];

fn known_item(value: &Value, events: &mut Vec<Event>) {
    let kind = text(value, &["item", "type"]);
    if !ITEMS.contains(&kind) {
        unknown(&format!("item/{kind}"), events);
    }
}

fn item(value: &Value, events: &mut Vec<Event>) {
    match text(value, &["item", "type"]) {
        "agent_message" => say(text(value, &["item", "text"]), events),
        "reasoning" => events.push(Event::Reasoning),
        "todo_list" | "plan_update" => {}
        "error" => events.push(Event::Error(words(value.pointer("/item/message")))),
        tool if ITEMS.contains(&tool) => {
            events.push(Event::Tool(tool.to_owned()));
            match text(value, &["item", "status"]) {
                "failed" => events.push(Event::ToolFailed),
                "declined" => events.push(Event::Denied),
                _ => {}
            }
        }
        other => unknown(&format!("item/{other}"), events),
    }
}

fn tokens(usage: &Value) -> Tokens {
    let cached = count(usage, &["cached_input_tokens"]);
    let written = count(usage, &["cache_write_input_tokens"]);
    let inside = cached.unwrap_or(0).saturating_add(written.unwrap_or(0));
    Tokens {
        uncached: count(usage, &["input_tokens"]).map(|all| all.saturating_sub(inside)),
        cache_read: cached,
        cache_write: written,
        output: count(usage, &["output_tokens"]),
    }
}
