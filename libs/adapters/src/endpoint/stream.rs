//! A stream of events as one reply.
//!
//! Invariant: a reply whose stream broke off is never complete, and its tokens never claim to be the provider's own
//! count.

use autopack_domain::usage::Provenance;
use serde_json::Value;

use super::{Protocol, anthropic, openai, sse::Sse};
use crate::usage::{Metered, Tokens, check};

/// The longest text of a reply.
const MAX_TEXT: usize = 8 * 1024 * 1024;

/// Why a model ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It had said everything.
    End,
    /// It had used what it was given.
    Length,
    /// It, or a filter, would not answer.
    Declined,
    /// Something else, by name.
    Other(String),
}

impl Stop {
    /// The name in facts.
    pub fn as_str(&self) -> &str {
        match self {
            Self::End => "end",
            Self::Length => "length",
            Self::Declined => "declined",
            Self::Other(name) => name,
        }
    }
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The text.
    pub text: String,
    /// Why it ended; `None`: nobody said.
    pub stop: Option<Stop>,
    /// The model that answered, as it calls itself.
    pub model: String,
    /// Counters, as told.
    pub tokens: Tokens,
    /// The provider's own total, if it tells one.
    pub own_total: Option<u64>,
    /// The final figures were told.
    pub counted: bool,
    /// The stream came to its end.
    pub complete: bool,
    /// An error in the middle of the stream: its kind and words.
    pub error: Option<(String, String)>,
    /// The text was longer than what is kept.
    pub too_long: bool,
}

impl Reply {
    pub(super) fn say(&mut self, text: &str) {
        if self.text.len() + text.len() > MAX_TEXT {
            self.too_long = true;
        } else {
            self.text.push_str(text);
        }
    }

    /// What it used, for a question of so many bytes; whether the figures disagreed.
    pub fn metered(&self, prompt_bytes: u64) -> (Metered, bool) {
        let mut tokens = self.tokens;
        let written = (self.text.len() as u64).div_ceil(4);
        if self.counted {
            let (total, odd) = check(&mut tokens, self.own_total);
            let provenance = if odd {
                Provenance::Derived
            } else {
                Provenance::Reported
            };
            let metered = Metered {
                tokens,
                total,
                micros: None,
                provenance,
                partial: false,
            };
            return (metered, odd);
        }
        // The input was told at the beginning: only the answer is a guess.
        let told = tokens.input().is_some();
        if !told {
            tokens.uncached = Some(prompt_bytes.div_ceil(4));
        }
        tokens.output = Some(tokens.output.unwrap_or(0).max(written));
        let metered = Metered {
            tokens,
            total: tokens.sum().unwrap_or(0),
            micros: None,
            provenance: if told {
                Provenance::Derived
            } else {
                Provenance::Estimated
            },
            partial: true,
        };
        (metered, false)
    }
}

/// Reads a stream.
#[derive(Clone, Debug)]
pub struct Reader {
    protocol: Protocol,
    sse: Sse,
    reply: Reply,
}

impl Reader {
    /// At its beginning.
    pub fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            sse: Sse::default(),
            reply: Reply::default(),
        }
    }

    /// Takes bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        for event in self.sse.feed(bytes) {
            if event.data == "[DONE]" {
                self.reply.complete = true;
                continue;
            }
            let Ok(value) = serde_json::from_str::<Value>(&event.data) else {
                continue;
            };
            match self.protocol {
                Protocol::Anthropic => anthropic::take(&mut self.reply, &value),
                Protocol::Openai => openai::take(&mut self.reply, &value),
            }
        }
    }

    /// Whether nothing more is to be read.
    pub fn is_done(&self) -> bool {
        self.reply.complete || self.reply.error.is_some() || self.is_broken()
    }

    /// Whether the stream is more than can be held.
    pub fn is_broken(&self) -> bool {
        self.sse.is_broken() || self.reply.too_long
    }

    /// So far.
    pub fn reply(&self) -> &Reply {
        &self.reply
    }

    /// In the end.
    pub fn finish(self) -> Reply {
        self.reply
    }
}
