//! What a service tells of itself: readiness, epoch, bus, lost spans, gaps in what telemetry saw.

use std::net::{SocketAddr, TcpListener};

use autopack_testkit::cluster::{Node, key_of};
use autopack_testkit::program::within;
use autopack_testkit::proxy::Mode;
use autopack_testkit::{Cluster, Phase, Plan, Proxy, TempRepo};
use autopack_wire::registry::GetInfoRequest;
use autopack_wire::registry::registry_service_client::RegistryServiceClient;
use tonic::{Request, transport::Endpoint};

use crate::rig::{BOUND, run};

/// Waits until a metric has this value.
#[track_caller]
fn shows(node: &Node, name: &str, value: f64) {
    within(BOUND, &format!("{name} is {value}"), || {
        (node.metric(name) == Some(value)).then_some(())
    });
}

/// What happened of this kind on the process's connection to the bus.
fn happenings(node: &Node, kind: &str) -> u64 {
    let (_, text) = node.page("/metrics").unwrap();
    let series = format!("autopack_bus_happenings_total{{kind=\"{kind}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&series));
    line.unwrap_or_else(|| panic!("no {series}in\n{text}"))
        .parse()
        .unwrap()
}

#[test]
fn readiness_epoch_and_bus_follow_what_happens() {
    let mut cluster = Cluster::up(0);
    shows(&cluster.schedulers[0], "autopack_service_ready", 1.0);
    shows(&cluster.registry, "autopack_service_ready", 1.0);
    shows(&cluster.registry, "autopack_registry_epoch", 1.0);

    cluster.registry.kill();
    shows(&cluster.schedulers[0], "autopack_service_ready", 0.0);
    cluster.registry.start();
    shows(&cluster.registry, "autopack_registry_epoch", 2.0);
    shows(&cluster.schedulers[0], "autopack_service_ready", 1.0);

    for node in [&cluster.registry, &cluster.schedulers[0]] {
        assert_eq!(happenings(node, "connects"), 1);
        assert_eq!(happenings(node, "disconnects"), 0);
    }
    cluster.nats.kill();
    for node in [&cluster.registry, &cluster.schedulers[0]] {
        within(BOUND, "the lost connection is counted", || {
            (happenings(node, "disconnects") == 1).then_some(())
        });
        shows(node, "autopack_service_ready", 0.0);
    }
    cluster.nats.start_again();
    for node in [&cluster.registry, &cluster.schedulers[0]] {
        within(BOUND, "the new connection is counted", || {
            (happenings(node, "connects") == 2).then_some(())
        });
        shows(node, "autopack_service_ready", 1.0);
    }
}

/// A run goes on while telemetry is cut off from the bus: what it missed is a gap, and is read back once.
#[test]
fn what_telemetry_missed_is_counted_as_a_gap_and_refilled() {
    let repo = TempRepo::small();
    let mut cluster = Cluster::up(1);
    let nats: SocketAddr = format!("127.0.0.1:{}", cluster.nats.port())
        .parse()
        .unwrap();
    let line = Proxy::to(nats);
    let url = format!("nats://{}", line.address());
    cluster.telemetry.set("AUTOPACK_BUS", &url);
    cluster.telemetry.set("AUTOPACK_COMPARE_SECONDS", "1");
    cluster.start_telemetry().ready();
    run(&cluster, &repo, "before", 2);
    let telemetry = &cluster.telemetry;
    shows(telemetry, "autopack_telemetry_phases_ended_total", 2.0);
    let counted = || {
        let gaps = telemetry.metric("autopack_telemetry_gaps_total");
        (gaps, telemetry.metric("autopack_telemetry_refills_total"))
    };
    assert_eq!(counted(), (Some(0.0), Some(0.0)));

    let marks = cluster.folder("marks");
    let (begun, go) = (marks.join("begun"), marks.join("go"));
    let script = format!(
        "touch {}; until test -e {}; do sleep 0.05; done; echo a > a.txt",
        begun.display(),
        go.display()
    );
    let plan = Plan::new("cut")
        .phase(Phase::command("P1", &script))
        .phase(Phase::noop("P2"))
        .write(&cluster.folder("cut"));
    let cli = cluster.cli("operator");
    let (plan, at) = (plan.to_str().unwrap(), repo.path().to_str().unwrap());
    cli.call(&["submit", plan, "--repo", at]).expect_code(0);
    within(BOUND, "the builder begins", || begun.exists().then_some(()));
    shows(telemetry, "autopack_telemetry_runs_active", 1.0);
    line.set(Mode::Cut);
    shows(telemetry, "autopack_bus_connected", 0.0);
    std::fs::write(&go, "").unwrap();
    cli.call(&["watch", "cut"]).expect_code(0);
    shows(telemetry, "autopack_telemetry_phases_ended_total", 4.0);
    shows(telemetry, "autopack_telemetry_runs_active", 0.0);
    within(BOUND, "each gap was closed", || {
        let (gaps, refills) = counted();
        (gaps >= Some(1.0) && gaps == refills).then_some(())
    });
    line.set(Mode::Pass);
    shows(telemetry, "autopack_bus_connected", 1.0);
    run(&cluster, &repo, "after", 1);
    shows(telemetry, "autopack_telemetry_phases_ended_total", 5.0);
}

/// A collector that takes connections and never answers: spans fill the queue, the rest is dropped and counted.
#[test]
fn spans_that_find_the_queue_full_are_counted_and_calls_go_on() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut cluster = Cluster::new();
    let address = format!("http://{}", silent.local_addr().unwrap());
    cluster
        .registry
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", &address);
    cluster.registry.start();
    cluster.registry.ready();
    let dropped = "autopack_service_spans_dropped_total";
    assert_eq!(cluster.registry.metric(dropped), Some(0.0));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let channel = Endpoint::from_shared(cluster.registry.address()).unwrap();
        let mut client = RegistryServiceClient::new(channel.connect_lazy());
        let key = format!("Bearer {}", key_of("reader"));
        let since = std::time::Instant::now();
        while cluster.registry.metric(dropped) == Some(0.0) {
            assert!(since.elapsed() < BOUND, "no span was dropped");
            for _ in 0..200 {
                let mut request = Request::new(GetInfoRequest {});
                let metadata = request.metadata_mut();
                metadata.insert("authorization", key.parse().unwrap());
                client.get_info(request).await.unwrap();
            }
        }
    });
    assert!(cluster.registry.metric(dropped).is_some_and(|n| n >= 1.0));
    assert_eq!(cluster.registry.stop(), Some(0), "nobody waits for it");
}
