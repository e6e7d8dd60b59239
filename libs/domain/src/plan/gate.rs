//! Gates and limits: how a result is proved, and what its commands may use.
//!
//! Invariant: what a phase leaves out comes from the run, then from environment, category or built-in value.

use serde_json::Value;

use super::{
    builder::{MAX_SECONDS, needed},
    gate_tests::{self, RulesDraft},
    keys::Keys,
    lists::{ENV, list, text_map},
    model::{GateProfile, GateSpec, LimitSpec, StepKind, StepSpec},
    node::{At, Cx, Section, show},
    scope::plain_path,
    value::{MAX_TEXT, choice, filled, number32},
};
use crate::{catalogue::Source, fault::Fault};

pub(super) const KEYS: Keys = Keys {
    v1: &["profile", "setup", "steps", "tests"],
    older: &[],
};
pub(super) const STEP: Keys = Keys {
    v1: &["run", "kind", "dir", "timeout_seconds", "env", "report"],
    older: &[],
};
pub(super) const LIMITS: Keys = Keys {
    v1: &[
        "memory_mb",
        "disk_mb",
        "cpu_seconds",
        "processes",
        "file_kb",
        "files",
    ],
    older: &[],
};
/// Seconds a gate step has, if the plan does not say.
pub(super) const STEP_SECONDS: u32 = 600;
/// Longest list of steps.
const MAX_STEPS: usize = 100;
const EXAMPLE: &str = "{ run: \"cargo test\", kind: test }";

/// A `gate` section; what it does not say is `None`.
#[derive(Clone, Default)]
pub(super) struct GateDraft {
    pub(super) profile: Option<GateProfile>,
    setup: Option<Steps>,
    steps: Option<Steps>,
    tests: RulesDraft,
}

/// Steps, and where their defaults came from: position and key.
#[derive(Clone)]
struct Steps {
    list: Vec<StepSpec>,
    sources: Vec<(usize, &'static str, Source)>,
    source: Source,
}

/// A `gate` section.
pub(super) fn read(cx: &mut Cx, at: &At) -> GateDraft {
    let Some(section) = Section::read(cx, at, "{ steps: [\"cargo test\"] }") else {
        return GateDraft::default();
    };
    section.check(cx, &KEYS);
    let profile = section.get(cx, "profile");
    let profile =
        profile.and_then(|at| choice(cx, &at, GateProfile::parse, &GateProfile::spellings()));
    let setup = section
        .get(cx, "setup")
        .map(|at| steps(cx, &at, StepKind::Check));
    let steps = section
        .get(cx, "steps")
        .map(|at| steps(cx, &at, StepKind::Test));
    let tests = section
        .get(cx, "tests")
        .map(|at| gate_tests::read(cx, &at))
        .unwrap_or_default();
    GateDraft {
        profile,
        setup,
        steps,
        tests,
    }
}

/// A gate of one test command, as older forms name it.
pub(super) fn of_command(draft: &mut GateDraft, run: String) {
    let step = StepSpec {
        run,
        kind: StepKind::Test,
        dir: String::new(),
        timeout_seconds: STEP_SECONDS,
        env: std::collections::BTreeMap::new(),
        report: None,
    };
    let sources = ["dir", "timeout_seconds", "env"]
        .map(|key| (0, key, Source::Builtin))
        .to_vec();
    draft.steps.get_or_insert(Steps {
        list: vec![step],
        sources,
        source: Source::OlderForm,
    });
}

/// A list of steps; `kind` is the kind of one that names none.
fn steps(cx: &mut Cx, at: &At, kind: StepKind) -> Steps {
    let mut found = Steps {
        list: Vec::new(),
        sources: Vec::new(),
        source: Source::Plan,
    };
    for item in list(cx, at, MAX_STEPS, "[\"cargo test\"]").unwrap_or_default() {
        if let Some(step) = step(cx, &item, kind, &mut found) {
            found.list.push(step);
        }
    }
    found
}

fn step(cx: &mut Cx, at: &At, kind: StepKind, steps: &mut Steps) -> Option<StepSpec> {
    let index = steps.list.len();
    let mut default = |key: &'static str, written: bool| {
        if !written {
            steps.sources.push((index, key, Source::Builtin));
        }
    };
    if let Value::String(_) = at.value {
        for key in ["kind", "dir", "timeout_seconds", "env"] {
            default(key, false);
        }
        let env = std::collections::BTreeMap::new();
        let run = filled(cx, at, MAX_TEXT)?;
        return Some(StepSpec {
            run,
            kind,
            dir: String::new(),
            timeout_seconds: STEP_SECONDS,
            env,
            report: None,
        });
    }
    if !at.value.is_object() {
        let problem = format!("expected a command or a mapping, found {}", show(at.value));
        cx.faults
            .push(Fault::new(&at.path, problem).example(EXAMPLE));
        return None;
    }
    let section = Section::read(cx, at, EXAMPLE)?;
    section.check(cx, &STEP);
    let run = needed(cx, &section, "run", "cargo test").and_then(|at| filled(cx, &at, MAX_TEXT));
    let found_kind = section
        .get(cx, "kind")
        .and_then(|at| choice(cx, &at, StepKind::parse, &StepKind::spellings()));
    default("kind", found_kind.is_some());
    let dir = section
        .get(cx, "dir")
        .filter(|at| !matches!(at.value.as_str(), Some("" | "." | "./")));
    default("dir", dir.is_some());
    let dir = dir.and_then(|at| plain_path(cx, &at)).unwrap_or_default();
    let timeout = section
        .get(cx, "timeout_seconds")
        .and_then(|at| number32(cx, &at, 1, MAX_SECONDS));
    default("timeout_seconds", timeout.is_some());
    let env = section.get(cx, "env").map(|at| text_map(cx, &at, &ENV));
    default("env", env.is_some());
    let env = env.unwrap_or_default();
    let report = section
        .get(cx, "report")
        .and_then(|at| gate_tests::report(cx, &at));
    Some(StepSpec {
        run: run?,
        kind: found_kind.unwrap_or(kind),
        dir: dir.trim_end_matches('/').to_owned(),
        timeout_seconds: timeout.unwrap_or(STEP_SECONDS),
        env,
        report,
    })
}

