//! Jobs that the bus gave up on: what they were, and why.
//!
//! Invariant: a job is in the queue until its dead letter is stored; one job of one stream has at most one
//! dead letter. A lost dead letter loses nothing: the registry knows what it still waits for.

use std::collections::BTreeMap;

use async_trait::async_trait;
use autopack_wire::r#gen::bus::v1::JobMessage;
use bytes::Bytes;
use prost::Message as _;

use crate::error::BusError;

/// Longest text of a reason's detail, in characters.
const LONGEST_DETAIL: usize = 500;

/// Why a job was given up on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadReason {
    /// Delivered as often as the configuration allows, and never acknowledged.
    MaxDeliveries,
    /// Its body is not a job.
    Unreadable,
    /// A worker gave it up: it can never be carried out.
    Refused,
    /// Somebody ended it by other means; its body is gone.
    Terminated,
}

impl DeadReason {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::MaxDeliveries,
        Self::Unreadable,
        Self::Refused,
        Self::Terminated,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxDeliveries => "MAX_DELIVERIES",
            Self::Unreadable => "UNREADABLE",
            Self::Refused => "REFUSED",
            Self::Terminated => "TERMINATED",
        }
    }

    /// The reason of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }

    /// Whether delivering the same job once more may go better.
    pub fn may_heal(self) -> bool {
        match self {
            Self::MaxDeliveries | Self::Terminated => true,
            Self::Unreadable | Self::Refused => false,
        }
    }
}

/// A job that was given up on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Identity of the job stream and the job's sequence in it.
    pub id: String,
    /// Where it stands among the dead letters; for pages.
    pub place: u64,
    /// Why.
    pub reason: DeadReason,
    /// What exactly happened.
    pub detail: String,
    /// The subject that the job was published to.
    pub subject: String,
    /// Its sequence in the job stream.
    pub sequence: u64,
    /// How often it was delivered.
    pub deliveries: u64,
    /// When, in microseconds since 1970.
    pub at: i64,
    /// The job's headers.
    pub headers: BTreeMap<String, String>,
    /// The job's body as it was; empty if it was gone.
    pub body: Bytes,
}

impl DeadLetter {
    /// The job, unless nobody can read it.
    pub fn job(&self) -> Option<JobMessage> {
        let job = JobMessage::decode(self.body.clone()).ok()?;
        (!job.job_uid.is_empty()).then_some(job)
    }
}

/// A page of dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadPage {
    /// Newest first.
    pub letters: Vec<DeadLetter>,
    /// Ask with this for what is older; `None`: no more.
    pub before: Option<u64>,
}

/// The dead letters of a bus.
#[async_trait]
pub trait DeadLetters {
    /// Makes dead letters of the jobs that the bus gave up on since the last call, and returns how many.
    /// `now` is their time where the bus has no clock. For the registry alone; a call that is dropped is
    /// carried on by the next.
    async fn bury(&self, now: i64) -> Result<u64, BusError>;

    /// Dead letters, newest first, at most `limit`.
    async fn dead_letters(&self, before: Option<u64>, limit: usize) -> Result<DeadPage, BusError>;

    /// The dead letter of this id.
    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, BusError>;

    /// Forgets a dead letter; false: there was none.
    async fn forget_dead_letter(&self, id: &str) -> Result<bool, BusError>;
}

/// One line, and not too long.
pub(crate) fn detail(text: &str) -> String {
    let line = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.chars().take(LONGEST_DETAIL).map(line).collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_words_and_details_have_one_line() {
        for reason in DeadReason::ALL {
            assert_eq!(DeadReason::parse(reason.as_str()), Some(reason));
        }
        assert_eq!(DeadReason::parse("other"), None);
        assert_eq!(detail(" a\r\nb\u{1} "), "a  b");
        assert_eq!(detail(&"x".repeat(9999)).len(), LONGEST_DETAIL);
    }
}
