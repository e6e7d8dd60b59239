//! One attempt of a phase: build, govern, gate, land, settle.
//!
//! Invariant: a stage is reported before its work begins; whatever the builder says, success is a change set in scope,
//! its deliverables, and a gate that passed on that very tree.

mod adapted;
mod agent;
mod build;
mod cache;
mod command;
mod ends;
mod external;
mod gate;
mod goal;
mod govern;
mod integrity;
mod issues;
mod kept;
mod land;
mod model;
mod patch;
mod promise;
mod push;
mod reports;
mod review;
mod settle;
mod steps;
mod usage;

use std::sync::Arc;
use std::time::Duration;

use autopack_domain::Cause;
use autopack_domain::approval::ApprovalRequest;
use autopack_domain::attempt::{ArtifactRef, Attempt};
use autopack_domain::issue::NewIssue;
use autopack_domain::phase::PhaseOutcome;
use autopack_domain::plan::{BuilderSpec, PhaseSpec, StepSpec};
use autopack_domain::run::Run;
use autopack_domain::states::AttemptState;
use autopack_domain::usage::Usage;
use autopack_git::Oid;
use autopack_runtime::attributes;
use autopack_runtime::switches::Switch;
use serde_json::{Map, Value};
use tokio::time::Instant;
use tracing::Span;

use crate::context::Context;
use crate::error::Stop;
use crate::failpoints;
use crate::jobs::Ended;
use crate::leases::Lease;
use crate::ports::Leased;
use crate::repo::Opened;
use crate::spans;

pub(crate) use build::Candidate;
pub(crate) use ends::{end_text, step_end};
pub(crate) use gate::Proof;
pub(crate) use patch::MAX_PATCH;
pub(crate) use push::{is_stray, rewind};

/// An attempt in the hands of this worker.
pub(crate) struct Job<'a> {
    pub(crate) cx: &'a Context,
    pub(crate) lease: &'a Lease,
    pub(crate) leased: &'a Leased,
    pub(crate) run: &'a Run,
    pub(crate) attempt: &'a Attempt,
    pub(crate) spec: &'a PhaseSpec,
    pub(crate) builder: &'a BuilderSpec,
    pub(crate) evidence: Evidence,
    facts: Map<String, Value>,
    stage: Option<(&'static str, Instant, Span)>,
}

/// What is known when the attempt ends, well or not.
#[derive(Default)]
pub(crate) struct Evidence {
    /// The repository, once it was needed.
    pub(crate) opened: Option<Arc<Opened>>,
    /// The tip that the attempt was built on, and its tree.
    pub(crate) base: Option<(Option<Oid>, Oid)>,
    /// The tree that the builder left.
    pub(crate) candidate: Option<Oid>,
    /// What builder and gate printed.
    pub(crate) output: String,
    /// Verdict and steps.
    pub(crate) gate: String,
    /// Tests counted.
    pub(crate) tests: Option<u64>,
    /// Usage that was not sent yet.
    pub(crate) usage: Vec<Usage>,
    /// The builder could have used tokens that nobody reported.
    pub(crate) usage_unknown: bool,
    /// What was submitted from outside.
    pub(crate) submitted: Vec<ArtifactRef>,
    /// What builder and gate found wrong.
    pub(crate) issues: Vec<NewIssue>,
    /// What a person has to approve.
    pub(crate) approval: Option<ApprovalRequest>,
    /// Changed paths, each behind a letter that says how.
    pub(crate) changed: Vec<String>,
    /// What is kept of the gate.
    pub(crate) kept: Vec<ArtifactRef>,
}

impl Evidence {
    /// Changed paths, as far as they are listed.
    fn changed_paths(&self) -> Vec<String> {
        let paths = self.changed.iter().filter_map(|line| line.get(2..));
        paths.map(str::to_owned).collect()
    }
}

/// A good end.
pub(crate) struct Success {
    pub(crate) outcome: PhaseOutcome,
    pub(crate) commit: Option<Oid>,
    pub(crate) tree: Option<Oid>,
}

impl Success {
    fn without_commit(outcome: PhaseOutcome) -> Self {
        Self {
            outcome,
            commit: None,
            tree: None,
        }
    }
}

/// Executes the leased attempt to its end.
pub(crate) async fn execute(cx: &Context, lease: &Lease, leased: &Leased) -> Ended {
    let (Some(attempt), Some(spec)) = (&leased.attempt, &leased.phase) else {
        tracing::error!(uid = %lease.held.uid, "a phase was leased without its attempt or specification");
        return Ended::Dropped;
    };
    let Some(builder) = &spec.builder else {
        tracing::error!(uid = %lease.held.uid, "a phase was leased without a builder");
        return Ended::Dropped;
    };
    let mut job = Job {
        cx,
        lease,
        leased,
        run: &leased.run,
        attempt,
        spec,
        builder,
        evidence: Evidence::default(),
        facts: Map::new(),
        stage: None,
    };
    let result = job.work().await;
    settle::conclude(job, result).await
}

