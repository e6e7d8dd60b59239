//! Reports, for people and as JSON.
//!
//! Invariant: figures are those of the registry; nothing is computed here but their spelling.

use std::fmt::Write as _;

use autopack_wire::registry as pb;
use serde_json::{Value, json};

use super::{
    Ui, count,
    issues::{self, counts, counts_json},
    json::{account, some, time},
    one_line,
    table::Table,
    text::{moment, used},
};
use crate::view::{phase_state, run_state, tier_state};

/// A part as a percentage.
fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

fn seconds(progress: &pb::RunProgress) -> i64 {
    progress.elapsed_duration.map_or(0, |d| d.seconds)
}

/// One run.
pub(crate) fn run(ui: Ui, report: &pb::GetRunReportResponse) -> String {
    let run = report.run.clone().unwrap_or_default();
    let progress = report.progress.clone().unwrap_or_default();
    let tokens = run.tokens.unwrap_or_default();
    let mut text = format!("run {}: {}\n", run.id, ui.state(run_state(&run)));
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "  {name:<12}{value}");
        }
    };
    line(
        "profile",
        format!("{}, {}", report.safety_profile, report.run_scope),
    );
    line(
        "progress",
        format!(
            "{} %, {} of {} phases, {} of {} tiers",
            progress.percent_complete,
            progress.completed_phases,
            progress.total_phases,
            progress.completed_tiers,
            progress.total_tiers
        ),
    );
    line("elapsed", format!("{} s", seconds(&progress)));
    line(
        "now",
        [
            progress.current_tier.as_str(),
            &progress.current_phases.join(", "),
        ]
        .join(" ")
        .trim()
        .to_owned(),
    );
    line(
        "tokens",
        format!(
            "{} ({})",
            used(tokens.settled, tokens.cap),
            percent(report.token_utilization)
        ),
    );
    let found = counts(run.issues.as_ref());
    let tolerated = format!(
        "{} minor tolerated; debt: {}",
        report.max_minor_issues, run.debt_status
    );
    line(
        "issues",
        if found.is_empty() {
            "none".to_owned()
        } else {
            format!("{found}; {tolerated}")
        },
    );
    line("aged", one_line(&report.aged_issues.join(", "), 100));
    let _ = write!(
        text,
        "\n{}\n{}",
        tiers(ui, report).render(),
        phases(ui, report).render()
    );
    let verdict = if report.promotion_eligible {
        "may be promoted"
    } else {
        "may not be promoted"
    };
    let _ = writeln!(text, "\nthe run {verdict}");
    for rule in &report.promotion_rules {
        let mark = if rule.holds { "yes" } else { "no " };
        let _ = writeln!(
            text,
            "  {mark} {}: {}",
            rule.rule,
            one_line(&rule.facts, 120)
        );
        if !rule.holds {
            let _ = writeln!(text, "      {}", rule.remedy);
        }
    }
    text
}

fn tiers(ui: Ui, report: &pb::GetRunReportResponse) -> Table {
    let mut table = Table::new(&[
        "TIER",
        "STATE",
        "PHASES",
        "TOKENS",
        "GATE RUNS",
        "ISSUES",
        "CLEAN",
    ]);
    for metrics in &report.tiers {
        let tier = metrics.tier.clone().unwrap_or_default();
        let (tokens, runs) = (
            tier.tokens.unwrap_or_default(),
            tier.ci_runs.unwrap_or_default(),
        );
        let done = tier.counts.unwrap_or_default().complete;
        table.row([
            tier.id.clone(),
            ui.state(tier_state(&tier)),
            format!("{done}/{}", metrics.phase_count),
            used(tokens.settled, tokens.cap),
            used(runs.settled, runs.cap),
            counts(tier.issues.as_ref()),
            tier.cleanliness.clone(),
        ]);
    }
    table
}

fn phases(ui: Ui, report: &pb::GetRunReportResponse) -> Table {
    let mut table = Table::new(&["PHASE", "STATE", "CATEGORY", "ATTEMPTS", "TOKENS", "ISSUES"]);
    for metrics in &report.phases {
        let phase = metrics.phase.clone().unwrap_or_default();
        let tokens = phase.tokens.unwrap_or_default();
        table.row([
            phase.id.clone(),
            ui.state(phase_state(&phase)),
            format!(
                "{}:{}",
                one_line(&metrics.task_category, 30),
                metrics.complexity
            ),
            phase.attempts_made.to_string(),
            used(tokens.settled, tokens.cap),
            counts(phase.issues.as_ref()),
        ]);
    }
    table
}

