//! The strategy: what is compiled from ruleset, backlog, safety profile and plan, then frozen with the run.
//!
//! Invariant: budgets, attempts, gate profile, auditor profile and ageing thresholds of a run come from
//! here alone. `policy::strategy` compiles it; this is only its shape (SEMANTICS 4.3).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::plan::{GateProfile, SafetyProfile};

/// The frozen strategy of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strategy {
    /// Always `v1`.
    pub version: String,
    /// As in the plan.
    pub safety_profile: SafetyProfile,
    /// Cap on tokens of the run.
    pub tokens: u64,
    /// Phases that may be dispatched.
    pub phases: u32,
    /// Minutes since the first lease, pauses left out.
    pub minutes: u32,
    /// Distinct minor issues of the run.
    pub max_minor_issues: u32,
    /// Runs after which an open minor issue counts as aged.
    pub aging_runs: u32,
    /// Tiers after which an open minor issue counts as aged.
    pub aging_tiers: u32,
    /// Keys of minor issues that had aged when the run was created: each counts as major when it is seen.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub aged: BTreeSet<String>,
    /// Per tier, in plan order.
    pub tier: Vec<TierStrategy>,
    /// Per phase, tier by tier in plan order.
    pub phase: Vec<PhaseStrategy>,
}

/// Limits of one tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierStrategy {
    /// Cap on tokens.
    pub tokens: u64,
    /// Cap on gate runs.
    pub ci_runs: u32,
    /// Distinct minor issues tolerated.
    pub max_minor_issues: u32,
    /// Major issues tolerated.
    pub max_major_issues: u32,
}

/// Limits and choices of one phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseStrategy {
    /// Attempts that may be charged.
    pub max_attempts: u32,
    /// Infrastructure failures that may be charged.
    pub max_infra: u32,
    /// Cap on tokens.
    pub tokens: u64,
    /// What is reserved for an attempt.
    pub estimate: u64,
    /// First back-off after a charged failure, in seconds.
    pub backoff_seconds: u32,
    /// Which steps of an inferred gate count.
    pub gate_profile: GateProfile,
    /// Review focus; empty for none.
    pub auditor_profile: String,
    /// Whether the result lands without a person.
    pub auto_apply: bool,
}
