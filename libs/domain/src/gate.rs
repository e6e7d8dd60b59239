//! The four verdicts of a gate (DESIGN rule 5) and the counts that a test runner reports.
//!
//! Invariant: only [`Verdict::Passed`] and [`Verdict::NotRequired`] let a tree land.

use serde::{Deserialize, Serialize};

use crate::Cause;

/// What a gate says about one tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Every step ended well, and each `test` step ran tests.
    Passed {
        /// Tests counted over all steps; `None` where no runner reported a count.
        tests: Option<u64>,
    },
    /// A step ran and is red.
    Failed {
        /// Ids of failing tests, as far as the runner names them (bounded).
        ids: Vec<String>,
    },
    /// Nothing can be said: the cause is one of the `GATE_*` of the infrastructure class.
    Inconclusive {
        /// Why.
        cause: Cause,
    },
    /// The plan declares that there is no gate.
    NotRequired,
}

impl Verdict {
    /// Whether a tree with this verdict may land.
    pub fn lands(&self) -> bool {
        match self {
            Self::Passed { .. } | Self::NotRequired => true,
            Self::Failed { .. } | Self::Inconclusive { .. } => false,
        }
    }

    /// The word of the verdict, as in commit trailers.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed { .. } => "passed",
            Self::Failed { .. } => "failed",
            Self::Inconclusive { .. } => "inconclusive",
            Self::NotRequired => "not_required",
        }
    }
}

/// Counts that a test runner printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestCounts {
    /// Tests that ran and passed.
    pub passed: u64,
    /// Tests that ran and failed, errors included.
    pub failed: u64,
    /// Tests that were collected and not run.
    pub skipped: u64,
}
