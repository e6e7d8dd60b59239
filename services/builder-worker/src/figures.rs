//! The worker's numbers, for `/metrics`.
//!
//! Invariant: a job, a lost lease and the result of an attempt are counted once, where they happen.

use std::time::Duration;

use autopack_domain::Cause;
use autopack_domain::run::JobKind;
use autopack_runtime::metrics::{self, Metric};
use opentelemetry::metrics::{Counter, Histogram};

use crate::control::Control;
use crate::jobs::Ended;
use crate::leases::Why;

/// The worker's instruments.
#[derive(Debug)]
pub(crate) struct Figures {
    jobs: Counter<u64>,
    refused: Counter<u64>,
    lost: Counter<u64>,
    attempts: Counter<u64>,
    stages: Histogram<f64>,
}

impl Figures {
    /// Makes them, and the board's readable.
    pub(crate) fn new(control: &Control) -> Self {
        let shown = control.clone();
        metrics::observe(metrics::WORKER_SLOTS, move || {
            shown.board().slots().len() as u64
        });
        let shown = control.clone();
        metrics::observe(metrics::WORKER_SLOTS_USED, move || {
            u64::from(shown.board().used())
        });
        Self {
            jobs: metrics::counter(metrics::WORKER_JOBS),
            refused: metrics::counter(metrics::WORKER_LEASES_REFUSED),
            lost: metrics::counter(metrics::WORKER_LEASES_LOST),
            attempts: metrics::counter(metrics::WORKER_ATTEMPTS),
            stages: metrics::seconds(metrics::WORKER_STAGE_SECONDS),
        }
    }

    /// A leased job left this worker.
    pub(crate) fn job(&self, kind: JobKind, ended: Ended) {
        let end = match ended {
            Ended::Committed => "committed",
            Ended::Dropped => "dropped",
            Ended::HandedBack => "handed_back",
            Ended::Later => "later",
        };
        count(&self.jobs, metrics::WORKER_JOBS, &[kind.as_str(), end]);
    }

    /// The registry gave no lease.
    pub(crate) fn refused(&self) {
        self.refused.add(1, &[]);
    }

    /// A lease ended under the work.
    pub(crate) fn lost(&self, why: Why) {
        let why = match why {
            Why::Expired => "expired",
            Why::Stopped => "stopped",
            Why::Drained => return,
        };
        count(&self.lost, metrics::WORKER_LEASES_LOST, &[why]);
    }

    /// An attempt came to a result.
    pub(crate) fn attempt(&self, cause: Option<Cause>) {
        let values = match cause {
            None => ["succeeded", "none"],
            Some(cause) => ["failed", cause.code()],
        };
        count(&self.attempts, metrics::WORKER_ATTEMPTS, &values);
    }

    /// A stage of an attempt took so long.
    pub(crate) fn stage(&self, stage: &'static str, took: Duration) {
        let labels = metrics::labels(metrics::WORKER_STAGE_SECONDS, &[stage]);
        self.stages.record(took.as_secs_f64(), &labels);
    }
}

fn count(counter: &Counter<u64>, metric: Metric, values: &[&str]) {
    counter.add(1, &metrics::labels(metric, values));
}
