//! Two registries on one database, restarts of everything, clocks that are wrong, a schema that is too new.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use autopack_testkit::cluster::free_port;
use autopack_testkit::{Cluster, Proxy, within};

use crate::plan::chains;
use crate::scene::{RUN, Scene};
use crate::seed::Chance;

const BOUND: Duration = Duration::from_secs(30);

/// One address for both, as a load balancer's: it leads to the registry that is active.
#[test]
fn a_standby_takes_over_a_run() {
    let mut chance = Chance::of("a standby takes over");
    let mut scene = Scene::new(chains(5, 5));
    scene.cluster.registry.start();
    scene.cluster.registry.ready();
    let mut standby = scene.cluster.another_registry();
    standby.start();
    let balancer = Proxy::to(scene.cluster.registry.socket());
    let address = format!("http://{}", balancer.address());
    let one = [("AUTOPACK_REGISTRY", address.as_str())];
    scene.cluster.add_scheduler_with(&one);
    for _ in 0..4 {
        scene.cluster.add_worker_with(&one);
    }
    scene.submit();
    for turn in 0..2 {
        scene.await_landed(turn * 10 + chance.below(8));
        let (code, body) = standby.page("/readyz").unwrap();
        assert!(
            code == 503 && body.contains("active"),
            "a standby is not ready: {body}"
        );
        scene.cluster.registry.kill();
        standby.ready();
        balancer.retarget(standby.socket());
        // What was active becomes the standby.
        std::mem::swap(&mut scene.cluster.registry, &mut standby);
        standby.start();
    }
    assert_eq!(
        scene
            .cluster
            .database
            .sql("SELECT epoch FROM registry_epoch"),
        "3"
    );
    scene.settle();
    assert_eq!(standby.stop(), Some(0));
    scene.verdict();
}

/// Every client knows both addresses, the standby's first, and nobody tells it which registry is active.
#[test]
fn clients_find_the_active_registry_by_themselves() {
    let mut chance = Chance::of("clients find the active registry");
    let mut scene = Scene::new(chains(5, 5));
    let cluster = &mut scene.cluster;
    cluster.registry.listen_on(free_port());
    cluster.registry.start();
    cluster.registry.ready();
    let mut standby = cluster.another_registry();
    standby.listen_on(free_port());
    standby.start();
    let both = format!("{},{}", standby.address(), cluster.registry.address());
    let list = [("AUTOPACK_REGISTRY", both.as_str())];
    cluster.add_scheduler_with(&list);
    for _ in 0..4 {
        cluster.add_worker_with(&list);
    }
    cluster.telemetry.set("AUTOPACK_REGISTRY", &both);
    cluster.telemetry.start();
    cluster.telemetry.ready();
    let cli = cluster.cli("operator").with("AUTOPACK_REGISTRY", &both);
    scene.submit();
    for turn in 0..2 {
        scene.await_landed(turn * 10 + chance.below(8));
        scene.cluster.registry.kill();
        let status = cli.ask(&["status", RUN]);
        assert!(status.json["state"].is_string(), "{status:?}");
        std::mem::swap(&mut scene.cluster.registry, &mut standby);
        standby.start();
        let (code, _) = standby.page("/readyz").unwrap();
        assert_eq!(code, 503, "what was active is the standby");
    }
    scene.settle();
    let telemetry = &mut scene.cluster.telemetry;
    within(BOUND, "telemetry has counted every phase", || {
        let ended = telemetry.metric("autopack_telemetry_phases_ended_total");
        (ended == Some(25.0)).then_some(())
    });
    assert_eq!(telemetry.stop(), Some(0));
    assert_eq!(standby.stop(), Some(0));
    scene.verdict();
}

