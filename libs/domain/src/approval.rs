//! Approvals: what a change needs a person's word for, and the word.
//!
//! Invariant: a word holds for one tree on one tip; nobody gives it to a change of their own, and no word in time is a no.

use serde::{Deserialize, Serialize};

use crate::{plan::closed, time::Timestamp};

/// Seconds that a decision may take.
pub const DECISION_SECONDS: u32 = 86_400;
/// Reasons that a request names.
pub const MOST_REASONS: usize = 50;

closed!(
    /// How much a change can break, by what it touches.
    RiskLevel {
        /// Nothing out of the ordinary.
        Low = "low",
        /// Worth a look.
        Medium = "medium",
        /// To be looked at before it lands.
        High = "high",
        /// Several things at once that are each a risk.
        Critical = "critical",
    }
);

closed!(
    /// Which rule asks.
    Guard {
        /// The plan wants a person's word for the path.
        Path = "path",
        /// The risk score is high.
        Risk = "risk",
        /// Much more is deleted than added.
        Deletion = "deletion",
        /// Much of what a file declares is gone.
        Symbols = "symbols",
        /// The phase's category is never applied without a review.
        Category = "category",
    }
);

/// One reason to ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The rule.
    pub guard: Guard,
    /// The path; empty: the change as a whole.
    #[serde(default)]
    pub path: String,
    /// The facts, for people.
    pub detail: String,
}

/// What a worker asks for at the end of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRequest {
    /// The tree that is to be approved.
    pub tree: String,
    /// The tip that it was built on; empty: there was none.
    pub tip: String,
    /// How much it can break.
    pub risk: RiskLevel,
    /// Why it is asked; at most [`MOST_REASONS`].
    pub asks: Vec<Ask>,
    /// Who built it.
    pub asked_by: String,
}

/// A person's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether it may land.
    pub approved: bool,
    /// Who says so.
    pub by: String,
    /// Why, for people.
    #[serde(default)]
    pub note: String,
    /// When.
    pub at: Timestamp,
}

/// A request with what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// What is asked.
    pub request: ApprovalRequest,
    /// Number of the attempt that asks.
    pub attempt: u32,
    /// When.
    pub asked_at: Timestamp,
    /// The word; none: it is awaited.
    #[serde(default)]
    pub decision: Option<Decision>,
}

impl Approval {
    /// Whether somebody has approved it.
    pub fn is_granted(&self) -> bool {
        self.decision.as_ref().is_some_and(|word| word.approved)
    }
}
