//! What the worker needs from outside, as traits in domain types.
//!
//! Invariant: nothing here knows of gRPC; a call that comes back with an error has changed nothing that the worker
//! may rely on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use autopack_bus::Bus;
use autopack_domain::approval::Approval;
use autopack_domain::attempt::{Attempt, Intent};
use autopack_domain::integration::Seen;
use autopack_domain::plan::{PhaseSpec, Plan};
use autopack_domain::promotion::{Promotion, PromotionIntent, PromotionState};
use autopack_domain::run::{JobKind, Run, settle::Report};
use autopack_domain::states::AttemptState;
use autopack_domain::strategy::PhaseStrategy;
use autopack_domain::submission::Submission;
use autopack_domain::usage::Usage;
use autopack_domain::worker::WorkerProfile;
use autopack_domain::{AttemptUid, Cause, Fence, JobUid, RunUid, Timestamp, WorkerUid};
use uuid::Uuid;

use crate::error::CallError;
use crate::preflight::Findings;

/// Everything a worker is given.
#[derive(Clone)]
pub struct Ports {
    /// The registry.
    pub registry: Arc<dyn Registry>,
    /// Where jobs come from.
    pub bus: Arc<dyn Bus>,
    /// The wall clock, for as long as the registry has not told its own.
    pub clock: Arc<dyn Clock>,
    /// Called at each of [`crate::failpoints::ALL`].
    pub failpoint: fn(&str),
}

/// The wall clock; never used to decide who owns a lease.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

impl<F: Fn() -> Timestamp + Send + Sync> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}

/// A job as the bus announced it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobHint {
    /// The job.
    pub job: JobUid,
    /// What for.
    pub kind: JobKind,
    /// Its run.
    pub run: RunUid,
    /// Its attempt, for a phase.
    pub attempt: Option<AttemptUid>,
}

/// What a lease is about and the token that proves it: an attempt, or a job that is not a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The run.
    pub run: RunUid,
    /// The attempt's or job's uid.
    pub uid: Uuid,
    /// The fence of the lease.
    pub fence: Fence,
}

/// The registry's terms for a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The worker's uid.
    pub worker: WorkerUid,
    /// How long a lease lasts without renewal.
    pub lease: Duration,
    /// How often to renew.
    pub heartbeat: Duration,
    /// The registry's wall clock when it answered.
    pub time: Option<Timestamp>,
}

/// What a heartbeat says beside the leases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Presence {
    /// The worker takes no new jobs.
    pub draining: bool,
    /// It has ended.
    pub leaving: bool,
    /// Versions of its tools, once they are known.
    pub tool_versions: BTreeMap<String, String>,
}

/// All that a leased job needs.
#[derive(Debug, Clone)]
pub struct Leased {
    /// Fence of the lease.
    pub fence: Fence,
    /// The run.
    pub run: Run,
    /// The attempt, for a phase.
    pub attempt: Option<Attempt>,
    /// The phase's specification.
    pub phase: Option<PhaseSpec>,
    /// The phase's strategy.
    pub strategy: Option<PhaseStrategy>,
    /// Cause and detail of the previous attempt's failure; empty: there was none.
    pub previous: (String, String),
    /// Attempts of the phase that failed and were charged before.
    pub charged: u32,
    /// The plan, for a bootstrap.
    pub plan: Option<Plan>,
    /// Attempts with intents, newest first.
    pub intents: Vec<Attempt>,
    /// Id of the tier.
    pub tier_id: String,
    /// The result to apply, for a phase whose builder is `external`.
    pub submission: Option<Submission>,
    /// A person's yes to the phase's change.
    pub approval: Option<Approval>,
    /// For a bootstrap: what each other worker can do that the run's labels admit.
    pub fleet: Vec<Abilities>,
    /// For a promotion: what is to be promoted.
    pub promotion: Option<Promotion>,
    /// For a look at the integration branch: the branch to compare with; empty: none but the base.
    pub compare_with: String,
}

