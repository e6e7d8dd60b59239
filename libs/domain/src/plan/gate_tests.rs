//! The `tests` of a gate, and the `report` of a step.
//!
//! Invariant: what a phase leaves out comes from the run, then from [`TestRules::default`]; a quarantine without a
//! last day is a fault.

use serde_json::Value;

use super::{
    builder::needed,
    keys::Keys,
    lists::{list, texts},
    node::{At, Cx, Section, show},
    scope::plain_path,
    test_rules::{KnownFailures, Quarantined, ReportKind, ReportSpec, TestRules},
    value::{MAX_NAME, boolean, choice, filled, line, number32},
};

pub(super) const KEYS: Keys = Keys {
    v1: &[
        "integrity",
        "may_remove",
        "may_skip",
        "may_empty",
        "promised",
        "quarantine",
        "known_failures",
        "reruns",
    ],
    older: &[],
};
pub(super) const REPORT: Keys = Keys {
    v1: &["kind", "path"],
    older: &[],
};
const QUARANTINE: Keys = Keys {
    v1: &["id", "until", "reason"],
    older: &[],
};
/// Longest list of tests.
const MAX_TESTS: usize = 1000;
/// Most reruns.
const MAX_RERUNS: u32 = 5;
const EXAMPLE: &str = "{ may_remove: [\"tests/test_old.py::*\"] }";
const QUARANTINE_EXAMPLE: &str = "{ id: \"tests/test_net.py::test_get\", until: 2027-01-31 }";

/// A `tests` section; what it does not say is `None`.
#[derive(Clone, Default)]
pub(super) struct RulesDraft {
    integrity: Option<bool>,
    may_remove: Option<Vec<String>>,
    may_skip: Option<Vec<String>>,
    may_empty: Option<Vec<String>>,
    promised: Option<Vec<String>>,
    quarantine: Option<Vec<Quarantined>>,
    known_failures: Option<KnownFailures>,
    reruns: Option<u32>,
}

impl RulesDraft {
    /// The rules of a phase: its own, then the run's, then the built-in ones.
    pub(super) fn over(self, run: &Self) -> TestRules {
        let run = run.clone();
        let rules = TestRules::default();
        TestRules {
            integrity: self.integrity.or(run.integrity).unwrap_or(rules.integrity),
            may_remove: self.may_remove.or(run.may_remove).unwrap_or_default(),
            may_skip: self.may_skip.or(run.may_skip).unwrap_or_default(),
            may_empty: self.may_empty.or(run.may_empty).unwrap_or_default(),
            promised: self.promised.or(run.promised).unwrap_or_default(),
            quarantine: self.quarantine.or(run.quarantine).unwrap_or_default(),
            known_failures: self
                .known_failures
                .or(run.known_failures)
                .unwrap_or(rules.known_failures),
            reruns: self.reruns.or(run.reruns).unwrap_or(rules.reruns),
        }
    }
}

/// A `tests` section.
pub(super) fn read(cx: &mut Cx, at: &At) -> RulesDraft {
    let Some(section) = Section::read(cx, at, EXAMPLE) else {
        return RulesDraft::default();
    };
    section.check(cx, &KEYS);
    let mut ids = |key: &str| -> Option<Vec<String>> {
        let at = section.get(cx, key)?;
        Some(texts(cx, &at, MAX_TESTS))
    };
    let (may_remove, may_skip) = (ids("may_remove"), ids("may_skip"));
    let (may_empty, promised) = (ids("may_empty"), ids("promised"));
    let integrity = section.get(cx, "integrity");
    let integrity = integrity.and_then(|at| boolean(cx, &at));
    let known = section.get(cx, "known_failures");
    let known_failures =
        known.and_then(|at| choice(cx, &at, KnownFailures::parse, &KnownFailures::spellings()));
    let reruns = section.get(cx, "reruns");
    let reruns = reruns.and_then(|at| number32(cx, &at, 0, MAX_RERUNS));
    let quarantine = section.get(cx, "quarantine").map(|at| quarantine(cx, &at));
    RulesDraft {
        integrity,
        may_remove,
        may_skip,
        may_empty,
        promised,
        quarantine,
        known_failures,
        reruns,
    }
}

fn quarantine(cx: &mut Cx, at: &At) -> Vec<Quarantined> {
    let items = list(cx, at, MAX_TESTS, &format!("[{QUARANTINE_EXAMPLE}]")).unwrap_or_default();
    items
        .iter()
        .filter_map(|item| quarantined(cx, item))
        .collect()
}

fn quarantined(cx: &mut Cx, at: &At) -> Option<Quarantined> {
    let section = Section::read(cx, at, QUARANTINE_EXAMPLE)?;
    section.check(cx, &QUARANTINE);
    let id = needed(cx, &section, "id", "tests/test_net.py::test_get");
    let id = id.and_then(|at| filled(cx, &at, MAX_NAME));
    let until = needed(cx, &section, "until", "2027-01-31");
    let path = until.as_ref().map(|at| at.path.clone());
    let until = until.and_then(|at| filled(cx, &at, MAX_NAME));
    let reason = section
        .get(cx, "reason")
        .and_then(|at| line(cx, &at, MAX_NAME))
        .unwrap_or_default();
    let entry = Quarantined {
        id: id?,
        until: until?,
        reason,
    };
    if entry.ends().is_none() {
        let problem = format!("`{}` is no day of the form YYYY-MM-DD", entry.until);
        cx.fault_like(&path?, problem, "2027-01-31");
        return None;
    }
    Some(entry)
}

/// A step's `report`: a kind, or a mapping.
pub(super) fn report(cx: &mut Cx, at: &At) -> Option<ReportSpec> {
    let example = "{ kind: junit, path: build/test-results }";
    let kinds = ReportKind::spellings();
    if let Value::String(_) = at.value {
        let kind = choice(cx, at, ReportKind::parse, &kinds)?;
        return whole(cx, at, kind, String::new());
    }
    if !at.value.is_object() {
        let problem = format!("expected a kind or a mapping, found {}", show(at.value));
        cx.fault_like(&at.path, problem, example);
        return None;
    }
    let section = Section::read(cx, at, example)?;
    section.check(cx, &REPORT);
    let kind = needed(cx, &section, "kind", "junit");
    let kind = kind.and_then(|at| choice(cx, &at, ReportKind::parse, &kinds));
    let path = section
        .get(cx, "path")
        .and_then(|at| plain_path(cx, &at))
        .unwrap_or_default();
    whole(cx, at, kind?, path.trim_end_matches('/').to_owned())
}

/// JUnit's XML is never what a step prints.
fn whole(cx: &mut Cx, at: &At, kind: ReportKind, path: String) -> Option<ReportSpec> {
    if kind == ReportKind::Junit && path.is_empty() {
        let problem = "names no `path`: a file, or a folder of XML files";
        cx.fault_like(
            &at.path,
            problem,
            "{ kind: junit, path: build/test-results }",
        );
        return None;
    }
    Some(ReportSpec { kind, path })
}
