//! One phase: its own section over the run's defaults and those of its category.
//!
//! Invariant: a draft without a specification has left a fault; `depends_on` is still as written.

use super::{
    builder,
    category::{CATEGORIES, category},
    gate,
    keys::{Keys, nearest},
    lists::{LABELS, list, text_map},
    model::{BuilderSpec, Complexity, GateProfile, PhaseSpec},
    node::{At, Cx, Section, clip, join},
    options::{PlanForm, WarningCode},
    run::{Defaults, MAX_ATTEMPTS, MAX_TOKENS},
    scope,
    value::{
        MAX_NAME, MAX_TEXT, boolean, choice, filled, first_line, id, line, number, number32, text,
    },
};
use crate::{catalogue::Source, ids::PhaseId};

pub(super) const KEYS: Keys = Keys {
    v1: &[
        "id",
        "name",
        "goal",
        "description",
        "task_category",
        "complexity",
        "builder_mode",
        "depends_on",
        "scope",
        "builder",
        "allow_noop",
        "gate",
        "max_attempts",
        "budgets",
        "limits",
        "priority",
        "labels",
    ],
    older: &[
        "phase_id",
        "display_name",
        "title",
        "phase_index",
        "tier_id",
        "category",
        "dependencies",
        "paths",
        "allowed_paths",
        "protected_paths",
        "read_only_context",
        "deliverables",
        "acceptance_criteria",
        "notes",
        "test_cmd",
        "ci_profile",
        "max_builder_attempts",
        "token_cap",
        "incident_token_cap",
    ],
};
const BUDGETS: Keys = Keys {
    v1: &["tokens"],
    older: &[],
};
/// The usual builder modes (SEMANTICS 4.1); others are kept with a warning.
const MODES: &[&str] = &[
    "tweak_light",
    "scaffolding_heavy",
    "refactor_heavy",
    "schema_heavy",
];
/// Longest subject that is made of a goal.
const SUBJECT: usize = 72;
/// Longest `depends_on`.
const MAX_DEPENDS: usize = 1000;

/// A phase that was read.
pub(super) struct PhaseDraft {
    /// The id as written, for references.
    pub(super) written: Option<String>,
    /// Where it stands in the text.
    pub(super) path: String,
    /// `None`: left out. Each entry with its path.
    pub(super) depends: Option<Vec<(String, String)>>,
    pub(super) spec: Option<PhaseSpec>,
}

