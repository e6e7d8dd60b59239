//! What the bus doubles, loses, forgets or brings back.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use autopack_testkit::nats_line::NatsLine;
use autopack_testkit::within;

use crate::plan::chains;
use crate::scene::Scene;
use crate::seed::Chance;

const BOUND: Duration = Duration::from_secs(30);

/// Publishes every job twice more, each time under another id.
struct Doubler {
    ended: Arc<AtomicBool>,
    doubled: Arc<AtomicUsize>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Doubler {
    fn on(port: u16) -> Self {
        let (ended, doubled) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let mut line = NatsLine::connect(port);
        line.subscribe("autopack.jobs.>");
        let (over, count): (_, Arc<AtomicUsize>) = (Arc::clone(&ended), Arc::clone(&doubled));
        let thread = std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let Some(job) = line.next(Duration::from_millis(50)) else {
                    continue;
                };
                for _ in 0..2 {
                    let number = count.fetch_add(1, Ordering::Relaxed);
                    let id = format!("Nats-Msg-Id: doubled-{number}");
                    let other = |header: &str| match header.to_ascii_lowercase() {
                        name if name.starts_with("nats-msg-id:") => id.clone(),
                        _ => header.to_owned(),
                    };
                    let headers: Vec<String> = job.headers.split("\r\n").map(other).collect();
                    line.publish(&job.subject, &headers.join("\r\n"), &job.body);
                }
            }
        });
        Self {
            ended,
            doubled,
            thread: Some(thread),
        }
    }

    fn end(mut self) -> usize {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.doubled.load(Ordering::Relaxed)
    }
}

#[test]
fn jobs_that_are_delivered_three_times_are_done_once() {
    let mut scene = Scene::new(chains(4, 5));
    scene.cluster.registry.start();
    scene.cluster.add_scheduler();
    for _ in 0..4 {
        scene.cluster.add_worker();
    }
    scene.cluster.registry.ready();
    let doubler = Doubler::on(scene.cluster.nats.port());
    scene.submit();
    scene.settle();
    let doubled = doubler.end();
    assert!(doubled >= 2 * scene.steps.len(), "{doubled} doubled");
    scene.verdict();
}

#[test]
fn streams_that_are_deleted_are_made_and_filled_again() {
    let mut chance = Chance::of("streams are deleted");
    let scene = Scene::running(chains(5, 5));
    let mut line = NatsLine::connect(scene.cluster.nats.port());
    for (stream, place) in [
        ("AUTOPACK_JOBS", 3),
        ("AUTOPACK_EVENTS", 10),
        ("AUTOPACK_JOBS", 16),
    ] {
        scene.await_landed(place + chance.below(4));
        let answer = line.jetstream(&format!("STREAM.DELETE.{stream}"), "");
        assert_eq!(answer["success"], true, "{answer}");
    }
    scene.verdict();
}

#[test]
fn jobs_that_are_deleted_one_by_one_are_offered_again() {
    let mut chance = Chance::of("jobs are deleted");
    // More chains than slots, so that some jobs wait in the stream.
    let scene = Scene::running(chains(12, 2));
    let mut line = NatsLine::connect(scene.cluster.nats.port());
    scene.await_landed(1 + chance.below(3));
    let state = line.jetstream("STREAM.INFO.AUTOPACK_JOBS", "")["state"].clone();
    let (first, last) = (
        state["first_seq"].as_u64().unwrap(),
        state["last_seq"].as_u64().unwrap(),
    );
    let mut deleted = 0;
    for sequence in first..=last {
        let ask = format!("{{\"seq\":{sequence}}}");
        let answer = line.jetstream("STREAM.MSG.DELETE.AUTOPACK_JOBS", &ask);
        deleted += usize::from(answer["success"] == true);
    }
    assert!(deleted > 0, "nothing was in the stream: {state}");
    eprintln!("chaos: {deleted} jobs were deleted");
    scene.verdict();
}

#[test]
fn a_bus_that_lost_its_disk_is_filled_again() {
    let mut chance = Chance::of("the bus loses its disk");
    let mut scene = Scene::running(chains(4, 5));
    scene.await_landed(2 + chance.below(8));
    scene.cluster.nats.kill();
    std::fs::remove_dir_all(scene.cluster.nats.store()).unwrap();
    scene.cluster.nats.start_again();
    scene.verdict();
}

/// A bus that forgot its last seconds: what was acknowledged comes back, what was published is gone.
#[test]
fn a_bus_that_is_set_back_does_no_harm() {
    let mut chance = Chance::of("the bus is set back");
    let mut scene = Scene::running(chains(5, 5));
    let copy = scene.cluster.path().join("copy");
    let store = scene.cluster.nats.store();
    scene.await_landed(4 + chance.below(8));
    let cp = |from: &std::path::Path, to: &std::path::Path| {
        let done = Command::new("cp").arg("-a").arg(from).arg(to).status();
        assert!(done.unwrap().success());
    };
    scene.cluster.nats.freeze();
    cp(&store, &copy);
    scene.cluster.nats.signal("CONT");
    scene.await_landed(13 + chance.below(6));
    scene.cluster.nats.kill();
    std::fs::remove_dir_all(&store).unwrap();
    cp(&copy, &store);
    scene.cluster.nats.start_again();
    scene.verdict();
}

/// The registry dies at each of its crash windows in turn, the outbox relay between publication and mark among them.
#[test]
fn a_registry_that_dies_at_its_crash_windows_is_not_missed() {
    let mut chance = Chance::of("the registry dies at its crash windows");
    let mut scene = Scene::running(chains(5, 5));
    let windows = [
        "registry.after_publish",
        "registry.before_commit",
        "registry.before_publish",
        "registry.before_reply",
        "registry.after_commit",
    ];
    for (number, window) in windows.into_iter().enumerate() {
        scene.await_landed(number * 4 + chance.below(3));
        scene.cluster.registry.kill();
        let hit = format!("{window}={}", 2 + chance.below(6));
        eprintln!("chaos: AUTOPACK_FAILPOINT={hit}");
        scene.cluster.registry.set("AUTOPACK_FAILPOINT", &hit);
        scene.cluster.registry.start();
        within(BOUND, "the registry dies", || {
            (!scene.cluster.registry.is_running()).then_some(())
        });
        scene.cluster.registry.kill();
        scene.cluster.registry.set("AUTOPACK_FAILPOINT", "");
        scene.cluster.registry.start();
    }
    scene.verdict();
}
