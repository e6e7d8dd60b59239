//! Phases, with their index in the run.

use autopack_domain::{
    Cause,
    phase::{Phase, PhaseOutcome},
    states::PhaseState,
};

use super::{
    at::{At, Decode},
    time::time_to_proto,
};
use crate::types;

impl From<(usize, &Phase)> for types::Phase {
    fn from((index, phase): (usize, &Phase)) -> Self {
        Self {
            id: phase.id.to_string(),
            index: index as u32,
            tier: phase.tier as u32,
            place: phase.place as u32,
            state: types::phase::State::from(phase.state).into(),
            attempts_made: phase.attempts_made,
            attempts_charged: phase.attempts_charged,
            infra_charged: phase.infra_charged,
            crashes: phase.crashes,
            conflicts: phase.conflicts,
            not_before_time: phase.not_before.map(time_to_proto),
            cause: phase
                .cause
                .map_or_else(String::new, |c| c.code().to_owned()),
            detail: phase.detail.clone(),
            commit: phase.commit.clone(),
            outcome: phase
                .outcome
                .map_or_else(String::new, |o| o.as_str().to_owned()),
            tokens: Some((&phase.tokens).into()),
            current_attempt: phase.current.map_or_else(String::new, |a| a.to_string()),
            start_time: phase.started_at.map(time_to_proto),
            issues: Some((&phase.issues).into()),
            issue_state: phase.issues.state().as_str().to_owned(),
            complete_time: phase.completed_at.map(time_to_proto),
            handoff: phase.handoff.as_deref().map(Into::into),
        }
    }
}

impl Decode<types::Phase> for (usize, Phase) {
    fn decode(message: types::Phase, at: &At<'_>) -> Option<Self> {
        let id = at.field("id").parse(&message.id);
        let state = PhaseState::decode(message.state, &at.field("state"));
        let not_before = at
            .field("not_before_time")
            .time_optional(message.not_before_time);
        let cause = at.field("cause").cause(&message.cause);
        let outcome = at.field("outcome").word_optional(
            &message.outcome,
            PhaseOutcome::parse,
            PhaseOutcome::spellings,
        );
        let tokens = at.field("tokens").message(message.tokens);
        let current = at
            .field("current_attempt")
            .parse_optional(&message.current_attempt);
        let started_at = at.field("start_time").time_optional(message.start_time);
        let completed_at = at
            .field("complete_time")
            .time_optional(message.complete_time);
        let handoff = at.field("handoff").message_optional(message.handoff);
        Some((
            message.index as usize,
            Phase {
                id: id?,
                tier: message.tier as usize,
                place: message.place as usize,
                state: state?,
                attempts_made: message.attempts_made,
                attempts_charged: message.attempts_charged,
                infra_charged: message.infra_charged,
                crashes: message.crashes,
                conflicts: message.conflicts,
                not_before: not_before?,
                cause: cause?,
                detail: message.detail,
                commit: message.commit,
                outcome: outcome?,
                tokens: tokens?,
                current: current?,
                issues: super::tier::issue_counts(message.issues),
                started_at: started_at?,
                completed_at: completed_at?,
                handoff: handoff?.map(Box::new),
            },
        ))
    }
}

impl At<'_> {
    /// A cause; empty means none.
    pub fn cause(&self, code: &str) -> Option<Option<Cause>> {
        self.word_optional(code, Cause::parse, || {
            Cause::ALL.iter().map(|c| c.code()).collect()
        })
    }
}

super::try_from_proto!(types::Phase => (usize, Phase));
