//! Every metric of every service, once.
//!
//! Invariant: an instrument is made from an entry of [`ALL`] only, under exactly its name; names are
//! `autopack_<service>_<noun>[_<unit>][_total]`.

use opentelemetry::{
    KeyValue, global,
    metrics::{AsyncInstrument, Counter, Histogram, Meter},
};

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only up; its name ends in `_total`.
    Counter,
    /// Up and down.
    Gauge,
    /// Many values.
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// As Prometheus sees it.
    pub name: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub text: &'static str,
}

macro_rules! metrics {
    ($($id:ident $kind:ident $name:literal [$($label:literal),*] $text:literal;)*) => {
        $(
            #[doc = $text]
            pub const $id: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                text: $text,
            };
        )*

        /// All of them.
        pub const ALL: &[Metric] = &[$($id),*];
    };
}

metrics! {
    SERVICE_READY Gauge "autopack_service_ready" [] "Whether the service can do its work: 1 or 0.";
    SERVICE_CALLS Counter "autopack_service_calls_total" [] "Calls that reached this service, refused ones included.";
    SERVICE_SPANS_SENT Counter "autopack_service_spans_sent_total" [] "Spans that the collector took.";
    SERVICE_SPANS_FAILED Counter "autopack_service_spans_failed_total" [] "Spans lost because the collector refused them or did not answer.";
    SERVICE_SPANS_DROPPED Counter "autopack_service_spans_dropped_total" [] "Spans lost because the queue to the collector was full.";
    SERVICE_METRIC_EXPORTS_FAILED Counter "autopack_service_metric_exports_failed_total" [] "Exports of metrics by OTLP that failed.";
    REGISTRY_COMMANDS Counter "autopack_registry_commands_total" [] "Commands carried out.";
    REGISTRY_COMMITS Counter "autopack_registry_commits_total" [] "Transactions committed; commands by commits is the batch size.";
    REGISTRY_STATEMENTS Counter "autopack_registry_statements_total" [] "Statements executed.";
    REGISTRY_EVENTS Counter "autopack_registry_events_total" [] "Events recorded.";
    REGISTRY_ROWS_SET_ASIDE Gauge "autopack_registry_rows_set_aside" [] "Stored rows that do not parse, and are left out.";
    REGISTRY_EPOCH Gauge "autopack_registry_epoch" [] "Raised by each start of a registry on this database.";
    REGISTRY_OUTBOX_DEPTH Gauge "autopack_registry_outbox_depth" [] "Events committed and not yet published.";
    REGISTRY_EVENTS_LEFT_OUT Counter "autopack_registry_events_left_out_total" [] "Events that were not published because the bus can never take them, such as one larger than the server allows.";
    REGISTRY_LEASES Gauge "autopack_registry_leases" [] "Leases in force.";
    REGISTRY_LEASES_EXPIRED Counter "autopack_registry_leases_expired_total" [] "Leases that ended without their worker's word.";
    REGISTRY_WORKERS Gauge "autopack_registry_workers" [] "Workers that give signs of life.";
    REGISTRY_SLOTS Gauge "autopack_registry_slots" [] "Slots of those workers.";
    SCHEDULER_RUNS Gauge "autopack_scheduler_runs" [] "Runs that this scheduler decides on.";
    SCHEDULER_RUNS_IN_TROUBLE Gauge "autopack_scheduler_runs_in_trouble" [] "Runs that it leaves alone for a while because the registry refused what it asked.";
    SCHEDULER_QUEUE_DEPTH Gauge "autopack_scheduler_queue_depth" ["lane"] "Phases of open tiers that wait to be offered.";
    SCHEDULER_QUEUE_OLDEST_SECONDS Gauge "autopack_scheduler_queue_oldest_seconds" ["lane"] "How long the oldest phase that could be offered has been ready.";
    SCHEDULER_OFFERS Counter "autopack_scheduler_offers_total" ["answer"] "Requests to offer phases, by the registry's answer: done, held (a limit or a paused lane), stale (decided on an older version) or later (it could not answer).";
    SCHEDULER_PHASES_OFFERED Counter "autopack_scheduler_phases_offered_total" [] "Phases in requests that the registry carried out.";
    SCHEDULER_PLAN_SECONDS Histogram "autopack_scheduler_plan_seconds" [] "One pass over what changed: from events to requests.";
    WORKER_SLOTS Gauge "autopack_worker_slots" [] "Slots of this worker.";
    WORKER_SLOTS_USED Gauge "autopack_worker_slots_used" [] "Slots with a job.";
    WORKER_JOBS Counter "autopack_worker_jobs_total" ["kind", "end"] "Jobs that were leased, by kind and by how they left this worker: committed, handed_back, dropped (the lease was another's by then) or later (the registry could not be told).";
    WORKER_LEASES_REFUSED Counter "autopack_worker_leases_refused_total" [] "Jobs from the bus for which the registry gave no lease.";
    WORKER_LEASES_LOST Counter "autopack_worker_leases_lost_total" ["why"] "Leases that ended under the work: expired (not renewed in time) or stopped (the registry said so).";
    WORKER_ATTEMPTS Counter "autopack_worker_attempts_total" ["result", "cause"] "Attempts that came to a result here: succeeded, or failed with a cause; no cause is `none`.";
    WORKER_STAGE_SECONDS Histogram "autopack_worker_stage_seconds" ["stage"] "Time of a stage of an attempt: builder, govern, gate, land.";
    BUS_CONNECTED Gauge "autopack_bus_connected" [] "Whether this process reaches the bus: 1 or 0.";
    BUS_HAPPENINGS Counter "autopack_bus_happenings_total" ["kind"] "What happened on this process's connection to the bus: connects, disconnects, redeliveries, publish_failures and so on.";
    TELEMETRY_EVENTS Counter "autopack_telemetry_events_total" [] "Events taken in, from the bus or read back.";
    TELEMETRY_GAPS Counter "autopack_telemetry_gaps_total" [] "Runs of which events were missed on the bus.";
    TELEMETRY_REFILLS Counter "autopack_telemetry_refills_total" [] "Gaps closed by reading the registry.";
    TELEMETRY_RUNS_ENDED Counter "autopack_telemetry_runs_ended_total" ["state"] "Runs that ended, by state.";
    TELEMETRY_PHASES_ENDED Counter "autopack_telemetry_phases_ended_total" ["state"] "Phases that ended, by state.";
    TELEMETRY_ATTEMPTS_ENDED Counter "autopack_telemetry_attempts_ended_total" ["state", "cause"] "Attempts that ended, by state and cause.";
    TELEMETRY_TOKENS Counter "autopack_telemetry_tokens_total" ["provider", "model", "provenance"] "Tokens that builders used.";
    TELEMETRY_PHASE_SECONDS Histogram "autopack_telemetry_phase_seconds" ["state"] "From a phase's first lease to its end.";
    TELEMETRY_RUNS_ACTIVE Gauge "autopack_telemetry_runs_active" [] "Runs that have not ended.";
    TELEMETRY_QUEUE_DEPTH Gauge "autopack_telemetry_queue_depth" [] "Jobs on offer that no worker has taken.";
    TELEMETRY_QUEUE_OLDEST_SECONDS Gauge "autopack_telemetry_queue_oldest_seconds" [] "Age of the oldest job on offer.";
}