/// What another worker can do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Such as `tool:cargo`.
    pub capabilities: BTreeSet<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// Answer to a renewal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pulse {
    /// Leases that are no longer the worker's.
    pub stop: Vec<Uuid>,
    /// The registry does not know the worker.
    pub unknown_worker: bool,
    /// The registry's wall clock when it answered.
    pub time: Option<Timestamp>,
}

/// Whether it is the attempt's turn to land.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// It is.
    pub granted: bool,
    /// The branch's tip that the registry knows.
    pub tip: String,
}

/// What an attempt's end meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// The tier that this completed, with its index.
    pub completed_tier: Option<(String, u32)>,
    /// The branch's tip now.
    pub tip: String,
}

/// A stored artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// SHA-256 in hex.
    pub digest: String,
    /// Bytes.
    pub size: u64,
}

/// The registry as the worker sees it. Every method has a deadline of its own.
#[async_trait]
pub trait Registry: Send + Sync {
    /// Identity of the database behind it, once an answer has named it.
    fn database(&self) -> Option<String> {
        None
    }
    /// Announces the worker.
    async fn register(&self, profile: &WorkerProfile) -> Result<Terms, CallError>;
    /// Takes a job.
    async fn lease_job(&self, job: &JobHint, worker: WorkerUid) -> Result<Leased, CallError>;
    /// Renews leases, and says how the worker stands.
    async fn heartbeat(
        &self,
        worker: WorkerUid,
        leases: &[(Uuid, Fence)],
        presence: &Presence,
    ) -> Result<Pulse, CallError>;
    /// Tells the stage of an attempt.
    async fn report_stage(&self, of: Held, stage: AttemptState) -> Result<(), CallError>;
    /// Books usage that was not sent before.
    async fn record_usage(&self, of: Held, usage: &[Usage]) -> Result<(), CallError>;
    /// Waits for the landing turn.
    async fn await_turn(&self, of: Held, wait: Duration) -> Result<Turn, CallError>;
    /// Stores the intent to move the branch.
    async fn prepare_landing(&self, of: Held, intent: &Intent) -> Result<(), CallError>;
    /// Ends an attempt.
    async fn settle(&self, of: Held, report: &Report) -> Result<Settled, CallError>;
    /// Gives an attempt or job back.
    async fn release(&self, of: Held) -> Result<(), CallError>;
    /// Ends a bootstrap well.
    async fn finish_bootstrap(&self, of: Held, findings: &Findings) -> Result<(), CallError>;
    /// Ends a cleanup well; the attempt whose commit the branch holds, if any.
    async fn finish_cleanup(&self, of: Held, landed: Option<AttemptUid>) -> Result<(), CallError>;
    /// Stores the move of a branch that a promotion is about to make.
    async fn prepare_promotion(&self, of: Held, intent: &PromotionIntent) -> Result<(), CallError>;

    /// Forgets the move that an earlier worker stored: the branch was read and does not hold it. Whether the promotion
    /// has ended by this.
    async fn withdraw_promotion(&self, of: Held) -> Result<bool, CallError>;
    /// Ends a promotion well; what the branch holds.
    async fn finish_promotion(
        &self,
        of: Held,
        state: PromotionState,
        commit: &str,
    ) -> Result<(), CallError>;
    /// Ends a look at the integration branch.
    async fn finish_look(&self, of: Held, seen: &Seen) -> Result<(), CallError>;
    /// Ends a job with a cause.
    async fn fail_job(&self, of: Held, cause: Cause, detail: &str) -> Result<(), CallError>;
    /// A completed tier is held by a private ref.
    async fn record_snapshot(&self, run: RunUid, tier: u32, commit: &str) -> Result<(), CallError>;
    /// Stores an artifact.
    async fn put_artifact(&self, bytes: Vec<u8>) -> Result<Stored, CallError>;
    /// Reads an artifact of at most `max` bytes.
    async fn get_artifact(&self, digest: &str, max: usize) -> Result<Vec<u8>, CallError>;
}
