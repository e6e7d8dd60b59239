//! Messages as JSON; the form is documented in docs/reference/cli.md and stable.
//!
//! Invariant: keys are snake_case, states and causes are their stable spellings, times are RFC 3339 in UTC, and a
//! value that is not there is `null`.

use autopack_wire::{registry, types};
use serde_json::{Value, json};

use super::issues::counts_json;
use crate::view::{View, attempt_state, minutes_used, phase_state, run_state, tier_state};

/// A text, `null` if empty.
pub(crate) fn some(text: &str) -> Value {
    if text.is_empty() {
        Value::Null
    } else {
        Value::from(text)
    }
}

/// A time, `null` if absent.
pub(crate) fn time(time: Option<&prost_types::Timestamp>) -> Value {
    time.map_or(Value::Null, |time| Value::from(time.to_string()))
}

/// An account.
pub(crate) fn account(account: Option<&types::Account>) -> Value {
    let account = account.copied().unwrap_or_default();
    json!({ "cap": account.cap, "reserved": account.reserved, "settled": account.settled })
}

fn counts(counts: Option<&types::PhaseCounts>) -> Value {
    let c = counts.copied().unwrap_or_default();
    json!({
        "queued": c.queued, "executing": c.executing, "gate": c.gate, "ci_running": c.ci_running,
        "complete": c.complete, "failed": c.failed, "skipped": c.skipped,
    })
}

/// A run's budgets at a time.
pub(crate) fn budgets(run: &types::Run, now_us: i64) -> Value {
    json!({
        "tokens": account(run.tokens.as_ref()),
        "phases": { "cap": run.phases_cap, "used": run.phases_used },
        "minutes": { "cap": run.minutes_cap, "used": minutes_used(run, now_us) },
    })
}

/// A run's own record.
pub(crate) fn run(run: &types::Run, now_us: i64) -> Value {
    json!({
        "run": run.id,
        "uid": run.uid,
        "project": run.project,
        "state": run_state(run),
        "goal": run.goal,
        "repository": run.repository,
        "branch": run.branch,
        "base_ref": some(&run.base_ref),
        "base": some(&run.base_sha),
        "tip": some(&run.tip),
        "cause": some(&run.cause),
        "detail": some(&run.detail),
        "revision": run.revision,
        "version": run.version,
        "held": run.held,
        "paused": run.paused,
        "cancelling": run.cancelling,
        "counts": counts(run.counts.as_ref()),
        "budgets": budgets(run, now_us),
        "issues": counts_json(run.issues.as_ref()),
        "debt_status": run.debt_status,
        "facts": run.facts.iter().collect::<std::collections::BTreeMap<_, _>>(),
        "create_time": time(run.create_time.as_ref()),
        "start_time": time(run.start_time.as_ref()),
        "complete_time": time(run.complete_time.as_ref()),
    })
}

/// A tier.
pub(crate) fn tier(tier: &types::Tier) -> Value {
    json!({
        "id": tier.id,
        "state": tier_state(tier),
        "counts": counts(tier.counts.as_ref()),
        "tokens": account(tier.tokens.as_ref()),
        "ci_runs": account(tier.ci_runs.as_ref()),
        "issues": counts_json(tier.issues.as_ref()),
        "cleanliness": tier.cleanliness,
        "snapshot": some(&tier.snapshot),
        "start_time": time(tier.start_time.as_ref()),
        "complete_time": time(tier.complete_time.as_ref()),
    })
}

/// A phase.
pub(crate) fn phase(view: &View, phase: &types::Phase) -> Value {
    json!({
        "id": phase.id,
        "tier": view.tier_id(phase),
        "name": view.spec(phase).map(|spec| spec.name.as_str()),
        "state": phase_state(phase),
        "attempts": phase.attempts_made,
        "attempts_charged": phase.attempts_charged,
        "commit": some(&phase.commit),
        "outcome": some(&phase.outcome),
        "cause": some(&phase.cause),
        "detail": some(&phase.detail),
        "tokens": account(phase.tokens.as_ref()),
        "issues": counts_json(phase.issues.as_ref()),
        "issue_state": phase.issue_state,
        "not_before_time": time(phase.not_before_time.as_ref()),
        "handoff": handoff(phase.handoff.as_ref()),
        "start_time": time(phase.start_time.as_ref()),
        "complete_time": time(phase.complete_time.as_ref()),
    })
}

