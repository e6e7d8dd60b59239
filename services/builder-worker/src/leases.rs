//! The leases this worker holds: their deadlines on its own monotonic clock, and why one was cancelled.
//!
//! Invariant: a deadline counts from before the request that granted or renewed the lease was sent, so the work is
//! ended before the registry gives it away; the first reason for which a lease is cancelled stays.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use autopack_domain::WorkerUid;
use autopack_domain::states::AttemptState;
use autopack_sandbox::CancellationToken;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::error::Stop;
use crate::ports::Held;
use crate::spans::Trace;

/// The part of a lease after which its work is ended.
const SAFE_PART: f64 = 0.7;

/// Why a lease was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// It was not renewed in time.
    Expired,
    /// The registry said so: fenced, cancelled, unknown.
    Stopped,
    /// The worker shuts down.
    Drained,
}

/// One lease.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) held: Held,
    /// Who took it: a worker may have been registered again since.
    pub(crate) worker: WorkerUid,
    pub(crate) cancel: CancellationToken,
    /// Where the spans of its work hang.
    pub(crate) trace: Trace,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    deadline: Instant,
    why: Option<Why>,
    /// A builder or gate was begun for it: a drain gives it time.
    begun: bool,
    /// The intent is stored: a shutdown lets it finish.
    landing: bool,
    /// How far the attempt is, for people.
    stage: Option<AttemptState>,
}

impl Lease {
    pub(crate) fn new(
        held: Held,
        worker: WorkerUid,
        sent: Instant,
        lease: Duration,
        trace: Trace,
    ) -> Arc<Self> {
        Arc::new(Self {
            held,
            worker,
            cancel: CancellationToken::new(),
            trace,
            state: Mutex::new(State {
                deadline: sent + lease.mul_f64(SAFE_PART),
                why: None,
                begun: false,
                landing: false,
                stage: None,
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why it was cancelled, if it was.
    pub(crate) fn why(&self) -> Option<Why> {
        self.state().why
    }

    /// Stops the work, and everything that runs for it.
    pub(crate) fn stop(&self, why: Why) {
        let mut state = self.state();
        if why == Why::Drained && state.landing {
            return;
        }
        if state.why.is_none() {
            state.why = Some(why);
        }
        drop(state);
        self.cancel.cancel();
    }

    /// From here on a drain gives the work time; refused if the lease was cancelled or ran out before.
    pub(crate) fn begin(&self) -> Result<(), Stop> {
        self.check()?;
        self.state().begun = true;
        Ok(())
    }

    /// How far the attempt is.
    pub(crate) fn stage(&self) -> Option<AttemptState> {
        self.state().stage
    }

    /// The attempt is in another stage.
    pub(crate) fn enter(&self, stage: AttemptState) {
        self.state().stage = Some(stage);
    }

    fn has_begun(&self) -> bool {
        let state = self.state();
        state.begun || state.landing
    }

    fn renew(&self, sent: Instant, lease: Duration) {
        let mut state = self.state();
        state.deadline = state.deadline.max(sent + lease.mul_f64(SAFE_PART));
    }

    /// From here on a shutdown waits; refused if the lease was cancelled or ran out before.
    pub(crate) fn begin_landing(&self) -> Result<(), Stop> {
        let mut state = self.state();
        if state.why.is_some() || state.deadline <= Instant::now() {
            return Err(Stop::Interrupted);
        }
        state.landing = true;
        Ok(())
    }

    /// The intent was refused: a shutdown need not wait any more.
    pub(crate) fn end_landing(&self) {
        self.state().landing = false;
    }

    /// Refuses to go on with a lease that was cancelled or ran out.
    pub(crate) fn check(&self) -> Result<(), Stop> {
        let state = self.state();
        if state.why.is_some() || state.deadline <= Instant::now() {
            return Err(Stop::Interrupted);
        }
        Ok(())
    }

    /// Runs something that may be dropped at any point, until the lease is cancelled.
    pub(crate) async fn guard<T, E: Into<Stop>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Stop> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Stop::Interrupted),
            result = work => result.map_err(Into::into),
        }
    }

    /// Cancels the lease when its deadline passes; never ends.
    pub(crate) async fn watch(&self) {
        loop {
            let deadline = self.state().deadline;
            sleep_until(deadline).await;
            if self.state().deadline <= Instant::now() {
                tracing::warn!(uid = %self.held.uid, "the lease was not renewed in time: its work is ended");
                self.stop(Why::Expired);
                return std::future::pending().await;
            }
        }
    }
}

/// All leases of the process.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    all: Mutex<HashMap<Uuid, Arc<Lease>>>,
}

impl Leases {
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Lease>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn insert(&self, lease: &Arc<Lease>) {
        self.lock().insert(lease.held.uid, Arc::clone(lease));
    }

