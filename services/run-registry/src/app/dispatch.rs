//! What schedulers ask for: snapshots, offers, exhausted budgets.

use std::sync::Arc;

use autopack_domain::{
    AttemptUid, Cause, Fault, JobUid, Reason, Refusal, RunUid,
    run::{JobKind, RunAggregate},
};
use autopack_policy::estimate::reservation;
use autopack_store::read;

use super::{Core, write_refusal};

/// Phases of one offer at most.
pub const MAX_OFFER: usize = 1000;

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offered {
    /// The run's version now.
    pub version: u64,
    /// Phases offered.
    pub offered: u32,
    /// Phases that a limit or a paused lane holds back.
    pub held: u32,
    /// Version of limits and lanes.
    pub policy: u64,
}

impl Core {
    /// Runs that have not ended and do not wait for a person, and the slots of live workers.
    pub async fn active_runs(&self) -> Result<(Vec<RunUid>, u32), Refusal> {
        let runs = self.sound(read::moving_runs(&self.database.read).await)?;
        Ok((runs, self.live_slots()))
    }

    /// A run as the next command would find it.
    pub async fn snapshot(&self, run: RunUid) -> Result<RunAggregate, Refusal> {
        let found = self.writer.read(run, RunAggregate::clone).await;
        found.map_err(|error| {
            self.note(run, &error);
            write_refusal(error)
        })
    }

    /// Puts a job on offer.
    pub async fn offer_job(
        &self,
        run: RunUid,
        version: u64,
        kind: JobKind,
    ) -> Result<(JobUid, u64), Refusal> {
        let uid = JobUid(self.ports.ids.uuid());
        let after = self
            .command(run, None, move |a, c, now| {
                a.check_version(version)?;
                a.offer_job(uid, kind, now, c)
            })
            .await?;
        Ok((uid, after.version))
    }

    /// Offers attempts: attempt, reservation and job row in one transaction. A decision on an older version
    /// stands where its predicates still hold; phases for which they do not are left out, so two schedulers
    /// are harmless and a busy run is not refused for every other worker's report. Limits and paused lanes are
    /// asked here as well: two schedulers that decide at the same time do not pass a limit together.
    pub async fn offer_phases(
        &self,
        run: RunUid,
        version: u64,
        phases: Vec<usize>,
    ) -> Result<Offered, Refusal> {
        if phases.len() > MAX_OFFER {
            return Err(Refusal::new(
                Reason::LimitExceeded,
                format!("at most {MAX_OFFER} phases an offer"),
            )
            .with("max", MAX_OFFER));
        }
        let ids = Arc::clone(&self.ports.ids);
        let clock = Arc::clone(&self.ports.clock);
        let ledger = Arc::clone(&self.ledger);
        self.writer
            .on_run(run, None, move |a, c| {
                if version > a.run.version {
                    a.check_version(version)?;
                }
                let now = clock.now();
                let (mut offered, mut held) = (0, 0);
                phases.iter().try_for_each(|&phase| check_index(a, phase))?;
                for &phase in &phases {
                    if !autopack_policy::dispatch::holds(a, phase, now).is_empty() {
                        continue;
                    }
                    if !ledger.admits(a, phase) {
                        held += 1;
                        continue;
                    }
                    let tokens = reservation(a, phase);
                    a.offer(
                        phase,
                        AttemptUid(ids.uuid()),
                        JobUid(ids.uuid()),
                        tokens,
                        now,
                        c,
                    )?;
                    ledger.count(a, phase);
                    offered += 1;
                }
                if offered > 0 {
                    a.close_offers(now, c);
                } else if held == 0 {
                    // Nothing was changed: the decision was overtaken as a whole.
                    a.check_version(version)?;
                }
                Ok(Offered {
                    version: a.run.version,
                    offered,
                    held,
                    policy: ledger.version(),
                })
            })
            .await
            .map_err(write_refusal)
    }

    /// Declares a budget spent.
    pub async fn exhaust(
        &self,
        run: RunUid,
        version: u64,
        phases: Vec<usize>,
        cause: Cause,
        detail: String,
    ) -> Result<u64, Refusal> {
        if cause.end() != Some(autopack_domain::catalogue::EndClass::Budget) {
            let spent = |c: &&Cause| c.end() == Some(autopack_domain::catalogue::EndClass::Budget);
            let budgets = Cause::ALL.iter().filter(spent);
            let fault = Fault::new("cause", format!("{cause} is not a budget"))
                .allowed(budgets.map(|c| c.code()));
            return Err(Refusal::invalid(Reason::ArgumentInvalid, vec![fault]));
        }
        let after = self
            .command_on_leases(run, None, move |a, c, now| {
                a.check_version(version)?;
                if phases.is_empty() {
                    a.exhaust_minutes(&detail, now, c);
                    return Ok(());
                }
                for &phase in &phases {
                    check_index(a, phase)?;
                    a.exhaust(phase, cause, &detail, now, c)?;
                }
                a.close_offers(now, c);
                Ok(())
            })
            .await?;
        Ok(after.version)
    }
}

pub(super) fn check_index(run: &RunAggregate, phase: usize) -> Result<(), Refusal> {
    if phase < run.phases.len() {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::PhaseNotFound,
        format!("run {} has {} phases", run.run.id, run.phases.len()),
    )
    .with("phase", phase))
}
