//! Tiers and their phases, in order: nested in `plan/v1`, side by side in older forms.
//!
//! Invariant: every phase of the text is in exactly one tier, and the paths of the result follow its order.

use serde_json::Value;

use super::{
    keys::Keys,
    lists::Seen,
    model::TierSpec,
    node::{At, Cx, Section, clip, join, show},
    options::PlanForm,
    phase::{self, PhaseDraft},
    run::{Defaults, MAX_TOKENS},
    value::{MAX_NAME, MAX_TEXT, id, line, number, number32, text},
};
use crate::{catalogue::Source, fault::Fault, ids::TierId};

pub(super) const KEYS: Keys = Keys {
    v1: &["id", "name", "description", "budgets", "phases"],
    older: &[
        "tier_id",
        "tier_index",
        "display_name",
        "title",
        "token_cap",
        "ci_run_cap",
    ],
};
const BUDGETS: Keys = Keys {
    v1: &["tokens", "ci_runs"],
    older: &[],
};
/// Most tiers of a plan.
const MAX_TIERS: usize = 500;
/// Most phases of a plan.
const MAX_PHASES: usize = 10_000;
const EXAMPLE: &str = "[{ id: T1, phases: [{ id: P1.1, goal: Parse durations }] }]";

/// A tier that was read.
pub(super) struct TierDraft {
    /// The id as written, for references.
    written: String,
    id: Option<TierId>,
    name: String,
    description: String,
    tokens: Option<u64>,
    ci_runs: Option<u32>,
    pub(super) phases: Vec<PhaseDraft>,
}

impl TierDraft {
    /// The tier, if it and its phases are without fault.
    pub(super) fn finish(self) -> Option<TierSpec> {
        let phases = self
            .phases
            .into_iter()
            .map(|draft| draft.spec)
            .collect::<Option<Vec<_>>>()?;
        Some(TierSpec {
            id: self.id?,
            name: self.name,
            description: self.description,
            tokens: self.tokens,
            ci_runs: self.ci_runs,
            phases,
        })
    }
}

/// Entries of a list that must be there; `None` after a fault.
fn entries<'v>(cx: &mut Cx, section: &Section<'v>, key: &str, max: usize) -> Option<Vec<At<'v>>> {
    let path = join(&section.path, key);
    let items = match section.map.get(key) {
        None | Some(Value::Null) => {
            cx.fault_like(&path, "is missing", EXAMPLE);
            return None;
        }
        Some(Value::Array(items)) if items.is_empty() => {
            cx.fault_like(&path, "is empty; a plan has at least one phase", EXAMPLE);
            return None;
        }
        Some(Value::Array(items)) => items,
        Some(other) => {
            cx.fault_like(
                &path,
                format!("expected a list, found {}", show(other)),
                EXAMPLE,
            );
            return None;
        }
    };
    if items.len() > max {
        cx.fault(&path, format!("has {} entries; at most {max}", items.len()));
        return None;
    }
    let at = |(index, value)| At {
        value,
        path: format!("{path}[{index}]"),
        older_name: false,
    };
    Some(items.iter().enumerate().map(at).collect())
}

/// The tiers of `plan/v1`, with their phases nested.
pub(super) fn nested(cx: &mut Cx, root: &Section, defaults: &Defaults) -> Vec<TierDraft> {
    let mut tiers = Vec::new();
    let (mut seen, mut count) = (Seen::default(), 0);
    for at in entries(cx, root, "tiers", MAX_TIERS).unwrap_or_default() {
        let Some(section) = Section::read(cx, &at, "{ id: T1, phases: [...] }") else {
            continue;
        };
        let dst = format!("tiers[{}]", tiers.len());
        let mut tier = tier(cx, &section, &dst, &mut seen);
        let phases = entries(cx, &section, "phases", MAX_PHASES).unwrap_or_default();
        count += phases.len();
        if count > MAX_PHASES {
            cx.fault(
                "tiers",
                format!("have {count} phases together; at most {MAX_PHASES}"),
            );
            break;
        }
        for at in phases {
            if let Some(section) = Section::read(cx, &at, "{ id: P1.1, goal: Parse durations }") {
                let dst = format!("{dst}.phases[{}]", tier.phases.len());
                tier.phases.push(phase::read(cx, &section, &dst, defaults));
            }
        }
        tiers.push(tier);
    }
    tiers
}

