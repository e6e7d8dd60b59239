//! The fields of `plan/v1`, for people and programs that write plans: required or not, default and its source,
//! allowed values, an example.
//!
//! Invariant: the fields are the keys that the reader knows; a test compares them.

use super::{
    BuilderSpec, Complexity, GateProfile, LimitSpec, RunScope, SCHEMA_V1, SafetyProfile, StepKind,
};
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
    use Source::{Builtin, Category, Derived, Repository, Ruleset};
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
    phase(&mut f);
    let p = "tiers[].phases[]";
    f.optional(
        &format!("{p}.gate.profile"),
        "by category",
        Category,
        "normal",
        "Which tests of an inferred gate count.",
    )
    .allowed(GateProfile::spellings());
    f.optional(
        &format!("{p}.gate.setup"),
        "[], or inferred with the steps",
        Repository,
        "[cargo fetch]",
        "Steps that prepare; they may use the network.",
    );
    f.optional(
        &format!("{p}.gate.steps"),
        "inferred from the toolchain",
        Repository,
        "[{ run: cargo test, kind: test }]",
        "What proves the change; []: nothing.",
    );
    f.required(
        &format!("{p}.gate.steps[].run"),
        "cargo test",
        "A line of /bin/sh.",
    );
    f.optional(
        &format!("{p}.gate.steps[].kind"),
        "test; check in setup",
        Builtin,
        "test",
        "`test`: at least one test must have run.",
    )
    .allowed(StepKind::spellings());
    f.optional(
        &format!("{p}.gate.steps[].dir"),
        "the root",
        Builtin,
        "server",
        "Folder inside the repository.",
    );
    f.optional(
        &format!("{p}.gate.steps[].timeout_seconds"),
        "600",
        Builtin,
        "600",
        "Until it is ended.",
    );
    f.optional(
        &format!("{p}.gate.steps[].env"),
        "{}",
        Builtin,
        "{ CI: \"1\" }",
        "Additional variables.",
    );
    f.optional(
        &format!("{p}.max_attempts"),
        "the run's, MAX_ATTEMPTS, the ruleset, the category",
        Ruleset,
        "2",
        "Attempts that may be charged.",
    )
    .allowed(1..=10);
    f.optional(
        &format!("{p}.budgets"),
        "{}",
        Builtin,
        "{ tokens: 100000 }",
        "Caps of the phase.",
    );
    f.optional(
        &format!("{p}.budgets.tokens"),
        "by category",
        Category,
        "100000",
        "Tokens of the phase.",
    );
    f.optional(
        &format!("{p}.limits"),
        "the run's",
        Derived,
        "{ files: 10 }",
        "Limits of its commands and its change.",
    );
    let limits = LimitSpec::default();
    for (name, default, text) in [
        (
            "memory_mb",
            limits.memory_mb,
            "Resident memory of the process tree, MiB.",
        ),
        ("disk_mb", limits.disk_mb, "Bytes written, MiB."),
        (
            "cpu_seconds",
            limits.cpu_seconds,
            "Processor time of the tree.",
        ),
        ("processes", limits.processes, "Processes at a time."),
        ("file_kb", limits.file_kb, "Largest file of a change, KiB."),
        ("files", limits.files, "Files of a change."),
    ] {
        f.optional(
            &format!("{p}.limits.{name}"),
            default.to_string(),
            Builtin,
            "100",
            text,
        );
    }
    f.optional(
        &format!("{p}.priority"),
        "the run's",
        Derived,
        "7",
        "0 (last) to 9 (first).",
    )
    .allowed(0..=9);
    f.optional(
        &format!("{p}.labels"),
        "{}",
        Builtin,
        "{ team: core }",
        "Free labels.",
    );
    f.0
}

fn phase(f: &mut List) {
    use Source::{Builtin, Category, Derived};
    let p = "tiers[].phases[]";
    let at = |name: &str| format!("{p}.{name}");
    f.required(&at("id"), "P1.1", "Unique in the run.")
        .allowed([ID_RULE]);
    f.optional(
        &at("name"),
        "the goal, shortened",
        Derived,
        "Parse durations",
        "The commit's subject.",
    );
    f.optional(
        &at("goal"),
        "the name",
        Derived,
        "`1h30m` parses to 5,400 seconds",
        "What the phase must achieve; name or goal must be there.",
    );
    f.optional(&at("description"), "", Builtin, "More words", "For people.");
    f.optional(
        &at("task_category"),
        "none: the base row",
        Builtin,
        "feature_scaffolding",
        "Chooses defaults; free text.",
    );
    f.optional(
        &at("complexity"),
        "by category",
        Category,
        "low",
        "Complexity.",
    )
    .allowed(Complexity::spellings());
    f.optional(
        &at("builder_mode"),
        "tweak_light",
        Builtin,
        "tweak_light",
        "A label for prompts and budgets; free text.",
    );
    f.optional(
        &at("depends_on"),
        "the phase before it in its tier",
        Derived,
        "[P1.1]",
        "Phases of the same or an earlier tier that must be complete first.",
    );
    f.optional(
        &at("scope"),
        "everything but protected paths",
        Builtin,
        "{ paths: [src/] }",
        "What may be written, and must.",
    );
    f.optional(
        &at("scope.paths"),
        "everything but protected paths",
        Builtin,
        "[\"src/**\"]",
        "What may be written; []: nothing.",
    );
    f.optional(
        &at("scope.protected_paths"),
        "[]",
        Builtin,
        "[src/generated/]",
        "Never written, whatever `paths` says.",
    );
    f.optional(
        &at("scope.read_only_context"),
        "[]",
        Builtin,
        "[README.md]",
        "What the builder should read: a path, or `path` and `reason`.",
    );
    f.optional(
        &at("scope.deliverables"),
        "[]",
        Builtin,
        "[src/duration.rs]",
        "Files that must exist in the result.",
    );
    f.optional(
        &at("scope.acceptance_criteria"),
        "[]",
        Builtin,
        "[an unknown unit is an error]",
        "Text for the builder.",
    );
    f.optional(
        &at("builder"),
        "run.default_builder",
        Derived,
        "{ kind: patch, patch: p.patch }",
        "Who builds; a run refuses a phase without one.",
    );
    f.required(&at("builder.kind"), "patch", "Kind of the builder.")
        .allowed(BuilderSpec::KINDS);
    f.optional(
        &at("allow_noop"),
        "false",
        Builtin,
        "false",
        "Whether no change is a success.",
    )
    .allowed([true, false]);
    f.optional(
        &at("gate"),
        "run.gate, else inferred",
        Derived,
        "{ steps: [] }",
        "How the result is proved.",
    );
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
