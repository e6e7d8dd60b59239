//! The fields of a phase: what it is, what it may write, who builds it, what proves it.

use super::{
    super::{BuilderSpec, Complexity, GateProfile, LimitSpec, StepKind},
    List,
};
use crate::{Source, ids::ID_RULE};

/// What a phase is, may write and is built by.
pub(super) fn own(f: &mut List) {
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
        &at("scope.approval_paths"),
        "[]",
        Builtin,
        "[migrations/]",
        "Written only with a person's word, given for the very tree.",
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

/// What proves a phase, and its limits.
pub(super) fn proof(f: &mut List) {
    use Source::{Builtin, Category, Derived, Repository, Ruleset};
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
    super::tests_of_gate::tests(f, p);
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
}
