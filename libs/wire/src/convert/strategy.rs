//! Strategies.

use autopack_domain::{
    plan::{GateProfile, SafetyProfile},
    strategy::{PhaseStrategy, Strategy, TierStrategy},
};

use super::at::{At, Decode};
use crate::types;

impl From<&Strategy> for types::Strategy {
    fn from(strategy: &Strategy) -> Self {
        Self {
            version: strategy.version.clone(),
            safety_profile: strategy.safety_profile.as_str().to_owned(),
            tokens: strategy.tokens,
            phases: strategy.phases,
            minutes: strategy.minutes,
            max_minor_issues: strategy.max_minor_issues,
            aging_runs: strategy.aging_runs,
            aging_tiers: strategy.aging_tiers,
            aged: strategy.aged.iter().cloned().collect(),
            tier: strategy.tier.iter().map(Into::into).collect(),
            phase: strategy.phase.iter().map(Into::into).collect(),
        }
    }
}

impl Decode<types::Strategy> for Strategy {
    fn decode(message: types::Strategy, at: &At<'_>) -> Option<Self> {
        let safety_profile = at.field("safety_profile").word(
            &message.safety_profile,
            SafetyProfile::parse,
            SafetyProfile::spellings,
        );
        let tier = at.field("tier").list(message.tier);
        let phase = at.field("phase").list(message.phase);
        Some(Self {
            version: message.version,
            safety_profile: safety_profile?,
            tokens: message.tokens,
            phases: message.phases,
            minutes: message.minutes,
            max_minor_issues: message.max_minor_issues,
            aging_runs: message.aging_runs,
            aging_tiers: message.aging_tiers,
            aged: message.aged.into_iter().collect(),
            tier: tier?,
            phase: phase?,
        })
    }
}

impl From<&TierStrategy> for types::TierStrategy {
    fn from(tier: &TierStrategy) -> Self {
        Self {
            tokens: tier.tokens,
            ci_runs: tier.ci_runs,
            max_minor_issues: tier.max_minor_issues,
            max_major_issues: tier.max_major_issues,
        }
    }
}

impl Decode<types::TierStrategy> for TierStrategy {
    fn decode(message: types::TierStrategy, _: &At<'_>) -> Option<Self> {
        Some(Self {
            tokens: message.tokens,
            ci_runs: message.ci_runs,
            max_minor_issues: message.max_minor_issues,
            max_major_issues: message.max_major_issues,
        })
    }
}

impl From<&PhaseStrategy> for types::PhaseStrategy {
    fn from(phase: &PhaseStrategy) -> Self {
        Self {
            max_attempts: phase.max_attempts,
            max_infra: phase.max_infra,
            tokens: phase.tokens,
            estimate: phase.estimate,
            backoff_seconds: phase.backoff_seconds,
            gate_profile: phase.gate_profile.as_str().to_owned(),
            auditor_profile: phase.auditor_profile.clone(),
            auto_apply: phase.auto_apply,
        }
    }
}

impl Decode<types::PhaseStrategy> for PhaseStrategy {
    fn decode(message: types::PhaseStrategy, at: &At<'_>) -> Option<Self> {
        let gate_profile = at.field("gate_profile").word(
            &message.gate_profile,
            GateProfile::parse,
            GateProfile::spellings,
        )?;
        Some(Self {
            max_attempts: message.max_attempts,
            max_infra: message.max_infra,
            tokens: message.tokens,
            estimate: message.estimate,
            backoff_seconds: message.backoff_seconds,
            gate_profile,
            auditor_profile: message.auditor_profile,
            auto_apply: message.auto_apply,
        })
    }
}

super::try_from_proto!(types::Strategy => Strategy, types::PhaseStrategy => PhaseStrategy);