/// One run.
pub(crate) fn run_json(report: &pb::GetRunReportResponse) -> Value {
    let run = report.run.clone().unwrap_or_default();
    let progress = report.progress.clone().unwrap_or_default();
    json!({
        "run": run.id,
        "state": run_state(&run),
        "cause": some(&run.cause),
        "detail": some(&run.detail),
        "safety_profile": report.safety_profile,
        "run_scope": report.run_scope,
        "budgets": {
            "tokens": account(run.tokens.as_ref()),
            "token_utilization": report.token_utilization,
            "phases": { "cap": run.phases_cap, "used": run.phases_used },
            "minutes": { "cap": run.minutes_cap },
        },
        "issues": counts_json(run.issues.as_ref()),
        "max_minor_issues": report.max_minor_issues,
        "debt_status": run.debt_status,
        "aged_issues": report.aged_issues,
        "progress": {
            "percent_complete": progress.percent_complete,
            "tiers_percent_complete": progress.tiers_percent_complete,
            "completed_phases": progress.completed_phases,
            "total_phases": progress.total_phases,
            "completed_tiers": progress.completed_tiers,
            "total_tiers": progress.total_tiers,
            "elapsed_seconds": seconds(&progress),
            "current_tier": some(&progress.current_tier),
            "current_phases": progress.current_phases,
        },
        "tiers": report.tiers.iter().map(tier_json).collect::<Value>(),
        "phases": report.phases.iter().map(phase_json).collect::<Value>(),
        "promotion_eligible": report.promotion_eligible,
        "promotion_rules": report.promotion_rules.iter().map(|r| {
            json!({ "rule": r.rule, "holds": r.holds, "facts": r.facts, "remedy": r.remedy })
        }).collect::<Value>(),
        "start_time": time(run.start_time.as_ref()),
        "complete_time": time(run.complete_time.as_ref()),
    })
}

fn tier_json(metrics: &pb::TierMetrics) -> Value {
    let mut value = super::json::tier(&metrics.tier.clone().unwrap_or_default());
    value["name"] = json!(metrics.name);
    value["phase_count"] = json!(metrics.phase_count);
    value["max_minor_issues"] = json!(metrics.max_minor_issues);
    value["max_major_issues"] = json!(metrics.max_major_issues);
    value["tokens_over"] = json!(metrics.tokens_over);
    value["ci_runs_over"] = json!(metrics.ci_runs_over);
    value["promotion_blocked"] = json!(metrics.promotion_blocked);
    value
}

fn phase_json(metrics: &pb::PhaseMetrics) -> Value {
    let phase = metrics.phase.clone().unwrap_or_default();
    json!({
        "id": phase.id,
        "name": metrics.name,
        "state": phase_state(&phase),
        "task_category": metrics.task_category,
        "complexity": metrics.complexity,
        "attempts": phase.attempts_made,
        "tokens": account(phase.tokens.as_ref()),
        "issues": counts_json(phase.issues.as_ref()),
        "issue_state": phase.issue_state,
    })
}

/// Runs, one a line.
pub(crate) fn metrics(ui: Ui, runs: &[pb::RunMetrics]) -> String {
    let mut table = Table::new(&[
        "RUN",
        "STATE",
        "PHASES",
        "TOKENS",
        "GATE RUNS",
        "ISSUES",
        "DEBT",
        "PROMOTION",
        "CREATED",
    ]);
    for metrics in runs {
        let run = metrics.run.clone().unwrap_or_default();
        let tokens = run.tokens.unwrap_or_default();
        table.row([
            run.id.clone(),
            ui.state(run_state(&run)),
            format!(
                "{}/{}",
                run.counts.unwrap_or_default().complete,
                metrics.phase_count
            ),
            used(tokens.settled, tokens.cap),
            metrics.ci_runs.to_string(),
            counts(run.issues.as_ref()),
            run.debt_status.clone(),
            if metrics.promotion_eligible {
                "eligible"
            } else {
                ""
            }
            .to_owned(),
            moment(run.create_time.as_ref()),
        ]);
    }
    if table.is_empty() {
        String::new()
    } else {
        table.render()
    }
}

