//! When the process is killed: moments from one seed, and a bounded number of trials at a time.
//!
//! Invariant: the same seed gives the same moments.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Trials at a time, over all tests of this process.
const AT_ONCE: usize = 3;

static FREE: (Mutex<usize>, Condvar) = (Mutex::new(AT_ONCE), Condvar::new());

/// The seed of the tests: from the environment, else from the system's randomness.
pub(crate) fn seed() -> u64 {
    if let Ok(text) = std::env::var("AUTOPACK_CRASH_SEED") {
        return text
            .parse()
            .unwrap_or_else(|_| panic!("AUTOPACK_CRASH_SEED={text} is no number"));
    }
    RandomState::new().build_hasher().finish() % 1_000_000
}

/// SplitMix64.
pub(crate) struct Moments(u64);

impl Moments {
    /// The moments of one trial.
    pub(crate) fn of(seed: u64, trial: usize) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9).wrapping_add(trial as u64))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// A moment before `bound`.
    pub(crate) fn within(&mut self, bound: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(bound.as_micros()).unwrap()))
    }
}

struct Place;

impl Place {
    fn take() -> Self {
        let mut free = FREE.0.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            free = FREE.1.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *FREE.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        FREE.1.notify_one();
    }
}

/// Runs all trials, a few at a time; fails at the end with the names of those that failed.
pub(crate) fn each<T: Sync>(
    trials: &[T],
    name: impl Fn(usize, &T) -> String + Sync,
    run: impl Fn(usize, &T) + Sync,
) {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(trials.len()) {
            scope.spawn(|| {
                while let Some((n, trial)) = {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    trials.get(n).map(|trial| (n, trial))
                } {
                    let place = Place::take();
                    let outcome = catch_unwind(AssertUnwindSafe(|| run(n, trial)));
                    drop(place);
                    if let Err(panic) = outcome {
                        let text = panic.downcast_ref::<String>().cloned();
                        let text =
                            text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
                        let line = format!("{}: {}", name(n, trial), text.unwrap_or_default());
                        failed
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(line);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(
        failed.is_empty(),
        "{} of {} trials failed:\n{}",
        failed.len(),
        trials.len(),
        failed.join("\n\n")
    );
}
