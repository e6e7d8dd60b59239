//! Metrics, and that nobody waits for them.

use autopack_testkit::cluster::free_port;
use autopack_testkit::program::within;
use autopack_testkit::{Cluster, TempRepo};

use crate::rig::{BOUND, run};

#[test]
fn telemetry_counts_what_happened_while_it_was_away_once() {
    let repo = TempRepo::small();
    let mut cluster = Cluster::up(1);
    run(&cluster, &repo, "before", 3);
    cluster.start_telemetry().ready();
    let settles = |cluster: &Cluster, name: &str, value: f64| {
        within(BOUND, &format!("{name} is {value}"), || {
            let found = cluster.telemetry.metric(name);
            assert!(
                found.is_none_or(|found| found <= value),
                "{name}: {found:?}"
            );
            (found == Some(value)).then_some(())
        });
    };
    settles(&cluster, "autopack_telemetry_runs_ended_total", 1.0);
    run(&cluster, &repo, "during", 2);
    settles(&cluster, "autopack_telemetry_runs_ended_total", 2.0);
    cluster.telemetry.kill();
    run(&cluster, &repo, "without", 4);
    cluster.telemetry.start();
    settles(&cluster, "autopack_telemetry_runs_ended_total", 3.0);
    settles(&cluster, "autopack_telemetry_phases_ended_total", 9.0);
    settles(&cluster, "autopack_telemetry_attempts_ended_total", 9.0);
    settles(&cluster, "autopack_telemetry_queue_depth", 0.0);
    settles(&cluster, "autopack_telemetry_runs_active", 0.0);
    let (_, text) = cluster.telemetry.page("/metrics").unwrap();
    let state = "autopack_telemetry_runs_ended_total{state=\"DONE_SUCCESS\"} 3";
    assert!(text.contains(state), "{text}");
    assert!(
        text.contains("autopack_telemetry_phase_seconds_bucket"),
        "{text}"
    );
    assert_eq!(cluster.telemetry.stop(), Some(0));
}

#[test]
fn a_collector_that_is_down_costs_nobody_anything() {
    let repo = TempRepo::small();
    let mut cluster = Cluster::new();
    let nobody = format!("http://127.0.0.1:{}", free_port());
    cluster.registry.set("OTEL_EXPORTER_OTLP_ENDPOINT", &nobody);
    cluster.registry.set("OTEL_METRIC_EXPORT_INTERVAL", "200");
    cluster.registry.set("OTEL_BSP_SCHEDULE_DELAY", "100");
    cluster.registry.start();
    cluster.add_scheduler();
    cluster.add_worker();
    cluster.registry.ready();
    cluster.workers[0].ready();
    let status = run(&cluster, &repo, "demo", 5);
    assert_eq!(status.json["state"], "DONE_SUCCESS");
    for name in [
        "autopack_service_spans_failed_total",
        "autopack_service_metric_exports_failed_total",
    ] {
        within(BOUND, name, || {
            cluster.registry.metric(name).filter(|value| *value > 0.0)
        });
    }
    assert_eq!(
        cluster.registry.metric("autopack_service_spans_sent_total"),
        Some(0.0)
    );
    assert_eq!(cluster.registry.stop(), Some(0));
}
