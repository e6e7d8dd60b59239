//! Promotions, and how integration branches stand.

use autopack_domain::{
    Cause,
    integration::{Compared, Integration, Seen},
    promotion::{Promotion, PromotionIntent, PromotionState, PromotionStrategy, Wanted},
    run::Run,
};

use super::{
    at::{At, Decode},
    time::time_to_proto,
};
use crate::types;

impl From<&Promotion> for types::Promotion {
    fn from(of: &Promotion) -> Self {
        let (from, commit) = of
            .intent
            .as_ref()
            .map_or_else(Default::default, |i| (i.from.clone(), i.commit.clone()));
        Self {
            uid: of.uid.to_string(),
            strategy: of.wanted.strategy.as_str().to_owned(),
            target_branch: of.wanted.target.clone(),
            expected_tip: of.wanted.expected.clone(),
            pull_request: of.wanted.pull_request,
            requested_by: of.by.clone(),
            tested_commit: of.tested.clone(),
            state: types::promotion::State::from(of.state).into(),
            intent_from: from,
            intent_commit: commit,
            landed_commit: of.commit.clone(),
            url: of.url.clone(),
            cause: of.cause.map_or_else(String::new, |c| c.code().to_owned()),
            detail: of.detail.clone(),
            request_time: Some(time_to_proto(of.asked_at)),
            finish_time: of.finished_at.map(time_to_proto),
        }
    }
}

impl Decode<types::Promotion> for Promotion {
    fn decode(message: types::Promotion, at: &At<'_>) -> Option<Self> {
        let uid = at.field("uid").parse(&message.uid);
        let strategy = at.field("strategy").word(
            &message.strategy,
            PromotionStrategy::parse,
            PromotionStrategy::spellings,
        );
        let state = PromotionState::decode(message.state, &at.field("state"));
        let cause = match message.cause.as_str() {
            "" => Some(None),
            code => at
                .field("cause")
                .word(code, Cause::parse, || {
                    Cause::ALL.iter().map(|c| c.code()).collect()
                })
                .map(Some),
        };
        let asked_at = at.field("request_time").time(message.request_time);
        let finished_at = at.field("finish_time").time_optional(message.finish_time);
        let intent = (!message.intent_commit.is_empty()).then_some(PromotionIntent {
            from: message.intent_from,
            commit: message.intent_commit,
        });
        Some(Self {
            uid: uid?,
            wanted: Wanted {
                strategy: strategy?,
                target: message.target_branch,
                expected: message.expected_tip,
                pull_request: message.pull_request,
            },
            by: message.requested_by,
            // The registry's own.
            request: String::new(),
            tested: message.tested_commit,
            state: state?,
            intent,
            commit: message.landed_commit,
            url: message.url,
            cause: cause?,
            detail: message.detail,
            asked_at: asked_at?,
            finished_at: finished_at?,
        })
    }
}

super::try_from_proto!(types::Promotion => Promotion);

impl From<&Compared> for types::BranchComparison {
    fn from(of: &Compared) -> Self {
        Self {
            branch: of.branch.clone(),
            tip: of.tip.clone(),
            ahead: of.ahead,
            behind: of.behind,
        }
    }
}

fn compared(message: Option<types::BranchComparison>) -> Compared {
    message.map_or_else(Compared::default, |m| Compared {
        branch: m.branch,
        tip: m.tip,
        ahead: m.ahead,
        behind: m.behind,
    })
}

impl From<&Seen> for types::IntegrationView {
    fn from(of: &Seen) -> Self {
        Self {
            tip: of.tip.clone(),
            commits: of.commits,
            base: Some((&of.base).into()),
            target: Some(&of.target)
                .filter(|t| !t.branch.is_empty())
                .map(Into::into),
        }
    }
}

impl Decode<types::IntegrationView> for Seen {
    fn decode(message: types::IntegrationView, _: &At<'_>) -> Option<Self> {
        Some(Self {
            tip: message.tip,
            commits: message.commits,
            base: compared(message.base),
            target: compared(message.target),
        })
    }
}

super::try_from_proto!(types::IntegrationView => Seen);

/// The status of a run's integration branch; `status` is what is stored, if anybody has asked.
pub fn integration_to_proto(
    run: &Run,
    status: Option<&Integration>,
    refreshing: bool,
) -> types::IntegrationStatus {
    let looked = status.filter(|s| s.looked_at.is_some());
    types::IntegrationStatus {
        branch: run.branch.clone(),
        known_tip: run.tip.clone(),
        seen: looked.map(|s| (&s.seen).into()),
        look_time: status.and_then(|s| s.looked_at).map(time_to_proto),
        request_time: status.map(|s| time_to_proto(s.asked_at)),
        refreshing,
        cause: status
            .and_then(|s| s.cause)
            .map_or_else(String::new, |c| c.code().to_owned()),
        detail: status.map_or_else(String::new, |s| s.detail.clone()),
    }
}
