//! How a run's integration branch stands in the target repository, as a worker saw it last.
//!
//! Invariant: what was seen carries the time at which it was looked at; a look that failed keeps what was seen before.

use crate::{Cause, time::Timestamp};

/// The branch beside another one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// The other one, as it was named.
    pub branch: String,
    /// Where it was; empty: it does not exist.
    pub tip: String,
    /// Commits of the integration branch that the other has not.
    pub ahead: u32,
    /// Commits of the other that the integration branch has not.
    pub behind: u32,
}

/// What a worker saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Where the integration branch was; empty: it does not exist.
    pub tip: String,
    /// Commits from the run's base to that tip.
    pub commits: u32,
    /// Beside what the plan names as its base.
    pub base: Compared,
    /// Beside the branch that was asked for; without a name: none was.
    pub target: Compared,
}

/// The status of a run's integration branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Integration {
    /// The branch to compare with; empty: none.
    pub target: String,
    /// When the last look was asked for.
    pub asked_at: Timestamp,
    /// When the last look ended.
    pub looked_at: Option<Timestamp>,
    /// What was seen.
    pub seen: Seen,
    /// Why the last look failed.
    pub cause: Option<Cause>,
    /// The detail for people.
    pub detail: String,
}
