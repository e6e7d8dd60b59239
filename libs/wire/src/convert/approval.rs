//! What a person's word is needed for, and the word.

use autopack_domain::approval::{Approval, ApprovalRequest, Ask, Decision, Guard, RiskLevel};

use super::{
    at::{At, Decode},
    time::time_to_proto,
};
use crate::types;

impl From<&ApprovalRequest> for types::ApprovalRequest {
    fn from(request: &ApprovalRequest) -> Self {
        let ask = |ask: &Ask| types::ApprovalAsk {
            guard: ask.guard.as_str().to_owned(),
            path: ask.path.clone(),
            detail: ask.detail.clone(),
        };
        Self {
            tree: request.tree.clone(),
            tip: request.tip.clone(),
            risk: request.risk.as_str().to_owned(),
            asks: request.asks.iter().map(ask).collect(),
            asked_by: request.asked_by.clone(),
        }
    }
}

impl Decode<types::ApprovalAsk> for Ask {
    fn decode(message: types::ApprovalAsk, at: &At<'_>) -> Option<Self> {
        let guard = at.field("guard");
        Some(Self {
            guard: guard.word(&message.guard, Guard::parse, Guard::spellings)?,
            path: message.path,
            detail: message.detail,
        })
    }
}

impl Decode<types::ApprovalRequest> for ApprovalRequest {
    fn decode(message: types::ApprovalRequest, at: &At<'_>) -> Option<Self> {
        let risk = at.field("risk");
        let risk = risk.word(&message.risk, RiskLevel::parse, RiskLevel::spellings);
        let asks = at.field("asks").list(message.asks);
        if message.tree.is_empty() {
            return at.field("tree").fault("is missing");
        }
        Some(Self {
            tree: message.tree,
            tip: message.tip,
            risk: risk?,
            asks: asks?,
            asked_by: message.asked_by,
        })
    }
}

impl From<&Decision> for types::ApprovalDecision {
    fn from(word: &Decision) -> Self {
        Self {
            approved: word.approved,
            decided_by: word.by.clone(),
            note: word.note.clone(),
            decide_time: Some(time_to_proto(word.at)),
        }
    }
}

impl Decode<types::ApprovalDecision> for Decision {
    fn decode(message: types::ApprovalDecision, at: &At<'_>) -> Option<Self> {
        let decided = at.field("decide_time").time(message.decide_time)?;
        Some(Self {
            approved: message.approved,
            by: message.decided_by,
            note: message.note,
            at: decided,
        })
    }
}

impl From<&Approval> for types::Approval {
    fn from(approval: &Approval) -> Self {
        Self {
            request: Some((&approval.request).into()),
            attempt: approval.attempt,
            ask_time: Some(time_to_proto(approval.asked_at)),
            decision: approval.decision.as_ref().map(Into::into),
        }
    }
}

impl Decode<types::Approval> for Approval {
    fn decode(message: types::Approval, at: &At<'_>) -> Option<Self> {
        let request = at.field("request").message(message.request);
        let asked = at.field("ask_time").time(message.ask_time);
        let decision = at.field("decision").message_optional(message.decision);
        Some(Self {
            request: request?,
            attempt: message.attempt,
            asked_at: asked?,
            decision: decision?,
        })
    }
}

super::try_from_proto!(
    types::Approval => Approval,
    types::ApprovalRequest => ApprovalRequest,
);
