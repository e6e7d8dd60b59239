//! Killed at random moments, once and while it recovers.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::moments::{Moments, each, seed};
use crate::scene::Scene;
use crate::trial::{Keep, LONGEST, Went, reference};

/// Runs that are killed.
const TRIALS: usize = 30;
/// Runs that are killed again while they recover.
const TWICE: usize = 6;
/// How often a moment that came too late is drawn again.
const DRAWS: usize = 5;

/// Kills a new scene at a moment of its run.
fn killed(moments: &mut Moments, expected: Duration) -> Keep {
    let mut bound = expected;
    for _ in 0..DRAWS {
        let kept = Keep::new(Scene::new());
        match kept.scene().kill_after(moments.within(bound)) {
            Went::Killed => return kept,
            Went::Ended(status) => {
                assert!(status.success(), "the run ended with {status}");
                bound = bound * 2 / 3;
            }
        }
    }
    panic!("no moment of {DRAWS} was before the end of the run");
}

fn replay(seed: u64, trial: usize, test: &str) -> String {
    format!(
        "trial {trial} of seed {seed} (again: AUTOPACK_CRASH_SEED={seed} cargo test --test crash {test})"
    )
}

#[test]
fn a_run_that_is_killed_at_a_random_moment_ends_as_if_nothing_had_happened() {
    let (seed, reference) = (seed(), reference());
    eprintln!("crash: {TRIALS} moments, AUTOPACK_CRASH_SEED={seed}");
    let trials: Vec<usize> = (0..TRIALS).collect();
    each(
        &trials,
        |n, _| replay(seed, n, "random_moment"),
        |n, _| {
            let mut moments = Moments::of(seed, n);
            let kept = killed(&mut moments, reference.took);
            kept.scene().must_end_well(reference);
        },
    );
    eprintln!(
        "crash: the longest run after a crash took {} ms",
        LONGEST.load(Ordering::Relaxed)
    );
}

#[test]
fn a_run_that_is_killed_again_while_it_recovers_ends_as_if_nothing_had_happened() {
    let (seed, reference) = (seed(), reference());
    eprintln!("crash: {TWICE} times two moments, AUTOPACK_CRASH_SEED={seed}");
    let trials: Vec<usize> = (0..TWICE).collect();
    each(
        &trials,
        |n, _| replay(seed, n, "recovers"),
        |n, _| {
            let mut moments = Moments::of(seed, 1000 + n);
            let kept = killed(&mut moments, reference.took);
            // Recovery is at the start; the shorter ones hit it while it opens the database or takes leases over.
            for part in [3, 2] {
                kept.scene()
                    .kill_after(moments.within(reference.took / part));
            }
            kept.scene().must_end_well(reference);
        },
    );
}
