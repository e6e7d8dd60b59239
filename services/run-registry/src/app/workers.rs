//! Workers that announced themselves, and when they last gave a sign of life.
//!
//! Invariant: the table is in memory and bounded; a registry that starts anew asks workers to register again. What it
//! holds decides where work may go, never who owns a lease.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use autopack_domain::{
    Fence, Reason, Refusal, RunUid, Timestamp, WorkerUid,
    run::{JobKind, RunAggregate},
    states::AttemptState,
    worker::{WorkerProfile, WorkerState},
};
use autopack_policy::{
    dispatch::Hold,
    placement::{self, Need},
};
use uuid::Uuid;

use super::{Core, leases::Grant, lock};

/// A worker.
#[derive(Clone, Debug)]
pub(crate) struct WorkerEntry {
    profile: Arc<WorkerProfile>,
    registered: Timestamp,
    /// By the monotonic clock, which decides.
    seen: Duration,
    /// By the wall clock, which is shown.
    seen_at: Timestamp,
    draining: bool,
}

impl WorkerEntry {
    fn state(&self, now: Duration, patience: Duration) -> WorkerState {
        if now.saturating_sub(self.seen) > patience {
            WorkerState::Lost
        } else if self.draining {
            WorkerState::Draining
        } else {
            WorkerState::Active
        }
    }
}

/// What a heartbeat says about its worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// It takes no new jobs.
    pub draining: bool,
    /// It has ended.
    pub leaving: bool,
    /// Versions of its tools; empty: nothing new.
    pub tool_versions: BTreeMap<String, String>,
}

/// The table of workers, in the order of their uids, which is that of their registrations.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    known: BTreeMap<WorkerUid, WorkerEntry>,
}

/// Workers at most; a bound against a client that registers for ever.
const MAX: usize = 10_000;
/// How long a lost worker is still listed.
const MOURNED: Duration = Duration::from_mins(10);
/// Workers of a page by default, and at most.
const PAGE: (usize, usize) = (50, 500);

impl Workers {
    fn register(
        &mut self,
        uid: WorkerUid,
        profile: Arc<WorkerProfile>,
        now: (Duration, Timestamp),
    ) -> bool {
        self.forget(now.0);
        if self.known.len() >= MAX {
            return false;
        }
        let entry = WorkerEntry {
            profile,
            registered: now.1,
            seen: now.0,
            seen_at: now.1,
            draining: false,
        };
        self.known.insert(uid, entry);
        true
    }

    fn forget(&mut self, now: Duration) {
        self.known
            .retain(|_, worker| now.saturating_sub(worker.seen) <= MOURNED);
    }

    /// Notes a sign of life; what the worker said about itself, `None` for an unknown one.
    fn seen(&mut self, uid: WorkerUid, now: (Duration, Timestamp)) -> Option<&mut WorkerEntry> {
        let worker = self.known.get_mut(&uid)?;
        (worker.seen, worker.seen_at) = now;
        Some(worker)
    }

    /// Workers that take jobs.
    fn active(
        &self,
        now: Duration,
        patience: Duration,
    ) -> impl Iterator<Item = (WorkerUid, &Arc<WorkerProfile>)> {
        let taking = self
            .known
            .iter()
            .filter(move |(_, worker)| worker.state(now, patience) == WorkerState::Active);
        taking.map(|(uid, worker)| (*uid, &worker.profile))
    }
}

/// A worker as it is listed.
#[derive(Clone, Debug)]
pub struct ListedWorker {
    /// Its uid.
    pub uid: WorkerUid,
    /// What it says about itself.
    pub profile: Arc<WorkerProfile>,
    /// Whether it takes jobs.
    pub state: WorkerState,
    /// When it registered.
    pub registered: Timestamp,
    /// Its last sign of life.
    pub seen: Timestamp,
    /// What it holds.
    pub leases: Vec<ListedLease>,
}

/// A lease as it is listed.
#[derive(Clone, Debug)]
pub struct ListedLease {
    /// The attempt or job.
    pub uid: Uuid,
    /// The run.
    pub run: RunUid,
    /// The run's id.
    pub run_id: String,
    /// What for.
    pub kind: JobKind,
    /// The phase's id, for a phase.
    pub phase: String,
    /// The attempt's stage, for a phase.
    pub stage: Option<AttemptState>,
    /// When it was granted.
    pub since: Timestamp,
}

impl Core {
    /// Without a sign of life for so long a worker is lost.
    fn patience(&self) -> Duration {
        self.config.lease * 2
    }

    fn moment(&self) -> (Duration, Timestamp) {
        (self.ports.clock.monotonic(), self.now())
    }

    /// Announces a worker.
    pub fn register_worker(&self, profile: WorkerProfile) -> Result<WorkerUid, Refusal> {
        let uid = WorkerUid(self.ports.ids.uuid());
        let (name, slots) = (profile.name.clone(), profile.slots);
        if !lock(&self.workers).register(uid, Arc::new(profile), self.moment()) {
            return Err(Refusal::new(
                Reason::LimitExceeded,
                "too many workers are registered",
            ));
        }
        tracing::info!(worker = %uid, name, slots, "a worker registered");
        Ok(uid)
    }

    /// How many workers take jobs.
    pub(crate) fn live_workers(&self) -> u64 {
        let now = self.ports.clock.monotonic();
        lock(&self.workers).active(now, self.patience()).count() as u64
    }

    /// Slots of the workers that take jobs.
    pub(crate) fn live_slots(&self) -> u32 {
        let now = self.ports.clock.monotonic();
        let workers = lock(&self.workers);
        workers
            .active(now, self.patience())
            .map(|(_, profile)| profile.slots)
            .sum()
    }

