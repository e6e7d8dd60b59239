//! Tokens that a builder used, with where the number came from.
//!
//! Invariant (SEMANTICS 10.1): the total is authoritative; a split that nobody reported is absent,
//! never guessed.

use serde::{Deserialize, Serialize};

use crate::plan::closed;

closed!(
    /// Where a count came from.
    Provenance {
        /// The builder or its provider said so.
        Reported = "reported",
        /// Computed from reported figures.
        Derived = "derived",
        /// Nobody said; the reservation was charged.
        Estimated = "estimated",
        /// Not known.
        Unknown = "unknown",
    }
);

/// One usage event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Such as `anthropic`; empty if not told.
    #[serde(default)]
    pub provider: String,
    /// Such as a model's name; empty if not told.
    #[serde(default)]
    pub model: String,
    /// builder, auditor, doctor.
    pub role: String,
    /// Free text.
    #[serde(default)]
    pub purpose: String,
    /// All tokens.
    pub total: u64,
    /// Prompt tokens, if split.
    #[serde(default)]
    pub prompt: Option<u64>,
    /// Completion tokens, if split.
    #[serde(default)]
    pub completion: Option<u64>,
    /// Where the number came from.
    pub provenance: Provenance,
}
