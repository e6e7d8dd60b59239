//! Faults of a plan that only the repository and the worker show (SEMANTICS 5.10).
//!
//! Invariant: every fault is listed, each with the path of its field; a warning never stops a run.

use std::collections::BTreeMap;

use autopack_domain::plan::{BuilderSpec, PhaseSpec, Plan};
use autopack_domain::{Fault, PhaseId};

use crate::govern::TOTAL_BYTES;
use crate::scope::{CompiledScope, has_glob, scope_clashes};

/// Files that the patches of one plan may touch in all.
pub const MAX_PLAN_FILES: u64 = 500;
/// From this many phases on a plan gets a warning.
pub const MANY_PHASES: usize = 20;
/// With less free space than this no phase can work.
pub const MIN_FREE_MB: u64 = 256;

/// What the patches of one phase touch, all of them together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PatchFacts {
    /// Files.
    pub files: u64,
    /// Bytes of the patches.
    pub bytes: u64,
}

/// What the caller found out. What it does not know is left empty and not judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreflightFacts {
    /// Paths of the base tree; `None`: the repository is not known.
    pub tree_paths: Option<Vec<String>>,
    /// Patches by phase.
    pub patches: BTreeMap<PhaseId, PatchFacts>,
    /// Programs that a phase needs and the worker lacks.
    pub missing_tools: BTreeMap<PhaseId, Vec<String>>,
    /// Phases whose gate was to be inferred and could not be, each with the reason.
    pub no_gate: BTreeMap<PhaseId, String>,
    /// Workers beside the one that looks.
    pub other_workers: usize,
    /// Free space of the worker's data directory, MiB.
    pub disk_free_mb: Option<u64>,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preflight {
    /// Any of these: the run does not start.
    pub faults: Vec<Fault>,
    /// For people.
    pub warnings: Vec<Fault>,
}

/// All faults and warnings of the plan.
pub fn preflight(plan: &Plan, facts: &PreflightFacts) -> Preflight {
    let mut result = Preflight::default();
    let mut phases = 0;
    for (t, tier) in plan.tiers.iter().enumerate() {
        for (p, phase) in tier.phases.iter().enumerate() {
            phases += 1;
            judge_phase(
                phase,
                &format!("tiers[{t}].phases[{p}]"),
                facts,
                &mut result,
            );
        }
    }
    totals(facts, &mut result);
    if phases > MANY_PHASES {
        result.warnings.push(Fault::new(
            "tiers",
            format!("{phases} phases; plans of more than {MANY_PHASES} are hard to follow"),
        ));
    }
    disk(plan, facts, &mut result);
    scope_exists(plan, facts, &mut result);
    result
}

fn judge_phase(phase: &PhaseSpec, at: &str, facts: &PreflightFacts, result: &mut Preflight) {
    let scope = CompiledScope::compile(&phase.scope);
    let unreadable = scope.as_ref().err().cloned().unwrap_or_default();
    for mut fault in unreadable.into_iter().chain(scope_clashes(&phase.scope)) {
        fault.path = format!("{at}.{}", fault.path);
        result.faults.push(fault);
    }
    if let Ok(scope) = scope {
        for (index, wanted) in phase.scope.deliverables.iter().enumerate() {
            if !has_glob(wanted) && scope.protects(wanted.trim_end_matches('/')) {
                result.warnings.push(Fault::new(
                    format!("{at}.scope.deliverables[{index}]"),
                    format!("`{wanted}` is protected, so no phase can write it"),
                ));
            }
        }
    }
    if let Some(tree) = &facts.tree_paths {
        folders_without_slash(phase, at, tree, result);
    }
    if let Some(patch) = facts.patches.get(&phase.id)
        && patch.files > u64::from(phase.limits.files)
    {
        result.faults.push(
            Fault::new(
                format!("{at}.builder"),
                format!(
                    "the patches touch {} files; a phase may touch {}",
                    patch.files, phase.limits.files
                ),
            )
            .allowed([
                "smaller patches in several phases",
                "a larger `limits.files`",
            ]),
        );
    }
    for tool in facts.missing_tools.get(&phase.id).into_iter().flatten() {
        let problem = match facts.other_workers {
            0 => format!("the worker has no program `{tool}`"),
            others => format!(
                "none of {} workers has all programs of the phase; this one has no program `{tool}`",
                others + 1
            ),
        };
        result.faults.push(Fault::new(at, problem));
    }
    if let Some(reason) = facts.no_gate.get(&phase.id) {
        result.faults.push(
            Fault::new(
                format!("{at}.gate.steps"),
                format!("no gate can be inferred: {reason}"),
            )
            .allowed([
                "the commands that prove the phase",
                "`[]`: no gate, recorded as not_required",
            ])
            .example("steps: [{ run: \"make test\", kind: test }]"),
        );
    }
}

