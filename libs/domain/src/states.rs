//! The state sets of runs, tiers, phases and attempts (SEMANTICS 1.1, 1.2, plus `DONE_CANCELLED`).
//!
//! Invariant: these are the only spellings; database constraints, protobuf enums and documents are
//! compared with them by tests.

use crate::plan::closed;

closed!(
    /// A run's state: one function computes it from the run's phases ([`crate::run`]).
    RunState {
        /// Waits for admission.
        Queued = "QUEUED",
        /// The repository is being examined.
        PlanBootstrap = "PLAN_BOOTSTRAP",
        /// Frozen, not started.
        RunCreated = "RUN_CREATED",
        /// Started; no phase was leased yet, or none is in flight.
        PhaseQueueing = "PHASE_QUEUEING",
        /// A builder is at work.
        PhaseExecution = "PHASE_EXECUTION",
        /// A change set is being judged.
        Gate = "GATE",
        /// Gate steps are running.
        CiRunning = "CI_RUNNING",
        /// A tier is complete and held by a private ref.
        SnapshotCreated = "SNAPSHOT_CREATED",
        /// All phases complete, or skipped by request.
        DoneSuccess = "DONE_SUCCESS",
        /// A budget is spent.
        DoneFailedBudgetExhausted = "DONE_FAILED_BUDGET_EXHAUSTED",
        /// Scope, protected path, escape.
        DoneFailedPolicyViolation = "DONE_FAILED_POLICY_VIOLATION",
        /// Everything that a person must look at.
        DoneFailedRequiresHumanReview = "DONE_FAILED_REQUIRES_HUMAN_REVIEW",
        /// Repository, worker or tools.
        DoneFailedEnvironment = "DONE_FAILED_ENVIRONMENT",
        /// Cancelled by somebody.
        DoneCancelled = "DONE_CANCELLED",
    }
);

closed!(
    /// A tier's state.
    TierState {
        /// No phase was dispatched.
        Pending = "PENDING",
        /// A phase was dispatched.
        InProgress = "IN_PROGRESS",
        /// Every phase is complete or skipped by request.
        Complete = "COMPLETE",
        /// A phase failed.
        Failed = "FAILED",
        /// An earlier tier failed, or the run ended before.
        Skipped = "SKIPPED",
    }
);

closed!(
    /// A phase's state.
    PhaseState {
        /// Waits for its dependencies, its tier, a budget, a time, a submission, or a worker.
        Queued = "QUEUED",
        /// Its builder is at work.
        Executing = "EXECUTING",
        /// Its change set is being judged.
        Gate = "GATE",
        /// Its gate steps are running, or it is landing.
        CiRunning = "CI_RUNNING",
        /// Landed, or complete without a commit.
        Complete = "COMPLETE",
        /// Out of attempts.
        Failed = "FAILED",
        /// Will not run.
        Skipped = "SKIPPED",
    }
);

closed!(
    /// An attempt's state.
    AttemptState {
        /// On offer.
        Offered = "OFFERED",
        /// Leased; its builder is at work.
        Building = "BUILDING",
        /// Leased; its change set is being judged.
        Governing = "GOVERNING",
        /// Leased; its gate is running.
        Gating = "GATING",
        /// Leased; it has, or waits for, the landing turn.
        Landing = "LANDING",
        /// Ended well.
        Succeeded = "SUCCEEDED",
        /// Ended with a cause.
        Failed = "FAILED",
        /// Its worker stopped renewing the lease.
        Lost = "LOST",
        /// Its worker gave it back.
        HandedOver = "HANDED_OVER",
        /// The run was cancelled, or the offer was withdrawn.
        Cancelled = "CANCELLED",
    }
);

impl RunState {
    /// Whether the run has ended.
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Queued
            | Self::PlanBootstrap
            | Self::RunCreated
            | Self::PhaseQueueing
            | Self::PhaseExecution
            | Self::Gate
            | Self::CiRunning
            | Self::SnapshotCreated => false,
            Self::DoneSuccess
            | Self::DoneFailedBudgetExhausted
            | Self::DoneFailedPolicyViolation
            | Self::DoneFailedRequiresHumanReview
            | Self::DoneFailedEnvironment
            | Self::DoneCancelled => true,
        }
    }

    /// Whether the run has ended in a failure that a retry may reopen.
    pub const fn is_failed(self) -> bool {
        self.is_terminal() && !matches!(self, Self::DoneSuccess | Self::DoneCancelled)
    }
}

impl PhaseState {
    /// Whether the phase has ended.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Complete | Self::Failed | Self::Skipped)
    }

    /// Whether a worker holds it.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Executing | Self::Gate | Self::CiRunning)
    }
}

impl TierState {
    /// Whether the tier has ended.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Complete | Self::Failed | Self::Skipped)
    }
}

impl AttemptState {
    /// Whether a worker holds a lease on it.
    pub const fn is_leased(self) -> bool {
        matches!(
            self,
            Self::Building | Self::Governing | Self::Gating | Self::Landing
        )
    }

    /// Whether it has ended.
    pub const fn is_terminal(self) -> bool {
        !self.is_leased() && !matches!(self, Self::Offered)
    }
}
