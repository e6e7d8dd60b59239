//! The registry's metrics: numbers that it keeps anyway, read when metrics are collected.

use std::sync::Arc;

use autopack_runtime::metrics::{self, Metric};
use run_registry::{Core, Registry};

/// Makes them readable.
pub(crate) fn observe(registry: &Registry) {
    let show = |metric: Metric, read: fn(&Core) -> u64| {
        // Weak: the last scrape must not keep the writer's queue open.
        let core = Arc::downgrade(&registry.core);
        metrics::observe(metric, move || core.upgrade().map_or(0, |core| read(&core)));
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
    show(metrics::REGISTRY_LEASES, |core| core.figures().leases);
    show(metrics::REGISTRY_LEASES_EXPIRED, |core| {
        core.figures().leases_expired
    });
    show(metrics::REGISTRY_WORKERS, |core| core.figures().workers);
    show(metrics::REGISTRY_SLOTS, |core| core.figures().slots);
}