/// The tiers of an older form, with all phases in one list.
pub(super) fn flat(cx: &mut Cx, root: &Section, defaults: &Defaults) -> Vec<TierDraft> {
    let mut sections = Vec::new();
    if root
        .map
        .get("tiers")
        .is_some_and(|tiers| tiers.as_array().is_none_or(|tiers| !tiers.is_empty()))
    {
        for at in entries(cx, root, "tiers", MAX_TIERS).unwrap_or_default() {
            if let Some(section) =
                Section::read(cx, &at, "{ tier_id: T1, tier_index: 0, name: Core }")
            {
                let index = index(cx, &section, "tier_index", sections.len());
                sections.push((index, section));
            }
        }
        sections.sort_by_key(|(index, _)| *index);
    }
    let mut seen = Seen::default();
    let mut tiers: Vec<TierDraft> = Vec::new();
    for (index, (_, section)) in sections.iter().enumerate() {
        let tier = tier(cx, section, &format!("tiers[{index}]"), &mut seen);
        tiers.push(tier);
    }
    let given = !tiers.is_empty();
    let mut phases = Vec::new();
    for at in entries(cx, root, "phases", MAX_PHASES).unwrap_or_default() {
        let Some(section) = Section::read(cx, &at, "{ phase_id: P1.1, goal: Parse durations }")
        else {
            continue;
        };
        let Some(tier) = tier_of(cx, &section, &mut tiers, given) else {
            continue;
        };
        let index = index(cx, &section, "phase_index", phases.len());
        phases.push((tier, index, section));
    }
    phases.sort_by_key(|(tier, index, _)| (*tier, *index));
    for (tier, _, section) in &phases {
        let Some(draft) = tiers.get_mut(*tier) else {
            continue;
        };
        let dst = format!("tiers[{tier}].phases[{}]", draft.phases.len());
        draft.phases.push(phase::read(cx, section, &dst, defaults));
    }
    // A tier of the payload without phases does nothing; the plan goes on without it.
    let empty: Vec<usize> = (0..tiers.len())
        .filter(|index| tiers[*index].phases.is_empty())
        .collect();
    for index in empty {
        let problem = format!(
            "the tier `{}` has no phase",
            clip(&tiers[index].written, 80)
        );
        if !phases.is_empty() {
            cx.fault_like(
                "tiers",
                problem,
                "a phase whose `tier_id` names it, or no such tier",
            );
        }
    }
    tiers
}

/// The position that an older form gives, else the one in the text.
fn index(cx: &mut Cx, section: &Section, key: &str, position: usize) -> u64 {
    section
        .get(cx, key)
        .and_then(|at| number(cx, &at, 0, 1_000_000))
        .unwrap_or(position as u64)
}

