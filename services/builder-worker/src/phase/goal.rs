//! What a command builder is told: the goal, its bounds, and why the previous attempt failed.
//!
//! Invariant: these are texts for whoever builds; nothing in them is read back.

use std::fmt::Write as _;

use autopack_domain::plan::PhaseSpec;

/// The goal file, as Markdown.
pub(crate) fn goal(run_goal: &str, phase: &PhaseSpec, number: u32, previous: &str) -> String {
    let mut text = format!("# {}: {}\n\n{}\n", phase.id, phase.name, phase.goal);
    section(&mut text, "The run's goal", run_goal);
    section(&mut text, "Description", &phase.description);
    list(
        &mut text,
        "Acceptance criteria",
        &phase.scope.acceptance_criteria,
    );
    match &phase.scope.paths {
        None => section(
            &mut text,
            "Paths that may be changed",
            "Everything but protected paths.",
        ),
        Some(paths) if paths.is_empty() => {
            section(&mut text, "Paths that may be changed", "None.");
        }
        Some(paths) => list(&mut text, "Paths that may be changed", paths),
    }
    list(
        &mut text,
        "Paths that must not be changed",
        &phase.scope.protected_paths,
    );
    list(
        &mut text,
        "Files that must exist in the end",
        &phase.scope.deliverables,
    );
    let context: Vec<String> = phase
        .scope
        .read_only_context
        .iter()
        .map(|context| match context.reason.as_str() {
            "" => context.path.clone(),
            reason => format!("{} ({reason})", context.path),
        })
        .collect();
    list(&mut text, "To read", &context);
    if let Some(steps) = &phase.gate.steps {
        let steps: Vec<String> = steps.iter().map(|step| format!("`{}`", step.run)).collect();
        list(&mut text, "Commands that must succeed afterwards", &steps);
    }
    if !previous.is_empty() {
        let title = format!("Why attempt {} failed", number.saturating_sub(1).max(1));
        section(&mut text, &title, previous);
    }
    text
}

/// The packet about the previous failure; empty if there was none.
pub(crate) fn previous_failure(previous: &(String, String)) -> String {
    let (cause, detail) = previous;
    if cause.is_empty() {
        String::new()
    } else {
        format!("cause: {cause}\n\n{}\n", detail.trim_end())
    }
}

fn section(text: &mut String, title: &str, body: &str) {
    if !body.trim().is_empty() {
        let _ = write!(text, "\n## {title}\n\n{}\n", body.trim_end());
    }
}

fn list(text: &mut String, title: &str, items: &[String]) {
    if !items.is_empty() {
        let _ = write!(text, "\n## {title}\n\n");
        for item in items {
            let _ = writeln!(text, "- {item}");
        }
    }
}

#[cfg(test)]
mod tests {
    use autopack_domain::plan::{
        Complexity, GateProfile, GateSpec, LimitSpec, ScopeSpec, TestRules,
    };

    use super::*;

    fn phase() -> PhaseSpec {
        PhaseSpec {
            id: "P1".parse().unwrap(),
            name: "Parse".into(),
            goal: "Parse durations.".into(),
            description: String::new(),
            task_category: String::new(),
            complexity: Complexity::Low,
            builder_mode: String::new(),
            depends_on: Vec::new(),
            scope: ScopeSpec {
                paths: Some(vec!["src/**".into()]),
                deliverables: vec!["src/d.rs".into()],
                acceptance_criteria: vec!["1h30m parses".into()],
                ..ScopeSpec::default()
            },
            builder: None,
            allow_noop: false,
            gate: GateSpec {
                profile: GateProfile::Normal,
                setup: Vec::new(),
                steps: None,
                tests: TestRules::default(),
            },
            max_attempts: None,
            tokens: None,
            limits: LimitSpec::default(),
            priority: None,
            labels: std::collections::BTreeMap::default(),
        }
    }

    #[test]
    fn the_goal_names_bounds_and_the_previous_failure() {
        let previous = previous_failure(&("GATE_FAILED".into(), "tests::a is red".into()));
        let text = goal("Durations everywhere", &phase(), 2, &previous);
        for part in [
            "# P1: Parse",
            "Durations everywhere",
            "- src/**",
            "- src/d.rs",
            "- 1h30m parses",
            "## Why attempt 1 failed",
            "cause: GATE_FAILED",
            "tests::a is red",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
        assert!(!text.contains("Description"));
    }

    #[test]
    fn a_first_attempt_has_no_previous_failure() {
        assert_eq!(previous_failure(&(String::new(), "x".into())), "");
        assert!(!goal("", &phase(), 1, "").contains("failed"));
    }
}
