//! `run_summary.md` for people, `run_summary.json` for programs.
//!
//! Invariant: both say the same, from the same facts; texts of plans and builders cannot become Markdown or HTML.

use std::fmt::Write as _;

use autopack_domain::ids::is_user_id;
use serde_json::{Value, json};

use super::gather::Facts;
use crate::{
    output::{json, one_line, table::Table, text},
    view::{minutes_used, phase_state, run_state},
};

/// A foreign text on one line of Markdown.
pub(super) fn md(text: &str) -> String {
    let mut safe = String::new();
    for c in one_line(text, 300).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '*' | '_' | '`' | '[' | ']' | '#' | '\\' | '!' => safe.extend(['\\', c]),
            _ => safe.push(c),
        }
    }
    safe
}

/// An id or a code as it is; what is none, as foreign text.
pub(super) fn id(text: &str) -> String {
    if is_user_id(text) {
        text.to_owned()
    } else {
        md(text)
    }
}

/// The summary for people.
pub(super) fn markdown(facts: &Facts) -> String {
    let run = &facts.view.run;
    let plan = facts.view.plan.as_ref().and_then(|plan| plan.run.as_ref());
    let counts = run.counts.unwrap_or_default();
    let complete = facts
        .view
        .tiers
        .iter()
        .filter(|tier| crate::view::tier_state(tier) == "COMPLETE")
        .count();
    let mut text = format!(
        "# Run {}\n\n{}\n\n## Status\n\n",
        id(&run.id),
        md(&run.goal)
    );
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "- **{name}:** {value}");
        }
    };
    line("State", run_state(run));
    line(
        "Cause",
        &if run.cause.is_empty() {
            String::new()
        } else {
            format!("{}: {}", run.cause, md(&run.detail))
        },
    );
    line(
        "Safety Profile",
        plan.map_or("", |p| p.safety_profile.as_str()),
    );
    line("Run Scope", plan.map_or("", |p| p.run_scope.as_str()));
    line("Created", &text::moment(run.create_time.as_ref()));
    line("Completed", &text::moment(run.complete_time.as_ref()));
    line("Project", &md(&run.project));
    line("Repository", &md(&run.repository));
    line("Base", &format!("{} {}", md(&run.base_ref), run.base_sha));
    line("Branch", &md(&run.branch));
    line("Tip", &run.tip);
    text.push_str("\n## Progress\n\n");
    let _ = writeln!(
        text,
        "- **Tiers:** {complete} of {} complete",
        facts.view.tiers.len()
    );
    let _ = writeln!(
        text,
        "- **Phases:** {} of {} complete, {} failed, {} skipped\n",
        counts.complete,
        facts.view.phases.len(),
        counts.failed,
        counts.skipped
    );
    text.push_str(&text::tiers(&facts.view).markdown());
    let tokens = run.tokens.unwrap_or_default();
    let _ = write!(
        text,
        "\n## Budgets\n\n- **Tokens:** {}\n- **Phases:** {} of {}\n- **Minutes:** {} of {}\n",
        text::used(tokens.settled, tokens.cap),
        run.phases_used,
        run.phases_cap,
        minutes_used(run, facts.now_us),
        run.minutes_cap
    );
    let issues = run.issues.unwrap_or_default();
    let _ = write!(
        text,
        "\n## Issues\n\n- **Minor:** {}\n- **Major:** {}\n- **Resolved:** {}\n- **Debt:** {}\n",
        issues.minor, issues.major, issues.resolved, run.debt_status
    );
    text.push_str("\n## Phases\n\n");
    text.push_str(&phases(facts).markdown());
    text.push_str("\n## Next\n\n");
    for (command, why) in next(facts) {
        let _ = writeln!(text, "- `{command}`: {why}");
    }
    text
}

/// Phases in the order of the plan.
fn phases(facts: &Facts) -> Table {
    let mut table = Table::new(&[
        "Phase", "Name", "State", "Attempts", "Commit", "Tests", "Tokens", "Cause",
    ]);
    for phase in facts.view.ordered() {
        table.row([
            id(&phase.id),
            facts
                .view
                .spec(phase)
                .map_or_else(String::new, |spec| md(&spec.name)),
            phase_state(phase).to_owned(),
            phase.attempts_made.to_string(),
            if phase.commit.is_empty() {
                phase.outcome.clone()
            } else {
                text::short(&phase.commit).to_owned()
            },
            facts
                .tests_of(phase)
                .map_or_else(String::new, |n| n.to_string()),
            phase.tokens.unwrap_or_default().settled.to_string(),
            id(&phase.cause),
        ]);
    }
    table
}

