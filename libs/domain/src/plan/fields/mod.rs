//! The fields of `plan/v1`, for people and programs that write plans: required or not, default and its source,
//! allowed values, an example.
//!
//! Invariant: the fields are the keys that the reader knows; a test compares them.

mod phase;
mod tests_of_gate;

use super::{RunScope, SCHEMA_V1, SafetyProfile};
use crate::{Source, ids::ID_RULE};

/// One field of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanField {
    /// Where it stands, such as `tiers[].phases[].goal`.
    pub path: String,
    /// What it means.
    pub text: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What it is if it is not there; empty: nothing.
    pub default: String,
    /// Where that comes from; `None` for a required field.
    pub source: Option<Source>,
    /// The closed list, or the form; empty: free.
    pub allowed: Vec<String>,
    /// A value that is accepted.
    pub example: &'static str,
}

struct List(Vec<PlanField>);

impl List {
    fn required(&mut self, path: &str, example: &'static str, text: &'static str) -> &mut Self {
        self.0.push(PlanField {
            path: path.to_owned(),
            text,
            required: true,
            default: String::new(),
            source: None,
            allowed: Vec::new(),
            example,
        });
        self
    }

    fn optional(
        &mut self,
        path: &str,
        default: impl Into<String>,
        source: Source,
        example: &'static str,
        text: &'static str,
    ) -> &mut Self {
        self.required(path, example, text);
        if let Some(last) = self.0.last_mut() {
            last.required = false;
            last.default = default.into();
            last.source = Some(source);
        }
        self
    }

    fn allowed<S: ToString>(&mut self, values: impl IntoIterator<Item = S>) -> &mut Self {
        if let Some(last) = self.0.last_mut() {
            last.allowed = values.into_iter().map(|value| value.to_string()).collect();
        }
        self
    }
}

/// Every field, in the order of a plan.
pub fn fields() -> Vec<PlanField> {
    use Source::{Builtin, Category, Derived, Repository};
    let mut f = List(Vec::new());
    f.required("schema", SCHEMA_V1, "The form of the plan.")
        .allowed([SCHEMA_V1]);
    f.required("run", "{ goal: ... }", "The run's own settings.");
    f.optional(
        "run.id",
        "<slug of the goal>-<8 hex>",
        Derived,
        "demo-1",
        "The run's id; unique without regard to case.",
    )
    .allowed([ID_RULE]);
    f.optional(
        "run.project",
        "the remote `origin`, else the folder's name",
        Repository,
        "demo",
        "What backlog, ruleset and limits hang on.",
    );
    f.required(
        "run.goal",
        "Durations can be parsed and printed",
        "One sentence: the goal anchor.",
    );
    f.optional(
        "run.base",
        "HEAD",
        Builtin,
        "main",
        "Branch, tag or commit.",
    );
    f.optional(
        "run.safety_profile",
        "normal",
        Builtin,
        "normal",
        "Tolerance for minor issues.",
    )
    .allowed(SafetyProfile::spellings());
    f.optional(
        "run.run_scope",
        "multi_tier",
        Builtin,
        "multi_tier",
        "All tiers in one run, or one.",
    )
    .allowed(RunScope::spellings());
    f.optional(
        "run.budgets",
        "{}",
        Builtin,
        "{ tokens: 5000000 }",
        "Caps of the run.",
    );
    f.optional(
        "run.budgets.tokens",
        "5000000",
        Builtin,
        "5000000",
        "Tokens of all builders together.",
    );
    f.optional(
        "run.budgets.phases",
        "the larger of 25 and the plan's own count",
        Derived,
        "25",
        "Phases that may be dispatched.",
    );
    f.optional(
        "run.budgets.minutes",
        "120",
        Builtin,
        "120",
        "Wall time since the first lease, pauses left out.",
    );
    f.optional("run.priority", "5", Builtin, "5", "0 (last) to 9 (first).")
        .allowed(0..=9);
    f.optional(
        "run.labels",
        "{}",
        Builtin,
        "{ team: core }",
        "Free labels; `worker.KEY: VALUE` asks for workers with that label.",
    );
    f.optional(
        "run.default_builder",
        "",
        Builtin,
        "{ kind: noop }",
        "Builder of phases that name none.",
    );
    f.optional(
        "run.max_attempts",
        "by category",
        Category,
        "3",
        "Attempts of phases that say nothing.",
    )
    .allowed(1..=10);
    f.optional(
        "run.gate",
        "inferred",
        Repository,
        "{ steps: [cargo test] }",
        "Gate of phases that say nothing.",
    );
    f.optional(
        "run.limits",
        "see limits",
        Builtin,
        "{ memory_mb: 2048 }",
        "Limits of phases that say nothing.",
    );
    f.required(
        "tiers",
        "[{ id: T1, phases: [...] }]",
        "The tiers, in order.",
    );
    f.required("tiers[].id", "T1", "Unique in the run.")
        .allowed([ID_RULE]);
    f.optional("tiers[].name", "the id", Derived, "Core", "For people.");
    f.optional(
        "tiers[].description",
        "",
        Builtin,
        "The core",
        "For people.",
    );
    f.optional(
        "tiers[].budgets",
        "{}",
        Builtin,
        "{ tokens: 1000000 }",
        "Caps of the tier.",
    );
    f.optional(
        "tiers[].budgets.tokens",
        "three times the phases' tokens",
        Derived,
        "1000000",
        "Tokens of the tier.",
    );
    f.optional(
        "tiers[].budgets.ci_runs",
        "twice the phases, never below the attempts granted",
        Derived,
        "10",
        "Gate runs of the tier.",
    );
    f.required("tiers[].phases", "[{ id: P1.1, goal: ... }]", "The phases.");
    phase::own(&mut f);
    phase::proof(&mut f);
    f.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_fields_are_the_keys_that_the_reader_knows() {
        let fields = fields();
        let below = |prefix: &str| -> BTreeSet<String> {
            let keys = fields.iter().filter_map(|f| f.path.strip_prefix(prefix));
            keys.filter(|rest| !rest.contains(['.', '[']))
                .map(str::to_owned)
                .collect()
        };
        let phase = "tiers[].phases[].";
        for (prefix, known) in [
            (String::new(), super::super::read::ROOT.v1),
            ("run.".to_owned(), super::super::run::KEYS.v1),
            ("tiers[].".to_owned(), super::super::tiers::KEYS.v1),
            (phase.to_owned(), super::super::phase::KEYS.v1),
            (format!("{phase}scope."), super::super::scope::KEYS.v1),
            (format!("{phase}gate."), super::super::gate::KEYS.v1),
            (format!("{phase}gate.steps[]."), super::super::gate::STEP.v1),
            (
                format!("{phase}gate.tests."),
                super::super::gate_tests::KEYS.v1,
            ),
            (
                format!("{phase}gate.steps[].report."),
                super::super::gate_tests::REPORT.v1,
            ),
            (format!("{phase}limits."), super::super::gate::LIMITS.v1),
        ] {
            let known = known.iter().map(ToString::to_string).collect();
            assert_eq!(below(&prefix), known, "below `{prefix}`");
        }
        for field in &fields {
            assert_eq!(field.required, field.source.is_none(), "{}", field.path);
            assert!(
                !field.example.is_empty() && field.text.ends_with('.'),
                "{}",
                field.path
            );
        }
    }
}
