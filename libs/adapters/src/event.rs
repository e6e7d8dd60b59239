//! The events that every dialect is translated into.
//!
//! Invariant: an event is small; long texts are clipped before they come here.

use crate::claim::Claim;
use crate::usage::Tokens;

/// One thing that an agent told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Its own id of the session.
    Session(String),
    /// The model that answers.
    Model(String),
    /// Text for the reader.
    Text(String),
    /// It thinks; the words are not kept.
    Reasoning,
    /// It began to use a tool of this name.
    Tool(String),
    /// A tool ended badly.
    ToolFailed,
    /// Something was not permitted.
    Denied,
    /// It met an error and goes on, or is about to end.
    Error(String),
    /// Tokens.
    Usage(Sample),
    /// It says that it has ended.
    Ended(Claim),
    /// It goes on after it said that it had ended: a further turn.
    Resumed,
    /// An event whose name no parser knows; kept by name.
    Unknown(String),
}

/// How a count relates to others of the same stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The total of the whole call; the last one counts.
    Final,
    /// The running total of the session; the last one counts, also after a fall.
    Running,
    /// What one step used; all count, one per id.
    Step(Option<String>),
    /// What one message used, told again in the final total; counts only if there is none. The last one per id counts.
    Message(String),
}

/// Tokens with what they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// How it adds up.
    pub kind: Kind,
    /// The counters.
    pub tokens: Tokens,
    /// The agent's own total, if it gives one.
    pub own_total: Option<u64>,
    /// Money in millionths of a dollar, if told.
    pub micros: Option<u64>,
    /// A counter was computed from others.
    pub derived: bool,
}

impl Sample {
    /// Counters without a total or money.
    pub fn new(kind: Kind, tokens: Tokens) -> Self {
        Self {
            kind,
            tokens,
            own_total: None,
            micros: None,
            derived: false,
        }
    }
}
