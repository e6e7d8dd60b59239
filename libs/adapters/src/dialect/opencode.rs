//! opencode, `run --format json`.
//!
//! Invariant: the tokens of each step are its own; a part id that comes again counts once.

use serde_json::Value;

use super::{Dialect, count, micros, say, session, text, unknown, words};
use crate::claim::{Claim, Why};
use crate::event::{Event, Kind, Sample};
use crate::usage::Tokens;

pub(super) struct Opencode;

impl Dialect for Opencode {
    fn event(&mut self, value: &Value, events: &mut Vec<Event>) {
        let kind = text(value, &["type"]);
        match kind {
            "step_start" => {
                session(value, "sessionID", events);
            }
            "text" => say(text(value, &["part", "text"]), events),
            "reasoning" => events.push(Event::Reasoning),
            "tool_use" => {
                events.push(Event::Tool(text(value, &["part", "tool"]).into()));
                if text(value, &["part", "state", "status"]) == "error" {
                    events.push(Event::ToolFailed);
                }
            }
            "step_finish" => step(value, events),
            "error" => {
                let said = words(value.get("error"));
                events.push(Event::Error(said.clone()));
                events.push(Event::Ended(Claim::failed(&said)));
            }
            "done" => match text(value, &["reason"]) {
                // The last step has told its end already.
                "" | "stop" | "idle" | "completed" => {}
                other => events.push(Event::Error(other.to_owned())),
            },
            other => unknown(other, events),
        }
    }
}

fn step(value: &Value, events: &mut Vec<Event>) {
    let Some(part) = value.get("part") else {
        unknown("step_finish", events);
        return;
    };
    if let Some(tokens) = part.get("tokens") {
        let reasoning = count(tokens, &["reasoning"]).unwrap_or(0);
        let counted = Tokens {
            uncached: count(tokens, &["input"]),
            cache_read: count(tokens, &["cache", "read"]),
            cache_write: count(tokens, &["cache", "write"]),
            output: count(tokens, &["output"]).map(|out| out.saturating_add(reasoning)),
        };
        let id = Some(text(part, &["id"]).to_owned()).filter(|id| !id.is_empty());
        let mut sample = Sample::new(Kind::Step(id), counted);
        sample.own_total = count(tokens, &["total"]);
        sample.micros = micros(part, "cost");
        events.push(Event::Usage(sample));
    }
    match text(part, &["reason"]) {
        "stop" | "end_turn" => events.push(Event::Ended(Claim::Success)),
        // It counts as complete there; nothing more came than fits.
        "length" => events.push(Event::Ended(Claim::because(
            Why::CutShort,
            "the answer was cut at its length",
        ))),
        "content-filter" => events.push(Event::Ended(Claim::because(
            Why::Error,
            "the provider's content filter ended the answer",
        ))),
        _ => {}
    }
}
