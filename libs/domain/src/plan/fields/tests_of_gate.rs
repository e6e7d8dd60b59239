//! What a plan may say of tests: the rules of a gate, and the report of a step.
//!
//! Invariant: as in the parent.

use super::{
    super::{KnownFailures, ReportKind, TestRules},
    List,
};
use crate::Source;

/// The `report` of a step and the `tests` of a gate.
pub(super) fn tests(f: &mut List, phase: &str) {
    use Source::Builtin;
    let step = |key: &str| format!("{phase}.gate.steps[].{key}");
    f.optional(
        &step("report"),
        "as the command line suggests",
        Builtin,
        "{ kind: junit, path: build/test-results }",
        "How the results of the tests are read: a kind, or a mapping.",
    );
    f.required(&step("report.kind"), "junit", "The form of the report.")
        .allowed(ReportKind::spellings());
    f.optional(
        &step("report.path"),
        "what the step prints",
        Builtin,
        "build/test-results",
        "A file that the step writes, or a folder of XML files.",
    );
    let at = |key: &str| format!("{phase}.gate.{key}");
    let rules = TestRules::default();
    f.optional(
        &at("tests"),
        "run.gate.tests, else each as below",
        Builtin,
        "{ may_remove: [\"tests/test_old.py::*\"] }",
        "What may happen to tests.",
    );
    f.optional(
        &at("tests.integrity"),
        "true",
        Builtin,
        "false",
        "Whether the tests of the result are compared with those of the base.",
    )
    .allowed([true, false]);
    for (key, text) in [
        ("may_remove", "Tests that the phase may remove or rename."),
        ("may_skip", "Tests that the phase may switch off."),
        ("may_empty", "Tests that may lose all that they assert."),
        (
            "promised",
            "Tests that must be red before the change and green with it.",
        ),
    ] {
        f.optional(
            &at(&format!("tests.{key}")),
            "[]",
            Builtin,
            "[\"tests/test_old.py::*\"]",
            text,
        );
    }
    f.optional(
        &at("tests.quarantine"),
        "[]",
        Builtin,
        "[{ id: \"tests/test_net.py::test_get\", until: 2027-01-31 }]",
        "Flaky tests, each with its last day, and a reason.",
    );
    f.optional(
        &at("tests.known_failures"),
        rules.known_failures.as_str(),
        Builtin,
        "allow",
        "What a test means that is red on the base as well.",
    )
    .allowed(KnownFailures::spellings());
    f.optional(
        &at("tests.reruns"),
        rules.reruns.to_string(),
        Builtin,
        "0",
        "How often a red step is run again on the same tree.",
    )
    .allowed(0..=5);
}
