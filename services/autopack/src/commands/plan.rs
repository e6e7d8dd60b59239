//! `autopack plan new|validate|explain`: without a run.
//!
//! Invariant: every fault of plan, files and repository is in one report, and nothing is stored but in our own clone.

use std::{collections::BTreeMap, fmt::Write as _};

use async_trait::async_trait;
use autopack_domain::{
    Fault, Reason,
    plan::{self, Normalised, PatchSpec, Plan, parse_document},
    strategy::Strategy,
};
use autopack_policy::strategy::{Backlog, Overrides, Ruleset, compile, parse_ruleset};
use autopack_runtime::{DataDir, IdSource as _, Opened, V7Ids};
use builder_worker::{Host, WorkerConfig, preflight};
use serde_json::{Value, json};

use super::Context;
use crate::{
    cli::{PlanCommand, PlanExplainArgs, PlanValidateArgs},
    error::{CliError, Exit, Outcome},
    output::count,
    plan_files::Document,
    project::default_project,
    submit::{builder, read_options},
    target,
};

pub(super) async fn run(context: &Context, command: PlanCommand) -> Outcome {
    match command {
        PlanCommand::New(args) => Box::pin(super::plan_new::run(context, args)).await,
        PlanCommand::Validate(args) => validate(context, args).await,
        PlanCommand::Explain(args) => explain(context, args).await,
    }
}

/// What was found.
#[derive(Debug, Default)]
struct Findings {
    code: Option<&'static str>,
    faults: Vec<Fault>,
    warnings: Vec<String>,
    normalised: Option<Normalised>,
    base: String,
    gates: usize,
}

/// What is wrong with a plan that was made here, and what is worth knowing.
pub(super) struct Checked {
    /// Every fault.
    pub(super) faults: Vec<Fault>,
    /// What does not stop it.
    pub(super) warnings: Vec<String>,
}

/// Checks a plan that was made here: as a text, and against the repository if one is named.
pub(super) async fn check_text(
    context: &Context,
    document: &Document,
    repo: Option<&str>,
) -> Result<Checked, CliError> {
    let normalised = document.plan(read_options(&context.settings, None, None)?)?;
    let mut found = Findings::default();
    found
        .warnings
        .extend(normalised.warnings.iter().map(ToString::to_string));
    if let Some(repo) = repo {
        check_repository(context, repo, &normalised.plan, BTreeMap::new(), &mut found).await?;
    }
    Ok(Checked {
        faults: found.faults,
        warnings: found.warnings,
    })
}

async fn validate(context: &Context, args: PlanValidateArgs) -> Outcome {
    let document = Document::read(&args.plan)?;
    let options = read_options(&context.settings, builder(args.builder.as_deref())?, None)?;
    let mut found = Findings::default();
    match document.plan(options) {
        Ok(normalised) => {
            found
                .warnings
                .extend(normalised.warnings.iter().map(ToString::to_string));
            check_built(&normalised, args.repo.is_some(), &mut found);
            let files = document.files(&normalised.plan).unwrap_or_else(|error| {
                found.faults.extend(error.faults);
                BTreeMap::new()
            });
            if let Some(repo) = &args.repo {
                check_repository(context, repo, &normalised.plan, files, &mut found).await?;
            }
            found.normalised = Some(normalised);
        }
        Err(error) => found.faults = error.faults,
    }
    let path = document.path.display().to_string();
    context.ui.data(|| found.json(&path), || found.text(&path));
    if found.faults.is_empty() {
        return Ok(Exit::Success);
    }
    let code = found.code.unwrap_or(Reason::PlanInvalid.code());
    context.ui.say(&format!(
        "hint: mend all of them and check again; more: autopack explain {code}"
    ));
    Ok(Exit::Error)
}

