//! Deadlines of leases, in memory by the monotonic clock.
//!
//! Invariant: a wall clock never decides who owns a lease; a registry that starts anew grants every live
//! lease a fresh deadline, or ends it if the worker died with the process.

use std::{collections::HashMap, time::Duration};

use autopack_domain::{Fence, RunUid, Timestamp, WorkerUid, run::RunAggregate};
use uuid::Uuid;

/// A lease as the aggregate knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) uid: Uuid,
    pub(crate) worker: WorkerUid,
}

/// The leases of a run.
pub(crate) fn held(run: &RunAggregate) -> Vec<Held> {
    let attempts = run
        .attempts
        .values()
        .filter(|a| a.state.is_leased())
        .filter_map(|a| a.worker.map(|w| (a.uid.0, w)));
    let jobs = run
        .jobs
        .iter()
        .filter(|j| j.state == autopack_domain::run::JobState::Leased)
        .filter_map(|j| j.worker.map(|w| (j.uid.0, w)));
    attempts
        .chain(jobs)
        .map(|(uid, worker)| Held { uid, worker })
        .collect()
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    run: RunUid,
    worker: WorkerUid,
    deadline: Duration,
    since: Timestamp,
}

/// A lease as it is listed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grant {
    pub(crate) run: RunUid,
    /// When this process granted it.
    pub(crate) since: Timestamp,
}

/// The table of deadlines.
#[derive(Debug)]
pub(crate) struct Leases {
    length: Duration,
    live: HashMap<Uuid, Lease>,
}

impl Leases {
    pub(crate) fn new(length: Duration) -> Self {
        Self {
            length,
            live: HashMap::new(),
        }
    }

    /// A new lease, or a fresh deadline.
    pub(crate) fn grant(
        &mut self,
        uid: Uuid,
        run: RunUid,
        worker: WorkerUid,
        now: Duration,
        since: Timestamp,
    ) {
        self.live.insert(
            uid,
            Lease {
                run,
                worker,
                deadline: now + self.length,
                since,
            },
        );
    }

    /// Leases in force.
    pub(crate) fn count(&self) -> u64 {
        self.live.len() as u64
    }

    /// The leases of a worker, the oldest first.
    pub(crate) fn of(&self, worker: WorkerUid) -> Vec<(Uuid, Grant)> {
        let held = self.live.iter().filter(|(_, lease)| lease.worker == worker);
        let mut held: Vec<(Uuid, Grant)> = held
            .map(|(uid, lease)| {
                let (run, since) = (lease.run, lease.since);
                (*uid, Grant { run, since })
            })
            .collect();
        held.sort_by_key(|(uid, grant)| (grant.since, *uid));
        held
    }

    /// Whether the lease is in force.
    pub(crate) fn is_live(&self, uid: Uuid) -> bool {
        self.live.contains_key(&uid)
    }

    /// The lease is over.
    pub(crate) fn end(&mut self, uid: Uuid) {
        self.live.remove(&uid);
    }

    /// Renews what is still the worker's; returns what is not.
    pub(crate) fn renew(
        &mut self,
        worker: WorkerUid,
        leases: &[(Uuid, Fence)],
        now: Duration,
    ) -> Vec<Uuid> {
        let mut lost = Vec::new();
        for (uid, _) in leases {
            match self.live.get_mut(uid) {
                Some(lease) if lease.worker == worker => lease.deadline = now + self.length,
                _ => lost.push(*uid),
            }
        }
        lost
    }

    /// Leases past their deadline.
    pub(crate) fn expired(&self, now: Duration) -> Vec<(RunUid, Uuid)> {
        self.live
            .iter()
            .filter(|(_, l)| l.deadline <= now)
            .map(|(uid, l)| (l.run, *uid))
            .collect()
    }
}

impl Leases {
    /// Ends every lease of a run but these.
    pub(crate) fn keep_only(&mut self, run: RunUid, live: &[Uuid]) {
        self.live
            .retain(|uid, lease| lease.run != run || live.contains(uid));
    }
}
