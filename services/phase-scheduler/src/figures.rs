//! The scheduler's numbers, for `/metrics`.
//!
//! Invariant: what waits is counted at most once a second, so that the count costs nothing where much waits; the rest
//! is counted where it happens.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use autopack_domain::Timestamp;
use autopack_runtime::metrics;
use opentelemetry::metrics::{Counter, Histogram};
use tokio::time::Instant;

use crate::{dispatch::Asked, state::State};

/// How often what waits is counted.
const PERIOD: Duration = Duration::from_secs(1);

/// What was counted last.
#[derive(Debug, Default)]
struct Shown {
    runs: u64,
    trouble: u64,
    lanes: BTreeMap<String, Lane>,
}

/// What waits in a lane.
#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    depth: u64,
    oldest_seconds: u64,
}

/// The scheduler's instruments.
#[derive(Debug)]
pub(crate) struct Figures {
    shown: Arc<Mutex<Shown>>,
    counted: Option<Instant>,
    offers: Counter<u64>,
    phases: Counter<u64>,
    plan: Histogram<f64>,
}

impl Figures {
    /// Makes them readable.
    pub(crate) fn new() -> Self {
        let shown: Arc<Mutex<Shown>> = Arc::default();
        let look = || Arc::clone(&shown);
        let at = look();
        metrics::observe(metrics::SCHEDULER_RUNS, move || lock(&at).runs);
        let at = look();
        metrics::observe(metrics::SCHEDULER_RUNS_IN_TROUBLE, move || {
            lock(&at).trouble
        });
        let at = look();
        metrics::observe_each(metrics::SCHEDULER_QUEUE_DEPTH, move || {
            by_lane(&lock(&at), |lane| lane.depth)
        });
        let at = look();
        metrics::observe_each(metrics::SCHEDULER_QUEUE_OLDEST_SECONDS, move || {
            by_lane(&lock(&at), |lane| lane.oldest_seconds)
        });
        Self {
            shown,
            counted: None,
            offers: metrics::counter(metrics::SCHEDULER_OFFERS),
            phases: metrics::counter(metrics::SCHEDULER_PHASES_OFFERED),
            plan: metrics::short_seconds(metrics::SCHEDULER_PLAN_SECONDS),
        }
    }

    /// A pass took so long.
    pub(crate) fn planned(&self, took: Duration) {
        self.plan.record(took.as_secs_f64(), &[]);
    }

    /// The registry answered a request to offer so many phases.
    pub(crate) fn offered(&self, phases: usize, asked: Asked) {
        let answer = match asked {
            Asked::Done(_) => "done",
            Asked::Held(_) => "held",
            Asked::Stale => "stale",
            Asked::Later => "later",
        };
        let labels = metrics::labels(metrics::SCHEDULER_OFFERS, &[answer]);
        self.offers.add(1, &labels);
        if matches!(asked, Asked::Done(_)) {
            self.phases.add(phases as u64, &[]);
        }
    }

    /// Counts what waits, if it is time to.
    pub(crate) fn count(&mut self, state: &State, now: Timestamp) {
        if self.counted.is_some_and(|at| at.elapsed() < PERIOD) {
            return;
        }
        self.counted = Some(Instant::now());
        let mut lanes: BTreeMap<String, Lane> = BTreeMap::new();
        // A lane that was shown once stays, so that its numbers go down to nothing.
        lanes.extend(
            lock(&self.shown)
                .lanes
                .keys()
                .map(|lane| (lane.clone(), Lane::default())),
        );
        for view in state.views.known.values() {
            let mut waiting = view.queued.iter().copied();
            let Some(first) = waiting.next() else {
                continue;
            };
            let rest = if view.mixed { 0 } else { waiting.len() };
            let depth = |phase: usize| view.run.lane(phase);
            lanes.entry(depth(first)).or_default().depth += 1 + rest as u64;
            if view.mixed {
                for phase in waiting {
                    lanes.entry(depth(phase)).or_default().depth += 1;
                }
            }
        }
        for (lane, since) in state.queue.oldest() {
            let age = now.since(since).as_secs();
            let lane = lanes.entry(lane.to_string()).or_default();
            lane.oldest_seconds = lane.oldest_seconds.max(age);
        }
        let runs = state.views.known.len() as u64;
        let trouble = state.trouble.waiting(now);
        *lock(&self.shown) = Shown {
            runs,
            trouble,
            lanes,
        };
    }
}

fn by_lane(shown: &Shown, number: impl Fn(&Lane) -> u64) -> Vec<(Vec<String>, u64)> {
    let lanes = shown.lanes.iter();
    lanes
        .map(|(name, lane)| (vec![name.clone()], number(lane)))
        .collect()
}

fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}
