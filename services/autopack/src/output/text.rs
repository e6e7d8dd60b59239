//! A run for people.
//!
//! Invariant: texts that came from a plan, a builder or a repository are cut to one line and stripped of control
//! characters.

use std::fmt::Write as _;

use autopack_domain::Cause;
use autopack_wire::types;

use super::{Ui, one_line, table::Table};
use crate::view::{View, attempt_state, minutes_used, phase_state, run_state, tier_state};

/// The short form of a commit.
pub(crate) fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

/// A time to the second.
pub(crate) fn moment(time: Option<&prost_types::Timestamp>) -> String {
    time.map_or_else(String::new, |time| {
        prost_types::Timestamp { nanos: 0, ..*time }.to_string()
    })
}

/// `12 of 100`, or `12` without a cap.
pub(crate) fn used(used: u64, cap: Option<u64>) -> String {
    cap.map_or_else(|| used.to_string(), |cap| format!("{used} of {cap}"))
}

/// One run a line.
pub(crate) fn runs(ui: Ui, runs: &[types::Run]) -> String {
    let mut table = Table::new(&["RUN", "STATE", "PHASES", "PROJECT", "CREATED", "GOAL"]);
    for run in runs {
        let counts = run.counts.unwrap_or_default();
        let total = counts.queued
            + counts.executing
            + counts.gate
            + counts.ci_running
            + counts.complete
            + counts.failed
            + counts.skipped;
        let flag = if run.cancelling {
            " (cancelling)"
        } else if run.paused {
            " (paused)"
        } else {
            ""
        };
        table.row([
            run.id.clone(),
            format!("{}{flag}", ui.state(run_state(run))),
            format!("{}/{total}", counts.complete),
            run.project.clone(),
            moment(run.create_time.as_ref()),
            one_line(&run.goal, 60),
        ]);
    }
    if table.is_empty() {
        String::new()
    } else {
        table.render()
    }
}

/// A run with its tiers and phases.
pub(crate) fn status(ui: Ui, view: &View, now_us: i64) -> String {
    let run = &view.run;
    let mut text = format!("run {}: {}\n", run.id, ui.state(run_state(run)));
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "  {name:<12}{value}");
        }
    };
    line("goal", &one_line(&run.goal, 100));
    line("project", &run.project);
    line("repository", &run.repository);
    line(
        "branch",
        &format!(
            "{}{}",
            run.branch,
            if run.tip.is_empty() {
                String::new()
            } else {
                format!(" at {}", short(&run.tip))
            }
        ),
    );
    line(
        "base",
        &format!("{} {}", run.base_ref, short(&run.base_sha)),
    );
    let tokens = run.tokens.unwrap_or_default();
    line("tokens", &used(tokens.settled, tokens.cap));
    line(
        "phases",
        &used(u64::from(run.phases_used), Some(u64::from(run.phases_cap))),
    );
    line(
        "minutes",
        &used(minutes_used(run, now_us), Some(u64::from(run.minutes_cap))),
    );
    let issues = super::issues::counts(run.issues.as_ref());
    if !issues.is_empty() {
        line("issues", &format!("{issues}; debt: {}", run.debt_status));
    }
    line("created", &moment(run.create_time.as_ref()));
    line("ended", &moment(run.complete_time.as_ref()));
    let flags: Vec<&str> = [
        ("held", run.held && !run.started),
        ("paused", run.paused),
        ("cancelling", run.cancelling),
    ]
    .iter()
    .filter(|(_, on)| *on)
    .map(|(name, _)| *name)
    .collect();
    line("flags", &flags.join(", "));
    text.push('\n');
    text.push_str(&phases(ui, view));
    text.push_str(&why_it_ended(run));
    text
}

/// Tiers and phases, in the order of the plan.
pub(crate) fn phases(ui: Ui, view: &View) -> String {
    let mut table = Table::new(&["TIER", "PHASE", "STATE", "ATTEMPTS", "COMMIT", "DETAIL"]);
    let mut last = None;
    for phase in view.ordered() {
        let tier = if last == Some(phase.tier) {
            ""
        } else {
            view.tier_id(phase)
        };
        last = Some(phase.tier);
        let note = match (phase.cause.as_str(), view.spec(phase)) {
            ("", Some(spec)) => one_line(&spec.name, 60),
            ("", None) => String::new(),
            (cause, _) if phase.detail.is_empty() => cause.to_owned(),
            (cause, _) => format!("{cause}: {}", one_line(&phase.detail, 60)),
        };
        let awaited = phase.handoff.as_ref().map_or("", |h| h.awaited.as_str());
        let note = match (awaited, note.as_str()) {
            ("", _) => note,
            (awaited, "") => format!("waits for the {awaited}"),
            (awaited, note) => format!("waits for the {awaited}; {note}"),
        };
        let commit = if phase.commit.is_empty() {
            phase.outcome.as_str()
        } else {
            short(&phase.commit)
        };
        table.row([
            tier.to_owned(),
            phase.id.clone(),
            ui.state(phase_state(phase)),
            phase.attempts_made.to_string(),
            commit.to_owned(),
            note,
        ]);
    }
    table.render()
}

