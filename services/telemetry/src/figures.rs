//! The ledger's numbers as metrics, and as points of a stream.

use autopack_runtime::metrics::{self, Metric};
use autopack_wire::telemetry::MetricPoint;

use crate::Shared;

/// Counters that the ledger keeps.
const COUNTERS: [Metric; 7] = [
    metrics::TELEMETRY_EVENTS,
    metrics::TELEMETRY_GAPS,
    metrics::TELEMETRY_REFILLS,
    metrics::TELEMETRY_RUNS_ENDED,
    metrics::TELEMETRY_PHASES_ENDED,
    metrics::TELEMETRY_ATTEMPTS_ENDED,
    metrics::TELEMETRY_TOKENS,
];

/// Reads one number.
type Read = fn(&Shared) -> u64;

/// Gauges, with how each is read.
const GAUGES: [(Metric, Read); 3] = [
    (metrics::TELEMETRY_RUNS_ACTIVE, |shared| {
        shared.ledger().active()
    }),
    (metrics::TELEMETRY_QUEUE_DEPTH, |shared| {
        shared.ledger().queue().0
    }),
    (metrics::TELEMETRY_QUEUE_OLDEST_SECONDS, oldest),
];

fn oldest(shared: &Shared) -> u64 {
    let (_, oldest) = shared.ledger().queue();
    let now = shared.ports.clock.now().0;
    oldest.map_or(0, |at| u64::try_from((now - at) / 1_000_000).unwrap_or(0))
}

/// Makes them readable.
pub(crate) fn observe(shared: &Shared) {
    for metric in COUNTERS {
        let shared = shared.clone();
        metrics::observe_each(metric, move || {
            let ledger = shared.ledger();
            let of_name = ledger
                .counters()
                .filter(|((name, _), _)| *name == metric.name);
            let mut found: Vec<(Vec<String>, u64)> = of_name
                .map(|((_, labels), value)| (labels.clone(), value))
                .collect();
            if metric.labels.is_empty() && found.is_empty() {
                found.push((Vec::new(), 0));
            }
            found
        });
    }
    for (metric, read) in GAUGES {
        let shared = shared.clone();
        metrics::observe(metric, move || read(&shared));
    }
}

/// Every value that is not zero.
pub(crate) fn points(shared: &Shared) -> Vec<MetricPoint> {
    let mut points: Vec<MetricPoint> = GAUGES
        .iter()
        .map(|(metric, read)| (metric.name, read(shared)))
        .filter(|(_, value)| *value > 0)
        .map(|(name, value)| MetricPoint {
            name: name.to_owned(),
            value: value as f64,
            ..MetricPoint::default()
        })
        .collect();
    let ledger = shared.ledger();
    for ((name, values), value) in ledger.counters() {
        let known = COUNTERS.iter().find(|metric| metric.name == *name);
        let names = known.map_or(&[][..], |metric| metric.labels);
        let labels = names.iter().map(ToString::to_string).zip(values.clone());
        points.push(MetricPoint {
            name: (*name).to_owned(),
            labels: labels.collect(),
            value: value as f64,
        });
    }
    points
}
