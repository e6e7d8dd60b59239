//! The landing turn of each run: a queue, first come first served.
//!
//! Invariant: at most one attempt of a run holds the turn; the turn passes on when its holder settles,
//! loses its lease, or leaves. Nobody without a lease is in the queue for longer than a look. An open landing intent is checked by the domain besides.

use std::{
    collections::{HashMap, VecDeque},
    sync::Mutex,
    time::Duration,
};

use autopack_domain::{AttemptUid, RunUid};
use tokio::sync::Notify;

use super::lock;

/// Whoever waits looks again this often: a place may have fallen free without a word.
const LOOK: Duration = Duration::from_secs(1);

/// The queues of all runs.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    queues: Mutex<HashMap<RunUid, VecDeque<AttemptUid>>>,
    moved: Notify,
}

impl Turns {
    /// Waits until the attempt is at the head, at most `wait`; `holds_lease` says who may be in the queue. Cancel-safe:
    /// the place in the queue stays, as long as the lease does.
    pub(crate) async fn wait(
        &self,
        run: RunUid,
        attempt: AttemptUid,
        wait: Duration,
        holds_lease: impl Fn(AttemptUid) -> bool,
    ) -> bool {
        let until = tokio::time::Instant::now() + wait;
        loop {
            // Registered before the look, so that a turn passed on in between is not missed.
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            {
                let mut queues = lock(&self.queues);
                let queue = queues.entry(run).or_default();
                queue.retain(|other| holds_lease(*other));
                if !holds_lease(attempt) {
                    if queue.is_empty() {
                        queues.remove(&run);
                    }
                    return false;
                }
                if !queue.contains(&attempt) {
                    queue.push_back(attempt);
                }
                if queue.front() == Some(&attempt) {
                    return true;
                }
            }
            let now = tokio::time::Instant::now();
            if now >= until {
                return false;
            }
            // Moved or not: the next look tells.
            let _ = tokio::time::timeout_at(until.min(now + LOOK), moved).await;
        }
    }

    /// The attempt goes before all others: nobody can land before it has.
    pub(crate) fn lead(&self, run: RunUid, attempt: AttemptUid) {
        let mut queues = lock(&self.queues);
        let queue = queues.entry(run).or_default();
        queue.retain(|other| *other != attempt);
        queue.push_front(attempt);
        self.moved.notify_waiters();
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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const RUN: RunUid = RunUid(Uuid::nil());
    const WAIT: Duration = Duration::from_secs(10);

    fn attempt(number: u128) -> AttemptUid {
        AttemptUid(Uuid::from_u128(number))
    }

    #[tokio::test(start_paused = true)]
    async fn the_turn_passes_on_in_order() {
        let turns = Turns::default();
        let all = |_| true;
        assert!(turns.wait(RUN, attempt(1), WAIT, all).await);
        assert!(!turns.wait(RUN, attempt(2), WAIT, all).await, "taken");
        turns.leave(RUN, attempt(1));
        assert!(turns.wait(RUN, attempt(2), WAIT, all).await);
        assert!(turns.holds(RUN, attempt(2)) && !turns.holds(RUN, attempt(1)));
    }

    /// A registry that starts anew knows the intent and not the turn: another attempt may have come first.
    #[tokio::test(start_paused = true)]
    async fn who_has_an_open_intent_leads() {
        let turns = Turns::default();
        let all = |_| true;
        assert!(turns.wait(RUN, attempt(1), WAIT, all).await);
        turns.lead(RUN, attempt(2));
        assert!(turns.wait(RUN, attempt(2), WAIT, all).await);
        assert!(!turns.wait(RUN, attempt(1), WAIT, all).await, "passed by");
        turns.leave(RUN, attempt(2));
        assert!(turns.wait(RUN, attempt(1), WAIT, all).await);
    }

    /// Its lease ended while it waited, and nobody waits for the answer any more.
    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_lost_its_lease_blocks_nobody() {
        let turns = Turns::default();
        let lives = |gone: u128| move |who: AttemptUid| who != attempt(gone);
        assert!(turns.wait(RUN, attempt(1), WAIT, lives(0)).await);
        let wait = turns.wait(RUN, attempt(2), WAIT, lives(0));
        assert!(tokio::time::timeout(LOOK, wait).await.is_err(), "waits");
        turns.leave(RUN, attempt(1));
        assert!(!turns.wait(RUN, attempt(2), WAIT, lives(2)).await);
        assert!(turns.wait(RUN, attempt(3), WAIT, lives(2)).await);
    }
}
