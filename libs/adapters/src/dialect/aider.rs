//! aider: the JSON lines of `--analytics-log`.
//!
//! Invariant: the counters of a message are its own and are summed; `total_cost` is not, it runs.

use serde_json::Value;

use super::{Dialect, count, micros, model, text, unknown, words};
use crate::event::{Event, Kind, Sample};
use crate::usage::Tokens;

pub(super) struct Aider;

/// Events that tell nothing that is wanted.
const QUIET: [&str; 10] = [
    "launched",
    "cli session",
    "message_send_starting",
    "ai-comments file-add",
    "ai-comments execute",
    "repo",
    "no-repo",
    "auto_commits",
    "gui session",
    "model warning",
];

impl Dialect for Aider {
    fn event(&mut self, value: &Value, events: &mut Vec<Event>) {
        let kind = text(value, &["event"]);
        match kind {
            "message_send" => {
                model(text(value, &["properties", "main_model"]), events);
                let Some(told) = value.get("properties") else {
                    unknown(kind, events);
                    return;
                };
                let tokens = Tokens {
                    uncached: count(told, &["prompt_tokens"]),
                    output: count(told, &["completion_tokens"]),
                    ..Tokens::default()
                };
                let mut sample = Sample::new(Kind::Step(None), tokens);
                sample.own_total = count(told, &["total_tokens"]);
                sample.micros = micros(told, "cost");
                events.push(Event::Usage(sample));
            }
            // The exit code is the claim; why it ended stands here.
            "exit" => {
                let reason = text(value, &["properties", "reason"]);
                if !reason.is_empty() && !reason.starts_with("Completed") {
                    events.push(Event::Error(words(value.pointer("/properties/reason"))));
                }
            }
            "message_send_exception" => {
                events.push(Event::Error(words(value.pointer("/properties/exception"))));
            }
            command if command.starts_with("command_") => {
                events.push(Event::Tool(command.to_owned()));
            }
            quiet if QUIET.contains(&quiet) => {}
            other => unknown(other, events),
        }
    }
}