impl Job<'_> {
    /// The steps that prove the phase.
    fn steps(&self) -> &[StepSpec] {
        self.spec.gate.steps.as_deref().unwrap_or_default()
    }

    async fn work(&mut self) -> Result<Success, Stop> {
        let is_noop = matches!(self.builder, BuilderSpec::Noop);
        if is_noop && self.steps().is_empty() {
            self.evidence.gate = Proof::not_required().word;
            return Ok(Success::without_commit(PhaseOutcome::NoChange));
        }
        if self.spec.gate.steps.is_none() {
            return Err(Stop::failed(
                Cause::WorkerError,
                "the phase's gate was never inferred",
            ));
        }
        self.check_disk()?;
        // The lease itself made the stage BUILDING.
        self.enter("build");
        let opened = self.cx.host.repos.open(&self.run.repository).await?;
        self.evidence.opened = Some(Arc::clone(&opened));
        let tip = parse_tip(&self.attempt.tip)?;
        let lease = self.lease;
        let tree = lease
            .guard(opened.tree(tip.as_ref(), &self.run.branch))
            .await?;
        self.evidence.base = Some((tip.clone(), tree.clone()));
        self.lease.begin()?;
        let built = match review::approved(self, &opened).await? {
            Some(candidate) => build::Built::Candidate(candidate),
            None => build::build(self, &opened, &tree).await?,
        };
        let candidate = match built {
            build::Built::AlreadyPresent => {
                return Ok(Success::without_commit(PhaseOutcome::AlreadyPresent));
            }
            build::Built::Candidate(candidate) => candidate,
        };
        self.cx.failpoint(failpoints::AFTER_BUILD);
        self.lease.check()?;
        let changed = candidate.tree != tree;
        if !changed && !is_noop && !self.spec.allow_noop && candidate.nested.is_empty() {
            return Err(Stop::failed(
                Cause::NoChange,
                format!("the {} builder changed nothing", self.builder.kind()),
            ));
        }
        self.enter("govern");
        let judged = govern::govern(self, &opened, &tree, &candidate).await?;
        let proof = self.prove(&opened, &candidate.tree, &tree).await?;
        self.cx.failpoint(failpoints::AFTER_GATE);
        if !changed {
            return Ok(Success::without_commit(PhaseOutcome::NoChange));
        }
        self.lease.check()?;
        self.enter("land");
        land::land(self, &opened, &candidate, &judged, proof).await
    }

    /// The gate on one tree, with its stage; a verdict that does not land is a failure.
    async fn prove(&mut self, opened: &Opened, tree: &Oid, base: &Oid) -> Result<Proof, Stop> {
        if self.steps().is_empty() {
            let proof = Proof::not_required();
            self.evidence.gate.clone_from(&proof.word);
            return Ok(proof);
        }
        self.report(AttemptState::Gating).await?;
        self.enter("gate");
        let trees = gate::Trees {
            tree,
            base,
            is_second: false,
        };
        gate::prove(self, opened, trees).await
    }

    fn check_disk(&self) -> Result<(), Stop> {
        let (free, needed) = (self.cx.host.free_mb(), self.cx.config.min_free_disk_mb);
        match free {
            Some(free) if free < needed => Err(Stop::failed(
                Cause::DiskFull,
                format!(
                    "{free} MiB free in {}; at least {needed} are needed",
                    self.cx.host.data_dir().display()
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Tells the registry the stage.
    async fn report(&self, stage: AttemptState) -> Result<(), Stop> {
        let (registry, held) = (&self.cx.ports.registry, self.lease.held);
        self.lease.enter(stage);
        self.cx
            .repeat(self.lease, || registry.report_stage(held, stage))
            .await
    }

    /// Times a stage for the facts; a stage that comes again adds up.
    fn enter(&mut self, name: &'static str) {
        self.leave(None);
        let span = self.lease.trace.stage(told(name));
        span.record(attributes::BUILDER_KIND, self.builder.kind());
        self.stage = Some((name, Instant::now(), span));
    }

    /// The stage is over, well or with the cause for which the attempt failed in it.
    fn leave(&mut self, cause: Option<Cause>) {
        let Some((name, since, span)) = self.stage.take() else {
            return;
        };
        if !self.evidence.gate.is_empty() {
            let verdict = self.evidence.gate.split(';').next().unwrap_or_default();
            span.record(attributes::GATE_VERDICT, verdict);
        }
        if let Some(cause) = cause {
            spans::failed(&span, cause);
        }
        self.cx.figures.stage(told(name), since.elapsed());
        let stages = self
            .facts
            .entry("stage_ms")
            .or_insert_with(|| Map::new().into());
        if let Some(stages) = stages.as_object_mut() {
            let before = stages.get(name).and_then(Value::as_u64).unwrap_or(0);
            stages.insert(name.to_owned(), (before + millis(since.elapsed())).into());
        }
    }

    /// Whether a switch was on when the run was created.
    fn switched_on(&self, switch: Switch) -> bool {
        let on = self.run.facts.get("switches").map_or("", String::as_str);
        on.split([',', ' ']).any(|name| name == switch.variable())
    }

    /// Records a fact about the attempt.
    fn fact(&mut self, name: &str, value: impl Into<Value>) {
        self.facts.insert(name.to_owned(), value.into());
    }

    /// Records something odd that is no failure.
    fn warn(&mut self, text: impl Into<String>) {
        let text = text.into();
        tracing::warn!(attempt = %self.attempt.uid, "{text}");
        let warnings = self
            .facts
            .entry("warnings")
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Some(warnings) = warnings.as_array_mut().filter(|w| w.len() < 20) {
            warnings.push(text.into());
        }
    }

    /// Appends what a command printed.
    fn print(&mut self, heading: &str, text: &str) {
        let output = &mut self.evidence.output;
        if !output.is_empty() && !output.ends_with('\n') {
            output.push('\n');
        }
        output.push_str("$ ");
        output.push_str(heading);
        output.push('\n');
        output.push_str(text);
    }
}

/// A stage's name in traces and metrics.
fn told(stage: &'static str) -> &'static str {
    match stage {
        "build" => "builder",
        "second_gate" => "gate",
        other => other,
    }
}

/// The tip in a record; empty in a repository without commits.
pub(crate) fn parse_tip(text: &str) -> Result<Option<Oid>, Stop> {
    if text.is_empty() {
        Ok(None)
    } else {
        Ok(Some(Oid::parse(text)?))
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
