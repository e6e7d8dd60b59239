//! Promotions: the result of a run that ended well, brought to another branch.
//!
//! Invariant: a promotion that ended never changes again; before the branch moves, the commit and the tip that it
//! replaces are stored, so that whoever comes after a crash tells by the branch what happened.

use crate::{Cause, PromotionUid, plan::closed, time::Timestamp};

closed!(
    /// Where a promotion stands.
    PromotionState {
        /// Waits for a worker, or for whoever opens the pull request.
        Pending = "PENDING",
        /// The branch holds the tested tree by our doing.
        Landed = "LANDED",
        /// The branch held it before.
        AlreadyThere = "ALREADY_THERE",
        /// A pull request asks for it.
        Opened = "OPENED",
        /// It ended without; the cause says why.
        Failed = "FAILED",
    }
);

impl PromotionState {
    /// Whether it has ended.
    pub fn is_terminal(self) -> bool {
        self != Self::Pending
    }
}

closed!(
    /// How the tested commit joins the branch.
    PromotionStrategy {
        /// The branch moves to the tested commit itself.
        FastForward = "ff",
        /// A commit with both as parents.
        Merge = "merge",
        /// One commit above the branch, without the run's own.
        Squash = "squash",
    }
);

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// How it joins.
    pub strategy: PromotionStrategy,
    /// The branch that is to hold the result.
    pub target: String,
    /// Where that branch has to be; empty: wherever it is.
    pub expected: String,
    /// A pull request on the repository's host asks for it; no branch moves.
    pub pull_request: bool,
}

/// The move that was about to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromotionIntent {
    /// Where the branch was.
    pub from: String,
    /// Where it was to go.
    pub commit: String,
}

/// One promotion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// Its uid.
    pub uid: PromotionUid,
    /// What is asked for.
    pub wanted: Wanted,
    /// Who asks; for people.
    pub by: String,
    /// The `request_id` that made it; empty: none.
    pub request: String,
    /// The commit whose tree the gates have seen: the run's tip.
    pub tested: String,
    /// Where it stands.
    pub state: PromotionState,
    /// The move that was prepared last.
    pub intent: Option<PromotionIntent>,
    /// What the branch was moved to; empty before.
    pub commit: String,
    /// The pull request; empty: none.
    pub url: String,
    /// Why it failed; while it is open: why the last try did.
    pub cause: Option<Cause>,
    /// The detail for people.
    pub detail: String,
    /// When it was asked for; for a pull request: when it was last.
    pub asked_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl Cause {
    /// Whether a worker that gives this cause for a promotion has read the branch, and found it without the result.
    pub fn saw_target(self) -> bool {
        matches!(
            self,
            Self::PromotionTargetMissing
                | Self::PromotionTargetMoved
                | Self::PromotionTargetCheckedOut
                | Self::PromotionTargetProtected
                | Self::PromotionTargetSymbolic
                | Self::PromotionDiverged
                | Self::PromotionConflict
                | Self::PromotionUntested
                | Self::PromotionTipMoved
        )
    }
}

/// How a promotion ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promoted {
    /// `Landed`, `AlreadyThere` or `Opened`.
    pub state: PromotionState,
    /// What the branch holds; empty for a pull request.
    pub commit: String,
    /// The pull request.
    pub url: String,
}