/// A run of a list.
pub(crate) fn metrics_json(metrics: &pb::RunMetrics) -> Value {
    let run = metrics.run.clone().unwrap_or_default();
    json!({
        "run": run.id,
        "project": run.project,
        "state": run_state(&run),
        "cause": some(&run.cause),
        "detail": some(&run.detail),
        "safety_profile": some(&metrics.safety_profile),
        "tokens": account(run.tokens.as_ref()),
        "token_utilization": metrics.token_utilization,
        "phase_count": metrics.phase_count,
        "tier_count": metrics.tier_count,
        "tiers_not_clean": metrics.tiers_not_clean,
        "ci_runs": metrics.ci_runs,
        "issues": counts_json(run.issues.as_ref()),
        "max_minor_issues": metrics.max_minor_issues,
        "debt_status": run.debt_status,
        "promotion_eligible": metrics.promotion_eligible,
        "create_time": time(run.create_time.as_ref()),
        "start_time": time(run.start_time.as_ref()),
        "complete_time": time(run.complete_time.as_ref()),
    })
}

/// A backlog in figures.
pub(crate) fn backlog(ui: Ui, found: &pb::GetBacklogSummaryResponse) -> String {
    let mut text = format!(
        "{}: {} open, {} need a cleanup, {} resolved\n",
        count(
            usize::try_from(found.total_issues).unwrap_or(usize::MAX),
            "issue"
        ),
        found.open_count,
        found.needs_cleanup_count,
        found.resolved_count
    );
    if !found.top_aging_issues.is_empty() {
        text.push('\n');
        text.push_str(&issues::entries(ui, &found.top_aging_issues));
    }
    text
}

/// A backlog in figures.
pub(crate) fn backlog_json(found: &pb::GetBacklogSummaryResponse) -> Value {
    json!({
        "total_issues": found.total_issues,
        "open_count": found.open_count,
        "needs_cleanup_count": found.needs_cleanup_count,
        "resolved_count": found.resolved_count,
        "top_aging_issues": found.top_aging_issues.iter().map(issues::entry).collect::<Value>(),
        "needs_cleanup": found.needs_cleanup.iter().map(issues::entry).collect::<Value>(),
    })
}

/// Where budgets were spent.
pub(crate) fn budgets(ui: Ui, found: &pb::GetBudgetAnalysisResponse) -> String {
    let mut text = format!(
        "{} ended with a spent budget; {} of the tokens were used on average\n",
        count(
            usize::try_from(found.total_budget_failures).unwrap_or(usize::MAX),
            "run"
        ),
        percent(found.average_token_utilization)
    );
    let mut table = Table::new(&["RUN", "CAUSE", "TOKENS", "TIER", "PHASE", "CATEGORY"]);
    for failure in &found.failures {
        let metrics = failure.metrics.clone().unwrap_or_default();
        let run = metrics.run.unwrap_or_default();
        let (first, tokens) = (
            failure.phases.first().cloned().unwrap_or_default(),
            run.tokens,
        );
        let tokens = tokens.unwrap_or_default();
        table.row([
            run.id.clone(),
            ui.state(&run.cause),
            used(tokens.settled, tokens.cap),
            first.tier_id,
            first.phase_id,
            first.category,
        ]);
    }
    if !table.is_empty() {
        let _ = write!(text, "\n{}", table.render());
    }
    for (title, shares) in [("TIER", &found.by_tier), ("CATEGORY", &found.by_category)] {
        let mut table = Table::new(&[title, "RUNS"]);
        for share in shares {
            table.row([share.name.clone(), share.runs.to_string()]);
        }
        if !table.is_empty() {
            let _ = write!(text, "\n{}", table.render());
        }
    }
    if found.auditor_phases > 0 {
        let _ = writeln!(
            text,
            "\nan auditor looked at {} of these runs; {} are complete",
            count(found.auditor_phases as usize, "phase"),
            found.auditor_phases_complete
        );
    }
    text
}

/// Where budgets were spent.
pub(crate) fn budgets_json(found: &pb::GetBudgetAnalysisResponse) -> Value {
    let shares = |list: &[pb::BudgetShare]| -> Value {
        list.iter()
            .map(|s| json!({ "name": s.name, "runs": s.runs }))
            .collect()
    };
    let phase = |p: &pb::BudgetPhase| json!({ "phase": p.phase_id, "tier": p.tier_id, "category": p.category, "cause": p.cause });
    let failure = |f: &pb::BudgetFailure| {
        let mut value = metrics_json(&f.metrics.clone().unwrap_or_default());
        value["phases"] = f.phases.iter().map(phase).collect();
        value
    };
    json!({
        "total_budget_failures": found.total_budget_failures,
        "average_token_utilization": found.average_token_utilization,
        "failures": found.failures.iter().map(failure).collect::<Value>(),
        "by_tier": shares(&found.by_tier),
        "by_category": shares(&found.by_category),
        "auditor_phases": found.auditor_phases,
        "auditor_phases_complete": found.auditor_phases_complete,
    })
}
