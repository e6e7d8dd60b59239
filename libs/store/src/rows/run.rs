//! `run` and `run_document`.

use std::{collections::BTreeMap, sync::Arc};

use autopack_domain::{
    Cause, Fence, RunId, RunUid, Timestamp, issue::DebtStatus, plan::Plan, run::Run,
    states::RunState, strategy::Strategy,
};
use sea_orm::ActiveValue::Set;

use super::{
    account, causes, closed, corrupt, counts, issue_counts, signed, small, time, unsigned,
};
use crate::{
    CorruptRow,
    entity::{run, run_document},
};

/// A row as a run.
pub fn read(row: run::Model) -> Result<Run, CorruptRow> {
    let uid = row.uid.clone();
    let field = |column, value: &str| corrupt("run", &uid, column, value, form(column));
    Ok(Run {
        uid: row
            .uid
            .parse::<RunUid>()
            .map_err(|_| field("uid", &row.uid))?,
        id: row.id.parse::<RunId>().map_err(|_| field("id", &row.id))?,
        state: closed(
            "run",
            &row.uid,
            "state",
            &row.state,
            RunState::parse,
            RunState::spellings,
        )?,
        cause: row
            .cause
            .as_deref()
            .map(|c| closed("run", &row.uid, "cause", c, Cause::parse, causes))
            .transpose()?,
        debt: closed(
            "run",
            &row.uid,
            "debt_status",
            &row.debt_status,
            DebtStatus::parse,
            DebtStatus::spellings,
        )?,
        issues: issue_counts([row.minor_issues, row.major_issues, row.resolved_issues]),
        facts: serde_json::from_str::<Facts>(&row.facts)
            .map(Arc::new)
            .map_err(|_| field("facts", &row.facts))?,
        project: row.project,
        version: unsigned(row.version),
        last_event: unsigned(row.last_event),
        revision: small(row.revision),
        fence: Fence(unsigned(row.fence)),
        held: row.held,
        frozen: row.frozen,
        started: row.started,
        paused: row.paused,
        cancelling: row.cancelling,
        goal: row.goal,
        base_ref: row.base_ref,
        base_sha: row.base_sha,
        tip: row.tip,
        branch: row.branch,
        repository: row.repository,
        digest: row.digest,
        priority: u8::try_from(row.priority).unwrap_or(0),
        tokens: account(row.tokens_cap, row.tokens_reserved, row.tokens_settled),
        phases_cap: small(row.phases_cap),
        phases_used: small(row.phases_used),
        minutes_cap: small(row.minutes_cap),
        first_lease_at: time(row.first_lease_at),
        paused_at: time(row.paused_at),
        paused_us: row.paused_us,
        counts: counts([
            row.count_queued,
            row.count_executing,
            row.count_gate,
            row.count_ci_running,
            row.count_complete,
            row.count_failed,
            row.count_skipped,
        ]),
        open_intents: small(row.open_intents),
        detail: row.detail,
        created_at: Timestamp(row.created_at),
        started_at: time(row.started_at),
        completed_at: time(row.completed_at),
    })
}

fn form(column: &str) -> String {
    match column {
        "uid" => "a UUID".to_owned(),
        "id" => autopack_domain::ids::ID_RULE.to_owned(),
        _ => "a JSON object of texts".to_owned(),
    }
}

/// A run as a row.
pub fn write(run: &Run) -> run::ActiveModel {
    run::ActiveModel {
        uid: Set(run.uid.to_string()),
        id: Set(run.id.to_string()),
        id_fold: Set(run.id.as_str().to_ascii_lowercase()),
        project: Set(run.project.clone()),
        state: Set(run.state.as_str().to_owned()),
        version: Set(signed(run.version)),
        last_event: Set(signed(run.last_event)),
        revision: Set(run.revision.into()),
        fence: Set(signed(run.fence.0)),
        held: Set(run.held),
        frozen: Set(run.frozen),
        started: Set(run.started),
        paused: Set(run.paused),
        cancelling: Set(run.cancelling),
        goal: Set(run.goal.clone()),
        base_ref: Set(run.base_ref.clone()),
        base_sha: Set(run.base_sha.clone()),
        tip: Set(run.tip.clone()),
        branch: Set(run.branch.clone()),
        repository: Set(run.repository.clone()),
        digest: Set(run.digest.clone()),
        priority: Set(run.priority.into()),
        tokens_cap: Set(run.tokens.cap.map(signed)),
        tokens_reserved: Set(signed(run.tokens.reserved)),
        tokens_settled: Set(signed(run.tokens.settled)),
        phases_cap: Set(run.phases_cap.into()),
        phases_used: Set(run.phases_used.into()),
        minutes_cap: Set(run.minutes_cap.into()),
        first_lease_at: Set(run.first_lease_at.map(|t| t.0)),
        paused_at: Set(run.paused_at.map(|t| t.0)),
        paused_us: Set(run.paused_us),
        count_queued: Set(run.counts.queued.into()),
        count_executing: Set(run.counts.executing.into()),
        count_gate: Set(run.counts.gate.into()),
        count_ci_running: Set(run.counts.ci_running.into()),
        count_complete: Set(run.counts.complete.into()),
        count_failed: Set(run.counts.failed.into()),
        count_skipped: Set(run.counts.skipped.into()),
        open_intents: Set(run.open_intents.into()),
        cause: Set(run.cause.map(|c| c.code().to_owned())),
        detail: Set(run.detail.clone()),
        facts: Set(json(&*run.facts)),
        created_at: Set(run.created_at.0),
        started_at: Set(run.started_at.map(|t| t.0)),
        completed_at: Set(run.completed_at.map(|t| t.0)),
        minor_issues: Set(run.issues.minor.into()),
        major_issues: Set(run.issues.major.into()),
        resolved_issues: Set(run.issues.resolved.into()),
        debt_status: Set(run.debt.as_str().to_owned()),
    }
}

/// Plan and strategy from their row.
pub fn read_document(row: &run_document::Model) -> Result<(Arc<Plan>, Arc<Strategy>), CorruptRow> {
    let at = |column, text: &str, error: serde_json::Error| {
        let valid = format!("the JSON that this version writes ({error})");
        corrupt("run_document", &row.run_uid, column, text, valid)
    };
    let plan = serde_json::from_str(&row.plan).map_err(|e| at("plan", &row.plan, e))?;
    let strategy =
        serde_json::from_str(&row.strategy).map_err(|e| at("strategy", &row.strategy, e))?;
    Ok((Arc::new(plan), Arc::new(strategy)))
}

/// Plan and strategy as a row, with what the run was imported from; empty: it was not.
pub fn write_document(
    uid: RunUid,
    plan: &Plan,
    strategy: &Strategy,
    source: &str,
) -> run_document::ActiveModel {
    run_document::ActiveModel {
        run_uid: Set(uid.to_string()),
        plan: Set(json(plan)),
        strategy: Set(json(strategy)),
        source: Set(source.to_owned()),
    }
}

/// JSON of a value whose serialisation cannot fail (string keys only).
pub(crate) fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// Facts as they are stored.
pub type Facts = BTreeMap<String, String>;
