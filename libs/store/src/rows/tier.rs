//! `tier`.

use autopack_domain::{RunUid, issue::Cleanliness, states::TierState, tier::Tier};
use sea_orm::ActiveValue::Set;

use super::{account, closed, counts, issue_counts, parse, signed, time};
use crate::{CorruptRow, entity::tier};

/// A row as a tier.
pub fn read(row: tier::Model) -> Result<Tier, CorruptRow> {
    let id = format!("{}/{}", row.run_uid, row.idx);
    Ok(Tier {
        id: parse("tier", &id, "id", &row.id, |t| t.parse().ok())?,
        state: closed(
            "tier",
            &id,
            "state",
            &row.state,
            TierState::parse,
            TierState::spellings,
        )?,
        counts: counts([
            row.count_queued,
            row.count_executing,
            row.count_gate,
            row.count_ci_running,
            row.count_complete,
            row.count_failed,
            row.count_skipped,
        ]),
        tokens: account(row.tokens_cap, row.tokens_reserved, row.tokens_settled),
        ci_runs: account(row.ci_runs_cap, 0, row.ci_runs_settled),
        snapshot: row.snapshot,
        issues: issue_counts([row.minor_issues, row.major_issues, row.resolved_issues]),
        cleanliness: closed(
            "tier",
            &id,
            "cleanliness",
            &row.cleanliness,
            Cleanliness::parse,
            Cleanliness::spellings,
        )?,
        started_at: time(row.started_at),
        completed_at: time(row.completed_at),
    })
}

/// A tier as a row.
pub fn write(run: RunUid, index: usize, tier: &Tier) -> tier::ActiveModel {
    tier::ActiveModel {
        run_uid: Set(run.to_string()),
        idx: Set(index as i64),
        id: Set(tier.id.to_string()),
        state: Set(tier.state.as_str().to_owned()),
        count_queued: Set(tier.counts.queued.into()),
        count_executing: Set(tier.counts.executing.into()),
        count_gate: Set(tier.counts.gate.into()),
        count_ci_running: Set(tier.counts.ci_running.into()),
        count_complete: Set(tier.counts.complete.into()),
        count_failed: Set(tier.counts.failed.into()),
        count_skipped: Set(tier.counts.skipped.into()),
        tokens_cap: Set(tier.tokens.cap.map(signed)),
        tokens_reserved: Set(signed(tier.tokens.reserved)),
        tokens_settled: Set(signed(tier.tokens.settled)),
        ci_runs_cap: Set(tier.ci_runs.cap.map(signed)),
        ci_runs_settled: Set(signed(tier.ci_runs.settled)),
        snapshot: Set(tier.snapshot.clone()),
        started_at: Set(tier.started_at.map(|t| t.0)),
        completed_at: Set(tier.completed_at.map(|t| t.0)),
        minor_issues: Set(tier.issues.minor.into()),
        major_issues: Set(tier.issues.major.into()),
        resolved_issues: Set(tier.issues.resolved.into()),
        cleanliness: Set(tier.cleanliness.as_str().to_owned()),
    }
}
