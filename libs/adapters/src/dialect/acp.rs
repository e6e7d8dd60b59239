//! Any agent that speaks the Agent Client Protocol over stdio: JSON-RPC, one object a line, and we talk back.
//!
//! Invariant: one session and one prompt; a permission is answered with what the agent itself offers for allowing
//! once, and a method that is not offered is refused by name, so that the agent never waits for an answer.

use serde_json::{Value, json};

use super::{Dialect, count, micros, say, text, unknown, words};
use crate::claim::{Claim, Why};
use crate::event::{Event, Kind, Sample};
use crate::lines::clip;
use crate::usage::Tokens;

/// The protocol version that is asked for.
const VERSION: u64 = 1;
const INITIALIZE: u64 = 0;
const SESSION: u64 = 1;
const PROMPT: u64 = 2;

pub(super) struct Acp {
    prompt: String,
    folder: String,
    out: Vec<u8>,
}

impl Acp {
    pub(super) fn new(prompt: &str, folder: &str) -> Self {
        let mut this = Self {
            prompt: prompt.to_owned(),
            folder: folder.to_owned(),
            out: Vec::new(),
        };
        // Neither files nor a terminal are offered: the agent works in its folder with its own tools.
        let offered =
            json!({ "fs": { "readTextFile": false, "writeTextFile": false }, "terminal": false });
        let params = json!({ "protocolVersion": VERSION, "clientCapabilities": offered });
        this.ask(INITIALIZE, "initialize", params);
        this
    }

    fn send(&mut self, message: &Value) {
        self.out.extend_from_slice(message.to_string().as_bytes());
        self.out.push(b'\n');
    }

    fn ask(&mut self, id: u64, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
    }

    fn answer(&mut self, value: &Value, events: &mut Vec<Event>) {
        let id = value.get("id").and_then(Value::as_u64);
        if let Some(error) = value.get("error") {
            events.push(Event::Ended(Claim::failed(&words(Some(error)))));
            return;
        }
        let result = value.get("result").unwrap_or(&Value::Null);
        match id {
            Some(INITIALIZE) => {
                let params = json!({ "cwd": self.folder, "mcpServers": [] });
                self.ask(SESSION, "session/new", params);
            }
            Some(SESSION) => {
                let session = text(result, &["sessionId"]).to_owned();
                let prompt = json!([{ "type": "text", "text": self.prompt }]);
                let params = json!({ "sessionId": session, "prompt": prompt });
                self.ask(PROMPT, "session/prompt", params);
                events.push(Event::Session(clip(&session, 200)));
            }
            Some(PROMPT) => ended(result, events),
            _ => unknown("answer to nothing", events),
        }
    }

    fn request(&mut self, value: &Value, method: &str, events: &mut Vec<Event>) {
        let id = value.get("id").cloned().unwrap_or(Value::Null);
        if method != "session/request_permission" {
            unknown(method, events);
            let error = json!({ "code": -32601, "message": format!("{} is not offered", clip(method, 60)) });
            self.send(&json!({ "jsonrpc": "2.0", "id": id, "error": error }));
            return;
        }
        let options = value.pointer("/params/options").and_then(Value::as_array);
        let allow = options
            .into_iter()
            .flatten()
            .find(|option| ["allow_once", "allow_always"].contains(&text(option, &["kind"])));
        let outcome = if let Some(option) = allow {
            json!({ "outcome": "selected", "optionId": text(option, &["optionId"]) })
        } else {
            events.push(Event::Denied);
            json!({ "outcome": "cancelled" })
        };
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "result": { "outcome": outcome } }));
    }
}

impl Dialect for Acp {
    fn event(&mut self, value: &Value, events: &mut Vec<Event>) {
        let method = text(value, &["method"]);
        if method.is_empty() {
            self.answer(value, events);
        } else if value.get("id").is_some() {
            self.request(value, method, events);
        } else if method == "session/update" {
            update(value, events);
        } else {
            unknown(method, events);
        }
    }

    fn replies(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }
}

fn update(value: &Value, events: &mut Vec<Event>) {
    let Some(update) = value.pointer("/params/update") else {
        unknown("session/update", events);
        return;
    };
    match text(update, &["sessionUpdate"]) {
        "agent_message_chunk" => say(text(update, &["content", "text"]), events),
        "agent_thought_chunk" => events.push(Event::Reasoning),
        "tool_call" => events.push(Event::Tool(text(update, &["kind"]).into())),
        "tool_call_update" => {
            if text(update, &["status"]) == "failed" {
                events.push(Event::ToolFailed);
            }
        }
        "user_message_chunk"
        | "plan"
        | "available_commands_update"
        | "current_mode_update"
        | "config_option_update"
        | "session_info_update"
        | "usage_update" => {}
        other => unknown(&format!("session/update/{other}"), events),
    }
}

fn ended(result: &Value, events: &mut Vec<Event>) {
    if let Some(usage) = result.get("usage").filter(|usage| usage.is_object()) {
        let thought = count(usage, &["thoughtTokens"]).unwrap_or(0);
        let tokens = Tokens {
            uncached: count(usage, &["inputTokens"]),
            cache_read: count(usage, &["cachedReadTokens"]),
            cache_write: count(usage, &["cachedWriteTokens"]),
            output: count(usage, &["outputTokens"]).map(|out| out.saturating_add(thought)),
        };
        let mut sample = Sample::new(Kind::Final, tokens);
        sample.own_total = count(usage, &["totalTokens"]);
        sample.micros = micros(usage, "cost");
        events.push(Event::Usage(sample));
    }
    let reason = text(result, &["stopReason"]);
    events.push(Event::Ended(match reason {
        "end_turn" => Claim::Success,
        "max_tokens" => Claim::because(Why::CutShort, "the agent reached its limit of tokens"),
        "max_turn_requests" => {
            Claim::because(Why::TurnLimit, "the agent reached its limit of requests")
        }
        "cancelled" => Claim::because(Why::Interrupted, "the agent was cancelled"),
        "refusal" => Claim::because(Why::Error, "the agent refused"),
        other => Claim::failed(if other.is_empty() {
            "no stop reason"
        } else {
            other
        }),
    }));
}
