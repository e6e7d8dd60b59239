//! The landing turn of each run: a queue, first come first served.
//!
//! Invariant: at most one attempt of a run holds the turn; the turn passes on when its holder settles,
//! loses its lease, or leaves. An open landing intent is checked by the domain besides.

use std::{
    collections::{HashMap, VecDeque},
    sync::Mutex,
    time::Duration,
};

use autopack_domain::{AttemptUid, RunUid};
use tokio::sync::Notify;

use super::lock;

/// The queues of all runs.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    queues: Mutex<HashMap<RunUid, VecDeque<AttemptUid>>>,
    moved: Notify,
}

impl Turns {
    /// Waits until the attempt is at the head, at most `wait`. Cancel-safe: the place in the queue stays.
    pub(crate) async fn wait(&self, run: RunUid, attempt: AttemptUid, wait: Duration) -> bool {
        let until = tokio::time::Instant::now() + wait;
        loop {
            // Registered before the look, so that a turn passed on in between is not missed.
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            {
                let mut queues = lock(&self.queues);
                let queue = queues.entry(run).or_default();
                if !queue.contains(&attempt) {
                    queue.push_back(attempt);
                }
                if queue.front() == Some(&attempt) {
                    return true;
                }
            }
            if tokio::time::timeout_at(until, moved).await.is_err() {
                return false;
            }
        }
    }

    /// Whether the attempt holds the turn.
    pub(crate) fn holds(&self, run: RunUid, attempt: AttemptUid) -> bool {
        lock(&self.queues).get(&run).and_then(VecDeque::front) == Some(&attempt)
    }

    /// The attempt needs no turn any more.
    pub(crate) fn leave(&self, run: RunUid, attempt: AttemptUid) {
        let mut queues = lock(&self.queues);
        if let Some(queue) = queues.get_mut(&run) {
            queue.retain(|a| *a != attempt);
            if queue.is_empty() {
                queues.remove(&run);
            }
            self.moved.notify_waiters();
        }
    }
}
