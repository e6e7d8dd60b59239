//! Jobs that need the repository but are not phases: bootstrap and cleanup.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use autopack_domain::{
    AttemptUid, Cause, Fence, JobUid, Reason, Refusal, RunUid, Timestamp, WorkerUid,
    attempt::Attempt,
    plan::{GateSpec, Plan},
    promotion::Promotion,
    run::{Changes, JobState, Run, RunAggregate, bootstrap::Frozen, promote::ASIDE_PAUSE},
    worker::WorkerProfile,
};
use autopack_policy::{
    placement::{Need, lacks, need},
    strategy::{Backlog, Overrides, compile},
};
use autopack_store::read;

use super::{Core, lock, store_refusal, write_refusal};

/// All that a worker needs for such a job.
#[derive(Clone, Debug)]
pub struct LeasedJob {
    /// Fence of the lease.
    pub fence: Fence,
    /// The run.
    pub run: Run,
    /// Its plan.
    pub plan: Arc<Plan>,
    /// Attempts that ever stored a landing intent, newest first.
    pub intents: Vec<Attempt>,
    /// For a bootstrap: the other workers that the run's labels admit.
    pub fleet: Vec<Arc<WorkerProfile>>,
    /// For a promotion: what is to be promoted.
    pub promotion: Option<Promotion>,
    /// For a look at the integration branch: the branch to compare with.
    pub compare_with: String,
}

/// What a bootstrap found.
#[derive(Clone, Debug)]
pub struct Findings {
    /// The base commit.
    pub base_sha: String,
    /// The tip.
    pub tip: String,
    /// Inferred gates, by index of the phase.
    pub gates: BTreeMap<usize, GateSpec>,
    /// Facts.
    pub facts: Vec<(String, String)>,
}

/// Refuses a worker that lacks what a job asks for.
pub(super) fn eligible(need: &Need, worker: &WorkerProfile) -> Result<(), Refusal> {
    let missing = lacks(need, &worker.capabilities, &worker.labels);
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(", ");
    Err(Refusal::new(
        Reason::WorkerNotEligible,
        format!(
            "the job asks for {missing}, which worker {} lacks",
            worker.name
        ),
    )
    .with("missing", missing))
}

/// When a job that failed is tried again.
pub(super) fn later(a: &RunAggregate, now: Timestamp) -> Timestamp {
    let backoff = a.strategy.phase.first().map_or(5, |p| p.backoff_seconds);
    now.plus(Duration::from_secs(backoff.into()).min(ASIDE_PAUSE))
}

impl Core {
    /// Counts the deadline of a lease.
    pub(super) fn grant(&self, uid: uuid::Uuid, run: RunUid, worker: WorkerUid) {
        self.granting(uid, run, worker)();
    }

    /// Counts the deadline of a lease once it is committed, whether or not the worker still waits for it: nobody else
    /// would ever end it.
    pub(super) fn granting(
        &self,
        uid: uuid::Uuid,
        run: RunUid,
        worker: WorkerUid,
    ) -> impl FnOnce() + Send + use<> {
        let (leases, clock) = (Arc::clone(&self.leases), Arc::clone(&self.ports.clock));
        move || {
            let (now, since) = (clock.monotonic(), clock.now());
            lock(&leases).grant(uid, run, worker, now, since);
        }
    }

    /// A worker takes a job.
    pub async fn lease_job(
        &self,
        run: RunUid,
        job: JobUid,
        worker: WorkerUid,
    ) -> Result<LeasedJob, Refusal> {
        let profile = self.check_worker(worker)?;
        let clock = Arc::clone(&self.ports.clock);
        let lease = move |a: &mut RunAggregate, c: &mut Changes| {
            let asked = need(a, None);
            if a.job(job)?.state == JobState::Offered {
                eligible(&asked, &profile)?;
            }
            let fence = a.lease_job(job, worker, clock.now(), c)?;
            let compare_with = a.integration.as_ref().map(|i| i.target.clone());
            let beside = (a.promotion.clone(), compare_with.unwrap_or_default());
            Ok((fence, a.run.clone(), Arc::clone(&a.plan), asked, beside))
        };
        let grant = self.granting(job.0, run, worker);
        let leased = self.writer.on_run_then(run, None, lease, |_| grant());
        let (fence, record, plan, asked, (promotion, compare_with)) =
            leased.await.map_err(write_refusal)?;
        let intents = read::intents(&self.database.read, run)
            .await
            .map_err(store_refusal)?;
        Ok(LeasedJob {
            fence,
            run: record,
            plan,
            intents,
            fleet: self.fleet(worker, &asked),
            promotion,
            compare_with,
        })
    }

    /// The bootstrap ended well: gates are filled in and the strategy is compiled anew, then both freeze.
    pub async fn finish_bootstrap(
        &self,
        run: RunUid,
        job: JobUid,
        fence: Fence,
        found: Findings,
    ) -> Result<(), Refusal> {
        let project = self
            .writer
            .read(run, |a| a.run.project.clone())
            .await
            .map_err(write_refusal)?;
        let ruleset = self.ruleset(&project).await?;
        self.command(run, None, move |a, c, now| {
            let mut plan = Plan::clone(&a.plan);
            for (&phase, gate) in &found.gates {
                if let Some(p) = a.phases.get(phase) {
                    plan.tiers[p.tier].phases[p.place].gate = gate.clone();
                }
            }
            let backoff = a.strategy.phase.first().map(|p| p.backoff_seconds);
            // What had aged was decided when the run was created.
            let backlog = Backlog {
                aged: a.strategy.aged.clone(),
            };
            let strategy = compile(
                &ruleset,
                &backlog,
                &plan,
                Overrides {
                    backoff_seconds: backoff,
                },
            );
            let frozen = Frozen {
                base_sha: found.base_sha.clone(),
                tip: found.tip.clone(),
                plan: Arc::new(plan),
                strategy: Arc::new(strategy),
                facts: found.facts.clone(),
            };
            a.finish_bootstrap(job, fence, frozen, now, c)
        })
        .await?;
        lock(&self.leases).end(job.0);
        Ok(())
    }

    /// The cleanup ended well.
    pub async fn finish_cleanup(
        &self,
        run: RunUid,
        job: JobUid,
        fence: Fence,
        landed: Option<AttemptUid>,
    ) -> Result<(), Refusal> {
        self.command(run, None, move |a, c, now| {
            a.finish_cleanup(job, fence, landed, now, c)
        })
        .await?;
        lock(&self.leases).end(job.0);
        Ok(())
    }

    /// The job failed.
    pub async fn fail_job(
        &self,
        run: RunUid,
        job: JobUid,
        fence: Fence,
        cause: Cause,
        detail: String,
    ) -> Result<(), Refusal> {
        let ids = Arc::clone(&self.ports.ids);
        self.command(run, None, move |a, c, now| {
            let later = later(a, now);
            if a.job(job)?.kind.is_aside() {
                let of = (job, Some(fence), JobUid(ids.uuid()));
                return a.fail_aside(of, (cause, &detail), later, now, c);
            }
            a.fail_job((job, Some(fence)), (cause, &detail), later, now, c)
        })
        .await?;
        lock(&self.leases).end(job.0);
        Ok(())
    }
}