/// A plan without builders is valid; a run of it is not.
fn check_built(normalised: &Normalised, for_a_run: bool, found: &mut Findings) {
    for phase in &normalised.unbuilt {
        let text = "no builder is named; add `builder`, `run.default_builder`, or pass --builder";
        if for_a_run {
            found.code = Some(Reason::BuilderMissing.code());
            found.faults.push(
                Fault::new(format!("phase {phase}: builder"), text)
                    .allowed(plan::BuilderSpec::KINDS.iter().copied()),
            );
        } else {
            found
                .warnings
                .push(format!("phase {phase}: builder: {text} (BUILDER_MISSING)"));
        }
    }
}

/// Patches of the plan's folder.
struct Files(BTreeMap<String, Vec<u8>>);

#[async_trait]
impl preflight::PatchSource for Files {
    async fn read(&self, patch: &PatchSpec) -> Result<Vec<u8>, String> {
        let missing = || format!("`{}` could not be read", patch.path);
        self.0.get(&patch.path).cloned().ok_or_else(missing)
    }
}

/// The checks of a bootstrap, in our own clone: the data directory's if nobody holds it, else one for this check.
async fn check_repository(
    context: &Context,
    repo: &str,
    plan: &Plan,
    files: BTreeMap<String, Vec<u8>>,
    found: &mut Findings,
) -> Result<(), CliError> {
    let target = target::discover(repo).await?;
    let lock = match DataDir::open(&context.settings.data_dir, target::checkout(&target))? {
        Opened::Locked(data) => Some(data),
        Opened::Busy { .. } => None,
    };
    let scratch = std::env::temp_dir().join(format!("autopack-validate-{}", V7Ids.uuid()));
    let folder = lock.as_ref().map_or(scratch.as_path(), DataDir::path);
    let checked = async {
        let host = Host::open(&WorkerConfig::new(folder, 1))
            .await
            .map_err(|error| CliError::new(error.to_string()))?;
        Ok::<_, CliError>(preflight::check(&host, plan, &target.location, &Files(files)).await)
    };
    let checked = checked.await;
    let _ = std::fs::remove_dir_all(&scratch);
    match checked? {
        Ok(report) => {
            found.faults.extend(report.faults);
            found
                .warnings
                .extend(report.warnings.iter().map(ToString::to_string));
            found.base = report.findings.base_sha;
            found.gates = report.findings.gates.len();
        }
        Err(error) => {
            found.code = Some(error.cause.code());
            found.faults.push(Fault::new(
                "repo",
                format!("{}: {}", error.cause, error.detail),
            ));
        }
    }
    Ok(())
}

impl Findings {
    fn json(&self, path: &str) -> Value {
        json!({
            "plan": path,
            "valid": self.faults.is_empty(),
            "form": self.normalised.as_ref().map(|n| n.form.as_str()),
            "tiers": self.normalised.as_ref().map(|n| n.plan.tiers.len()),
            "phases": self.normalised.as_ref().map(|n| phases(&n.plan)),
            "base": crate::output::json::some(&self.base),
            "inferred_gates": self.gates,
            "faults": self.faults,
            "warnings": self.warnings,
        })
    }

    fn text(&self, path: &str) -> String {
        let mut text = String::new();
        if self.faults.is_empty() {
            let size = self.normalised.as_ref().map_or_else(String::new, |n| {
                format!(
                    "; {} in {}",
                    count(phases(&n.plan), "phase"),
                    count(n.plan.tiers.len(), "tier")
                )
            });
            let _ = writeln!(text, "{path}: valid{size}");
        } else {
            let _ = writeln!(text, "{path}: {}", count(self.faults.len(), "fault"));
        }
        for fault in &self.faults {
            let _ = writeln!(text, "  {fault}");
        }
        for warning in &self.warnings {
            let _ = writeln!(text, "  warning: {warning}");
        }
        text
    }
}

fn phases(plan: &Plan) -> usize {
    plan.tiers.iter().map(|tier| tier.phases.len()).sum()
}

