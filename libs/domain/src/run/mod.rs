//! The run aggregate: the run, its tiers, phases, live attempts and jobs, and every command on it.
//!
//! Invariant: a command first checks everything, then changes; a refused command has changed nothing.
//! What changed, and which events tell it, is collected in [`Changes`] and committed in one transaction.
//!
//! One command a file: [`create`], [`bootstrap`], [`cleanup`], [`control`], [`add_phase`], [`offer`], [`lease`],
//! [`landing`], [`settle`], [`retry`], [`issues`], [`import`], [`promote`], [`look`], [`external`], [`approve`]; the rule that ends tiers and
//! runs is [`finalise`].

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    Cause, Reason, Refusal,
    attempt::Attempt,
    backlog::Sighting,
    budget::Account,
    event::{Event, FailureFact, RepairFact, UsageFact},
    ids::{AttemptUid, Fence, JobUid, PhaseId, PromotionUid, RunId, RunUid, WorkerUid},
    integration::Integration,
    issue::{DebtStatus, IssueBook, IssueCounts, Place},
    phase::{Phase, PhaseCommand},
    plan::{BuilderSpec, PhaseSpec, Plan},
    promotion::Promotion,
    states::RunState,
    strategy::{PhaseStrategy, Strategy},
    tier::{PhaseCounts, Tier},
    time::Timestamp,
    trace::{CONTEXT_FACT, TraceContext},
};

pub mod add_phase;
pub mod approve;
pub mod bootstrap;
pub mod cleanup;
pub mod control;
pub mod create;
pub mod external;
pub mod finalise;
pub mod import;
pub mod issues;
mod journal;
pub mod landing;
pub mod lease;
pub mod look;
pub mod offer;
pub mod promote;
mod queue;
pub mod retry;
pub mod settle;
#[cfg(test)]
mod tests;

pub use bootstrap::{Job, JobKind, JobState};

/// The record of a run; plan and strategy are stored beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its uid.
    pub uid: RunUid,
    /// The user's id.
    pub id: RunId,
    /// The project it belongs to.
    pub project: String,
    /// State, computed by [`finalise::derived_state`].
    pub state: RunState,
    /// Changes with every command; schedulers name the version they decided on.
    pub version: u64,
    /// Number of its last event.
    pub last_event: u64,
    /// Raised by each retry of the run.
    pub revision: u32,
    /// The last fence minted.
    pub fence: Fence,
    /// Created with `hold`: waits for `StartRun`.
    pub held: bool,
    /// Bootstrapped: base, gates and strategy are fixed.
    pub frozen: bool,
    /// Phases may be dispatched.
    pub started: bool,
    /// No new phase is dispatched.
    pub paused: bool,
    /// Cancel was requested.
    pub cancelling: bool,
    /// The sentence of the plan.
    pub goal: String,
    /// What the plan names as its base.
    pub base_ref: String,
    /// The commit of the base; empty in a repository without commits.
    pub base_sha: String,
    /// The integration branch's tip that the registry knows; empty before the first commit.
    pub tip: String,
    /// The integration branch.
    pub branch: String,
    /// Path or address of the target repository.
    pub repository: String,
    /// Digest of plan, files and repository (DESIGN 5.1).
    pub digest: String,
    /// 0 (last) to 9 (first).
    pub priority: u8,
    /// Token account.
    pub tokens: Account,
    /// Phases that may be dispatched.
    pub phases_cap: u32,
    /// Phases that were dispatched.
    pub phases_used: u32,
    /// Minutes of wall time since the first lease.
    pub minutes_cap: u32,
    /// When the first phase was leased.
    pub first_lease_at: Option<Timestamp>,
    /// When the pause in force began, after the first lease.
    pub paused_at: Option<Timestamp>,
    /// Microseconds of earlier pauses since the first lease.
    pub paused_us: i64,
    /// Phases by state, over all tiers.
    pub counts: PhaseCounts,
    /// Attempts that ended with an intent nobody has resolved.
    pub open_intents: u32,
    /// Distinct issues.
    pub issues: IssueCounts,
    /// What the minor ones amount to.
    pub debt: DebtStatus,
    /// Why it failed.
    pub cause: Option<Cause>,
    /// The detail for people.
    pub detail: String,
    /// Facts for later comparison: operator, model-mapping hash, environment hash, switches, labels, trace.
    pub facts: Arc<BTreeMap<String, String>>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
}

