//! Metrics, and that nobody waits for them.

use autopack_testkit::cluster::free_port;
use autopack_testkit::program::within;
use autopack_testkit::{Cluster, Phase, Plan, TempRepo};

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

#[test]
fn scheduler_and_worker_show_what_they_do() {
    let repo = TempRepo::small();
    let cluster = Cluster::up(1);
    let marks = cluster.folder("marks");
    let go = marks.join("go");
    let wait = |begun: &str| {
        let begun = marks.join(begun);
        let (begun, go) = (begun.display(), go.display());
        format!("touch {begun}; until test -e {go}; do sleep 0.05; done")
    };
    let (one, two) = (wait("one"), wait("two"));
    let plan = Plan::new("busy")
        .phase(
            Phase::command("P1", &format!("{one}; echo a > a.txt"))
                .check("true")
                .after(&[]),
        )
        .phase(
            Phase::command("P2", &format!("{two}; exit 3"))
                .after(&[])
                .set("max_attempts", 1),
        )
        .write(&cluster.folder("busy"));
    let other = Plan::new("other")
        .phase(Phase::noop("P1"))
        .write(&cluster.folder("other"));
    let cli = cluster.cli("operator");
    let submit = |plan: &std::path::Path, code: i32, more: &[&str]| {
        let at = repo.path().to_str().unwrap();
        let mut args = vec!["submit", plan.to_str().unwrap(), "--repo", at];
        args.extend(more);
        cli.call(&args).expect_code(code);
    };
    let (worker, scheduler) = (&cluster.workers[0], &cluster.schedulers[0]);
    let shows = |what: &str, look: &dyn Fn() -> bool| {
        within(BOUND, what, || look().then_some(()));
    };
    let series = |node: &autopack_testkit::cluster::Node, series: &str| {
        let (_, text) = node.page("/metrics").unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(series).map(str::to_owned));
        line.map(|rest| rest.trim().parse::<f64>().unwrap())
    };
    shows("the worker has its slots", &|| {
        worker.metric("autopack_worker_slots") == Some(2.0)
    });
    submit(&plan, 0, &[]);
    shows("both builders run", &|| {
        marks.join("one").exists() && marks.join("two").exists()
    });
    shows("both slots are used", &|| {
        worker.metric("autopack_worker_slots_used") == Some(2.0)
    });
    shows("the scheduler decides on a run", &|| {
        scheduler.metric("autopack_scheduler_runs") == Some(1.0)
    });
    // Its bootstrap is on offer when it is cancelled: the worker is told that the job is gone.
    submit(&other, 0, &[]);
    shows("the other run's job is on offer", &|| {
        cli.ask(&["status", "other"]).json["state"] == "PLAN_BOOTSTRAP"
            && cluster.registry.metric("autopack_registry_outbox_depth") == Some(0.0)
    });
    cli.call(&["cancel", "other"]).expect_code(0);
    std::fs::write(&go, "").unwrap();
    cli.call(&["watch", "busy"]).expect_code(3);
    shows("the slots are free", &|| {
        worker.metric("autopack_worker_slots_used") == Some(0.0)
    });
    shows("a lease was refused", &|| {
        worker
            .metric("autopack_worker_leases_refused_total")
            .is_some_and(|n| n >= 1.0)
    });
    let jobs = |kind: &str| {
        let name = format!("autopack_worker_jobs_total{{end=\"committed\",kind=\"{kind}\"}}");
        series(worker, &name)
    };
    assert_eq!(jobs("bootstrap"), Some(1.0));
    assert_eq!(jobs("phase"), Some(2.0));
    let attempts = "autopack_worker_attempts_total";
    let succeeded = format!("{attempts}{{cause=\"none\",result=\"succeeded\"}}");
    assert_eq!(series(worker, &succeeded), Some(1.0));
    assert_eq!(worker.metric(attempts), Some(2.0));
    for (stage, count) in [
        ("builder", 2.0),
        ("govern", 1.0),
        ("gate", 1.0),
        ("land", 1.0),
    ] {
        let name = format!("autopack_worker_stage_seconds_count{{stage=\"{stage}\"}}");
        assert_eq!(series(worker, &name), Some(count), "{stage}");
    }
    assert_eq!(
        scheduler.metric("autopack_scheduler_phases_offered_total"),
        Some(2.0)
    );
    assert!(
        scheduler
            .metric("autopack_scheduler_offers_total")
            .is_some_and(|n| n >= 1.0)
    );
    assert!(
        scheduler
            .metric("autopack_scheduler_plan_seconds_count")
            .is_some_and(|n| n > 0.0)
    );
    assert_eq!(worker.metric("autopack_worker_leases_lost_total"), None);
}

#[test]
fn a_worker_that_was_stopped_past_its_lease_counts_it_as_lost() {
    let repo = TempRepo::small();
    let cluster = Cluster::up(1);
    let (begun, go) = (
        cluster.folder("marks").join("begun"),
        cluster.folder("marks").join("go"),
    );
    let line = format!(
        "touch {}; until test -e {}; do sleep 0.05; done; echo a > a.txt",
        begun.display(),
        go.display()
    );
    let plan = Plan::new("late")
        .phase(Phase::command("P1", &line))
        .write(&cluster.folder("late"));
    let cli = cluster.cli("operator");
    let (plan, at) = (plan.to_str().unwrap(), repo.path().to_str().unwrap());
    cli.call(&["submit", plan, "--repo", at]).expect_code(0);
    within(BOUND, "the builder begins", || begun.exists().then_some(()));
    let worker = &cluster.workers[0];
    worker.signal("STOP");
    within(BOUND, "the lease runs out", || {
        let expired = cluster
            .registry
            .metric("autopack_registry_leases_expired_total");
        expired.filter(|count| *count >= 1.0)
    });
    worker.signal("CONT");
    within(BOUND, "the worker counts it", || {
        worker
            .metric("autopack_worker_leases_lost_total")
            .filter(|count| *count >= 1.0)
    });
    std::fs::write(&go, "").unwrap();
    cli.call(&["watch", "late"]).expect_code(0);
}
