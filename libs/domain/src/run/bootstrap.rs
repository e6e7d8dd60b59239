//! Jobs that need the repository but are not phases: `bootstrap` before the first lease, `cleanup` to
//! find out what became of landing intents.
//!
//! Invariant: a run has at most one such job at a time; its lease is fenced like an attempt's. Beside it there may be
//! one job of each kind that somebody asked for ([`JobKind::is_aside`]), also after the run's end.

use std::sync::Arc;

use super::{Changes, RunAggregate};
use crate::{
    Cause, EventKind, Reason, Refusal,
    ids::{Fence, JobUid, WorkerUid},
    plan::{Plan, closed},
    states::RunState,
    strategy::Strategy,
    time::Timestamp,
};

closed!(
    /// What a job is for (DESIGN 5.2).
    JobKind {
        /// Resolve what needs the repository, before the first lease.
        Bootstrap = "bootstrap",
        /// Execute an attempt of a phase.
        Phase = "phase",
        /// Read the branch and resolve landing intents.
        Cleanup = "cleanup",
        /// Bring the result of an ended run to another branch.
        Promote = "promote",
        /// Look at the integration branch.
        IntegrationStatus = "integration_status",
    }
);

impl JobKind {
    /// Whether somebody asked for it: it is beside the run, which neither waits for it nor ends by it.
    pub fn is_aside(self) -> bool {
        matches!(self, Self::Promote | Self::IntegrationStatus)
    }
}

closed!(
    /// Where a job stands.
    JobState {
        /// Waits for a worker.
        Offered = "OFFERED",
        /// A worker has it.
        Leased = "LEASED",
        /// Ended.
        Done = "DONE",
    }
);

/// A job that is not a phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its uid, new for each offer.
    pub uid: JobUid,
    /// What for.
    pub kind: JobKind,
    /// Where it stands.
    pub state: JobState,
    /// Fence of its lease.
    pub fence: Fence,
    /// Who holds it.
    pub worker: Option<WorkerUid>,
    /// Workers lost, or failures, with it so far.
    pub failures: u32,
    /// Not to be offered again before.
    pub not_before: Option<Timestamp>,
}

/// A bootstrap's findings.
#[derive(Clone, Debug)]
pub struct Frozen {
    /// The base commit; empty in a repository without commits.
    pub base_sha: String,
    /// The branch's tip, if the branch is there and ours; else the base.
    pub tip: String,
    /// The plan with inferred gates filled in.
    pub plan: Arc<Plan>,
    /// The strategy, recompiled for that plan.
    pub strategy: Arc<Strategy>,
    /// Facts found: environment hash, remote, toolchains.
    pub facts: Vec<(String, String)>,
}

/// Failures of a job before the run ends for them.
pub const JOB_FAILURES: u32 = 3;

impl RunAggregate {
    /// Puts a job on offer.
    pub fn offer_job(
        &mut self,
        uid: JobUid,
        kind: JobKind,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        self.check_open("offering a job")?;
        if kind == JobKind::Bootstrap && self.run.frozen {
            return Err(self.wrong_state("bootstrapping", "a run that was not bootstrapped yet"));
        }
        let own = |j: &&Job| !j.kind.is_aside();
        if let Some(job) = self
            .jobs
            .iter()
            .filter(own)
            .find(|j| j.state != JobState::Done)
        {
            return Err(Refusal::new(
                Reason::VersionConflict,
                format!("job {} is there already", job.uid),
            )
            .with("job", job.uid));
        }
        let earlier = self
            .jobs
            .iter()
            .filter(own)
            .map(|j| j.failures)
            .max()
            .unwrap_or(0);
        self.jobs.retain(|j| j.kind.is_aside());
        let job = Job {
            uid,
            kind,
            state: JobState::Offered,
            fence: Fence(0),
            worker: None,
            failures: earlier,
            not_before: None,
        };
        self.put_job(job, changes);
        if kind == JobKind::Bootstrap && self.run.state == RunState::Queued {
            self.run.state = RunState::PlanBootstrap;
            self.tell(EventKind::RunBootstrapStarted, "", changes);
        }
        self.tell_job(EventKind::JobOffered, uid, "", changes);
        self.close(now, changes);
        Ok(())
    }

    /// Offers a job beside the run's own; `failures` are those of earlier offers, and it waits until `not_before`.
    pub(super) fn offer_aside(
        &mut self,
        uid: JobUid,
        kind: JobKind,
        (failures, not_before): (u32, Option<Timestamp>),
        changes: &mut Changes,
    ) {
        let job = Job {
            uid,
            kind,
            state: JobState::Offered,
            fence: Fence(0),
            worker: None,
            failures,
            not_before,
        };
        self.put_job(job, changes);
        self.tell_job(EventKind::JobOffered, uid, "", changes);
    }

    /// Offers a job that is on offer again under a new uid: the earlier message is known to be lost.
    pub fn reoffer_job(
        &mut self,
        lost: JobUid,
        uid: JobUid,
        now: Timestamp,
        changes: &mut Changes,
    ) {
        let Some(job) = self
            .jobs
            .iter()
            .find(|j| j.uid == lost && j.state == JobState::Offered)
            .cloned()
        else {
            return;
        };
        let mut ended = job.clone();
        ended.state = JobState::Done;
        changes.jobs.insert(job.uid, ended);
        self.jobs.retain(|j| j.uid != job.uid);
        self.put_job(Job { uid, ..job }, changes);
        self.tell_job(EventKind::JobOffered, uid, "offered again", changes);
        self.close(now, changes);
    }

