//! Gemini CLI and its fork Qwen Code, `-o stream-json`; also the single object of `-o json`.
//!
//! Invariant: thinking is in the total only; output that was computed from the total is marked derived.

use serde_json::Value;

use super::{Dialect, count, model, say, session, text, unknown, words};
use crate::claim::Claim;
use crate::event::{Event, Kind, Sample};
use crate::usage::Tokens;

pub(super) struct Gemini;

impl Dialect for Gemini {
    fn event(&mut self, value: &Value, events: &mut Vec<Event>) {
        match text(value, &["type"]) {
            "init" => {
                session(value, "session_id", events);
                model(text(value, &["model"]), events);
            }
            "message" => {
                if text(value, &["role"]) != "user" {
                    say(text(value, &["content"]), events);
                }
            }
            "thought" => events.push(Event::Reasoning),
            "tool_use" => events.push(Event::Tool(text(value, &["tool_name"]).into())),
            "tool_result" => {
                if text(value, &["status"]) == "error" {
                    events.push(Event::ToolFailed);
                }
            }
            "error" => events.push(Event::Error(words(Some(value)))),
            "result" => {
                stream_usage(value, events);
                let error = words(value.get("error"));
                events.push(Event::Ended(match text(value, &["status"]) {
                    "success" if error.is_empty() => Claim::Success,
                    other => Claim::failed(if error.is_empty() { other } else { &error }),
                }));
            }
            "" if value.get("stats").is_some() || value.get("response").is_some() => {
                single(value, events);
            }
            other => unknown(other, events),
        }
    }
}

fn stream_usage(value: &Value, events: &mut Vec<Event>) {
    let Some(stats) = value.get("stats") else {
        return;
    };
    let (all, cached) = (count(stats, &["input_tokens"]), count(stats, &["cached"]));
    let candidates = count(stats, &["output_tokens"]);
    let total = count(stats, &["total_tokens"]);
    let rest = total
        .zip(all)
        .zip(candidates)
        .map(|((total, all), out)| total.saturating_sub(all.saturating_add(out)));
    let tokens = Tokens {
        uncached: count(stats, &["input"])
            .or_else(|| all.map(|all| all.saturating_sub(cached.unwrap_or(0)))),
        cache_read: cached,
        cache_write: None,
        output: candidates.map(|out| out.saturating_add(rest.unwrap_or(0))),
    };
    let mut sample = Sample::new(Kind::Final, tokens);
    sample.own_total = total;
    sample.derived = rest.is_some_and(|rest| rest > 0);
    events.push(Event::Usage(sample));
}

/// The one object of `-o json`.
fn single(value: &Value, events: &mut Vec<Event>) {
    session(value, "session_id", events);
    say(text(value, &["response"]), events);
    let models = value.pointer("/stats/models").and_then(Value::as_object);
    if let Some(models) = models.filter(|models| !models.is_empty()) {
        let sum = |keys: &[&str]| {
            let counts = models.values().flat_map(|model| {
                keys.iter()
                    .filter_map(move |key| count(model, &["tokens", key]))
            });
            counts.reduce(u64::saturating_add)
        };
        let cached = sum(&["cached"]);
        let prompt = sum(&["prompt"]).map(|all| all.saturating_sub(cached.unwrap_or(0)));
        let tokens = Tokens {
            uncached: sum(&["input"]).or(prompt),
            cache_read: cached,
            cache_write: None,
            output: sum(&["candidates", "thoughts"]),
        };
        let mut sample = Sample::new(Kind::Final, tokens);
        sample.own_total = sum(&["total"]);
        events.push(Event::Usage(sample));
    }
    let error = words(value.get("error"));
    events.push(Event::Ended(if error.is_empty() {
        Claim::Success
    } else {
        Claim::failed(&error)
    }));
}
