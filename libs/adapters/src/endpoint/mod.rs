//! Model endpoints as data: what is sent to them, and what their streams and refusals mean.
//!
//! Invariant: pure, as the rest of the crate; no key is ever part of a body, and what a stream holds is bounded.
//!
//! - [`Protocol`]: the two that are spoken
//! - [`Request`]: one question, and its body
//! - [`Reader`]: a stream of events to a [`Reply`]
//! - [`Refusal`]: what an answer that is none means

mod anthropic;
mod openai;
mod refusal;
mod sse;
mod stream;

use serde_json::{Value, json};

pub use refusal::{Refusal, Told, refusal};
pub use sse::{Event, Sse};
pub use stream::{Reader, Reply, Stop};

/// What an endpoint speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Anthropic Messages.
    Anthropic,
    /// Chat completions as OpenAI and those compatible with it have them.
    Openai,
}

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// We.
    User,
    /// The model.
    Model,
}

/// One question.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The model's name at the provider.
    pub model: &'a str,
    /// Rules of the answer.
    pub system: &'a str,
    /// What was said so far, ours first and last.
    pub turns: &'a [(Who, String)],
    /// Most tokens of the answer.
    pub max_output: u64,
    /// The name of that bound in chat completions; older servers have `max_tokens`.
    pub output_key: &'a str,
}

impl Protocol {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Anthropic, Self::Openai];

    /// The spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::Openai => "openai",
        }
    }

    /// The one with this spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }

    /// The path below the provider's address.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Anthropic => "/v1/messages",
            Self::Openai => "/chat/completions",
        }
    }

    /// Headers of a call with this key; empty: none.
    pub fn headers(self, key: &str) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("accept", "text/event-stream".to_owned()),
        ];
        match self {
            Self::Anthropic => {
                headers.push(("anthropic-version", "2023-06-01".to_owned()));
                if !key.is_empty() {
                    headers.push(("x-api-key", key.to_owned()));
                }
            }
            Self::Openai if !key.is_empty() => {
                headers.push(("authorization", format!("Bearer {key}")));
            }
            Self::Openai => {}
        }
        headers
    }
}

impl Request<'_> {
    /// The body of the call, which asks for a stream with usage.
    pub fn body(&self, protocol: Protocol) -> Value {
        let turns = self.turns.iter().map(|(who, text)| {
            let role = match who {
                Who::User => "user",
                Who::Model => "assistant",
            };
            json!({ "role": role, "content": text })
        });
        match protocol {
            // The rules are the same from phase to phase, so they are what is worth a cache.
            Protocol::Anthropic => json!({
                "model": self.model,
                "max_tokens": self.max_output,
                "stream": true,
                "system": [{
                    "type": "text",
                    "text": self.system,
                    "cache_control": { "type": "ephemeral" }
                }],
                "messages": turns.collect::<Vec<_>>(),
            }),
            Protocol::Openai => {
                let rules = json!({ "role": "system", "content": self.system });
                let mut body = json!({
                    "model": self.model,
                    "stream": true,
                    "stream_options": { "include_usage": true },
                    "messages": std::iter::once(rules).chain(turns).collect::<Vec<_>>(),
                });
                if let Some(map) = body.as_object_mut() {
                    map.insert(self.output_key.to_owned(), self.max_output.into());
                }
                body
            }
        }
    }
}
