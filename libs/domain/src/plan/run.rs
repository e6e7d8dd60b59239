//! The run's own section, and the defaults it holds for its phases.
//!
//! Invariant: after reading, only the goal of an older form and the cap on phases may still be open.

use super::{
    builder::{self, BuilderDraft},
    gate::{self, GateDraft, LimitDraft},
    keys::Keys,
    lists::{LABELS, text_map},
    model::{GateProfile, RunBudgets, RunScope, RunSpec, SafetyProfile},
    node::{At, Cx, Section, clip, join},
    value::{MAX_GOAL, MAX_NAME, choice, filled, first_line, id, line, number, number32},
};
use crate::{catalogue::Source, ids::RunId};

/// Keys of the run; in the older run form they stand at the top.
pub(super) const KEYS: Keys = Keys {
    v1: &[
        "id",
        "project",
        "goal",
        "base",
        "safety_profile",
        "run_scope",
        "budgets",
        "priority",
        "labels",
        "default_builder",
        "max_attempts",
        "gate",
        "limits",
    ],
    older: &[
        "run_id",
        "display_name",
        "name",
        "title",
        "description",
        "project_id",
        "token_cap",
        "max_phases",
        "max_duration_minutes",
        "ci_profile",
        "phases",
    ],
};
const BUDGETS: Keys = Keys {
    v1: &["tokens", "phases", "minutes"],
    older: &[],
};

/// Tokens a run may use, if the plan does not say (SEMANTICS 4.3).
const TOKENS: u64 = 5_000_000;
/// Phases a run may dispatch, if the plan does not say and has no more.
pub(super) const PHASES: u32 = 25;
/// Minutes a run may last, if the plan does not say.
const MINUTES: u32 = 120;
/// Between first and last.
const PRIORITY: u8 = 5;
/// Largest cap on tokens.
pub(super) const MAX_TOKENS: u64 = 1_000_000_000_000;
/// Most attempts of a phase.
pub(super) const MAX_ATTEMPTS: u32 = 10;

/// What the run says about its phases.
#[derive(Default)]
pub(super) struct Defaults {
    pub(super) builder: Option<(BuilderDraft, Source)>,
    pub(super) max_attempts: Option<u32>,
    pub(super) gate: GateDraft,
    pub(super) limits: LimitDraft,
}

/// The run as far as its own section says; `phases` of the budgets is 0 if it does not.
pub(super) fn read(cx: &mut Cx, section: &Section) -> (RunSpec, Defaults) {
    let chosen = section.any(cx, &["id", "run_id"]);
    let written = chosen
        .as_ref()
        .and_then(|at| id(cx, at))
        .and_then(|id| id.parse::<RunId>().ok());
    let run_id = match (&cx.options.run_id, written) {
        (Some(flag), _) => (Some(flag.clone()), Source::Flag),
        (None, Some(id)) => (Some(id), chosen.map_or(Source::Plan, |at| at.source())),
        (None, None) => (None, Source::Derived),
    };
    cx.source("run.id", run_id.1);

    let project = section
        .any(cx, &["project", "project_id"])
        .and_then(|at| line(cx, &at, MAX_NAME));
    let project = match (&cx.options.project, project) {
        (Some(flag), _) => (flag.clone(), Source::Flag),
        (None, Some(project)) => (project, Source::Plan),
        (None, None) => (String::new(), Source::Repository),
    };
    cx.source("run.project", project.1);

    let goal = goal(cx, section);
    let base = base(cx, section);
    let safety = section.get(cx, "safety_profile");
    let safety =
        safety.and_then(|at| choice(cx, &at, SafetyProfile::parse, &SafetyProfile::spellings()));
    let scope = section.get(cx, "run_scope");
    let scope = scope.and_then(|at| choice(cx, &at, RunScope::parse, &RunScope::spellings()));
    let priority = section
        .get(cx, "priority")
        .and_then(|at| number32(cx, &at, 0, 9));
    let labels = section
        .get(cx, "labels")
        .map(|at| text_map(cx, &at, &LABELS))
        .unwrap_or_default();
    cx.source(
        "run.labels",
        if labels.is_empty() {
            Source::Builtin
        } else {
            Source::Plan
        },
    );
    let spec = RunSpec {
        id: run_id.0,
        project: project.0,
        goal,
        base,
        safety_profile: cx.or(
            "run.safety_profile",
            safety,
            SafetyProfile::Normal,
            Source::Builtin,
        ),
        run_scope: cx.or("run.run_scope", scope, RunScope::MultiTier, Source::Builtin),
        budgets: budgets(cx, section),
        priority: cx.or(
            "run.priority",
            priority.and_then(|p| u8::try_from(p).ok()),
            PRIORITY,
            Source::Builtin,
        ),
        labels,
    };
    (spec, defaults(cx, section))
}