/// A run with all that its commands need.
#[derive(Clone, Debug)]
pub struct RunAggregate {
    /// The run.
    pub run: Run,
    /// The normalised plan, with gates filled in once frozen.
    pub plan: Arc<Plan>,
    /// The frozen strategy.
    pub strategy: Arc<Strategy>,
    /// The tiers, in plan order.
    pub tiers: Vec<Tier>,
    /// The phases, in the order in which they were stored.
    pub phases: Vec<Phase>,
    /// Attempts on offer, leased, or with an open intent.
    pub attempts: BTreeMap<AttemptUid, Attempt>,
    /// Jobs other than phases, on offer or leased.
    pub jobs: Vec<Job>,
    /// The open promotion. The registry's own: copies of a run have none.
    pub promotion: Option<Promotion>,
    /// The look at the integration branch that is under way. The registry's own, too.
    pub integration: Option<Integration>,
    /// Its issues. The registry's own: copies of a run have the counts only.
    pub issues: IssueBook,
    depends: Vec<Vec<usize>>,
    dependants: Vec<Vec<usize>>,
    /// Phases whose builder is `external`.
    external: Vec<usize>,
    /// Phases that have asked for an approval. The registry's own.
    asking: Vec<usize>,
}

/// What a command changed.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The run's own record.
    pub run: bool,
    /// Plan or strategy.
    pub document: bool,
    /// Indexes of tiers.
    pub tiers: std::collections::BTreeSet<usize>,
    /// Indexes of phases.
    pub phases: std::collections::BTreeSet<usize>,
    /// Attempts after the change.
    pub attempts: BTreeMap<AttemptUid, Attempt>,
    /// Jobs after the change.
    pub jobs: BTreeMap<JobUid, Job>,
    /// Promotions after the change.
    pub promotions: BTreeMap<PromotionUid, Promotion>,
    /// The status of the integration branch after the change.
    pub integration: Option<Integration>,
    /// Facts, in order.
    pub events: Vec<Event>,
    /// Usage facts.
    pub usage: Vec<UsageFact>,
    /// Failure facts.
    pub failures: Vec<FailureFact>,
    /// Issues, by place and key.
    pub issues: std::collections::BTreeSet<(Place, String)>,
    /// What the project's backlog hears of.
    pub seen: Vec<Sighting>,
    /// Keys that a phase has cleaned.
    pub cleaned: std::collections::BTreeSet<String>,
    /// Spellings that were mended.
    pub repairs: Vec<RepairFact>,
    /// What a run was imported from, as text; empty: it was not.
    pub source: String,
}

impl Run {
    /// Whether it comes from an older system: it has ended, and never gets work.
    pub fn is_imported(&self) -> bool {
        self.facts.contains_key(crate::import::ORIGIN_FACT)
    }

    /// The trace that the run belongs to; `None`: it is not traced.
    pub fn trace(&self) -> Option<TraceContext> {
        let context = TraceContext::parse(self.facts.get(CONTEXT_FACT)?)?;
        context.sampled.then_some(context)
    }
}

impl RunAggregate {
    /// Puts an aggregate together; `phases` may be in any order that `place` and `tier` explain.
    pub fn assemble(
        run: Run,
        plan: Arc<Plan>,
        strategy: Arc<Strategy>,
        tiers: Vec<Tier>,
        phases: Vec<Phase>,
        attempts: BTreeMap<AttemptUid, Attempt>,
        jobs: Vec<Job>,
    ) -> Self {
        let index: BTreeMap<&PhaseId, usize> =
            phases.iter().enumerate().map(|(i, p)| (&p.id, i)).collect();
        let mut depends = vec![Vec::new(); phases.len()];
        let mut dependants = vec![Vec::new(); phases.len()];
        for (i, phase) in phases.iter().enumerate() {
            for id in &plan.tiers[phase.tier].phases[phase.place].depends_on {
                if let Some(&on) = index.get(id) {
                    depends[i].push(on);
                    dependants[on].push(i);
                }
            }
        }
        let is_external = |p: &Phase| {
            let spec = &plan.tiers[p.tier].phases[p.place];
            matches!(spec.builder, Some(BuilderSpec::External { .. }))
        };
        let external = (0..phases.len())
            .filter(|&i| is_external(&phases[i]))
            .collect();
        let asks = |p: &Phase| p.handoff.as_ref().is_some_and(|h| h.approval.is_some());
        let asking = (0..phases.len()).filter(|&i| asks(&phases[i])).collect();
        Self {
            run,
            plan,
            strategy,
            tiers,
            phases,
            attempts,
            jobs,
            promotion: None,
            integration: None,
            issues: IssueBook::default(),
            depends,
            dependants,
            external,
            asking,
        }
    }

    /// The specification of a phase.
    pub fn spec(&self, phase: usize) -> &PhaseSpec {
        let p = &self.phases[phase];
        &self.plan.tiers[p.tier].phases[p.place]
    }

    /// The strategy of a phase.
    pub fn phase_strategy(&self, phase: usize) -> &PhaseStrategy {
        let p = &self.phases[phase];
        let before: usize = self.plan.tiers[..p.tier]
            .iter()
            .map(|t| t.phases.len())
            .sum();
        &self.strategy.phase[before + p.place]
    }

    /// Indexes of the phases that must be complete first.
    pub fn depends(&self, phase: usize) -> &[usize] {
        &self.depends[phase]
    }

