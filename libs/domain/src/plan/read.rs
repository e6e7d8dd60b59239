//! The front: text to a normalised plan, whatever its form.
//!
//! Invariant: an answer is either a complete plan or at least one fault, and the same text always gives
//! the same answer.

use serde_json::Value;

use super::{builder, depends};
use super::{
    document::parse_document,
    keys::Keys,
    model::{BuilderSpec, Plan, RunSpec, SCHEMA_V1},
    node::{At, Cx, Section, show},
    options::{Normalised, PlanForm, ReadOptions, WarningCode},
    run::{self, MAX_ATTEMPTS},
    tiers::{self, TierDraft},
    value::first_line,
};
use crate::{catalogue::Source, fault::Fault};

/// The smallest plan, for faults about the whole document.
pub(super) const EXAMPLE: &str = "{ schema: autopack/plan/v1, run: { goal: Say hello }, tiers: [{ id: T1, phases: \
     [{ id: P1, goal: Write hello.txt, builder: { kind: command, run: \"echo hello > hello.txt\" } }] }] }";

pub(super) const ROOT: Keys = Keys {
    v1: &["schema", "run", "tiers"],
    older: &["phases"],
};

/// Reads a plan of any form. All faults come back at once.
pub fn read_plan(text: &str, options: &ReadOptions) -> Result<Normalised, Vec<Fault>> {
    let name = options.name.as_deref().unwrap_or_default();
    let tree = parse_document(text, name).map_err(|fault| vec![fault])?;
    let Value::Object(map) = &tree else {
        let problem = format!("expected a mapping, found {}", show(&tree));
        return Err(vec![Fault::new("document", problem).example(EXAMPLE)]);
    };
    let root = Section {
        map,
        path: String::new(),
    };
    let mut cx = Cx::new(options, form(&root));
    if let Err(fault) = check_form(&root, cx.form) {
        // What follows is only worth reading if it was meant as `plan/v1`.
        if map.contains_key("schema") || !map.contains_key("tiers") {
            return Err(vec![fault]);
        }
        cx.faults.push(fault);
    }
    if options
        .max_attempts
        .is_some_and(|attempts| !(1..=MAX_ATTEMPTS).contains(&attempts))
    {
        cx.fault_like(
            "MAX_ATTEMPTS",
            format!("is not between 1 and {MAX_ATTEMPTS}"),
            "3",
        );
    }
    let (mut spec, mut tiers) = match cx.form {
        PlanForm::V1 => v1(&mut cx, &root),
        PlanForm::PhasesOnly | PlanForm::OlderRun | PlanForm::CreationPayload => {
            older(&mut cx, &root)
        }
    };
    depends::resolve(&mut cx, &mut tiers);
    let tiers = tiers
        .into_iter()
        .filter_map(TierDraft::finish)
        .collect::<Vec<_>>();
    if !cx.faults.is_empty() {
        return Err(cx.faults.into_vec());
    }
    finish(&mut cx, &mut spec, &tiers);
    let plan = Plan {
        schema: SCHEMA_V1.to_owned(),
        run: spec,
        tiers,
    };
    let phases = plan.tiers.iter().flat_map(|tier| &tier.phases);
    let unbuilt = phases
        .filter(|phase| phase.builder.is_none())
        .map(|phase| phase.id.clone())
        .collect();
    Ok(Normalised {
        plan,
        form: cx.form,
        provenance: cx.provenance,
        warnings: cx.warnings,
        unbuilt,
    })
}

/// Reads a builder of the command line: `noop`, `external`, `command:RUN`, `agent:ADAPTER`, `model:NAME`, `replay:RUN`,
/// or a mapping as in a plan.
pub fn read_builder(text: &str) -> Result<BuilderSpec, Vec<Fault>> {
    let options = ReadOptions::default();
    let mut cx = Cx::new(&options, PlanForm::V1);
    let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
    let value = match (kind.trim(), rest.trim()) {
        (kind @ ("command" | "replay"), rest) => serde_json::json!({ "kind": kind, "run": rest }),
        ("agent", rest) => serde_json::json!({ "kind": "agent", "adapter": rest }),
        ("model", rest) => serde_json::json!({ "kind": "model", "model": rest }),
        ("patch", rest) => serde_json::json!({ "kind": "patch", "patch": rest }),
        (kind, "") => serde_json::json!({ "kind": kind }),
        _ => parse_document(text, "").map_err(|fault| {
            vec![Fault {
                path: "builder".to_owned(),
                ..fault
            }]
        })?,
    };
    let at = At {
        value: &value,
        path: "builder".to_owned(),
        older_name: false,
    };
    let draft = builder::read(&mut cx, &at);
    cx.faults.into_result(())?;
    draft.map(|draft| draft.spec).ok_or_else(Vec::new)
}

/// The form of a text, from the keys at its top.
fn form(root: &Section) -> PlanForm {
    let has = |key: &str| root.map.contains_key(key);
    let phases = root.map.get("phases").and_then(Value::as_array);
    let names = |key: &str| {
        phases.is_some_and(|phases| phases.iter().any(|phase| phase.get(key).is_some()))
    };
    let nested = root.map.get("tiers").and_then(Value::as_array);
    let nested = nested.is_some_and(|tiers| tiers.iter().any(|tier| tier.get("phases").is_some()));
    if has("schema") || nested || !(has("phases") || has("tiers")) {
        PlanForm::V1
    } else if has("tiers")
        || (has("run") && (names("phase_id") || root.map["run"].get("run_id").is_some()))
    {
        PlanForm::CreationPayload
    } else if ["run_id", "display_name", "name", "goal", "description"]
        .iter()
        .any(|key| has(key))
        || names("phase_id")
    {
        PlanForm::OlderRun
    } else {
        PlanForm::PhasesOnly
    }
}

