//! No progress: a request that is refused in the same way again and again is held back.
//!
//! Invariant: only a refusal that time does not mend counts; each request is judged alone, so one run's fault holds up
//! no other. What is held back gets the last refusal at once; the memory is bounded.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use autopack_domain::{ErrorKind, Reason};
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::status::from_status;

/// Refusals of one request before it is held back.
const PATIENCE: u32 = 3;
/// The same for NOT_FOUND: what is not there may come, and somebody may be waiting for it.
const PATIENCE_FOR_MISSING: u32 = 10;
/// The first and the longest time for which a request is held back; doubles in between.
const HOLD: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// Requests that are remembered.
const REMEMBERED: usize = 1024;

/// Which request it is: its method and its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RequestKey(u64);

#[derive(Debug)]
struct Refused {
    status: Status,
    times: u32,
    hold: Duration,
    until: Instant,
}

/// Refused requests.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    keys: RandomState,
    refused: Mutex<HashMap<RequestKey, Refused>>,
}

impl Breaker {
    /// The key of a request.
    pub(super) fn key(&self, path: &str, bytes: &[u8]) -> RequestKey {
        RequestKey(self.keys.hash_one((path, bytes)))
    }

    /// The refusal of a request that is held back at this moment.
    pub(super) fn held(&self, key: RequestKey) -> Option<Status> {
        let refused = self.lock();
        let known = refused.get(&key)?;
        let is_held = known.times >= patience(&known.status) && Instant::now() < known.until;
        is_held.then(|| known.status.clone())
    }

    /// Takes in how a request went; `None`: well.
    pub(super) fn note(&self, key: RequestKey, status: Option<&Status>) {
        let mut refused = self.lock();
        let Some(status) = status.filter(|status| is_deterministic(status)) else {
            refused.remove(&key);
            return;
        };
        let now = Instant::now();
        if refused.len() >= REMEMBERED && !refused.contains_key(&key) {
            refused.retain(|_, known| known.until + HOLD.1 > now);
            if refused.len() >= REMEMBERED {
                return;
            }
        }
        let known = refused.entry(key).or_insert_with(|| Refused {
            status: status.clone(),
            times: 0,
            hold: HOLD.0,
            until: now,
        });
        if known.status.code() != status.code() || known.status.message() != status.message() {
            known.times = 0;
            known.hold = HOLD.0;
        }
        known.status = status.clone();
        known.times = known.times.saturating_add(1);
        known.until = now + known.hold;
        if known.times >= patience(status) {
            known.hold = (known.hold * 2).min(HOLD.1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RequestKey, Refused>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often a refusal like this one is taken before the request is held back.
fn patience(status: &Status) -> u32 {
    match status.code() {
        Code::NotFound => PATIENCE_FOR_MISSING,
        _ => PATIENCE,
    }
}

/// Whether the same request would be refused again however long one waits.
fn is_deterministic(status: &Status) -> bool {
    let error = from_status(status);
    // The way to the right registry may be mended at any moment.
    if error.retry_after.is_some() || error.is(Reason::DatabaseMismatch) {
        return false;
    }
    match error.kind {
        ErrorKind::Invalid
        | ErrorKind::Unauthenticated
        | ErrorKind::Denied
        | ErrorKind::Precondition
        | ErrorKind::Conflict
        | ErrorKind::Corrupt
        | ErrorKind::NotFound
        | ErrorKind::Bug => true,
        // These heal with time.
        ErrorKind::Exists
        | ErrorKind::OutOfRange
        | ErrorKind::Exhausted
        | ErrorKind::Unavailable
        | ErrorKind::Deadline
        | ErrorKind::Cancelled => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_fault_of_ten_minutes_is_tried_a_few_times_and_its_end_is_seen() {
        let breaker = Breaker::default();
        let key = breaker.key("/a", b"1");
        let fault = Status::internal("no");
        let (mut sent, end) = (0, Instant::now() + Duration::from_mins(10));
        while Instant::now() < end {
            if breaker.held(key).is_none() {
                sent += 1;
                breaker.note(key, Some(&fault));
            }
            assert!(breaker.held(breaker.key("/a", b"2")).is_none());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!((10..=40).contains(&sent), "{sent}");
        tokio::time::sleep(HOLD.1).await;
        assert!(breaker.held(key).is_none(), "it is tried again");
        breaker.note(key, None);
        breaker.note(key, Some(&fault));
        assert!(breaker.held(key).is_none(), "a success forgets the past");
    }

    #[tokio::test(start_paused = true)]
    async fn what_heals_with_time_is_never_held_and_memory_is_bounded() {
        let breaker = Breaker::default();
        let key = breaker.key("/a", b"1");
        for status in [Status::unavailable("x"), Status::already_exists("x")] {
            for _ in 0..10 {
                breaker.note(key, Some(&status));
            }
            assert!(breaker.held(key).is_none(), "{status:?}");
        }
        for asked in 1..=PATIENCE_FOR_MISSING {
            assert!(breaker.held(key).is_none(), "{asked}: it may come");
            breaker.note(key, Some(&Status::not_found("x")));
        }
        assert!(breaker.held(key).is_some(), "it does not come");
        breaker.note(key, None);
        for number in 0..2 * REMEMBERED {
            let key = breaker.key("/a", &number.to_be_bytes());
            breaker.note(key, Some(&Status::internal("no")));
        }
        assert_eq!(breaker.lock().len(), REMEMBERED);
    }
}
