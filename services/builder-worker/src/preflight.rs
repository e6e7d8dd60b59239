//! Whether a plan can be executed on a repository and this machine, and what only the repository tells.
//!
//! Invariant: needs no registry and changes nothing but our own clone; every fault is reported at once.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use autopack_domain::plan::{BuilderSpec, GateSpec, ModelSpec, PatchSpec, PhaseSpec, Plan};
use autopack_domain::{Cause, Fault};
use autopack_git::{ApplyError, BaseError, GitError, Oid};
use autopack_policy::placement;
use autopack_policy::preflight::{PatchFacts, PreflightFacts, preflight};
use autopack_policy::routing::{Ask, Route, route};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::agents;
use crate::error::git_cause;
use crate::host::Host;
use crate::models::LIST;
use crate::ports::Abilities;
use crate::repo::toolset::{Toolset, gate_spec};
use crate::repo::{Opened, hex};
use crate::{remote, tools};

mod fleet;

/// Where the content of a plan's patches comes from.
#[async_trait]
pub trait PatchSource: Send + Sync {
    /// The content, or why it cannot be had.
    async fn read(&self, patch: &PatchSpec) -> Result<Vec<u8>, String>;
}

/// What the repository tells about a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// The base commit; empty in a repository without commits.
    pub base_sha: String,
    /// The branch's tip, if it is there and the run's; else the base.
    pub tip: String,
    /// Gates that the plan leaves to the toolchain, by index of the phase.
    pub gates: BTreeMap<usize, GateSpec>,
    /// Facts for later comparison.
    pub facts: BTreeMap<String, String>,
}

/// The report of a preflight.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PreflightReport {
    /// Any of these: the run does not start.
    pub faults: Vec<Fault>,
    /// For people.
    pub warnings: Vec<Fault>,
    /// What was found.
    pub findings: Findings,
}

/// Nothing can be said about the plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct PreflightError {
    /// Why.
    pub cause: Cause,
    /// For people.
    pub detail: String,
}

impl From<GitError> for PreflightError {
    fn from(error: GitError) -> Self {
        Self {
            cause: git_cause(&error),
            detail: error.to_string(),
        }
    }
}

/// Checks a plan against a repository (a path or an address) and this machine.
pub async fn check(
    host: &Host,
    plan: &Plan,
    repository: &str,
    patches: &dyn PatchSource,
) -> Result<PreflightReport, PreflightError> {
    let opened = host.repos.open(repository).await?;
    check_opened(host, &opened, plan, &plan.run.base, patches, &[]).await
}

pub(crate) async fn check_opened(
    host: &Host,
    opened: &Opened,
    plan: &Plan,
    base: &str,
    patches: &dyn PatchSource,
    fleet: &[Abilities],
) -> Result<PreflightReport, PreflightError> {
    let asked = Instant::now();
    opened.fetch(asked).await.map_err(|error| PreflightError {
        cause: match git_cause(&error) {
            Cause::WorkerError => Cause::RepositoryUnavailable,
            cause => cause,
        },
        detail: error.to_string(),
    })?;
    let own = &opened.repo.own;
    let base = match own.resolve_base(&opened.target, base).await {
        Ok(base) => Some(base),
        Err(BaseError::EmptyRepository { .. }) => None,
        Err(BaseError::Git(error)) => return Err(error.into()),
        Err(error @ BaseError::BaseMissing { .. }) => {
            return Err(PreflightError {
                cause: Cause::BaseMissing,
                detail: error.to_string(),
            });
        }
    };
    let tree = match &base {
        Some(base) => own.tree_of(base).await?,
        None => own.empty_tree()?,
    };
    let tools = opened.repo.toolset(&tree).await?;
    let base_sha = base.map_or_else(String::new, |base| base.to_string());
    let mut look = Look {
        host,
        opened,
        tools: &tools,
        facts: PreflightFacts {
            tree_paths: Some(tools.paths.clone()),
            disk_free_mb: host.free_mb(),
            ..PreflightFacts::default()
        },
        faults: Vec::new(),
        gates: BTreeMap::new(),
        used: BTreeSet::new(),
        needed: BTreeMap::new(),
        at: 0,
    };
    let mut index = 0;
    for (t, tier) in plan.tiers.iter().enumerate() {
        for (p, phase) in tier.phases.iter().enumerate() {
            let at = format!("tiers[{t}].phases[{p}]");
            look.at = index;
            look.builder(phase, &at, &tree, patches).await?;
            look.gate(phase, index);
            index += 1;
        }
    }
    let placed = fleet::place(plan, fleet, &look.needed, &host.announced, &mut look.facts);
    let judged = preflight(plan, &look.facts);
    let mut facts = facts(host, opened, &look, &base_sha).await;
    if !placed.tools.is_empty() {
        facts.insert(placement::TOOLS_FACT.to_owned(), placed.tools);
    }
    let mut faults = look.faults;
    faults.extend(judged.faults);
    let mut warnings = judged.warnings;
    warnings.extend(placed.warnings);
    Ok(PreflightReport {
        faults,
        warnings,
        findings: Findings {
            tip: base_sha.clone(),
            base_sha,
            gates: look.gates,
            facts,
        },
    })
}