/// Whether the text says what it is.
fn check_form(root: &Section, form: PlanForm) -> Result<(), Fault> {
    let fault = match root.map.get("schema") {
        Some(Value::String(schema)) if schema == SCHEMA_V1 => return Ok(()),
        Some(other) => Fault::new("schema", format!("unknown schema: {}", show(other))),
        None if form != PlanForm::V1 => return Ok(()),
        None if root.map.contains_key("tiers") => Fault::new("schema", "is missing"),
        None => {
            return Err(Fault::new(
                "document",
                "is not a plan: it has neither `tiers` nor `phases`",
            )
            .example(EXAMPLE));
        }
    };
    Err(fault
        .allowed([SCHEMA_V1])
        .example(format!("schema: {SCHEMA_V1}")))
}

/// A section that is read as if it were empty.
fn empty(path: &str) -> Section<'static> {
    static NONE: std::sync::LazyLock<serde_json::Map<String, Value>> =
        std::sync::LazyLock::new(serde_json::Map::new);
    Section {
        map: &NONE,
        path: path.to_owned(),
    }
}

fn v1(cx: &mut Cx, root: &Section) -> (RunSpec, Vec<TierDraft>) {
    if root.map.contains_key("phases") && !root.map.contains_key("tiers") {
        let problem = "phases stand in tiers";
        cx.fault_like(
            "phases",
            problem,
            "tiers: [{ id: T1, phases: [...] }]; or leave `schema` out",
        );
    } else {
        root.check(cx, &ROOT);
    }
    let section = match root.get(cx, "run") {
        Some(at) => Section::read(cx, &at, "{ goal: Say hello }"),
        None if root.map.contains_key("run") => None,
        None => {
            cx.fault_like("run", "is missing", "run: { goal: Say hello }");
            None
        }
    };
    if let Some(section) = &section {
        section.check(cx, &run::KEYS);
    }
    let readable = section.is_some();
    let before = cx.faults.clone();
    let (spec, defaults) = run::read(cx, &section.unwrap_or_else(|| empty("run")));
    if !readable {
        // The section is missing as a whole: its missing keys are no further faults.
        cx.faults = before;
    }
    let phases_at_top = root.map.contains_key("phases") && !root.map.contains_key("tiers");
    let tiers = if phases_at_top {
        Vec::new()
    } else {
        tiers::nested(cx, root, &defaults)
    };
    (spec, tiers)
}

/// Older forms: the run's keys stand in `run`, or at the top.
fn older(cx: &mut Cx, root: &Section) -> (RunSpec, Vec<TierDraft>) {
    let inner = root
        .get(cx, "run")
        .and_then(|at| Section::read(cx, &at, "{ run_id: run-001 }"));
    if cx.form == PlanForm::OlderRun && inner.is_none() {
        root.check(cx, &run::KEYS);
    } else {
        root.check(cx, &ROOT);
    }
    if let Some(inner) = &inner {
        inner.check(cx, &run::KEYS);
    }
    let at_top = Section {
        map: root.map,
        path: String::new(),
    };
    let section = match (inner, cx.form) {
        (Some(inner), _) => inner,
        (None, PlanForm::OlderRun) => at_top,
        (None, _) => empty("run"),
    };
    let (mut spec, defaults) = run::read(cx, &section);
    let tiers = tiers::flat(cx, root, &defaults);
    if spec.goal.is_empty() {
        cx.source("run.goal", Source::Derived);
        let phases = || {
            tiers
                .iter()
                .flat_map(|tier| &tier.phases)
                .filter_map(|phase| phase.spec.as_ref())
        };
        spec.goal = match (phases().next(), phases().nth(1)) {
            (Some(only), None) => first_line(&only.goal, 1000),
            _ => first_line(
                &phases()
                    .take(50)
                    .map(|phase| phase.name.as_str())
                    .collect::<Vec<_>>()
                    .join("; "),
                300,
            ),
        };
    }
    (spec, tiers)
}

/// What can only be said when everything was read.
fn finish(cx: &mut Cx, spec: &mut RunSpec, tiers: &[super::model::TierSpec]) {
    let phases = tiers.iter().map(|tier| tier.phases.len()).sum::<usize>();
    let count = u32::try_from(phases).unwrap_or(u32::MAX);
    if spec.budgets.phases == 0 {
        spec.budgets.phases = count.max(run::PHASES);
        if count > run::PHASES {
            cx.source("run.budgets.phases", Source::Derived);
        }
    } else if spec.budgets.phases < count {
        let text = format!(
            "is smaller than the {count} phases of the plan: the run will end when it is spent"
        );
        let original = spec.budgets.phases.to_string();
        cx.warn(
            WarningCode::PhaseCapLow,
            "run.budgets.phases",
            text,
            &original,
        );
    }
    let external = cx
        .provenance
        .iter()
        .filter(|(path, source)| path.ends_with("].builder") && **source == Source::OlderForm);
    let external = external.count();
    if external > 0 {
        let text = format!(
            "{external} of {count} phases name no builder; their results are submitted from outside (`external`)"
        );
        cx.warn(WarningCode::BuilderExternal, "phases", text, "");
    }
}
