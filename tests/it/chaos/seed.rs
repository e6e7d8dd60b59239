//! What chance decides, from one seed.
//!
//! Invariant: the same seed gives the same moments, in terms of a run's progress.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// SplitMix64.
pub(crate) struct Chance(u64);

impl Chance {
    /// For the test of this name; prints how to replay it.
    pub(crate) fn of(test: &str) -> Self {
        let seed = number("AUTOPACK_CHAOS_SEED")
            .unwrap_or_else(|| RandomState::new().build_hasher().finish() % 1_000_000);
        eprintln!("chaos: {test}, again with AUTOPACK_CHAOS_SEED={seed}");
        let salt = test
            .bytes()
            .fold(0_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
        Self(seed.wrapping_mul(0x9e37_79b9).wrapping_add(salt))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).unwrap()
    }

    /// A time below so many milliseconds.
    pub(crate) fn millis(&mut self, bound: usize) -> Duration {
        Duration::from_millis(self.below(bound) as u64)
    }
}

/// A number of the environment.
pub(crate) fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

/// Moments at which each process is killed: two, or what `AUTOPACK_CHAOS_MOMENTS` says.
pub(crate) fn moments() -> usize {
    number("AUTOPACK_CHAOS_MOMENTS").map_or(2, |n| usize::try_from(n).unwrap())
}
