//! Tiers and the counts of phases.

use autopack_domain::{
    issue::{Cleanliness, IssueCounts},
    states::TierState,
    tier::{PhaseCounts, Tier},
};

use super::{
    at::{At, Decode},
    time::time_to_proto,
};
use crate::types;

impl From<&PhaseCounts> for types::PhaseCounts {
    fn from(counts: &PhaseCounts) -> Self {
        Self {
            queued: counts.queued,
            executing: counts.executing,
            gate: counts.gate,
            ci_running: counts.ci_running,
            complete: counts.complete,
            failed: counts.failed,
            skipped: counts.skipped,
        }
    }
}

impl From<types::PhaseCounts> for PhaseCounts {
    fn from(counts: types::PhaseCounts) -> Self {
        Self {
            queued: counts.queued,
            executing: counts.executing,
            gate: counts.gate,
            ci_running: counts.ci_running,
            complete: counts.complete,
            failed: counts.failed,
            skipped: counts.skipped,
        }
    }
}

impl Decode<types::PhaseCounts> for PhaseCounts {
    fn decode(message: types::PhaseCounts, _: &At<'_>) -> Option<Self> {
        Some(message.into())
    }
}

impl From<&IssueCounts> for types::IssueCounts {
    fn from(counts: &IssueCounts) -> Self {
        Self {
            minor: counts.minor,
            major: counts.major,
            resolved: counts.resolved,
        }
    }
}

/// Absent from a registry that counts none: none.
pub(super) fn issue_counts(counts: Option<types::IssueCounts>) -> IssueCounts {
    let counts = counts.unwrap_or_default();
    IssueCounts {
        minor: counts.minor,
        major: counts.major,
        resolved: counts.resolved,
    }
}

impl From<(usize, &Tier)> for types::Tier {
    fn from((index, tier): (usize, &Tier)) -> Self {
        Self {
            id: tier.id.to_string(),
            index: index as u32,
            state: types::tier::State::from(tier.state).into(),
            counts: Some((&tier.counts).into()),
            tokens: Some((&tier.tokens).into()),
            ci_runs: Some((&tier.ci_runs).into()),
            snapshot: tier.snapshot.clone(),
            issues: Some((&tier.issues).into()),
            cleanliness: tier.cleanliness.as_str().to_owned(),
            start_time: tier.started_at.map(time_to_proto),
            complete_time: tier.completed_at.map(time_to_proto),
        }
    }
}

impl Decode<types::Tier> for (usize, Tier) {
    fn decode(message: types::Tier, at: &At<'_>) -> Option<Self> {
        let id = at.field("id").parse(&message.id);
        let state = TierState::decode(message.state, &at.field("state"));
        let counts = at.field("counts").message(message.counts);
        let tokens = at.field("tokens").message(message.tokens);
        let ci_runs = at.field("ci_runs").message(message.ci_runs);
        let started_at = at.field("start_time").time_optional(message.start_time);
        let completed_at = at
            .field("complete_time")
            .time_optional(message.complete_time);
        let cleanliness = at.field("cleanliness").word_optional(
            &message.cleanliness,
            Cleanliness::parse,
            Cleanliness::spellings,
        );
        Some((
            message.index as usize,
            Tier {
                id: id?,
                state: state?,
                counts: counts?,
                tokens: tokens?,
                ci_runs: ci_runs?,
                snapshot: message.snapshot,
                issues: issue_counts(message.issues),
                cleanliness: cleanliness?.unwrap_or(Cleanliness::Clean),
                started_at: started_at?,
                completed_at: completed_at?,
            },
        ))
    }
}

super::try_from_proto!(types::Tier => (usize, Tier));
