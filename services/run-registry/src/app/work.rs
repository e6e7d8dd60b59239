//! What workers do with attempts: lease, stages, usage, landing, settlement.

use std::time::Duration;

use autopack_domain::{
    AttemptUid, Fence, JobUid, Reason, Refusal, RunUid, WorkerUid,
    approval::Approval,
    attempt::{Attempt, Intent},
    plan::{BuilderSpec, PhaseSpec},
    run::{Changes, Run, RunAggregate, settle::Report},
    states::{AttemptState, TierState},
    strategy::PhaseStrategy,
    submission::Submission,
    usage::Usage,
};

use autopack_policy::placement::need;
use autopack_store::read;

use super::{Core, jobs::eligible, lock, store_refusal, write_refusal};

/// All that a worker needs to execute an attempt.
#[derive(Clone, Debug)]
pub struct LeasedPhase {
    /// Fence of the lease.
    pub fence: Fence,
    /// The run.
    pub run: Run,
    /// The attempt.
    pub attempt: Attempt,
    /// Its phase's specification.
    pub spec: PhaseSpec,
    /// Its phase's strategy.
    pub strategy: PhaseStrategy,
    /// Why the previous attempt failed, and its detail.
    pub previous: Option<(String, String)>,
    /// Attempts that failed and were charged before.
    pub charged: u32,
    /// Id of the tier.
    pub tier: String,
    /// The result to apply, where the builder is `external`.
    pub submission: Option<Submission>,
    /// A person's yes to the phase's change.
    pub approval: Option<Approval>,
    /// Attempts whose prepared landing did not succeed: their commits are strays on the branch.
    pub strays: Vec<Attempt>,
}

/// What a settlement meant.
#[derive(Clone, Debug, Default)]
pub struct Settled {
    /// The tier that it completed.
    pub completed_tier: Option<(usize, String)>,
    /// The branch's tip now.
    pub tip: String,
}

/// The longest that a worker may wait for its turn in one call.
pub const MAX_TURN_WAIT: Duration = Duration::from_secs(30);

impl Core {
    /// A worker takes an attempt.
    pub async fn lease_phase(
        &self,
        run: RunUid,
        attempt: AttemptUid,
        job: JobUid,
        worker: WorkerUid,
    ) -> Result<LeasedPhase, Refusal> {
        let profile = self.check_worker(worker)?;
        let clock = std::sync::Arc::clone(&self.ports.clock);
        let grant = self.granting(attempt.0, run, worker);
        let lease = move |a: &mut RunAggregate, c: &mut Changes| {
            let before = a.attempts.get(&attempt).map(|x| x.phase);
            if a.attempt(attempt)?.state == AttemptState::Offered {
                eligible(&need(a, before), &profile)?;
            }
            let previous = before.and_then(|p| {
                a.phases[p]
                    .cause
                    .map(|cause| (cause.to_string(), a.phases[p].detail.clone()))
            });
            let fence = a.lease(attempt, job, worker, clock.now(), c)?;
            let record = a.attempt(attempt)?.clone();
            Ok(LeasedPhase {
                fence,
                run: a.run.clone(),
                spec: a.spec(record.phase).clone(),
                strategy: a.phase_strategy(record.phase).clone(),
                tier: a.tiers[a.phases[record.phase].tier].id.to_string(),
                submission: submission_of(a, record.phase),
                charged: a.phases[record.phase].attempts_charged,
                approval: a.approval(record.phase).filter(|a| a.is_granted()).cloned(),
                attempt: record,
                previous,
                strays: Vec::new(),
            })
        };
        let leased = self.writer.on_run_then(run, None, lease, |_| grant());
        let mut leased = leased.await.map_err(write_refusal)?;
        if !matches!(leased.spec.builder, Some(BuilderSpec::Noop)) {
            leased.strays = read::stray_intents(&self.database.read, run)
                .await
                .map_err(store_refusal)?;
        }
        Ok(leased)
    }

    /// An attempt entered another stage.
    pub async fn stage(
        &self,
        run: RunUid,
        attempt: AttemptUid,
        fence: Fence,
        stage: AttemptState,
    ) -> Result<(), Refusal> {
        self.command(run, None, move |a, c, now| {
            a.stage(attempt, fence, stage, now, c)
        })
        .await
        .map(drop)
    }

    /// Books usage so far.
    pub async fn record_usage(
        &self,
        run: RunUid,
        attempt: AttemptUid,
        fence: Fence,
        usage: Vec<Usage>,
    ) -> Result<(), Refusal> {
        self.command(run, None, move |a, c, now| {
            a.record_usage(attempt, fence, usage.clone(), now, c)
        })
        .await
        .map(drop)
    }

