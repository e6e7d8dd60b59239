//! Fresh ids and jitter.
//!
//! Invariant: the only place that mints ids; with a seed the same sequence comes out again.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use uuid::{Builder, Uuid};

/// Mints ids that nobody has used.
pub trait IdSource: Send + Sync {
    /// A fresh UUIDv7.
    fn uuid(&self) -> Uuid;
}

/// UUIDv7 from clock and randomness, ascending within the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct V7Ids;

impl IdSource for V7Ids {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that mints ids"
    )]
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// The same ascending UUIDv7s for the same seed.
#[derive(Debug)]
pub struct SeededIds {
    seed: u64,
    count: AtomicU64,
}

impl SeededIds {
    /// A source for tests.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            count: AtomicU64::new(0),
        }
    }
}

impl IdSource for SeededIds {
    fn uuid(&self) -> Uuid {
        /// 2026-01-01T00:00:00Z in milliseconds.
        const START: u64 = 1_767_225_600_000;
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let (high, low) = (mix(self.seed ^ count), mix(self.seed.wrapping_add(count)));
        let mut random = [0_u8; 10];
        random[..8].copy_from_slice(&high.to_be_bytes());
        random[8..].copy_from_slice(&low.to_be_bytes()[..2]);
        Builder::from_unix_timestamp_millis(START + count, &random).into_uuid()
    }
}

/// Random numbers for pauses, never for secrets.
#[derive(Debug)]
pub struct Jitter {
    state: Mutex<u64>,
}

impl Jitter {
    /// The same numbers for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self {
            state: Mutex::new(seed),
        }
    }

    /// Other numbers in each process.
    pub fn new() -> Self {
        use std::hash::{BuildHasher, Hasher, RandomState};
        Self::seeded(RandomState::new().build_hasher().finish())
    }

    /// The next number.
    pub fn next_u64(&self) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(GOLDEN);
        mix(*state)
    }

    /// The next number from 0 up to, not including, the bound; 0 for a bound of 0.
    pub fn below(&self, bound: u64) -> u64 {
        u64::try_from((u128::from(self.next_u64()) * u128::from(bound)) >> 64).unwrap_or(0)
    }
}

impl Default for Jitter {
    fn default() -> Self {
        Self::new()
    }
}

/// Steps of the SplitMix64 generator.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's output function.
fn mix(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ten(source: &impl IdSource) -> Vec<Uuid> {
        (0..10).map(|_| source.uuid()).collect()
    }

    #[test]
    fn ids_are_version_7_ascending_and_unique() {
        for ids in [ten(&V7Ids), ten(&SeededIds::new(1))] {
            assert!(ids.iter().all(|id| id.get_version_num() == 7));
            assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }

    #[test]
    fn a_seed_repeats_and_another_differs() {
        assert_eq!(ten(&SeededIds::new(1)), ten(&SeededIds::new(1)));
        assert_ne!(ten(&SeededIds::new(1)), ten(&SeededIds::new(2)));
        assert_eq!(Jitter::seeded(3).next_u64(), Jitter::seeded(3).next_u64());
        assert_ne!(Jitter::new().next_u64(), Jitter::new().next_u64());
    }

    #[test]
    fn jitter_stays_below_its_bound() {
        let jitter = Jitter::seeded(9);
        assert!((0..1000).all(|_| jitter.below(7) < 7));
        assert_eq!(jitter.below(0), 0);
    }
}
