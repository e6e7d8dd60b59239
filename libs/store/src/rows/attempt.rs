//! `attempt`.

use autopack_domain::{
    Cause, Fence, RunUid, Timestamp,
    attempt::{Attempt, Intent},
    states::AttemptState,
};
use sea_orm::ActiveValue::Set;

use super::{causes, closed, parse, run::json, signed, small, time, unsigned};
use crate::{CorruptRow, entity::attempt};

/// A row as an attempt.
pub fn read(row: attempt::Model) -> Result<Attempt, CorruptRow> {
    let id = row.uid.clone();
    let uid = |column, text: &str| {
        parse("attempt", &id, column, text, |t| {
            t.parse::<uuid::Uuid>().ok()
        })
    };
    let intent = row.intent_commit.map(|commit| Intent {
        expected_tip: row.intent_tip.unwrap_or_default(),
        tree: row.intent_tree.unwrap_or_default(),
        commit,
        resolved: row.intent_resolved.unwrap_or(false),
    });
    Ok(Attempt {
        uid: autopack_domain::AttemptUid(uid("uid", &row.uid)?),
        phase: small(row.phase) as usize,
        number: small(row.number),
        state: closed(
            "attempt",
            &id,
            "state",
            &row.state,
            AttemptState::parse,
            AttemptState::spellings,
        )?,
        job: autopack_domain::JobUid(uid("job_uid", &row.job_uid)?),
        fence: Fence(unsigned(row.fence)),
        worker: row
            .worker_uid
            .as_deref()
            .map(|w| uid("worker_uid", w).map(autopack_domain::WorkerUid))
            .transpose()?,
        tip: row.tip,
        tree: row.tree,
        commit: row.commit_sha,
        intent,
        cause: row
            .cause
            .as_deref()
            .map(|c| closed("attempt", &id, "cause", c, Cause::parse, causes))
            .transpose()?,
        detail: row.detail,
        gate: row.gate,
        tests: row.tests.map(unsigned),
        tokens_reserved: unsigned(row.tokens_reserved),
        tokens_used: unsigned(row.tokens_used),
        offered_at: Timestamp(row.offered_at),
        leased_at: time(row.leased_at),
        finished_at: time(row.finished_at),
        artifacts: parse("attempt", &id, "artifacts", &row.artifacts, |t| {
            serde_json::from_str(t).ok()
        })?,
        facts: parse("attempt", &id, "facts", &row.facts, |t| {
            serde_json::from_str(t).ok()
        })?,
    })
}

/// An attempt as a row.
pub fn write(run: RunUid, attempt: &Attempt) -> attempt::ActiveModel {
    let intent = attempt.intent.as_ref();
    attempt::ActiveModel {
        uid: Set(attempt.uid.to_string()),
        run_uid: Set(run.to_string()),
        phase: Set(attempt.phase as i64),
        number: Set(attempt.number.into()),
        state: Set(attempt.state.as_str().to_owned()),
        job_uid: Set(attempt.job.to_string()),
        fence: Set(signed(attempt.fence.0)),
        worker_uid: Set(attempt.worker.map(|w| w.to_string())),
        tip: Set(attempt.tip.clone()),
        tree: Set(attempt.tree.clone()),
        commit_sha: Set(attempt.commit.clone()),
        intent_tip: Set(intent.map(|i| i.expected_tip.clone())),
        intent_tree: Set(intent.map(|i| i.tree.clone())),
        intent_commit: Set(intent.map(|i| i.commit.clone())),
        intent_resolved: Set(intent.map(|i| i.resolved)),
        cause: Set(attempt.cause.map(|c| c.code().to_owned())),
        detail: Set(attempt.detail.clone()),
        gate: Set(attempt.gate.clone()),
        tests: Set(attempt.tests.map(signed)),
        tokens_reserved: Set(signed(attempt.tokens_reserved)),
        tokens_used: Set(signed(attempt.tokens_used)),
        offered_at: Set(attempt.offered_at.0),
        leased_at: Set(attempt.leased_at.map(|t| t.0)),
        finished_at: Set(attempt.finished_at.map(|t| t.0)),
        artifacts: Set(json(&attempt.artifacts)),
        facts: Set(json(&attempt.facts)),
    }
}