fn goal(cx: &mut Cx, section: &Section) -> String {
    let at = section.any(
        cx,
        &["goal", "description", "display_name", "name", "title"],
    );
    if at.is_none() && !cx.older() && !section.map.contains_key("goal") {
        let problem = "is missing: one sentence that says what the run is for";
        cx.fault_like(&join(&section.path, "goal"), problem, "Add JWT login");
    }
    let Some(at) = at else { return String::new() };
    cx.source("run.goal", at.source());
    if cx.older() {
        let goal = filled(cx, &at, super::value::MAX_TEXT).unwrap_or_default();
        if goal.len() <= MAX_GOAL {
            return goal;
        }
        let short = first_line(&goal, MAX_GOAL);
        cx.warn(
            super::options::WarningCode::ValueChanged,
            &at.path,
            "shortened",
            &goal,
        );
        return short;
    }
    filled(cx, &at, MAX_GOAL).unwrap_or_default()
}

/// Branch, tag or commit; git must be able to read it as nothing else.
fn base(cx: &mut Cx, section: &Section) -> String {
    let at = section.get(cx, "base");
    let written = at.as_ref().and_then(|at| filled(cx, at, 255));
    let (base, path, source) = match (cx.options.base.clone(), written) {
        (Some(flag), _) => (flag, "--base".to_owned(), Source::Flag),
        (None, Some(base)) => (base, at.map(|at| at.path).unwrap_or_default(), Source::Plan),
        (None, None) => ("HEAD".to_owned(), String::new(), Source::Builtin),
    };
    cx.source("run.base", source);
    let odd = |c: char| c.is_control() || c.is_whitespace() || ":?*[\\".contains(c);
    let problem = if base.is_empty() || base.len() > 255 {
        "is not a branch, tag or commit"
    } else if base.starts_with('-') {
        "begins with `-`, which git reads as an option"
    } else if base.contains(odd) || base.contains("..") {
        "has white space, `..` or one of `:?*[\\`, which no branch, tag or commit has"
    } else {
        return base;
    };
    cx.fault_like(&path, format!("`{}` {problem}", clip(&base, 80)), "main");
    base
}

fn budgets(cx: &mut Cx, section: &Section) -> RunBudgets {
    let at = section.get(cx, "budgets");
    let own =
        at.and_then(|at| Section::read(cx, &at, "{ tokens: 5000000, phases: 25, minutes: 120 }"));
    if let Some(own) = &own {
        own.check(cx, &BUDGETS);
    }
    let mut value = |key: &str, older: &str, max: u64, default: u64| {
        let mut at = own.as_ref().and_then(|own| own.get(cx, key));
        if cx.older() && at.is_none() {
            at = section.get(cx, older).map(|at| At {
                older_name: true,
                ..at
            });
        }
        let found = at.as_ref().and_then(|at| number(cx, at, 1, max));
        let source = if found.is_some() {
            at.map_or(Source::Plan, |at| at.source())
        } else {
            Source::Builtin
        };
        cx.source(format!("run.budgets.{key}"), source);
        found.unwrap_or(default)
    };
    RunBudgets {
        tokens: value("tokens", "token_cap", MAX_TOKENS, TOKENS),
        phases: u32::try_from(value("phases", "max_phases", 10_000, 0)).unwrap_or_default(),
        minutes: u32::try_from(value(
            "minutes",
            "max_duration_minutes",
            525_600,
            MINUTES.into(),
        ))
        .unwrap_or(MINUTES),
    }
}

fn defaults(cx: &mut Cx, section: &Section) -> Defaults {
    let written = section
        .get(cx, "default_builder")
        .and_then(|at| builder::read(cx, &at));
    let builder = match &cx.options.default_builder {
        Some(spec) => Some((
            BuilderDraft {
                spec: spec.clone(),
                sources: Vec::new(),
            },
            Source::Flag,
        )),
        None => written.map(|draft| (draft, Source::Plan)),
    };
    let max_attempts = section
        .get(cx, "max_attempts")
        .and_then(|at| number32(cx, &at, 1, MAX_ATTEMPTS));
    let mut gate = section
        .get(cx, "gate")
        .map(|at| gate::read(cx, &at))
        .unwrap_or_default();
    if cx.older() && gate.profile.is_none() {
        let profile = section.get(cx, "ci_profile");
        gate.profile =
            profile.and_then(|at| choice(cx, &at, GateProfile::parse, &GateProfile::spellings()));
    }
    Defaults {
        builder,
        max_attempts,
        gate,
        limits: gate::limits(cx, section),
    }
}