    /// Waits for the landing turn; the tip is the one that the registry knows.
    pub async fn await_turn(
        &self,
        run: RunUid,
        attempt: AttemptUid,
        fence: Fence,
        wait: Duration,
    ) -> Result<(bool, String), Refusal> {
        let check = move |a: &RunAggregate| {
            a.attempt(attempt)
                .and_then(|x| x.check_fence(fence))
                .map(|()| a.run.tip.clone())
        };
        let intends = self
            .writer
            .read(run, move |a| {
                check(a)?;
                a.attempt(attempt).map(Attempt::has_open_intent)
            })
            .await
            .map_err(write_refusal)??;
        if intends {
            // Stored with an earlier registry, whose answer was lost: every other landing waits for it.
            self.turns.lead(run, attempt);
        }
        let holds_lease = |who: AttemptUid| lock(&self.leases).is_live(who.0);
        let wait = wait.min(MAX_TURN_WAIT);
        let granted = self.turns.wait(run, attempt, wait, holds_lease).await;
        // Read again: the tip may have moved while waiting, and the lease may be over.
        match self.writer.read(run, check).await.map_err(write_refusal)? {
            Ok(tip) => Ok((granted, tip)),
            Err(refusal) => {
                self.turns.leave(run, attempt);
                Err(refusal)
            }
        }
    }

    /// Stores a landing intent.
    pub async fn prepare_landing(
        &self,
        run: RunUid,
        attempt: AttemptUid,
        fence: Fence,
        intent: Intent,
    ) -> Result<(), Refusal> {
        if !self.turns.holds(run, attempt) {
            return Err(Refusal::new(
                Reason::LandingBusy,
                format!("attempt {attempt} does not hold the landing turn"),
            )
            .with("attempt", attempt));
        }
        self.command(run, None, move |a, c, now| {
            a.prepare_landing(attempt, fence, intent.clone(), now, c)
        })
        .await
        .map(drop)
    }

    /// Ends an attempt. A settlement that is repeated with the same fence answers as the first time.
    pub async fn settle(
        &self,
        run: RunUid,
        attempt: AttemptUid,
        fence: Fence,
        report: Report,
    ) -> Result<Settled, Refusal> {
        let decide = self.decide();
        let repeated = report.clone();
        let clock = std::sync::Arc::clone(&self.ports.clock);
        let result = self
            .writer
            .on_run(run, None, move |a, c| {
                let phase = a.attempts.get(&attempt).map(|x| x.phase);
                a.settle(attempt, fence, report.clone(), &decide, clock.now(), c)?;
                let completed = phase
                    .map(|p| a.phases[p].tier)
                    .filter(|&t| a.tiers[t].state == TierState::Complete);
                Ok(Settled {
                    completed_tier: completed.map(|t| (t, a.tiers[t].id.to_string())),
                    tip: a.run.tip.clone(),
                })
            })
            .await
            .map_err(write_refusal);
        let result = match result {
            Err(refusal) if refusal.reason == Reason::LeaseFenced => self
                .settled_before(run, attempt, fence, &repeated)
                .await?
                .ok_or(refusal),
            other => other,
        };
        if result.is_ok() {
            lock(&self.leases).end(attempt.0);
            self.turns.leave(run, attempt);
        }
        (self.ports.failpoint)("registry.before_reply");
        result
    }

    /// The answer to a settlement whose first answer was lost: the same fence, end and commit.
    async fn settled_before(
        &self,
        run: RunUid,
        attempt: AttemptUid,
        fence: Fence,
        report: &Report,
    ) -> Result<Option<Settled>, Refusal> {
        let Some(record) = read::attempt(&self.database.read, attempt)
            .await
            .map_err(store_refusal)?
        else {
            return Ok(None);
        };
        let same = record.fence == fence
            && record.commit == report.commit
            && match report.cause {
                None => record.state == AttemptState::Succeeded,
                Some(cause) => record.state == AttemptState::Failed && record.cause == Some(cause),
            };
        if !same {
            return Ok(None);
        }
        let look = move |a: &RunAggregate| {
            let tier = a.phases[record.phase].tier;
            let completed = a.tiers[tier].state == TierState::Complete;
            Settled {
                completed_tier: completed.then(|| (tier, a.tiers[tier].id.to_string())),
                tip: a.run.tip.clone(),
            }
        };
        self.writer
            .read(run, look)
            .await
            .map(Some)
            .map_err(write_refusal)
    }

    /// A worker gives a lease back.
    pub async fn release(&self, run: RunUid, uid: uuid::Uuid, fence: Fence) -> Result<(), Refusal> {
        let held = self
            .writer
            .read(run, move |a| a.holder(uid))
            .await
            .map_err(write_refusal)?;
        match held {
            Some((_, current)) if current == fence => self.lose(run, uid, true).await,
            _ => Err(
                Refusal::new(Reason::LeaseFenced, format!("lease {uid} is over"))
                    .with("presented", fence),
            ),
        }
    }

    /// A completed tier is held by a private ref.
    pub async fn record_snapshot(
        &self,
        run: RunUid,
        tier: usize,
        commit: String,
    ) -> Result<(), Refusal> {
        self.command(run, None, move |a, c, now| {
            if tier < a.tiers.len() {
                a.record_snapshot(tier, &commit, now, c);
            }
            Ok(())
        })
        .await
        .map(drop)
    }
}

fn submission_of(run: &autopack_domain::run::RunAggregate, phase: usize) -> Option<Submission> {
    let handoff = run.phases[phase].handoff.as_ref()?;
    handoff.submission.clone()
}