/// Cause and remedy of a run that did not end well; empty otherwise.
pub(crate) fn why_it_ended(run: &types::Run) -> String {
    if run.cause.is_empty() {
        return String::new();
    }
    let mut text = format!("\ncause: {}: {}\n", run.cause, one_line(&run.detail, 300));
    if let Some(cause) = Cause::parse(&run.cause) {
        let _ = writeln!(
            text,
            "       {}\n       {}",
            cause.text(),
            named(cause.remedy(), &run.id, "")
        );
    }
    text
}

/// A remedy with the names of this run and phase.
pub(crate) fn named(remedy: &str, run: &str, phase: &str) -> String {
    let text = remedy.replace(
        " RUN PHASE`",
        &format!(" {run} {phase}`").replace(" `", "`"),
    );
    text.replace(" RUN`", &format!(" {run}`"))
}

/// Attempts, one a line, each with its artifacts.
pub(crate) fn attempts(ui: Ui, view: &View, attempts: &[types::Attempt]) -> String {
    let mut table = Table::new(&[
        "PHASE", "NO", "STATE", "TESTS", "TOKENS", "COMMIT", "DETAIL",
    ]);
    let mut files = String::new();
    for attempt in attempts {
        let phase = view
            .phases
            .iter()
            .find(|p| p.index == attempt.phase)
            .map_or("?", |p| p.id.as_str());
        let note = if attempt.cause.is_empty() {
            of_tests(&attempt.facts_json)
        } else {
            format!("{}: {}", attempt.cause, one_line(&attempt.detail, 60))
        };
        table.row([
            phase.to_owned(),
            attempt.number.to_string(),
            ui.state(attempt_state(attempt)),
            attempt.tests.map_or_else(String::new, |n| n.to_string()),
            attempt.tokens_used.to_string(),
            short(&attempt.commit).to_owned(),
            note,
        ]);
        for artifact in &attempt.artifacts {
            let _ = writeln!(
                files,
                "{phase} {}  {:<10} {}  {} bytes",
                attempt.number, artifact.name, artifact.digest, artifact.size
            );
        }
    }
    let mut text = table.render();
    if !files.is_empty() {
        let _ = write!(text, "\nartifacts (autopack artifact DIGEST):\n{files}");
    }
    text
}

/// What a good attempt found out about single tests.
fn of_tests(facts: &str) -> String {
    let facts: serde_json::Value = serde_json::from_str(facts).unwrap_or_default();
    let named = |fact: &str, words: &str| {
        let ids = facts[fact].as_array().filter(|ids| !ids.is_empty())?;
        let ids: Vec<&str> = ids.iter().filter_map(serde_json::Value::as_str).collect();
        Some(format!("{words}: {}", one_line(&ids.join(", "), 60)))
    };
    let notes = [
        named("flaky", "flaky"),
        named("known_failures", "red as on the base"),
    ];
    notes.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// Tiers, one a line.
pub(crate) fn tiers(view: &View) -> Table {
    let mut table = Table::new(&[
        "Tier",
        "State",
        "Complete",
        "Failed",
        "Skipped",
        "Tokens",
        "Gate runs",
    ]);
    for tier in &view.tiers {
        let counts = tier.counts.unwrap_or_default();
        let (tokens, runs) = (
            tier.tokens.unwrap_or_default(),
            tier.ci_runs.unwrap_or_default(),
        );
        table.row([
            tier.id.clone(),
            tier_state(tier).to_owned(),
            counts.complete.to_string(),
            counts.failed.to_string(),
            counts.skipped.to_string(),
            used(tokens.settled, tokens.cap),
            used(runs.settled, runs.cap),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedies_name_the_run() {
        assert_eq!(
            named("x, then `autopack retry RUN PHASE`.", "r", "P1"),
            "x, then `autopack retry r P1`."
        );
        assert_eq!(
            named("then `autopack retry RUN PHASE`.", "r", ""),
            "then `autopack retry r`."
        );
        assert_eq!(
            named("`autopack status RUN` lists", "r", "P"),
            "`autopack status r` lists"
        );
    }

    #[test]
    fn a_status_shows_state_cause_and_remedy() {
        let mut view = View::default();
        view.run.id = "demo".to_owned();
        view.run.state = types::run::State::DoneFailedRequiresHumanReview.into();
        view.run.cause = "GATE_FAILED".to_owned();
        view.run.detail = "phase P1: red\nmore".to_owned();
        view.tiers.push(types::Tier {
            id: "T1".to_owned(),
            ..types::Tier::default()
        });
        view.phases.push(types::Phase {
            id: "P1".to_owned(),
            state: types::phase::State::Failed.into(),
            cause: "GATE_FAILED".to_owned(),
            detail: "red\x1b[0m".to_owned(),
            ..types::Phase::default()
        });
        let text = status(Ui::default(), &view, 0);
        assert!(
            text.starts_with("run demo: DONE_FAILED_REQUIRES_HUMAN_REVIEW\n"),
            "{text}"
        );
        assert!(
            text.contains("T1    P1     FAILED  0                 GATE_FAILED: red[0m"),
            "{text}"
        );
        assert!(text.contains("autopack retry demo`"), "{text}");
    }
}
