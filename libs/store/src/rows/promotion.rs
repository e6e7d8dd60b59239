//! `promotion` and `integration_status`.

use autopack_domain::{
    Cause, PromotionUid, RunUid, Timestamp,
    integration::{Compared, Integration, Seen},
    promotion::{Promotion, PromotionIntent, PromotionState, PromotionStrategy, Wanted},
};
use sea_orm::ActiveValue::Set;

use super::{causes, closed, parse, small, time};
use crate::{
    CorruptRow,
    entity::{integration_status, promotion},
};

/// A row as a promotion.
pub fn read(row: promotion::Model) -> Result<Promotion, CorruptRow> {
    let id = row.uid.clone();
    Ok(Promotion {
        uid: parse("promotion", &id, "uid", &row.uid, |t| {
            t.parse::<PromotionUid>().ok()
        })?,
        wanted: Wanted {
            strategy: closed(
                "promotion",
                &id,
                "strategy",
                &row.strategy,
                PromotionStrategy::parse,
                PromotionStrategy::spellings,
            )?,
            target: row.target_branch,
            expected: row.expected_tip,
            pull_request: row.pull_request,
        },
        by: row.requested_by,
        request: row.request_id,
        tested: row.tested_commit,
        state: closed(
            "promotion",
            &id,
            "state",
            &row.state,
            PromotionState::parse,
            PromotionState::spellings,
        )?,
        intent: row
            .intent_from
            .zip(row.intent_commit)
            .map(|(from, commit)| PromotionIntent { from, commit }),
        commit: row.landed_commit,
        url: row.url,
        cause: cause_of("promotion", &id, row.cause.as_deref())?,
        detail: row.detail,
        asked_at: Timestamp(row.requested_at),
        finished_at: time(row.finished_at),
    })
}

/// A promotion as a row.
pub fn write(run: RunUid, of: &Promotion) -> promotion::ActiveModel {
    let intent = of.intent.as_ref();
    promotion::ActiveModel {
        uid: Set(of.uid.to_string()),
        run_uid: Set(run.to_string()),
        strategy: Set(of.wanted.strategy.as_str().to_owned()),
        target_branch: Set(of.wanted.target.clone()),
        expected_tip: Set(of.wanted.expected.clone()),
        pull_request: Set(of.wanted.pull_request),
        requested_by: Set(of.by.clone()),
        request_id: Set(of.request.clone()),
        tested_commit: Set(of.tested.clone()),
        state: Set(of.state.as_str().to_owned()),
        intent_from: Set(intent.map(|i| i.from.clone())),
        intent_commit: Set(intent.map(|i| i.commit.clone())),
        landed_commit: Set(of.commit.clone()),
        url: Set(of.url.clone()),
        cause: Set(of.cause.map(|c| c.code().to_owned())),
        detail: Set(of.detail.clone()),
        requested_at: Set(of.asked_at.0),
        finished_at: Set(of.finished_at.map(|t| t.0)),
    }
}

/// A row as the status of an integration branch.
pub fn read_status(row: integration_status::Model) -> Result<Integration, CorruptRow> {
    Ok(Integration {
        cause: cause_of("integration_status", &row.run_uid, row.cause.as_deref())?,
        target: row.target_branch,
        asked_at: Timestamp(row.requested_at),
        looked_at: time(row.looked_at),
        seen: Seen {
            tip: row.tip,
            commits: small(row.commits),
            base: Compared {
                branch: row.base_branch,
                tip: row.base_tip,
                ahead: small(row.base_ahead),
                behind: small(row.base_behind),
            },
            target: Compared {
                branch: row.target_seen,
                tip: row.target_tip,
                ahead: small(row.target_ahead),
                behind: small(row.target_behind),
            },
        },
        detail: row.detail,
    })
}

/// The status of an integration branch as a row.
pub fn write_status(run: RunUid, of: &Integration) -> integration_status::ActiveModel {
    let (base, target) = (&of.seen.base, &of.seen.target);
    integration_status::ActiveModel {
        run_uid: Set(run.to_string()),
        target_branch: Set(of.target.clone()),
        requested_at: Set(of.asked_at.0),
        looked_at: Set(of.looked_at.map(|t| t.0)),
        tip: Set(of.seen.tip.clone()),
        commits: Set(of.seen.commits.into()),
        base_branch: Set(base.branch.clone()),
        base_tip: Set(base.tip.clone()),
        base_ahead: Set(base.ahead.into()),
        base_behind: Set(base.behind.into()),
        target_seen: Set(target.branch.clone()),
        target_tip: Set(target.tip.clone()),
        target_ahead: Set(target.ahead.into()),
        target_behind: Set(target.behind.into()),
        cause: Set(of.cause.map(|c| c.code().to_owned())),
        detail: Set(of.detail.clone()),
    }
}

fn cause_of(
    table: &'static str,
    id: &str,
    text: Option<&str>,
) -> Result<Option<Cause>, CorruptRow> {
    text.map(|c| closed(table, id, "cause", c, Cause::parse, causes))
        .transpose()
}