/// The tier of a phase in an older form; tiers are made up as long as the text lists none.
fn tier_of(cx: &mut Cx, phase: &Section, tiers: &mut Vec<TierDraft>, given: bool) -> Option<usize> {
    let path = join(&phase.path, "tier_id");
    let name = match phase.get(cx, "tier_id") {
        Some(at) => match at.value {
            Value::String(name) => name.clone(),
            other => other.to_string(),
        },
        None if given && tiers.len() > 1 => {
            let fault = Fault::new(path, "is missing: the plan has several tiers");
            cx.faults.push(
                fault
                    .allowed(tiers.iter().map(|tier| tier.written.clone()))
                    .example(&*tiers[0].written),
            );
            return None;
        }
        None if given => return Some(0),
        None => "T1".to_owned(),
    };
    if let Some(index) = tiers.iter().position(|tier| tier.written == name) {
        return Some(index);
    }
    if given || cx.form == PlanForm::CreationPayload && phase.map.contains_key("tier_id") {
        let fault = Fault::new(
            path,
            format!("names the unknown tier `{}`", clip(&name, 80)),
        );
        let known: Vec<String> = tiers
            .iter()
            .map(|tier| clip(&tier.written, 80))
            .take(50)
            .collect();
        let example = known
            .first()
            .cloned()
            .unwrap_or_else(|| "list the tier under `tiers`".to_owned());
        cx.faults.push(fault.allowed(known).example(example));
        return None;
    }
    if tiers.len() >= MAX_TIERS {
        cx.fault(
            &path,
            format!("would be one tier too many; at most {MAX_TIERS}"),
        );
        return None;
    }
    let value = Value::String(name.clone());
    let tier_id = id(
        cx,
        &At {
            value: &value,
            path,
            older_name: true,
        },
    )?
    .parse()
    .ok();
    let dst = format!("tiers[{}]", tiers.len());
    for key in ["id", "name", "description"] {
        cx.source(format!("{dst}.{key}"), Source::OlderForm);
    }
    cx.source(format!("{dst}.tokens"), Source::Derived);
    cx.source(format!("{dst}.ci_runs"), Source::Derived);
    tiers.push(TierDraft {
        name: name.clone(),
        written: name,
        id: tier_id,
        description: String::new(),
        tokens: None,
        ci_runs: None,
        phases: Vec::new(),
    });
    Some(tiers.len() - 1)
}

/// A tier's own keys.
fn tier(cx: &mut Cx, section: &Section, dst: &str, seen: &mut Seen) -> TierDraft {
    section.check(cx, &KEYS);
    let at = section.any(cx, &["id", "tier_id"]);
    if at.is_none() && !section.map.get("id").is_some_and(Value::is_null) {
        let key = if cx.older() { "tier_id" } else { "id" };
        cx.fault_like(&join(&section.path, key), "is missing", "T1");
    }
    cx.source(
        format!("{dst}.id"),
        at.as_ref().map_or(Source::Plan, At::source),
    );
    let written = at
        .as_ref()
        .and_then(|at| at.value.as_str())
        .unwrap_or_default()
        .to_owned();
    let tier_id = at.and_then(|at| Some((id(cx, &at)?, at.path)));
    let tier_id = tier_id
        .filter(|(id, path)| seen.first(cx, id, path))
        .and_then(|(id, _)| id.parse::<TierId>().ok());
    let name = section
        .any(cx, &["name", "display_name", "title"])
        .and_then(|at| line(cx, &at, MAX_NAME));
    let name = cx.or(
        format!("{dst}.name"),
        name,
        written.clone(),
        Source::Derived,
    );
    let description = section
        .get(cx, "description")
        .and_then(|at| text(cx, &at, MAX_TEXT));
    let description = cx.or(
        format!("{dst}.description"),
        description,
        String::new(),
        Source::Builtin,
    );
    let budgets = section
        .get(cx, "budgets")
        .and_then(|at| Section::read(cx, &at, "{ tokens: 1000000, ci_runs: 10 }"));
    if let Some(budgets) = &budgets {
        budgets.check(cx, &BUDGETS);
    }
    let pick = |cx: &mut Cx, key: &str, older: &str| {
        let own = budgets.as_ref().and_then(|budgets| budgets.get(cx, key));
        if own.is_some() || !cx.older() {
            own
        } else {
            section.get(cx, older)
        }
    };
    let tokens = pick(cx, "tokens", "token_cap").and_then(|at| number(cx, &at, 1, MAX_TOKENS));
    let tokens = cx.or(
        format!("{dst}.tokens"),
        tokens.map(Some),
        None,
        Source::Derived,
    );
    let ci_runs = pick(cx, "ci_runs", "ci_run_cap").and_then(|at| number32(cx, &at, 1, 1_000_000));
    let ci_runs = cx.or(
        format!("{dst}.ci_runs"),
        ci_runs.map(Some),
        None,
        Source::Derived,
    );
    TierDraft {
        written,
        id: tier_id,
        name,
        description,
        tokens,
        ci_runs,
        phases: Vec::new(),
    }
}
