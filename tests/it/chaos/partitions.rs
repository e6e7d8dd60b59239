//! Connections that are cut, held silent and delayed between each pair of processes, by a proxy.
//!
//! Invariant: every fault meets connections in use; the proxy's count of them proves it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use autopack_testkit::proxy::Mode;
use autopack_testkit::{Proxy, within};

use crate::frozen::{first_attempt_takes, runs};
use crate::plan::chains;
use crate::scene::{ACK_WAIT, LEASE, Scene};
use crate::seed::Chance;

/// How long a connection is cut, held and delayed: the first two outlast a lease.
const FAULTS: [(Mode, Duration); 3] = [
    (Mode::Cut, Duration::from_millis(1_200)),
    (Mode::Hold, Duration::from_millis(1_400)),
    (
        Mode::Delay(Duration::from_millis(40)),
        Duration::from_millis(800),
    ),
];

const BOUND: Duration = Duration::from_secs(30);

/// A line between two processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    WorkersRegistry,
    WorkersBus,
    SchedulerRegistry,
    SchedulerBus,
    RegistryBus,
    RegistryDatabase,
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Every process is up, and one line passes through a proxy.
#[track_caller]
fn through(line: Line) -> (Scene, Proxy) {
    let mut scene = Scene::new(chains(4, 4));
    let cluster = &mut scene.cluster;
    let bus = || local(cluster.nats.port());
    let url = |proxy: &Proxy, scheme: &str| format!("{scheme}://{}", proxy.address());
    let proxy = match line {
        Line::RegistryBus => Some(Proxy::to(bus())),
        Line::RegistryDatabase => Some(Proxy::to(local(cluster.database.server().port()))),
        _ => None,
    };
    match (&proxy, line) {
        (Some(proxy), Line::RegistryBus) => {
            cluster.registry.set("AUTOPACK_BUS", &url(proxy, "nats"));
        }
        (Some(proxy), _) => {
            let address = cluster.database.url_at(proxy.address().port());
            cluster.registry.set("DATABASE_URL", &address);
        }
        (None, _) => {}
    }
    cluster.registry.start();
    let proxy = proxy.unwrap_or_else(|| match line {
        Line::WorkersBus | Line::SchedulerBus => Proxy::to(local(cluster.nats.port())),
        _ => Proxy::to(cluster.registry.socket()),
    });
    let (bus, registry) = (url(&proxy, "nats"), url(&proxy, "http"));
    let of = |is: bool| match line {
        Line::WorkersBus | Line::SchedulerBus if is => vec![("AUTOPACK_BUS", bus.as_str())],
        Line::WorkersRegistry | Line::SchedulerRegistry if is => {
            vec![("AUTOPACK_REGISTRY", registry.as_str())]
        }
        _ => Vec::new(),
    };
    let scheduler = matches!(line, Line::SchedulerBus | Line::SchedulerRegistry);
    cluster.add_scheduler_with(&of(scheduler));
    for _ in 0..4 {
        cluster.add_worker_with(&of(!scheduler));
    }
    scene.submit();
    (scene, proxy)
}

/// Each fault once, at seeded moments of the run.
#[track_caller]
fn broken(line: Line) {
    let mut chance = Chance::of(&format!("{line:?} breaks"));
    let (scene, proxy) = through(line);
    for (number, (mode, time)) in FAULTS.into_iter().enumerate() {
        // A third of the run each, so that something is left to do after the last one.
        scene.await_landed(number * 4 + chance.below(3));
        let before = proxy.bytes();
        proxy.set(mode);
        std::thread::sleep(time);
        proxy.set(Mode::Pass);
        eprintln!("chaos: {line:?} {mode:?} for {time:?}, {before} bytes before");
        assert!(
            before > 0 && proxy.connections() > 0,
            "the line was not in use"
        );
    }
    scene.verdict();
}

#[test]
fn workers_and_registry_lose_each_other() {
    broken(Line::WorkersRegistry);
}

#[test]
fn workers_and_bus_lose_each_other() {
    broken(Line::WorkersBus);
}

#[test]
fn scheduler_and_registry_lose_each_other() {
    broken(Line::SchedulerRegistry);
}

#[test]
fn scheduler_and_bus_lose_each_other() {
    broken(Line::SchedulerBus);
}

#[test]
fn registry_and_bus_lose_each_other() {
    broken(Line::RegistryBus);
}

#[test]
fn registry_and_database_lose_each_other() {
    broken(Line::RegistryDatabase);
}

/// What the scheduler misses is the last that happens for a while: it has to look by itself.
#[test]
fn a_scheduler_that_missed_the_last_events_goes_on() {
    let (scene, line) = through(Line::SchedulerBus);
    scene.await_landed(4);
    line.set(Mode::Cut);
    within(BOUND, "nothing is in flight", || {
        let flying = "SELECT count(*) FROM attempt WHERE finished_at IS NULL";
        (scene.cluster.database.sql(flying) == "0").then_some(())
    });
    line.set(Mode::Pass);
    scene.verdict();
}

/// One worker cannot reach the bus: what it holds it finishes with the registry. Its acknowledgement is lost, and the
/// job, delivered again, is nobody's.
#[test]
fn a_worker_without_its_bus_finishes_what_it_holds() {
    let mut scene = Scene::new(first_attempt_takes(2));
    scene.cluster.registry.start();
    scene.cluster.add_scheduler();
    let bus = local(scene.cluster.nats.port());
    let lines: Vec<Proxy> = (0..4).map(|_| Proxy::to(bus)).collect();
    for line in &lines {
        let address = format!("nats://{}", line.address());
        scene.cluster.add_worker_with(&[("AUTOPACK_BUS", &address)]);
    }
    scene.submit();
    let builder = scene.await_builder("a1");
    let line = &lines[scene.worker_of(builder)];
    line.set(Mode::Hold);
    within(BOUND, "the phase lands", || {
        (scene.first_attempt("state") == "SUCCEEDED").then_some(())
    });
    // Long enough for another delivery of the job.
    std::thread::sleep(ACK_WAIT + LEASE);
    line.set(Mode::Pass);
    scene.verdict();
}

/// One worker cannot reach the registry: it ends its builder by its own clock before the registry gives the phase away.
#[test]
fn a_worker_that_is_cut_off_stops_before_its_lease_ends() {
    let mut scene = Scene::new(first_attempt_takes(60));
    scene.cluster.registry.start();
    scene.cluster.add_scheduler();
    let registry = scene.cluster.registry.socket();
    let lines: Vec<Proxy> = (0..4).map(|_| Proxy::to(registry)).collect();
    for line in &lines {
        let address = format!("http://{}", line.address());
        scene
            .cluster
            .add_worker_with(&[("AUTOPACK_REGISTRY", &address)]);
    }
    scene.submit();
    let builder = scene.await_builder("a1");
    let line = &lines[scene.worker_of(builder)];
    line.set(Mode::Hold);
    within(LEASE * 4, "the registry gives the phase away", || {
        (scene.first_attempt("state") == "LOST").then_some(())
    });
    assert!(!runs(builder), "the builder outlived the lease");
    scene.await_landed(4);
    line.set(Mode::Pass);
    scene.verdict();
}