/// A phase; `dst` is its path in the normalised plan.
pub(super) fn read(cx: &mut Cx, section: &Section, dst: &str, run: &Defaults) -> PhaseDraft {
    section.check(cx, &KEYS);
    let below = |key: &str| format!("{dst}.{key}");
    let at = section.any(cx, &["id", "phase_id"]);
    if at.is_none()
        && !section
            .map
            .get("id")
            .is_some_and(serde_json::Value::is_null)
    {
        let key = if cx.form == PlanForm::CreationPayload {
            "phase_id"
        } else {
            "id"
        };
        cx.fault_like(&join(&section.path, key), "is missing", "P1.1");
    }
    let written = at
        .as_ref()
        .and_then(|at| at.value.as_str())
        .map(str::to_owned);
    cx.source(below("id"), at.as_ref().map_or(Source::Plan, At::source));
    let phase_id = at
        .and_then(|at| id(cx, &at))
        .and_then(|id| id.parse::<PhaseId>().ok());

    let at = section.any(cx, &["task_category", "category"]);
    let task = at.and_then(|at| task_category(cx, &at));
    let task_category = cx.or(below("task_category"), task, String::new(), Source::Builtin);
    let defaults = category(&task_category);
    let at = section.get(cx, "complexity");
    let complexity = at.and_then(|at| choice(cx, &at, Complexity::parse, &Complexity::spellings()));
    let complexity = cx.or(
        below("complexity"),
        complexity,
        defaults.complexity,
        Source::Category,
    );
    let mode = section
        .get(cx, "builder_mode")
        .and_then(|at| builder_mode(cx, &at));
    let builder_mode = cx.or(
        below("builder_mode"),
        mode,
        "tweak_light".to_owned(),
        Source::Builtin,
    );

    let (scope, extras) = scope::read(cx, section, dst);
    let mut texts = texts(cx, section, dst, extras.goal);
    if !extras.notes.is_empty() {
        let notes = extras
            .notes
            .iter()
            .map(|note| format!("- {}\n", note.replace('\n', "\n  ")));
        let gap = if texts.description.is_empty() {
            ""
        } else {
            "\n\n"
        };
        texts.description = format!(
            "{}{gap}Notes:\n{}",
            texts.description,
            notes.collect::<String>()
        );
        cx.source(below("description"), Source::OlderForm);
    }

    let own = section
        .get(cx, "builder")
        .map(|at| builder::read(cx, &at).map(|draft| (draft, Source::Plan)));
    // A phase whose builder is faulty has one: it must not also be reported as missing.
    let builder = own.unwrap_or_else(|| run.builder.clone());
    if let Some((draft, source)) = &builder {
        draft.record(cx, &below("builder"), *source);
    } else {
        let external = cx.form == PlanForm::CreationPayload;
        cx.source(
            below("builder"),
            if external {
                Source::OlderForm
            } else {
                Source::Builtin
            },
        );
    }
    let external = (cx.form == PlanForm::CreationPayload).then(BuilderSpec::external);
    let builder = builder.map(|(draft, _)| draft.spec).or(external);

    let mut own = section
        .get(cx, "gate")
        .map(|at| gate::read(cx, &at))
        .unwrap_or_default();
    if cx.older() {
        if let Some(run) = extras.test_cmd {
            gate::of_command(&mut own, run);
        }
        if own.profile.is_none() {
            let profile = section.get(cx, "ci_profile");
            own.profile = profile
                .and_then(|at| choice(cx, &at, GateProfile::parse, &GateProfile::spellings()));
        }
    }
    let gate = gate::resolve(cx, own, &run.gate, defaults.gate_profile, dst);
    let limits = gate::limits(cx, section).resolve(cx, run.limits, dst);
    let allow_noop = section
        .get(cx, "allow_noop")
        .and_then(|at| boolean(cx, &at));
    let allow_noop = cx.or(below("allow_noop"), allow_noop, false, Source::Builtin);
    let max_attempts = attempts(cx, section, run, dst);
    let tokens = tokens(cx, section);
    let tokens = cx.or(below("tokens"), tokens.map(Some), None, Source::Category);
    let priority = section
        .get(cx, "priority")
        .and_then(|at| number32(cx, &at, 0, 9));
    let priority = priority.and_then(|priority| u8::try_from(priority).ok());
    let priority = cx.or(below("priority"), priority.map(Some), None, Source::Derived);
    let labels = section
        .get(cx, "labels")
        .map(|at| text_map(cx, &at, &LABELS))
        .unwrap_or_default();
    cx.source(
        below("labels"),
        if labels.is_empty() {
            Source::Builtin
        } else {
            Source::Plan
        },
    );
    let depends = depends(cx, section, dst);
    let spec = phase_id.map(|id| PhaseSpec {
        name: if texts.name.is_empty() {
            id.to_string()
        } else {
            texts.name
        },
        id,
        goal: texts.goal,
        description: texts.description,
        task_category,
        complexity,
        builder_mode,
        depends_on: Vec::new(),
        scope,
        builder,
        allow_noop,
        gate,
        max_attempts,
        tokens,
        limits,
        priority,
        labels,
    });
    PhaseDraft {
        written,
        path: section.path.clone(),
        depends,
        spec,
    }
}

/// Name, goal and description, each of which may serve for another.
struct Texts {
    name: String,
    goal: String,
    description: String,
}

