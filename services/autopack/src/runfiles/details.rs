//! The files of tiers and phases.
//!
//! Invariant: each line is `- **Key:** value` as in the older system, and reads back by that form; texts of plans and
//! builders cannot become Markdown or HTML.

use std::fmt::Write as _;

use autopack_wire::types;

use super::{
    gather::Facts,
    summary::{id, md},
};
use crate::{
    output::{table::Table, text},
    view::{attempt_state, phase_state, tier_state},
};

/// Lines of one section.
struct Lines(String);

impl Lines {
    fn heading(&mut self, text: &str) {
        let _ = write!(self.0, "\n## {text}\n\n");
    }

    fn line(&mut self, key: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "- **{key}:** {value}");
    }

    /// Only what there is.
    fn some(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.line(key, value);
        }
    }
}

fn titled(kind: &str, of: &str, name: &str) -> Lines {
    let colon = if name.is_empty() { "" } else { ": " };
    Lines(format!("# {kind} {}{colon}{}\n", id(of), md(name)))
}

fn or_none(text: &str) -> String {
    if text.is_empty() {
        "N/A".to_owned()
    } else {
        id(text)
    }
}

/// A tier's file.
pub(super) fn tier(facts: &Facts, tier: &types::Tier) -> String {
    let mut page = titled("Tier", &tier.id, facts.tier_name(tier));
    page.heading("Status");
    page.line("State", tier_state(tier));
    page.line("Tier ID", id(&tier.id));
    page.line("Index", tier.index);
    page.line("Run", id(&facts.view.run.id));
    page.some("Started", &text::moment(tier.start_time.as_ref()));
    page.some("Completed", &text::moment(tier.complete_time.as_ref()));
    page.some("Snapshot", &md(&tier.snapshot));
    let own = facts.view.ordered();
    let own: Vec<&types::Phase> = own.into_iter().filter(|p| p.tier == tier.index).collect();
    page.heading("Phases");
    page.line("Total", own.len());
    let mut table = Table::new(&["Phase", "Name", "State", "Cause"]);
    for phase in own {
        let name = facts.view.spec(phase).map_or("", |spec| spec.name.as_str());
        table.row([
            id(&phase.id),
            md(name),
            phase_state(phase).to_owned(),
            id(&phase.cause),
        ]);
    }
    let _ = write!(page.0, "\n{}", table.markdown());
    let (tokens, ci_runs) = (tier.tokens.unwrap_or_default(), tier.ci_runs);
    let ci_runs = ci_runs.unwrap_or_default();
    page.heading("Budgets");
    page.line("Tokens", text::used(tokens.settled, tokens.cap));
    page.line("CI Runs", text::used(ci_runs.settled, ci_runs.cap));
    issues(&mut page, tier.issues.as_ref());
    page.line("Cleanliness", or_none(&tier.cleanliness));
    page.0
}

/// A phase's file.
pub(super) fn phase(facts: &Facts, phase: &types::Phase) -> String {
    let spec = facts.view.spec(phase);
    let of = |field: fn(&types::PhaseSpec) -> &str| spec.map_or("", field);
    let mut page = titled("Phase", &phase.id, of(|s| &s.name));
    if !of(|s| &s.goal).is_empty() {
        let _ = write!(page.0, "\n{}\n", md(of(|s| &s.goal)));
    }
    page.heading("Status");
    page.line("State", phase_state(phase));
    page.line("Phase ID", id(&phase.id));
    page.line("Index", phase.index);
    page.line("Tier ID", id(facts.view.tier_id(phase)));
    page.line("Run", id(&facts.view.run.id));
    page.some("Cause", &id(&phase.cause));
    page.some("Detail", &md(&phase.detail));
    page.some("Started", &text::moment(phase.start_time.as_ref()));
    page.some("Completed", &text::moment(phase.complete_time.as_ref()));
    page.heading("Classification");
    page.line("Task Category", or_none(of(|s| &s.task_category)));
    page.line("Complexity", or_none(of(|s| &s.complexity)));
    page.line("Builder Mode", or_none(of(|s| &s.builder_mode)));
    let tokens = phase.tokens.unwrap_or_default();
    page.heading("Execution");
    page.line("Builder Attempts", phase.attempts_made);
    page.line("Tokens Used", tokens.settled);
    page.some("Outcome", &md(&phase.outcome));
    page.some("Commit", &md(&phase.commit));
    let mut table = Table::new(&["Attempt", "State", "Cause", "Tests", "Tokens", "Detail"]);
    for attempt in facts.attempts_of(phase) {
        table.row([
            attempt.number.to_string(),
            attempt_state(attempt).to_owned(),
            id(&attempt.cause),
            attempt.tests.map_or_else(String::new, |n| n.to_string()),
            attempt.tokens_used.to_string(),
            md(&attempt.detail),
        ]);
    }
    if !table.is_empty() {
        let _ = write!(page.0, "\n{}", table.markdown());
    }
    issues(&mut page, phase.issues.as_ref());
    page.line("Issue State", or_none(&phase.issue_state));
    page.0
}

fn issues(page: &mut Lines, counts: Option<&types::IssueCounts>) {
    let counts = counts.copied().unwrap_or_default();
    page.heading("Issues");
    page.line("Minor", counts.minor);
    page.line("Major", counts.major);
    page.line("Resolved", counts.resolved);
}