fn meter() -> Meter {
    global::meter("autopack")
}

/// Reads a number whenever metrics are collected.
pub fn observe(metric: Metric, read: impl Fn() -> u64 + Send + Sync + 'static) {
    let callback = move |at: &dyn AsyncInstrument<u64>| at.observe(read(), &[]);
    if metric.kind == Kind::Counter {
        meter()
            .u64_observable_counter(metric.name)
            .with_description(metric.text)
            .with_callback(callback)
            .build();
    } else {
        meter()
            .u64_observable_gauge(metric.name)
            .with_description(metric.text)
            .with_callback(callback)
            .build();
    }
}

/// Reads one number for each set of labels whenever metrics are collected; values in the order of the metric's labels.
pub fn observe_each(
    metric: Metric,
    read: impl Fn() -> Vec<(Vec<String>, u64)> + Send + Sync + 'static,
) {
    let callback = move |at: &dyn AsyncInstrument<u64>| {
        for (values, number) in read() {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            at.observe(number, &labels(metric, &values));
        }
    };
    if metric.kind == Kind::Counter {
        meter()
            .u64_observable_counter(metric.name)
            .with_description(metric.text)
            .with_callback(callback)
            .build();
    } else {
        meter()
            .u64_observable_gauge(metric.name)
            .with_description(metric.text)
            .with_callback(callback)
            .build();
    }
}

/// Counts what happens.
pub fn counter(metric: Metric) -> Counter<u64> {
    meter()
        .u64_counter(metric.name)
        .with_description(metric.text)
        .build()
}

/// Bounds of histograms of seconds: from a quick no-op to a day's work.
const SECONDS: [f64; 14] = [
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0,
];

/// Keeps spans of time in seconds.
pub fn seconds(metric: Metric) -> Histogram<f64> {
    histogram(metric, &SECONDS)
}

/// Bounds of histograms of short work: from 10 µs to a second.
const SHORT: [f64; 11] = [
    0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0,
];

/// Keeps spans of time in seconds, of work that takes far less than one.
pub fn short_seconds(metric: Metric) -> Histogram<f64> {
    histogram(metric, &SHORT)
}

fn histogram(metric: Metric, bounds: &[f64]) -> Histogram<f64> {
    meter()
        .f64_histogram(metric.name)
        .with_description(metric.text)
        .with_boundaries(bounds.to_vec())
        .build()
}

/// Values of a metric's labels, in their order.
pub fn labels(metric: Metric, values: &[&str]) -> Vec<KeyValue> {
    metric
        .labels
        .iter()
        .zip(values)
        .map(|(label, value)| KeyValue::new(*label, (*value).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_the_rule_and_stand_once() {
        let names: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
        for metric in ALL {
            let counts = metric.kind == Kind::Counter;
            assert!(metric.name.starts_with("autopack_"), "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), counts, "{}", metric.name);
            assert!(metric.text.ends_with('.'), "{}", metric.name);
        }
    }
}