async fn explain(context: &Context, args: PlanExplainArgs) -> Outcome {
    let document = Document::read(&args.plan)?;
    let options = read_options(&context.settings, builder(args.builder.as_deref())?, None)?;
    let mut normalised = document.plan(options)?;
    if let Some(repo) = &args.repo
        && normalised.plan.run.project.is_empty()
    {
        normalised.plan.run.project = default_project(&target::discover(repo).await?);
        normalised.provenance.insert(
            "run.project".to_owned(),
            autopack_domain::Source::Repository,
        );
    }
    let ruleset = match &args.ruleset {
        Some(path) => read_ruleset(path)?,
        None => Ruleset::default(),
    };
    let overrides = Overrides {
        backoff_seconds: context.settings.backoff_seconds,
    };
    let strategy = compile(&ruleset, &Backlog::default(), &normalised.plan, overrides);
    context.ui.data(
        || {
            json!({
                "form": normalised.form.as_str(),
                "plan": normalised.plan,
                "provenance": normalised.provenance,
                "warnings": normalised.warnings,
                "without_builder": normalised.unbuilt,
                "strategy": strategy_json(&normalised.plan, &strategy),
            })
        },
        || {
            format!(
                "{}{}",
                plan::explain(&normalised),
                strategy_text(&normalised.plan, &strategy)
            )
        },
    );
    Ok(Exit::Success)
}

fn read_ruleset(path: &std::path::Path) -> Result<Ruleset, CliError> {
    let document = Document::read(path)?;
    let invalid = |faults: Vec<Fault>| {
        CliError::faults(
            Reason::RulesetInvalid,
            format!("{}: {}", path.display(), count(faults.len(), "fault")),
            faults,
        )
    };
    let tree = parse_document(&document.text, &path.to_string_lossy())
        .map_err(|fault| invalid(vec![fault]))?;
    parse_ruleset(&tree).map_err(invalid)
}

/// Comments: the text as a whole stays the plan.
fn strategy_text(plan: &Plan, strategy: &Strategy) -> String {
    let mut text = String::from("#\n# strategy, compiled from this plan and the ruleset:\n");
    let _ = writeln!(
        text,
        "#   run: tokens {}, phases {}, minutes {}, minor issues {}",
        strategy.tokens, strategy.phases, strategy.minutes, strategy.max_minor_issues
    );
    for (spec, tier) in plan.tiers.iter().zip(&strategy.tier) {
        let _ = writeln!(
            text,
            "#   tier {}: tokens {}, gate runs {}, minor issues {}",
            spec.id, tier.tokens, tier.ci_runs, tier.max_minor_issues
        );
    }
    let specs = plan.tiers.iter().flat_map(|tier| &tier.phases);
    for (spec, phase) in specs.zip(&strategy.phase) {
        let _ = writeln!(
            text,
            "#   phase {}: attempts {}, infrastructure {}, tokens {} (reserves {}), back-off {} s, gate {}",
            spec.id,
            phase.max_attempts,
            phase.max_infra,
            phase.tokens,
            phase.estimate,
            phase.backoff_seconds,
            phase.gate_profile
        );
    }
    text
}

fn strategy_json(plan: &Plan, strategy: &Strategy) -> Value {
    let tiers: Vec<Value> = plan
        .tiers
        .iter()
        .zip(&strategy.tier)
        .map(|(spec, tier)| json!({ "id": spec.id, "tokens": tier.tokens, "ci_runs": tier.ci_runs, "max_minor_issues": tier.max_minor_issues, "max_major_issues": tier.max_major_issues }))
        .collect();
    let specs = plan.tiers.iter().flat_map(|tier| &tier.phases);
    let phases: Vec<Value> = specs
        .zip(&strategy.phase)
        .map(|(spec, p)| json!({
            "id": spec.id, "max_attempts": p.max_attempts, "max_infra": p.max_infra, "tokens": p.tokens, "estimate": p.estimate,
            "backoff_seconds": p.backoff_seconds, "gate_profile": p.gate_profile.as_str(), "auditor_profile": p.auditor_profile, "auto_apply": p.auto_apply,
        }))
        .collect();
    json!({
        "version": strategy.version, "tokens": strategy.tokens, "phases": strategy.phases, "minutes": strategy.minutes,
        "max_minor_issues": strategy.max_minor_issues, "aging_runs": strategy.aging_runs, "aging_tiers": strategy.aging_tiers,
        "tier": tiers, "phase": phases,
    })
}