    /// A worker takes a job.
    pub fn lease_job(
        &mut self,
        uid: JobUid,
        worker: WorkerUid,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Fence, Refusal> {
        let job = self.job(uid)?;
        let ended = self.run.state.is_terminal() && !job.kind.is_aside();
        if ended || job.state != JobState::Offered {
            return Err(gone(uid));
        }
        let fence = self.mint_fence();
        let mut job = self.job(uid)?;
        job.state = JobState::Leased;
        job.fence = fence;
        job.worker = Some(worker);
        self.put_job(job, changes);
        self.close(now, changes);
        Ok(fence)
    }

    /// The bootstrap found everything it needs.
    pub fn finish_bootstrap(
        &mut self,
        uid: JobUid,
        fence: Fence,
        frozen: Frozen,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        self.check_job_fence(uid, fence)?;
        self.check_open("finishing its bootstrap")?;
        self.end_job(uid, "", changes);
        self.run.base_sha = frozen.base_sha;
        self.run.tip = frozen.tip;
        self.run.frozen = true;
        Arc::make_mut(&mut self.run.facts).extend(frozen.facts);
        self.plan = frozen.plan;
        self.strategy = frozen.strategy;
        changes.document = true;
        self.run.state = RunState::RunCreated;
        self.tell(EventKind::RunFrozen, "", changes);
        if !self.run.held && !self.run.cancelling {
            self.mark_started(now, changes);
        }
        self.close(now, changes);
        Ok(())
    }

    /// The job failed. A final cause ends the run; another one is tried again, up to [`JOB_FAILURES`]. In a run that has
    /// ended it only ends the job.
    pub fn fail_job(
        &mut self,
        (uid, fence): (JobUid, Option<Fence>),
        (cause, detail): (Cause, &str),
        not_before: Timestamp,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        if let Some(fence) = fence {
            self.check_job_fence(uid, fence)?;
        }
        let mut job = self.job(uid)?;
        if self.run.state.is_terminal() {
            // Nothing depends on it any more, and the run's own end stays what it is.
            self.end_job(uid, &format!("{cause}: {detail}"), changes);
            self.close(now, changes);
            return Ok(());
        }
        let charged = cause != Cause::HandedOver;
        job.failures += u32::from(charged);
        job.state = JobState::Done;
        job.worker = None;
        job.not_before = charged.then_some(not_before);
        let failures = job.failures;
        self.put_job(job, changes);
        self.tell_job(
            EventKind::JobFinished,
            uid,
            &format!("{cause}: {detail}"),
            changes,
        );
        if cause.charge() == crate::catalogue::Charge::Final || failures >= JOB_FAILURES {
            self.run.cause = Some(cause);
            detail.clone_into(&mut self.run.detail);
            self.jobs.retain(|j| j.kind.is_aside());
            self.abandon(cause, detail, now, changes);
        }
        self.close(now, changes);
        Ok(())
    }

    /// The job with this uid.
    pub fn job(&self, uid: JobUid) -> Result<super::Job, Refusal> {
        self.jobs
            .iter()
            .find(|j| j.uid == uid && j.state != JobState::Done)
            .cloned()
            .ok_or_else(|| gone(uid))
    }

    pub(super) fn check_job_fence(&self, uid: JobUid, fence: Fence) -> Result<(), Refusal> {
        let job = self.job(uid)?;
        if job.state == JobState::Leased && job.fence == fence {
            return Ok(());
        }
        Err(Refusal::new(
            Reason::LeaseFenced,
            format!(
                "fence {fence} of job {uid} is not the current one ({})",
                job.fence
            ),
        )
        .with("presented", fence)
        .with("current", job.fence))
    }

    pub(super) fn end_job(&mut self, uid: JobUid, text: &str, changes: &mut Changes) {
        if let Some(job) = self.jobs.iter().find(|j| j.uid == uid) {
            let mut done = job.clone();
            done.state = JobState::Done;
            changes.jobs.insert(uid, done);
        }
        self.tell_job(EventKind::JobFinished, uid, text, changes);
        self.jobs.retain(|j| j.uid != uid);
    }

    /// Ends jobs of the run's own that nobody needs any more, in the stored rows too, or a worker could take one.
    pub(super) fn end_own_jobs(
        &mut self,
        needless: impl Fn(JobKind) -> bool,
        changes: &mut Changes,
    ) {
        let over: Vec<JobUid> = self
            .jobs
            .iter()
            .filter(|j| !j.kind.is_aside() && j.state != JobState::Done && needless(j.kind))
            .map(|j| j.uid)
            .collect();
        for uid in over {
            self.end_job(uid, "", changes);
        }
    }

    /// One more try of a job that is leased.
    pub(super) fn count_try(&mut self, uid: JobUid, changes: &mut Changes) -> Result<(), Refusal> {
        let mut job = self.job(uid)?;
        job.failures += 1;
        self.put_job(job, changes);
        Ok(())
    }

    fn put_job(&mut self, job: Job, changes: &mut Changes) {
        self.jobs.retain(|j| j.uid != job.uid);
        changes.jobs.insert(job.uid, job.clone());
        self.jobs.push(job);
        changes.run = true;
    }

    fn tell_job(&mut self, kind: EventKind, uid: JobUid, text: &str, changes: &mut Changes) {
        let view = changes.jobs.get(&uid).cloned();
        self.push_event(kind, text.to_owned(), changes, |e| e.job = view);
    }
}

fn gone(uid: JobUid) -> Refusal {
    Refusal::new(Reason::JobGone, format!("job {uid} is no longer on offer")).with("job", uid)
}
