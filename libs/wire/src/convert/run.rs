//! Runs.

use autopack_domain::{Fence, issue::DebtStatus, run::Run, states::RunState};

use super::{
    at::{At, Decode},
    time::time_to_proto,
};
use crate::types;

impl From<&Run> for types::Run {
    fn from(run: &Run) -> Self {
        Self {
            uid: run.uid.to_string(),
            id: run.id.to_string(),
            project: run.project.clone(),
            state: types::run::State::from(run.state).into(),
            version: run.version,
            last_event: run.last_event,
            revision: run.revision,
            fence: run.fence.0,
            held: run.held,
            frozen: run.frozen,
            started: run.started,
            paused: run.paused,
            cancelling: run.cancelling,
            goal: run.goal.clone(),
            base_ref: run.base_ref.clone(),
            base_sha: run.base_sha.clone(),
            tip: run.tip.clone(),
            branch: run.branch.clone(),
            repository: run.repository.clone(),
            digest: run.digest.clone(),
            priority: u32::from(run.priority),
            tokens: Some((&run.tokens).into()),
            phases_cap: run.phases_cap,
            phases_used: run.phases_used,
            minutes_cap: run.minutes_cap,
            first_lease_time: run.first_lease_at.map(time_to_proto),
            pause_time: run.paused_at.map(time_to_proto),
            paused_us: run.paused_us,
            counts: Some((&run.counts).into()),
            open_intents: run.open_intents,
            cause: run.cause.map_or_else(String::new, |c| c.code().to_owned()),
            detail: run.detail.clone(),
            facts: run
                .facts
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            create_time: Some(time_to_proto(run.created_at)),
            issues: Some((&run.issues).into()),
            debt_status: run.debt.as_str().to_owned(),
            start_time: run.started_at.map(time_to_proto),
            complete_time: run.completed_at.map(time_to_proto),
        }
    }
}

impl Decode<types::Run> for Run {
    fn decode(message: types::Run, at: &At<'_>) -> Option<Self> {
        let uid = at.field("uid").parse(&message.uid);
        let id = at.field("id").parse(&message.id);
        let state = RunState::decode(message.state, &at.field("state"));
        let priority = at.field("priority").priority(message.priority);
        let tokens = at.field("tokens").message(message.tokens);
        let first_lease_at = at
            .field("first_lease_time")
            .time_optional(message.first_lease_time);
        let paused_at = at.field("pause_time").time_optional(message.pause_time);
        let counts = at.field("counts").message(message.counts);
        let cause = at.field("cause").cause(&message.cause);
        let created_at = at.field("create_time").time(message.create_time);
        let started_at = at.field("start_time").time_optional(message.start_time);
        let completed_at = at
            .field("complete_time")
            .time_optional(message.complete_time);
        let debt = at.field("debt_status").word_optional(
            &message.debt_status,
            DebtStatus::parse,
            DebtStatus::spellings,
        );
        Some(Self {
            uid: uid?,
            id: id?,
            project: message.project,
            state: state?,
            version: message.version,
            last_event: message.last_event,
            revision: message.revision,
            fence: Fence(message.fence),
            held: message.held,
            frozen: message.frozen,
            started: message.started,
            paused: message.paused,
            cancelling: message.cancelling,
            goal: message.goal,
            base_ref: message.base_ref,
            base_sha: message.base_sha,
            tip: message.tip,
            branch: message.branch,
            repository: message.repository,
            digest: message.digest,
            priority: priority?,
            tokens: tokens?,
            phases_cap: message.phases_cap,
            phases_used: message.phases_used,
            minutes_cap: message.minutes_cap,
            first_lease_at: first_lease_at?,
            paused_at: paused_at?,
            paused_us: message.paused_us,
            counts: counts?,
            open_intents: message.open_intents,
            issues: super::tier::issue_counts(message.issues),
            debt: debt?.unwrap_or(DebtStatus::Clean),
            cause: cause?,
            detail: message.detail,
            facts: std::sync::Arc::new(message.facts.into_iter().collect()),
            created_at: created_at?,
            started_at: started_at?,
            completed_at: completed_at?,
        })
    }
}

super::try_from_proto!(types::Run => Run);