/// What is collected phase by phase.
struct Look<'a> {
    host: &'a Host,
    opened: &'a Opened,
    tools: &'a Toolset,
    facts: PreflightFacts,
    faults: Vec<Fault>,
    gates: BTreeMap<usize, GateSpec>,
    /// Tools of toolchains that the gates use.
    used: BTreeSet<String>,
    /// Programs from outside of the tree that each phase needs, by its index.
    needed: BTreeMap<usize, BTreeSet<String>>,
    /// Index of the phase that is looked at.
    at: usize,
}

impl Look<'_> {
    async fn builder(
        &mut self,
        phase: &PhaseSpec,
        at: &str,
        tree: &Oid,
        source: &dyn PatchSource,
    ) -> Result<(), PreflightError> {
        match &phase.builder {
            Some(BuilderSpec::Patch { patches }) => {
                self.patches(phase, patches, at, tree, source).await?;
            }
            Some(BuilderSpec::Command { run, .. }) => self.needs(phase, run, ""),
            Some(BuilderSpec::Agent(agent)) => {
                let program = agents::program(agent);
                self.needs(phase, program, "");
            }
            Some(BuilderSpec::Model(model)) => self.model(model, phase, at),
            Some(builder @ BuilderSpec::Replay { .. }) => {
                let problem = format!(
                    "builders of kind `{}` are not available on this worker",
                    builder.kind()
                );
                let fault = Fault::new(format!("{at}.builder.kind"), problem);
                self.faults.push(
                    fault.allowed(["patch", "command", "agent", "model", "external", "noop"]),
                );
            }
            Some(BuilderSpec::External { .. } | BuilderSpec::Noop) | None => {}
        }
        Ok(())
    }

    /// Whether the worker knows the model's provider and has its key.
    fn model(&mut self, model: &ModelSpec, phase: &PhaseSpec, at: &str) {
        let list = &self.host.models.list;
        let ask = Ask {
            named: &model.model,
            fallback: &model.fallback,
            category: &phase.task_category,
            complexity: phase.complexity,
            failures: 0,
            escalate: false,
        };
        let found = match route(&list.routes, &ask, &|_| true) {
            Route::Model { name, .. } | Route::Held { name } => list.target(model, &name).map(drop),
            Route::None => Err(format!(
                "is `auto`, and the worker's list names no model for such a phase; write `routes.default` into the file that {LIST} names, or name a model"
            )),
        };
        if let Err(problem) = found {
            self.faults
                .push(Fault::new(format!("{at}.builder.model"), problem));
        }
    }

    async fn patches(
        &mut self,
        phase: &PhaseSpec,
        patches: &[PatchSpec],
        at: &str,
        tree: &Oid,
        source: &dyn PatchSource,
    ) -> Result<(), PreflightError> {
        let at = format!("{at}.builder.patch");
        let mut series = Vec::with_capacity(patches.len());
        let mut known = PatchFacts::default();
        for patch in patches {
            match source.read(patch).await {
                Ok(bytes) => {
                    known.files += files_named(&bytes);
                    known.bytes += bytes.len() as u64;
                    series.push(bytes);
                }
                Err(problem) => {
                    let problem = format!("{} cannot be read: {problem}", patch.path);
                    self.faults.push(Fault::new(&at, problem));
                }
            }
        }
        if series.len() < patches.len() {
            return Ok(());
        }
        self.facts.patches.insert(phase.id.clone(), known);
        let repo = &self.opened.repo;
        let mut index = repo.indexes.take(|index| index.holds() == Some(tree)).await;
        match repo.own.apply_patch(tree, &series, &mut index).await {
            // Whether it applies is only known when its turn comes: earlier phases may prepare the ground.
            Ok(_)
            | Err(ApplyError::DoesNotApply { .. } | ApplyError::Escapes { always: false, .. }) => {}
            Err(ApplyError::Git(error)) => return Err(error.into()),
            Err(
                error @ (ApplyError::Unreadable { .. }
                | ApplyError::Escapes { always: true, .. }
                | ApplyError::Empty),
            ) => {
                self.faults.push(Fault::new(&at, error.to_string()));
            }
        }
        Ok(())
    }

    fn gate(&mut self, phase: &PhaseSpec, index: usize) {
        if let Some(steps) = &phase.gate.steps {
            for step in phase.gate.setup.iter().chain(steps) {
                self.needs(phase, &step.run, &step.dir);
            }
            return;
        }
        let profile = phase.gate.profile;
        if matches!(phase.builder, Some(BuilderSpec::Noop)) {
            let none = GateSpec {
                profile,
                setup: Vec::new(),
                steps: Some(Vec::new()),
                tests: phase.gate.tests.clone(),
            };
            self.gates.insert(index, none);
            return;
        }
        match self.tools.gate(profile) {
            Ok(gate) => {
                for tool in &gate.tools {
                    self.used.insert(tool.clone());
                    self.needed.entry(index).or_default().insert(tool.clone());
                    if tools::find(tool, self.host.path()).is_none() {
                        self.lacks(phase, tool);
                    }
                }
                let gate = GateSpec {
                    tests: phase.gate.tests.clone(),
                    ..gate_spec(gate, profile)
                };
                self.gates.insert(index, gate);
            }
            Err(reason) => {
                let reason = reason.to_owned();
                self.facts.no_gate.insert(phase.id.clone(), reason);
            }
        }
    }

    fn needs(&mut self, phase: &PhaseSpec, line: &str, dir: &str) {
        if let Some(program) = tools::first_program(line).filter(|name| !name.contains('/')) {
            let needed = self.needed.entry(self.at).or_default();
            needed.insert(program.to_owned());
        }
        let paths = &self.tools.paths;
        let in_tree = |path: &str| paths.iter().any(|known| known == path);
        // A phase before this one may make a script; only programs outside of the tree are sure to be missing.
        if let Some(program) = tools::missing(line, dir, self.host.path(), in_tree)
            && (!program.contains('/') || program.starts_with('/'))
        {
            self.lacks(phase, program);
        }
    }

    fn lacks(&mut self, phase: &PhaseSpec, program: &str) {
        let missing = self
            .facts
            .missing_tools
            .entry(phase.id.clone())
            .or_default();
        if !missing.iter().any(|known| known == program) {
            missing.push(program.to_owned());
        }
    }
}

