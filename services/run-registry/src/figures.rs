//! The registry's metrics: numbers that it keeps anyway, read when metrics are collected.

use autopack_runtime::metrics::{self, Metric};
use run_registry::{Activity, Core, Serving};

/// Makes them readable.
pub(crate) fn observe(serving: &Serving) {
    let show = |metric: Metric, read: fn(&Core) -> u64| {
        // A standby has nothing to show.
        let activity = serving.activity();
        let read = move || match &*activity.borrow() {
            Activity::Active(active) => read(&active.core),
            Activity::Unreachable(_) | Activity::Standby { .. } => 0,
        };
        metrics::observe(metric, read);
    };
    show(metrics::REGISTRY_COMMANDS, |core| {
        core.writer_stats().commands
    });
    show(metrics::REGISTRY_COMMITS, |core| {
        core.writer_stats().commits
    });
    show(metrics::REGISTRY_STATEMENTS, |core| {
        core.writer_stats().statements
    });
    show(metrics::REGISTRY_EVENTS, |core| core.writer_stats().events);
    show(metrics::REGISTRY_ROWS_SET_ASIDE, |core| {
        core.corrupt_rows().len() as u64
    });
    show(metrics::REGISTRY_EPOCH, |core| core.figures().epoch);
    show(metrics::REGISTRY_OUTBOX_DEPTH, |core| {
        core.figures().outbox_depth
    });
    show(metrics::REGISTRY_EVENTS_LEFT_OUT, |core| {
        core.figures().events_left_out
    });
    show(metrics::REGISTRY_LEASES, |core| core.figures().leases);
    show(metrics::REGISTRY_LEASES_EXPIRED, |core| {
        core.figures().leases_expired
    });
    show(metrics::REGISTRY_WORKERS, |core| core.figures().workers);
    show(metrics::REGISTRY_SLOTS, |core| core.figures().slots);
}