fn texts(cx: &mut Cx, section: &Section, dst: &str, scope_goal: Option<String>) -> Texts {
    let name_at = section.any(cx, &["name", "display_name", "title"]);
    let name = name_at.as_ref().and_then(|at| line(cx, at, MAX_NAME));
    let goal = section
        .get(cx, "goal")
        .and_then(|at| filled(cx, &at, MAX_TEXT));
    let mut description = section
        .get(cx, "description")
        .and_then(|at| text(cx, &at, MAX_TEXT))
        .unwrap_or_default();
    let source = |cx: &mut Cx, key: &str, source| cx.source(format!("{dst}.{key}"), source);
    source(
        cx,
        "description",
        if description.is_empty() {
            Source::Builtin
        } else {
            Source::Plan
        },
    );
    let older = scope_goal.filter(|_| cx.older());
    let (goal, from) = if let Some(goal) = goal {
        (goal, Source::Plan)
    } else if let Some(goal) = older {
        (goal, Source::OlderForm)
    } else if cx.older() && !description.trim().is_empty() {
        // The description says it all; it is not kept twice.
        source(cx, "description", Source::Builtin);
        (
            std::mem::take(&mut description).trim().to_owned(),
            Source::OlderForm,
        )
    } else {
        (name.clone().unwrap_or_default(), Source::Derived)
    };
    let reported = |key| !cx.older() && section.map.contains_key(key);
    if goal.is_empty() && !reported("goal") && !reported("name") {
        let example = "goal: Parse durations such as 1h30m";
        cx.fault_like(
            &join(&section.path, "goal"),
            "is missing: what the phase must achieve",
            example,
        );
    }
    source(cx, "goal", from);
    let (name, from) = match name {
        Some(name) => (name, name_at.map_or(Source::Plan, |at| at.source())),
        None => (first_line(&goal, SUBJECT), Source::Derived),
    };
    source(cx, "name", from);
    Texts {
        name,
        goal,
        description,
    }
}

/// The category is free text; a near miss of a known one is worth a word.
fn task_category(cx: &mut Cx, at: &At) -> Option<String> {
    let name = line(cx, at, 100)?;
    let known: Vec<&str> = CATEGORIES.iter().map(|row| row.name).collect();
    let near = nearest(&name.to_ascii_lowercase(), &known)
        .filter(|near| !near.eq_ignore_ascii_case(&name));
    if let Some(near) = near.filter(|_| !cx.older()) {
        let text = format!("kept; did you mean `{near}`? The base defaults hold");
        cx.warn(WarningCode::UnusualValue, &at.path, text, &name);
    }
    Some(name)
}

/// The mode is free text; an unusual one is worth a word.
fn builder_mode(cx: &mut Cx, at: &At) -> Option<String> {
    let mode = line(cx, at, 100)?;
    if !MODES.contains(&mode.as_str()) {
        let text = format!(
            "`{}` is not one of {}; kept as a label",
            clip(&mode, 60),
            MODES.join(", ")
        );
        cx.warn(WarningCode::UnusualValue, &at.path, text, &mode);
    }
    Some(mode)
}

/// Attempts: the phase's, the run's, those of the environment, else the strategy's.
fn attempts(cx: &mut Cx, section: &Section, run: &Defaults, dst: &str) -> Option<u32> {
    let own = section.any(cx, &["max_attempts", "max_builder_attempts"]);
    let own = own
        .and_then(|at| number32(cx, &at, 1, MAX_ATTEMPTS))
        .or(run.max_attempts);
    let source = if own.is_some() {
        Source::Plan
    } else if cx.options.max_attempts.is_some() {
        Source::Environment
    } else {
        Source::Category
    };
    cx.source(format!("{dst}.max_attempts"), source);
    own.or(cx.options.max_attempts)
}

fn tokens(cx: &mut Cx, section: &Section) -> Option<u64> {
    let mut at = None;
    if let Some(budgets) = section.get(cx, "budgets") {
        let budgets = Section::read(cx, &budgets, "{ tokens: 100000 }");
        if let Some(budgets) = budgets {
            budgets.check(cx, &BUDGETS);
            at = budgets.get(cx, "tokens");
        }
    }
    if cx.older() && at.is_none() {
        at = section.any(cx, &["token_cap", "incident_token_cap"]);
    }
    number(cx, &at?, 1, MAX_TOKENS)
}

/// `depends_on` as written; `None` if it is left out.
fn depends(cx: &mut Cx, section: &Section, dst: &str) -> Option<Vec<(String, String)>> {
    let at = section.any(cx, &["depends_on", "dependencies"]);
    let path = format!("{dst}.depends_on");
    let Some(at) = at else {
        cx.source(path, Source::Derived);
        return None;
    };
    cx.source(path, at.source());
    let items = list(cx, &at, MAX_DEPENDS, "[P1.1]").unwrap_or_default();
    Some(
        items
            .iter()
            .filter_map(|item| Some((filled(cx, item, 1024)?, item.path.clone())))
            .collect(),
    )
}
