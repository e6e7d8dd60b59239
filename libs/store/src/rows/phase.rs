//! `phase`.

use autopack_domain::{
    Cause, RunUid,
    issue::IssueState,
    phase::{Phase, PhaseOutcome},
    states::PhaseState,
};
use sea_orm::ActiveValue::Set;

use super::{account, causes, closed, issue_counts, parse, run::json, signed, small, time};
use crate::{CorruptRow, entity::phase};

/// A row as a phase.
pub fn read(row: phase::Model) -> Result<Phase, CorruptRow> {
    let id = format!("{}/{}", row.run_uid, row.idx);
    // What it says follows from the counts; only its spelling is looked at.
    closed(
        "phase",
        &id,
        "issue_state",
        &row.issue_state,
        IssueState::parse,
        IssueState::spellings,
    )?;
    Ok(Phase {
        id: parse("phase", &id, "id", &row.id, |t| t.parse().ok())?,
        tier: small(row.tier) as usize,
        place: small(row.place) as usize,
        state: closed(
            "phase",
            &id,
            "state",
            &row.state,
            PhaseState::parse,
            PhaseState::spellings,
        )?,
        attempts_made: small(row.attempts_made),
        attempts_charged: small(row.attempts_charged),
        infra_charged: small(row.infra_charged),
        crashes: small(row.crashes),
        conflicts: small(row.conflicts),
        not_before: time(row.not_before),
        cause: row
            .cause
            .as_deref()
            .map(|c| closed("phase", &id, "cause", c, Cause::parse, causes))
            .transpose()?,
        detail: row.detail,
        commit: row.commit_sha,
        outcome: row
            .outcome
            .as_deref()
            .map(|o| {
                closed(
                    "phase",
                    &id,
                    "outcome",
                    o,
                    PhaseOutcome::parse,
                    PhaseOutcome::spellings,
                )
            })
            .transpose()?,
        tokens: account(row.tokens_cap, row.tokens_reserved, row.tokens_settled),
        current: row
            .current_attempt
            .as_deref()
            .map(|a| parse("phase", &id, "current_attempt", a, |t| t.parse().ok()))
            .transpose()?,
        issues: issue_counts([row.minor_issues, row.major_issues, row.resolved_issues]),
        handoff: row
            .handoff
            .as_deref()
            .map(|h| parse("phase", &id, "handoff", h, |t| serde_json::from_str(t).ok()))
            .transpose()?,
        started_at: time(row.started_at),
        completed_at: time(row.completed_at),
    })
}

/// A phase as a row.
pub fn write(run: RunUid, index: usize, phase: &Phase) -> phase::ActiveModel {
    phase::ActiveModel {
        run_uid: Set(run.to_string()),
        idx: Set(index as i64),
        id: Set(phase.id.to_string()),
        tier: Set(phase.tier as i64),
        place: Set(phase.place as i64),
        state: Set(phase.state.as_str().to_owned()),
        attempts_made: Set(phase.attempts_made.into()),
        attempts_charged: Set(phase.attempts_charged.into()),
        infra_charged: Set(phase.infra_charged.into()),
        crashes: Set(phase.crashes.into()),
        conflicts: Set(phase.conflicts.into()),
        not_before: Set(phase.not_before.map(|t| t.0)),
        cause: Set(phase.cause.map(|c| c.code().to_owned())),
        detail: Set(phase.detail.clone()),
        commit_sha: Set(phase.commit.clone()),
        outcome: Set(phase.outcome.map(|o| o.as_str().to_owned())),
        tokens_cap: Set(phase.tokens.cap.map(signed)),
        tokens_reserved: Set(signed(phase.tokens.reserved)),
        tokens_settled: Set(signed(phase.tokens.settled)),
        current_attempt: Set(phase.current.map(|a| a.to_string())),
        started_at: Set(phase.started_at.map(|t| t.0)),
        completed_at: Set(phase.completed_at.map(|t| t.0)),
        minor_issues: Set(phase.issues.minor.into()),
        major_issues: Set(phase.issues.major.into()),
        resolved_issues: Set(phase.issues.resolved.into()),
        issue_state: Set(phase.issues.state().as_str().to_owned()),
        handoff: Set(phase.handoff.as_ref().map(json)),
    }
}
