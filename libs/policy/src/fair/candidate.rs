//! The ready phases of a run, as the queue sees them.
//!
//! Invariant: a candidate is a phase that nothing of its own run holds back.

use std::sync::Arc;

use autopack_domain::{Timestamp, run::RunAggregate};

/// A ready phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Index of the phase.
    pub phase: usize,
    /// Its lane.
    pub lane: Arc<str>,
    /// 0 to 9.
    pub priority: u8,
    /// Its labels, as `label=value`.
    pub labels: Arc<[String]>,
    /// Since when it is ready.
    pub since: Timestamp,
}

/// The labels of a phase as `label=value`.
pub fn labels(run: &RunAggregate, phase: usize) -> Vec<String> {
    let labels = run.labels(phase);
    labels.iter().map(|(k, v)| format!("{k}={v}")).collect()
}

/// Ready phases as candidates. Where phases cannot differ, what they share is made once.
pub fn candidates(run: &RunAggregate, ready: &[usize]) -> Vec<Candidate> {
    let Some(&first) = ready.first() else {
        return Vec::new();
    };
    let mixed = run.has_mixed_phases();
    let mut lane: Arc<str> = Arc::from(run.lane(first));
    let mut shared: Arc<[String]> = Arc::from(labels(run, first));
    ready
        .iter()
        .map(|&phase| {
            if mixed {
                let name = run.lane(phase);
                if *lane != *name {
                    lane = Arc::from(name);
                }
                shared = Arc::from(labels(run, phase));
            }
            Candidate {
                phase,
                lane: Arc::clone(&lane),
                priority: run.priority(phase),
                labels: Arc::clone(&shared),
                since: run.ready_since(phase),
            }
        })
        .collect()
}