    pub(crate) fn remove(&self, lease: &Arc<Lease>) {
        let mut all = self.lock();
        // The same attempt is never leased twice, but a newer entry must not vanish with an older one.
        if all
            .get(&lease.held.uid)
            .is_some_and(|now| Arc::ptr_eq(now, lease))
        {
            all.remove(&lease.held.uid);
        }
    }

    pub(crate) fn snapshot(&self) -> Vec<Arc<Lease>> {
        self.lock().values().map(Arc::clone).collect()
    }

    /// Takes in what became of leases that were sent for renewal.
    pub(crate) fn apply(sent: &[Arc<Lease>], stop: &[Uuid], at: Instant, duration: Duration) {
        for lease in sent {
            if stop.contains(&lease.held.uid) {
                lease.stop(Why::Stopped);
            } else {
                lease.renew(at, duration);
            }
        }
    }

    /// The worker shuts down: what was not begun is handed back.
    pub(crate) fn drain_unstarted(&self) {
        for lease in self.snapshot().iter().filter(|lease| !lease.has_begun()) {
            lease.stop(Why::Drained);
        }
    }

    /// The grace of a shutdown is over: everything that is not landing is handed back.
    pub(crate) fn drain(&self) {
        for lease in self.snapshot() {
            lease.stop(Why::Drained);
        }
    }
}

#[cfg(test)]
mod tests {
    use autopack_domain::{Fence, RunUid};

    use super::*;

    fn lease(seconds: u64) -> Arc<Lease> {
        let held = Held {
            run: RunUid(Uuid::nil()),
            uid: Uuid::nil(),
            fence: Fence(1),
        };
        Lease::new(
            held,
            WorkerUid(Uuid::nil()),
            Instant::now(),
            Duration::from_secs(seconds),
            Trace::default(),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn an_unrenewed_lease_is_cancelled_at_seven_tenths() {
        let lease = lease(10);
        let watching = Arc::clone(&lease);
        let task = tokio::spawn(async move { watching.watch().await });
        tokio::time::sleep(Duration::from_millis(6_900)).await;
        assert!(lease.check().is_ok());
        let leases = Leases::default();
        leases.insert(&lease);
        Leases::apply(
            &leases.snapshot(),
            &[],
            Instant::now(),
            Duration::from_secs(10),
        );
        tokio::time::sleep(Duration::from_millis(6_900)).await;
        assert_eq!(lease.why(), None);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(lease.why(), Some(Why::Expired));
        assert!(lease.cancel.is_cancelled() && lease.begin_landing().is_err());
        task.abort();
    }

    #[tokio::test]
    async fn a_shutdown_spares_landings_and_the_first_reason_stays() {
        let lease = lease(10);
        lease.begin_landing().unwrap();
        lease.stop(Why::Drained);
        assert_eq!(lease.why(), None);
        lease.stop(Why::Stopped);
        lease.stop(Why::Expired);
        assert_eq!(lease.why(), Some(Why::Stopped));
    }
}
