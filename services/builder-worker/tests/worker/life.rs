//! Leases, heartbeats, shutdown, failpoints.

use std::collections::BTreeSet;
use std::sync::Mutex;

use autopack_bus::Bus;
use autopack_domain::plan::StepKind;
use autopack_domain::promotion::PromotionStrategy;
use autopack_domain::run::JobKind;
use builder_worker::failpoints;

use crate::promotions::{promote, promotion};
use crate::world::{World, adding, command, until, with_step};

fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .trim_start()
            .starts_with('Z')
    })
}

/// Starts a builder that would run for a long time; its process id.
async fn long_builder(world: &mut World) -> (uuid::Uuid, String) {
    let file = world.path("pid");
    let script = format!(
        "echo half > half.txt; (trap '' TERM; echo $$ > {}; sleep 600) & sleep 600",
        file.display()
    );
    let uid = world.offer(command("P1", &script)).await;
    let read = || std::fs::read_to_string(&file).unwrap_or_default();
    until("the builder runs", || read().ends_with('\n')).await;
    (uid, read())
}

#[tokio::test]
async fn a_stopped_lease_kills_the_builder_and_nothing_is_settled() {
    let mut world = World::new();
    let (uid, pid) = long_builder(&mut world).await;
    world.fake.state().stop.push(uid);
    until("the tree is gone", || !alive(&pid)).await;
    until("the job is acknowledged", || {
        !futures::executor::block_on(world.bus.has_job(1)).unwrap()
    })
    .await;
    assert!(world.fake.state().settled.is_empty() && world.fake.state().released.is_empty());
}

#[tokio::test]
async fn a_shutdown_hands_back_what_runs() {
    let mut world = World::new();
    let (uid, pid) = long_builder(&mut world).await;
    world.shut_down().await;
    assert!(!alive(&pid));
    // What was half done is not lost.
    assert!(world.private_ref("attempt/P1/1").is_some());
    assert!(world.fake.state().released.contains(&uid));
    assert!(world.fake.state().settled.is_empty());
}

#[tokio::test]
async fn a_dead_worker_leaves_no_builder() {
    let mut world = World::new();
    let (_, pid) = long_builder(&mut world).await;
    world.crash().await;
    until("the tree is gone", || !alive(&pid)).await;
}

#[tokio::test]
async fn refused_jobs_are_dropped_and_an_absent_registry_is_waited_for() {
    let mut world = World::new();
    world.fake.state().unavailable = 3;
    let spec = world.patch_phase("P1", &adding("a.txt", "a"));
    assert_eq!(world.execute(spec).await.cause, None);
    let leases = |world: &World| {
        let calls = world.fake.state().calls.clone();
        calls.iter().filter(|call| **call == "lease_job").count()
    };
    assert_eq!(leases(&world), 4);
    // A job that the registry no longer offers.
    let job = world.offer_job(JobKind::Cleanup, None).await;
    world.fake.state().offers.remove(&job);
    until("nothing is left on the bus", || {
        (1..=2).all(|n| !futures::executor::block_on(world.bus.has_job(n)).unwrap())
    })
    .await;
    assert!(world.fake.state().cleaned.is_empty() || leases(&world) == 5);
}

#[tokio::test]
async fn an_unknown_worker_registers_again() {
    let world = World::new();
    until("it is registered", || world.fake.state().registered == 1).await;
    world.fake.state().forget_worker = true;
    until("it is registered again", || {
        world.fake.state().registered == 2
    })
    .await;
}

static HIT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn record(name: &str) {
    HIT.lock().unwrap().insert(name.to_owned());
}

#[tokio::test]
async fn a_landing_and_a_promotion_hit_every_failpoint() {
    let mut world = World::idle();
    world.start_with(record);
    let spec = world.patch_phase("P1", &adding("a.txt", "a"));
    let report = world
        .execute(with_step(spec, StepKind::Check, "true", 10))
        .await;
    assert_eq!(report.cause, None);
    world.git(&["branch", "release", "HEAD"]);
    let wanted = promotion(&world, PromotionStrategy::FastForward, "release");
    promote(&mut world, wanted).await.unwrap();
    let all: BTreeSet<String> = failpoints::ALL
        .iter()
        .map(|name| (*name).to_owned())
        .collect();
    until("all are hit", || *HIT.lock().unwrap() == all).await;
}