    /// What a known worker said about itself; a lease is a sign of life.
    pub(crate) fn check_worker(&self, worker: WorkerUid) -> Result<Arc<WorkerProfile>, Refusal> {
        let moment = self.moment();
        if let Some(entry) = lock(&self.workers).seen(worker, moment) {
            return Ok(Arc::clone(&entry.profile));
        }
        Err(Refusal::new(
            Reason::RegistryUnavailable,
            "the registry does not know this worker; register again",
        )
        .with("worker", worker))
    }

    /// Renews leases; returns those that are over, and whether the worker is unknown.
    pub fn heartbeat(
        &self,
        worker: WorkerUid,
        leases: &[(Uuid, Fence)],
        presence: Presence,
    ) -> (Vec<Uuid>, bool) {
        let moment = self.moment();
        let known = {
            let mut workers = lock(&self.workers);
            let known = workers.seen(worker, moment).map(|entry| {
                entry.draining = presence.draining;
                let versions = presence.tool_versions;
                if !versions.is_empty() && entry.profile.tool_versions != versions {
                    Arc::make_mut(&mut entry.profile).tool_versions = versions;
                }
            });
            if presence.leaving {
                workers.known.remove(&worker);
            }
            known.is_some()
        };
        (
            lock(&self.leases).renew(worker, leases, moment.0),
            !known && !presence.leaving,
        )
    }

    /// What other workers can do that the run's labels admit; at most as many as a page holds.
    pub(crate) fn fleet(&self, but: WorkerUid, need: &Need) -> Vec<Arc<WorkerProfile>> {
        let now = self.ports.clock.monotonic();
        let workers = lock(&self.workers);
        let others = workers
            .active(now, self.patience())
            .filter(|(uid, _)| *uid != but)
            .filter(|(_, w)| placement::lacks(need, &w.capabilities, &w.labels).is_empty());
        others
            .take(PAGE.1)
            .map(|(_, profile)| Arc::clone(profile))
            .collect()
    }

    /// Why no worker may take a phase that nothing else holds back. In the embedded form there is one worker, and
    /// without it nobody asks.
    pub(crate) fn placement_hold(&self, run: &RunAggregate, phase: usize) -> Option<Hold> {
        let now = self.ports.clock.monotonic();
        let workers = lock(&self.workers);
        let live: Vec<&WorkerProfile> = workers
            .active(now, self.patience())
            .map(|(_, profile)| profile.as_ref())
            .collect();
        if live.is_empty() && self.config.embedded {
            return None;
        }
        placement::hold(&placement::need(run, Some(phase)), live)
    }

    /// A page of workers in the order of their registration, and the token of the next page.
    pub async fn list_workers(
        &self,
        size: i32,
        token: &str,
    ) -> Result<(Vec<ListedWorker>, String), Refusal> {
        let size = match usize::try_from(size) {
            Ok(0) => PAGE.0,
            Ok(size) => size.min(PAGE.1),
            Err(_) => {
                let fault = autopack_domain::Fault::new("page_size", "must not be negative");
                return Err(Refusal::invalid(Reason::ArgumentInvalid, vec![fault]));
            }
        };
        let after = match token {
            "" => None,
            token => {
                let after = token.parse::<WorkerUid>();
                Some(after.map_err(|_| Refusal::page_token(token))?)
            }
        };
        let now = self.ports.clock.monotonic();
        let mut page: Vec<ListedWorker> = {
            let mut workers = lock(&self.workers);
            workers.forget(now);
            let rest = workers
                .known
                .iter()
                .filter(|(uid, _)| after.is_none_or(|after| **uid > after));
            rest.take(size + 1)
                .map(|(uid, worker)| ListedWorker {
                    uid: *uid,
                    profile: Arc::clone(&worker.profile),
                    state: worker.state(now, self.patience()),
                    registered: worker.registered,
                    seen: worker.seen_at,
                    leases: Vec::new(),
                })
                .collect()
        };
        let more = page.len() > size;
        page.truncate(size);
        let next = match page.last() {
            Some(last) if more => last.uid.to_string(),
            _ => String::new(),
        };
        for worker in &mut page {
            let grants = lock(&self.leases).of(worker.uid);
            for (uid, grant) in grants {
                worker.leases.extend(self.listed_lease(uid, grant).await);
            }
        }
        Ok((page, next))
    }

    /// A lease with what its run says about it; `None` for one that has just ended.
    async fn listed_lease(&self, uid: Uuid, grant: Grant) -> Option<ListedLease> {
        let look = move |run: &RunAggregate| describe(run, uid, grant);
        self.writer.read(grant.run, look).await.ok().flatten()
    }
}

fn describe(run: &RunAggregate, uid: Uuid, grant: Grant) -> Option<ListedLease> {
    let attempt = run.attempts.values().find(|attempt| attempt.uid.0 == uid);
    let job = run.jobs.iter().find(|job| job.uid.0 == uid);
    let kind = match (attempt, job) {
        (Some(_), _) => JobKind::Phase,
        (None, Some(job)) => job.kind,
        (None, None) => return None,
    };
    Some(ListedLease {
        uid,
        run: grant.run,
        run_id: run.run.id.to_string(),
        kind,
        phase: attempt.map_or_else(String::new, |a| run.phases[a.phase].id.to_string()),
        stage: attempt.map(|a| a.state),
        since: attempt.and_then(|a| a.leased_at).unwrap_or(grant.since),
    })
}
