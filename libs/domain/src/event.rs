//! What is recorded: one event per fact, with the state after it.
//!
//! Invariant: the views of an event are absolute, never differences, so applying an event twice or
//! after a newer one with a lower sequence left out is harmless.

use crate::{
    EventKind,
    attempt::Attempt,
    phase::Phase,
    run::{Job, Run},
    tier::Tier,
    time::Timestamp,
    usage::Usage,
};

/// A fact, before it has a sequence number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The run after it; always the version and accounts at that point.
    pub run: Run,
    /// The tier concerned, with its index.
    pub tier: Option<(usize, Tier)>,
    /// The phase concerned, with its index.
    pub phase: Option<(usize, Phase)>,
    /// The attempt concerned.
    pub attempt: Option<Attempt>,
    /// The job concerned.
    pub job: Option<Job>,
    /// For people; empty where the kind says all.
    pub text: String,
}

/// Tokens that were used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageFact {
    /// Index of the phase.
    pub phase: usize,
    /// The attempt; nil: of none.
    pub attempt: crate::ids::AttemptUid,
    /// The figures.
    pub usage: Usage,
    /// When it was used; `None`: when it is recorded.
    pub at: Option<Timestamp>,
}

impl UsageFact {
    /// What was used for a result that no attempt took.
    pub fn outside(phase: usize, usage: Usage) -> Self {
        Self {
            phase,
            attempt: crate::ids::AttemptUid(uuid::Uuid::nil()),
            usage,
            at: None,
        }
    }
}

/// A stored state that takes the place of another spelling, recorded with the rows that hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairFact {
    /// Uid of the record.
    pub uid: uuid::Uuid,
    /// The table.
    pub table: &'static str,
    /// Key of the row, parts joined by `/`.
    pub row: String,
    /// What stood there.
    pub before: String,
    /// What stands there since.
    pub after: &'static str,
    /// The registry that did it.
    pub epoch: u64,
}

/// A failure fact that belongs to an attempt (SEMANTICS 10.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureFact {
    /// Index of the phase.
    pub phase: usize,
    /// The attempt.
    pub attempt: crate::ids::AttemptUid,
    /// The cause's code.
    pub cause: String,
    /// Class of the text.
    pub class: String,
    /// First 16 hex of the digest of the normalised text.
    pub signature: String,
    /// The text, bounded and redacted.
    pub raw: String,
}