/// The gate of a phase: its own draft over the run's, then environment and category.
pub(super) fn resolve(
    cx: &mut Cx,
    own: GateDraft,
    run: &GateDraft,
    category: GateProfile,
    dst: &str,
) -> GateSpec {
    let written = own.profile.or(run.profile);
    let (default, source) = match cx.options.ci_profile {
        Some(profile) => (profile, Source::Environment),
        None => (category, Source::Category),
    };
    let profile = cx.or(format!("{dst}.gate.profile"), written, default, source);
    let steps = own.steps.or_else(|| run.steps.clone());
    let none = steps.as_ref().is_some_and(|steps| steps.list.is_empty());
    let setup = own.setup.or_else(|| run.setup.clone().filter(|_| !none));
    let mut record = |name: &str, steps: Option<&Steps>, missing| {
        cx.source(
            format!("{dst}.gate.{name}"),
            steps.map_or(missing, |steps| steps.source),
        );
        for (index, key, source) in steps.iter().flat_map(|steps| &steps.sources) {
            cx.source(format!("{dst}.gate.{name}[{index}].{key}"), *source);
        }
    };
    record("setup", setup.as_ref(), Source::Builtin);
    record("steps", steps.as_ref(), Source::Repository);
    GateSpec {
        profile,
        setup: setup.map(|steps| steps.list).unwrap_or_default(),
        steps: steps.map(|steps| steps.list),
        tests: own.tests.over(&run.tests),
    }
}

/// A `limits` section; what it does not say is `None`.
#[derive(Clone, Copy, Default)]
pub(super) struct LimitDraft([Option<u32>; 6]);

/// Largest value of each limit, in the order of the keys.
const LARGEST: [u32; 6] = [
    16_777_216, 16_777_216, 31_536_000, 1_000_000, 4_194_304, 100_000,
];

/// A `limits` section.
pub(super) fn limits(cx: &mut Cx, section: &Section) -> LimitDraft {
    let mut draft = LimitDraft::default();
    let Some(at) = section.get(cx, "limits") else {
        return draft;
    };
    let Some(section) = Section::read(cx, &at, "{ memory_mb: 2048, cpu_seconds: 600 }") else {
        return draft;
    };
    section.check(cx, &LIMITS);
    for ((key, largest), slot) in LIMITS.v1.iter().zip(LARGEST).zip(&mut draft.0) {
        *slot = section
            .get(cx, key)
            .and_then(|at| number32(cx, &at, 1, largest));
    }
    draft
}

impl LimitDraft {
    /// The limits of a phase: its own, then the run's, then the built-in ones.
    pub(super) fn resolve(self, cx: &mut Cx, run: Self, dst: &str) -> LimitSpec {
        let built_in = LimitSpec::default();
        let mut value = |index: usize, default: u32| {
            let found = self.0[index].or(run.0[index]);
            cx.or(
                format!("{dst}.limits.{}", LIMITS.v1[index]),
                found,
                default,
                Source::Builtin,
            )
        };
        LimitSpec {
            memory_mb: value(0, built_in.memory_mb),
            disk_mb: value(1, built_in.disk_mb),
            cpu_seconds: value(2, built_in.cpu_seconds),
            processes: value(3, built_in.processes),
            file_kb: value(4, built_in.file_kb),
            files: value(5, built_in.files),
        }
    }
}
