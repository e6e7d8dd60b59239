//! Attempts, intents and artifact references.

use autopack_domain::{
    Fence,
    attempt::{ArtifactRef, Attempt, Intent},
    states::AttemptState,
};

use super::{
    at::{At, Decode},
    time::time_to_proto,
};
use crate::types;

impl From<&Intent> for types::Intent {
    fn from(intent: &Intent) -> Self {
        Self {
            expected_tip: intent.expected_tip.clone(),
            tree: intent.tree.clone(),
            commit: intent.commit.clone(),
            resolved: intent.resolved,
        }
    }
}

impl From<types::Intent> for Intent {
    fn from(intent: types::Intent) -> Self {
        Self {
            expected_tip: intent.expected_tip,
            tree: intent.tree,
            commit: intent.commit,
            resolved: intent.resolved,
        }
    }
}

impl From<&ArtifactRef> for types::ArtifactRef {
    fn from(artifact: &ArtifactRef) -> Self {
        Self {
            name: artifact.name.clone(),
            digest: artifact.digest.clone(),
            size: artifact.size,
        }
    }
}

impl From<types::ArtifactRef> for ArtifactRef {
    fn from(artifact: types::ArtifactRef) -> Self {
        Self {
            name: artifact.name,
            digest: artifact.digest,
            size: artifact.size,
        }
    }
}

impl From<&Attempt> for types::Attempt {
    fn from(attempt: &Attempt) -> Self {
        Self {
            uid: attempt.uid.to_string(),
            phase: attempt.phase as u32,
            number: attempt.number,
            state: types::attempt::State::from(attempt.state).into(),
            job: attempt.job.to_string(),
            fence: attempt.fence.0,
            worker: attempt.worker.map_or_else(String::new, |w| w.to_string()),
            tip: attempt.tip.clone(),
            tree: attempt.tree.clone(),
            commit: attempt.commit.clone(),
            intent: attempt.intent.as_ref().map(Into::into),
            cause: attempt
                .cause
                .map_or_else(String::new, |c| c.code().to_owned()),
            detail: attempt.detail.clone(),
            gate: attempt.gate.clone(),
            tests: attempt.tests,
            tokens_reserved: attempt.tokens_reserved,
            tokens_used: attempt.tokens_used,
            offer_time: Some(time_to_proto(attempt.offered_at)),
            lease_time: attempt.leased_at.map(time_to_proto),
            finish_time: attempt.finished_at.map(time_to_proto),
            artifacts: attempt.artifacts.iter().map(Into::into).collect(),
            facts_json: facts_to_json(&attempt.facts),
        }
    }
}

impl Decode<types::Attempt> for Attempt {
    fn decode(message: types::Attempt, at: &At<'_>) -> Option<Self> {
        let uid = at.field("uid").parse(&message.uid);
        let state = AttemptState::decode(message.state, &at.field("state"));
        let job = at.field("job").parse(&message.job);
        let worker = at.field("worker").parse_optional(&message.worker);
        let cause = at.field("cause").cause(&message.cause);
        let offered_at = at.field("offer_time").time(message.offer_time);
        let leased_at = at.field("lease_time").time_optional(message.lease_time);
        let finished_at = at.field("finish_time").time_optional(message.finish_time);
        let facts = at.field("facts_json").facts(&message.facts_json);
        Some(Self {
            uid: uid?,
            phase: message.phase as usize,
            number: message.number,
            state: state?,
            job: job?,
            fence: Fence(message.fence),
            worker: worker?,
            tip: message.tip,
            tree: message.tree,
            commit: message.commit,
            intent: message.intent.map(Into::into),
            cause: cause?,
            detail: message.detail,
            gate: message.gate,
            tests: message.tests,
            tokens_reserved: message.tokens_reserved,
            tokens_used: message.tokens_used,
            offered_at: offered_at?,
            leased_at: leased_at?,
            finished_at: finished_at?,
            artifacts: message.artifacts.into_iter().map(Into::into).collect(),
            facts: facts?,
        })
    }
}

/// Facts as a JSON object; none as the empty text.
pub(super) fn facts_to_json(facts: &serde_json::Map<String, serde_json::Value>) -> String {
    if facts.is_empty() {
        return String::new();
    }
    serde_json::to_string(facts).unwrap_or_default()
}

impl At<'_> {
    /// A JSON object; the empty text is an empty one.
    pub fn facts(&self, text: &str) -> Option<serde_json::Map<String, serde_json::Value>> {
        if text.is_empty() {
            return Some(serde_json::Map::new());
        }
        match serde_json::from_str(text) {
            Ok(facts) => Some(facts),
            Err(error) => self.fault(format!("is not a JSON object: {error}")),
        }
    }
}

super::try_from_proto!(types::Attempt => Attempt);