/// What an `external` phase waits for, and the result at hand.
pub(crate) fn handoff(handoff: Option<&types::Handoff>) -> Value {
    let Some(handoff) = handoff else {
        return Value::Null;
    };
    json!({
        "awaited": some(&handoff.awaited),
        "deadline_time": time(handoff.deadline_time.as_ref()),
        "audit": handoff.audit,
        "submission": handoff.submission.as_ref().map(|s| json!({
            "builder": s.builder,
            "digest": s.digest,
            "size": s.size,
            "submit_time": time(s.submit_time.as_ref()),
            "auditor": some(&s.auditor),
            "audit_digest": some(&s.audit_digest),
        })),
        "approval": handoff.approval.as_ref().map(approval),
    })
}

/// What a phase asks a person for, and the word.
fn approval(approval: &types::Approval) -> Value {
    let request = approval.request.clone().unwrap_or_default();
    json!({
        "tree": request.tree,
        "tip": some(&request.tip),
        "risk": request.risk,
        "asked_by": request.asked_by,
        "attempt": approval.attempt,
        "ask_time": time(approval.ask_time.as_ref()),
        "asks": request.asks.iter().map(|ask| json!({
            "guard": ask.guard,
            "path": some(&ask.path),
            "detail": ask.detail,
        })).collect::<Vec<_>>(),
        "decision": approval.decision.as_ref().map(|word| json!({
            "approved": word.approved,
            "decided_by": word.decided_by,
            "note": some(&word.note),
            "decide_time": time(word.decide_time.as_ref()),
        })),
    })
}

/// A run with its tiers and phases.
pub(crate) fn view(view: &View, now_us: i64) -> Value {
    let mut value = run(&view.run, now_us);
    value["tiers"] = view.tiers.iter().map(tier).collect();
    value["phases"] = view.ordered().into_iter().map(|p| phase(view, p)).collect();
    value
}

/// An attempt; `phase` is the id of its phase.
pub(crate) fn attempt(attempt: &types::Attempt, phase: &str) -> Value {
    let gate = parsed(&attempt.gate);
    json!({
        "uid": attempt.uid,
        "phase": phase,
        "number": attempt.number,
        "state": attempt_state(attempt),
        "fence": attempt.fence,
        "worker": some(&attempt.worker),
        "tip": some(&attempt.tip),
        "tree": some(&attempt.tree),
        "commit": some(&attempt.commit),
        "cause": some(&attempt.cause),
        "detail": some(&attempt.detail),
        "gate": gate,
        "tests": attempt.tests,
        "tokens_reserved": attempt.tokens_reserved,
        "tokens_used": attempt.tokens_used,
        "offer_time": time(attempt.offer_time.as_ref()),
        "lease_time": time(attempt.lease_time.as_ref()),
        "finish_time": time(attempt.finish_time.as_ref()),
        "artifacts": attempt.artifacts.iter().map(|a| json!({ "name": a.name, "digest": a.digest, "size": a.size })).collect::<Vec<_>>(),
        "facts": parsed(&attempt.facts_json),
    })
}

/// Text that may be JSON.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| some(text))
}

/// An event, with the ids and states of what it is about.
pub(crate) fn event(event: &types::Event) -> Value {
    let mut value = json!({
        "sequence": event.run_sequence,
        "time": time(event.time.as_ref()),
        "kind": event.kind,
        "run_state": event.run.as_ref().map(run_state),
    });
    if let Some(tier) = &event.tier {
        value["tier"] = json!({ "id": tier.id, "state": tier_state(tier) });
    }
    if let Some(phase) = &event.phase {
        value["phase"] = json!({ "id": phase.id, "state": phase_state(phase), "cause": some(&phase.cause), "detail": some(&phase.detail) });
    }
    if let Some(attempt) = &event.attempt {
        value["attempt"] = json!({ "number": attempt.number, "state": attempt_state(attempt), "cause": some(&attempt.cause), "detail": some(&attempt.detail), "commit": some(&attempt.commit) });
    }
    if let Some(job) = &event.job {
        value["job"] = json!({ "kind": job.kind, "failures": job.failures });
    }
    if !event.text.is_empty() {
        value["text"] = Value::from(event.text.as_str());
    }
    value
}

/// Why a phase is not running.
pub(crate) fn explanation(explanation: &registry::PhaseExplanation) -> Value {
    json!({
        "phase": explanation.phase_id,
        "state": explanation.state,
        "holds": explanation.holds.iter().map(|h| json!({ "rule": h.rule, "facts": h.facts, "remedy": h.remedy })).collect::<Vec<_>>(),
    })
}