/// Commands to go on with, and why.
pub(super) fn next(facts: &Facts) -> Vec<(String, String)> {
    let run = &facts.view.run;
    let id = &id(&run.id);
    let mut next = Vec::new();
    match run_state(run) {
        "DONE_SUCCESS" => {
            let range = if run.base_sha.is_empty() {
                run.branch.clone()
            } else {
                format!("{}..{}", text::short(&run.base_sha), run.branch)
            };
            next.push((
                format!("git log --oneline {range}"),
                "what landed".to_owned(),
            ));
            next.push((
                format!("autopack attempts {id}"),
                "every attempt with its artifacts".to_owned(),
            ));
        }
        state if state.starts_with("DONE_FAILED") => {
            next.push((
                format!("autopack explain {}", run.cause),
                "what the cause means".to_owned(),
            ));
            next.push((
                format!("autopack attempts {id}"),
                "every attempt with its artifacts".to_owned(),
            ));
            next.push((
                format!("autopack retry {id}"),
                "run the failed phases again".to_owned(),
            ));
        }
        _ => next.push((
            format!("autopack status {id}"),
            "where the run stands".to_owned(),
        )),
    }
    next
}

/// The summary for programs.
pub(super) fn json(facts: &Facts) -> Value {
    let mut value = json::view(&facts.view, facts.now_us);
    let plan = facts.view.plan.as_ref().and_then(|plan| plan.run.as_ref());
    value["safety_profile"] = json!(plan.map(|p| &p.safety_profile));
    value["run_scope"] = json!(plan.map(|p| &p.run_scope));
    for (slot, phase) in value["phases"]
        .as_array_mut()
        .into_iter()
        .flatten()
        .zip(facts.view.ordered())
    {
        slot["tests"] = json!(facts.tests_of(phase));
    }
    value["next"] = next(facts)
        .into_iter()
        .map(|(command, why)| json!({ "command": command, "why": why }))
        .collect();
    value
}

/// Of which run, and of which version of it, a folder says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Uid of the run.
    pub(crate) uid: String,
    /// Version of the run.
    pub(crate) version: u64,
    /// The run had ended.
    pub(crate) ended: bool,
}

impl Mark {
    /// Reads a summary for programs.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let value = serde_json::from_str::<Value>(text).ok()?;
        Some(Self {
            uid: value.get("uid")?.as_str()?.to_owned(),
            version: value.get("version")?.as_u64()?,
            ended: autopack_domain::states::RunState::parse(value.get("state")?.as_str()?)?
                .is_terminal(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autopack_wire::types;

    pub(crate) fn facts() -> Facts {
        let mut facts = Facts::default();
        let run = &mut facts.view.run;
        run.id = "demo".to_owned();
        run.goal = "Say <b>hello</b>\n# not a heading".to_owned();
        run.version = 7;
        run.state = types::run::State::DoneFailedRequiresHumanReview.into();
        run.cause = "GATE_FAILED".to_owned();
        facts.view.tiers.push(types::Tier {
            id: "T1".to_owned(),
            ..types::Tier::default()
        });
        facts.view.phases.push(types::Phase {
            id: "P1".to_owned(),
            attempts_made: 2,
            cause: "GATE_FAILED".to_owned(),
            ..types::Phase::default()
        });
        facts.attempts.push(types::Attempt {
            tests: Some(12),
            ..types::Attempt::default()
        });
        facts
    }

    #[test]
    fn the_state_line_has_its_form_and_foreign_text_stays_text() {
        let text = markdown(&facts());
        assert!(text.starts_with("# Run demo\n\nSay &lt;b&gt;hello&lt;/b&gt;\n\n## Status\n\n- **State:** DONE_FAILED_REQUIRES_HUMAN_REVIEW\n"), "{text}");
        assert!(
            text.contains("| P1 |  | UNSPECIFIED | 2 |  | 12 | 0 | GATE_FAILED |"),
            "{text}"
        );
        assert!(text.contains("- `autopack retry demo`: "), "{text}");
    }

    #[test]
    fn the_json_knows_its_version() {
        let value = json(&facts());
        assert_eq!(Mark::read(&value.to_string()).unwrap().version, 7);
        assert_eq!(Mark::read("{}"), None);
        assert_eq!(value["phases"][0]["tests"], 12);
    }
}