    /// The index of a phase.
    pub fn find_phase(&self, id: &str) -> Result<usize, Refusal> {
        self.phases
            .iter()
            .position(|p| p.id.as_str() == id)
            .ok_or_else(|| {
                let known: Vec<&str> = self.phases.iter().take(20).map(|p| p.id.as_str()).collect();
                Refusal::new(
                    Reason::PhaseNotFound,
                    format!(
                        "run {} has no phase `{id}`; it has {}",
                        self.run.id,
                        known.join(", ")
                    ),
                )
                .with("run", &self.run.id)
                .with("phase", id)
            })
    }

    /// The earliest tier with a phase that has not ended.
    pub fn open_tier(&self) -> Option<usize> {
        self.tiers.iter().position(|t| t.counts.open() > 0)
    }

    /// Microseconds that count against the minutes budget at `now`.
    pub fn elapsed_us(&self, now: Timestamp) -> i64 {
        let Some(first) = self.run.first_lease_at else {
            return 0;
        };
        let until = self.run.paused_at.unwrap_or(now);
        (until.0 - first.0 - self.run.paused_us).max(0)
    }

    /// A live attempt, or the refusal for one that is gone.
    pub fn attempt(&self, uid: AttemptUid) -> Result<&Attempt, Refusal> {
        self.attempts.get(&uid).ok_or_else(|| {
            Refusal::new(
                Reason::LeaseFenced,
                format!("attempt {uid} of run {} has ended", self.run.id),
            )
            .with("attempt", uid)
            .with("run", &self.run.id)
        })
    }

    /// Moves a phase and keeps every counter.
    pub(crate) fn shift_phase(
        &mut self,
        phase: usize,
        command: PhaseCommand,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        let from = self.phases[phase].state;
        let unbooked = self.phases[phase].handoff.clone().unwrap_or_default();
        self.phases[phase].apply(command, now)?;
        let to = self.phases[phase].state;
        let tier = self.phases[phase].tier;
        if to.is_terminal() {
            // No lease will book what was used outside.
            let tokens = unbooked.tokens();
            self.phases[phase].tokens.settle(0, tokens);
            self.tiers[tier].tokens.settle(0, tokens);
            self.run.tokens.settle(0, tokens);
            let outside = unbooked.usage.into_iter();
            changes
                .usage
                .extend(outside.map(|usage| UsageFact::outside(phase, usage)));
        }
        self.tiers[tier].counts.shift(from, to);
        self.run.counts.shift(from, to);
        changes.phases.insert(phase);
        changes.tiers.insert(tier);
        changes.run = true;
        Ok(())
    }

    /// Stores the next version of an attempt; forgets it once nothing can change it any more.
    pub(crate) fn put_attempt(&mut self, attempt: Attempt, changes: &mut Changes) {
        changes.attempts.insert(attempt.uid, attempt.clone());
        if attempt.state.is_terminal() && !attempt.has_open_intent() {
            self.attempts.remove(&attempt.uid);
        } else {
            self.attempts.insert(attempt.uid, attempt);
        }
    }

    /// Mints the next fence.
    pub(crate) fn mint_fence(&mut self) -> Fence {
        self.run.fence = Fence(self.run.fence.0 + 1);
        self.run.fence
    }

    /// Ends a command: new version, and whatever the change means for tiers and the run.
    pub(crate) fn close(&mut self, now: Timestamp, changes: &mut Changes) {
        self.finalise(now, changes);
        self.update_waits(now, changes);
        self.run.version += 1;
        changes.run = true;
        // Every event of a command shows the version that the command led to, the last one the whole run.
        for event in &mut changes.events {
            event.run.version = self.run.version;
        }
        if let Some(last) = changes.events.last_mut() {
            last.run = self.told(last.kind);
        }
    }

    /// Refuses a command in a terminal run.
    pub(crate) fn check_open(&self, command: &str) -> Result<(), Refusal> {
        if self.run.state.is_terminal() {
            return Err(self.wrong_state(command, "a run that has not ended"));
        }
        Ok(())
    }

    /// The refusal that names the state.
    pub(crate) fn wrong_state(&self, command: &str, allowed: &str) -> Refusal {
        Refusal::new(
            Reason::RunState,
            format!(
                "run {} is {}: {command} needs {allowed}",
                self.run.id, self.run.state
            ),
        )
        .with("run", &self.run.id)
        .with("state", self.run.state)
        .with("command", command)
    }

    /// Whether a worker holds something of the run.
    pub fn is_idle(&self) -> bool {
        self.attempts.is_empty() && self.jobs.iter().all(|job| job.state == JobState::Done)
    }

    /// The worker of a live attempt or job, with its fence.
    pub fn holder(&self, uid: uuid::Uuid) -> Option<(WorkerUid, Fence)> {
        if let Some(a) = self.attempts.get(&AttemptUid(uid)) {
            return a
                .worker
                .filter(|_| a.state.is_leased())
                .map(|w| (w, a.fence));
        }
        self.jobs
            .iter()
            .find(|j| j.uid.0 == uid)
            .and_then(|j| j.worker.map(|w| (w, j.fence)))
    }
}
