//! Starting in any order, running, ending.

use autopack_testkit::cluster::free_port;
use autopack_testkit::program::{Background, within};
use autopack_testkit::{Cluster, Phase, Plan, TempRepo};

use crate::rig::{BOUND, run};

#[test]
fn a_run_goes_through_separate_processes() {
    let repo = TempRepo::small();
    let mut cluster = Cluster::up(2);
    let status = run(&cluster, &repo, "demo", 6);
    assert_eq!(status.json["state"], "DONE_SUCCESS");
    assert!(repo.landed_file("demo", "made.txt").is_some());
    assert_eq!(
        cluster.registry.metric("autopack_registry_workers"),
        Some(2.0)
    );
    assert_eq!(
        cluster.registry.metric("autopack_registry_slots"),
        Some(4.0)
    );
    let figure = |name: &str| cluster.registry.metric(name).unwrap();
    assert!(figure("autopack_registry_commits_total") >= 6.0);
    assert!(figure("autopack_service_calls_total") >= 6.0);
    assert!(
        figure("autopack_registry_commands_total") >= figure("autopack_registry_commits_total")
    );
    within(BOUND, "everything is published", || {
        (figure("autopack_registry_outbox_depth") == 0.0).then_some(())
    });
    for node in &mut cluster.workers {
        assert_eq!(node.stop(), Some(0));
    }
    assert_eq!(cluster.schedulers[0].stop(), Some(0));
    assert_eq!(cluster.registry.stop(), Some(0));
}

#[test]
fn services_that_start_first_wait_for_the_others() {
    let repo = TempRepo::small();
    let mut cluster = Cluster::cold();
    let port = free_port();
    cluster.registry.listen_on(port);
    cluster.add_scheduler();
    cluster.add_worker();
    cluster.registry.start();
    for node in [
        &mut cluster.schedulers[0],
        &mut cluster.workers[0],
        &mut cluster.registry,
    ] {
        assert!(node.is_running());
        assert_eq!(node.page("/livez").unwrap().0, 200, "alive");
        let (code, body) = node.page("/readyz").unwrap();
        assert_eq!(code, 503, "not ready");
        assert!(body.contains("bus"), "{body}");
        let live = node.healthcheck(&[]);
        assert_eq!(live.code, Some(0), "{live:?}");
        let ready = node.healthcheck(&["--ready"]);
        assert_eq!(ready.code, Some(1), "{ready:?}");
        assert!(ready.stderr.contains("NOT_SERVING"), "{ready:?}");
    }
    let early = cluster.cli("operator").call(&["runs"]);
    early.expect_code(1);
    assert!(early.stderr.contains("REGISTRY_UNAVAILABLE"), "{early:?}");

    cluster.nats.start_again();
    cluster.registry.ready();
    cluster.schedulers[0].ready();
    cluster.workers[0].ready();
    assert_eq!(cluster.registry.healthcheck(&["--ready"]).code, Some(0));
    let status = run(&cluster, &repo, "demo", 2);
    assert_eq!(status.json["state"], "DONE_SUCCESS");

    cluster.registry.kill();
    within(BOUND, "the worker misses the registry", || {
        let (code, body) = cluster.workers[0].page("/readyz")?;
        (code == 503 && body.contains("registry")).then_some(())
    });
    cluster.registry.start();
    cluster.workers[0].ready();
    cluster.schedulers[0].ready();
    let status = run(&cluster, &repo, "again", 2);
    assert_eq!(status.json["state"], "DONE_SUCCESS");
}

#[test]
fn a_registry_that_ends_ends_open_streams_within_its_deadline() {
    let repo = TempRepo::small();
    let mut cluster = Cluster::up(1);
    let plan = Plan::new("held").phase(Phase::noop("P1"));
    let plan = plan.write(&cluster.folder("held"));
    let cli = cluster.cli("operator");
    let repo = repo.path().to_str().unwrap();
    cli.call(&["submit", plan.to_str().unwrap(), "--repo", repo, "--hold"])
        .expect_code(0);
    let mut watch = Background::start(&mut cli.command(&["watch", "held"]));
    within(BOUND, "the watch is open", || {
        assert!(watch.is_running());
        let status = cli.ask(&["status", "held"]).json;
        (status["state"] == "RUN_CREATED").then_some(())
    });
    let since = std::time::Instant::now();
    assert_eq!(cluster.registry.stop(), Some(0));
    assert!(since.elapsed().as_secs() < 15, "{:?}", since.elapsed());
    drop(watch);
}

#[test]
fn an_address_that_is_taken_is_told() {
    let mut cluster = Cluster::new();
    cluster.registry.start();
    cluster.registry.ready();
    let mut second = cluster.registry.command();
    second.env("AUTOPACK_DATA_DIR", cluster.folder("other"));
    let done = autopack_testkit::program::run(&mut second, BOUND);
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("cannot listen on"), "{done:?}");
    assert!(cluster.registry.is_running());
}