/// SIGTERM and a new start of each process in turn, while a run goes through them.
#[test]
fn everything_is_restarted_in_turn() {
    let mut scene = Scene::new(chains(5, 6));
    // Longer than any of these restarts takes: here no lease may be lost.
    scene.cluster.registry.set("AUTOPACK_LEASE_MS", "10000");
    let mut scene = scene.up();
    for place in 0..4 {
        scene.await_landed(2 + place * 4);
        let node = &mut scene.cluster.workers[place];
        assert_eq!(node.stop(), Some(0), "{}", node.log_text());
        node.start();
    }
    scene.await_landed(18);
    let Cluster {
        schedulers,
        registry,
        ..
    } = &mut scene.cluster;
    assert_eq!(schedulers[0].stop(), Some(0));
    schedulers[0].start();
    assert_eq!(registry.stop(), Some(0));
    registry.start();
    scene.await_landed(23);
    let nats_id = scene.cluster.nats.id();
    scene.cluster.nats.signal("TERM");
    within(BOUND, "nats-server ends", || {
        let status = std::fs::read_to_string(format!("/proc/{nats_id}/status"));
        status
            .map_or(true, |s| s.contains("State:\tZ"))
            .then_some(())
    });
    scene.cluster.nats.kill();
    scene.cluster.nats.start_again();
    scene.settle();
    let charged = "SELECT sum(crashes + attempts_charged + infra_charged) FROM phase";
    assert_eq!(
        scene.cluster.database.sql(charged),
        "0",
        "an orderly restart charges nobody\n{}",
        scene.why()
    );
    scene.verdict();
}

/// Adds `CLOCK_OFFSET` seconds to the wall clock of a process.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long offset(void) { const char *text = getenv("CLOCK_OFFSET"); return text ? atol(text) : 0; }
int clock_gettime(clockid_t id, struct timespec *at) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int done = real(id, at);
  if (id == CLOCK_REALTIME) at->tv_sec += offset();
  return done;
}
int gettimeofday(struct timeval *restrict at, void *restrict zone) {
  struct timespec now; (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  at->tv_sec = now.tv_sec; at->tv_usec = now.tv_nsec / 1000;
  return 0;
}
time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}
"#;

#[track_caller]
fn shim(cluster: &Cluster) -> PathBuf {
    let folder = cluster.folder("clock");
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    std::fs::write(&source, SHIM).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl");
    let done = cc
        .output()
        .unwrap_or_else(|e| panic!("this test needs a C compiler: {e}"));
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    library
}

/// Ten minutes ahead and behind on two workers, and a registry whose clock jumps back five minutes on its restart.
#[test]
fn wrong_clocks_decide_nothing() {
    let mut scene = Scene::new(chains(4, 6));
    let library = shim(&scene.cluster);
    let library = library.to_str().unwrap().to_owned();
    let cluster = &mut scene.cluster;
    cluster.registry.set("LD_PRELOAD", &library);
    cluster.registry.start();
    cluster.add_scheduler();
    for offset in ["600", "-600", "0", "0"] {
        cluster.add_worker_with(&[("LD_PRELOAD", &library), ("CLOCK_OFFSET", offset)]);
    }
    scene.submit();
    scene.await_landed(8);
    let cluster = &mut scene.cluster;
    assert!(cluster.workers[0].log_text().contains("\"time\":"));
    cluster.registry.kill();
    cluster.registry.set("CLOCK_OFFSET", "-300");
    cluster.registry.start();
    scene.settle();
    let times = "SELECT max(at) < (SELECT max(at) FROM event WHERE kind = 'attempt_leased' AND sequence < 20) \
                 FROM event WHERE kind = 'run_finished'";
    assert_eq!(
        scene.cluster.database.sql(times),
        "t",
        "the registry's clock has jumped back"
    );
    scene.verdict();
}

#[test]
fn an_older_registry_refuses_a_newer_schema_and_leaves_it_alone() {
    let mut scene = Scene::running(chains(4, 4));
    scene.await_landed(4);
    scene.cluster.registry.kill();
    let database = &scene.cluster.database;
    let usual = database.sql("SELECT version, min_reader FROM schema_compat");
    let (version, reader) = usual.split_once('|').unwrap();
    database.sql("UPDATE schema_compat SET version = 9000, min_reader = 9000");
    let registry = &mut scene.cluster.registry;
    let mut command = registry.command();
    let refused = autopack_testkit::program::run(&mut command, BOUND);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let said = [refused.stdout, refused.stderr].concat();
    assert!(
        said.contains("SCHEMA_TOO_NEW") && said.contains("9000"),
        "{said}"
    );
    let database = &scene.cluster.database;
    let kept = database.sql("SELECT version, min_reader FROM schema_compat");
    assert_eq!(kept, "9000|9000", "an older version changes nothing");
    // A newer one that this version may still read.
    database.sql(&format!(
        "UPDATE schema_compat SET version = 9000, min_reader = {reader}"
    ));
    scene.cluster.registry.start();
    scene.settle();
    let database = &scene.cluster.database;
    assert_eq!(database.sql("SELECT version FROM schema_compat"), "9000");
    database.sql(&format!("UPDATE schema_compat SET version = {version}"));
    scene.verdict();
}