/// `src` names a file; whoever means the folder writes `src/`.
fn folders_without_slash(phase: &PhaseSpec, at: &str, tree: &[String], result: &mut Preflight) {
    for (index, entry) in phase.scope.paths.iter().flatten().enumerate() {
        if has_glob(entry) || entry.ends_with('/') {
            continue;
        }
        let below = format!("{entry}/");
        if tree.iter().any(|path| path.starts_with(&below)) {
            result.warnings.push(
                Fault::new(
                    format!("{at}.scope.paths[{index}]"),
                    format!("`{entry}` is a folder, and the entry names a file"),
                )
                .example(below),
            );
        }
    }
}

fn totals(facts: &PreflightFacts, result: &mut Preflight) {
    let files = facts
        .patches
        .values()
        .fold(0u64, |sum, patch| sum.saturating_add(patch.files));
    if files > MAX_PLAN_FILES {
        let problem =
            format!("the patches touch {files} files in all; a plan may touch {MAX_PLAN_FILES}");
        result
            .faults
            .push(Fault::new("tiers", problem).allowed(["several plans"]));
    }
    let bytes = facts
        .patches
        .values()
        .fold(0u64, |sum, patch| sum.saturating_add(patch.bytes));
    if bytes > TOTAL_BYTES {
        let problem =
            format!("the patches have {bytes} bytes in all; a plan may have {TOTAL_BYTES}");
        result
            .faults
            .push(Fault::new("tiers", problem).allowed(["several plans"]));
    }
}

fn disk(plan: &Plan, facts: &PreflightFacts, result: &mut Preflight) {
    let Some(free) = facts.disk_free_mb else {
        return;
    };
    let wanted = plan
        .tiers
        .iter()
        .flat_map(|tier| &tier.phases)
        .map(|phase| u64::from(phase.limits.disk_mb))
        .max()
        .unwrap_or(0);
    if free < MIN_FREE_MB {
        let problem =
            format!("{free} MiB free in the data directory; at least {MIN_FREE_MB} are needed");
        result
            .faults
            .push(Fault::new("run", problem).allowed(["another --data-dir", "free space"]));
    } else if free < wanted {
        let problem = format!("{free} MiB free in the data directory; a phase may write {wanted}");
        result.warnings.push(Fault::new("run", problem));
    }
}

/// A plan of which no scope names anything that exists is probably meant for another repository. New
/// files are legitimate, so this warns; the older system refused such a plan.
fn scope_exists(plan: &Plan, facts: &PreflightFacts, result: &mut Preflight) {
    let Some(tree) = &facts.tree_paths else {
        return;
    };
    let scoped: Vec<CompiledScope> = plan
        .tiers
        .iter()
        .flat_map(|tier| &tier.phases)
        .filter(|phase| {
            phase
                .scope
                .paths
                .as_ref()
                .is_some_and(|paths| !paths.is_empty())
        })
        .filter(|phase| !matches!(phase.builder, Some(BuilderSpec::Noop)))
        .filter_map(|phase| CompiledScope::compile(&phase.scope).ok())
        .collect();
    let none_exists = !scoped
        .iter()
        .any(|scope| tree.iter().any(|path| scope.in_scope(path)));
    if !scoped.is_empty() && !tree.is_empty() && none_exists {
        result.warnings.push(Fault::new(
            "tiers",
            "no scope names a path that exists in the base: is this the right repository?",
        ));
    }
}