/// How many files a patch names.
fn files_named(patch: &[u8]) -> u64 {
    let starting = |sign: &[u8]| {
        let lines = patch.split(|byte| *byte == b'\n');
        lines.filter(|line| line.starts_with(sign)).count() as u64
    };
    match starting(b"diff --git ") {
        0 => starting(b"+++ "),
        files => files,
    }
}

async fn facts(
    host: &Host,
    opened: &Opened,
    look: &Look<'_>,
    base_sha: &str,
) -> BTreeMap<String, String> {
    let mut versions = vec![format!("git={}", host.git_version)];
    for tool in &look.used {
        let version = host
            .tool_version(tool)
            .await
            .unwrap_or_else(|| "absent".to_owned());
        versions.push(format!("{tool}={version}"));
    }
    let chains = look.tools.toolchains.iter().map(|chain| {
        let at = if chain.dir.is_empty() {
            String::new()
        } else {
            format!(" in {}", chain.dir)
        };
        format!("{}{at}", chain.manager.as_str())
    });
    let environment = hex(&Sha256::digest(versions.join("\n").as_bytes()), 32);
    [
        ("base_sha", base_sha.to_owned()),
        (
            "remote_url",
            remote::url(&opened.target).unwrap_or_default(),
        ),
        ("toolchains", chains.collect::<Vec<_>>().join(", ")),
        ("tools", versions.join(", ")),
        ("environment_hash", environment),
        ("git_version", host.git_version.to_string()),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::files_named;

    #[test]
    fn files_of_a_patch_are_counted_by_its_headers() {
        let git = b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\ndiff --git a/y b/y\nnew file\n";
        assert_eq!(files_named(git), 2);
        assert_eq!(files_named(b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"), 1);
        assert_eq!(files_named(b"nonsense"), 0);
    }
}
