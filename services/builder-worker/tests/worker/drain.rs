//! The worker's own service: status, slots, and taking it out of service.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use autopack_bus::Bus;
use autopack_domain::plan::{BuilderSpec, PatchSpec};
use autopack_domain::run::JobKind;
use autopack_wire::convert::duration_to_proto;
use autopack_wire::types::attempt::State as Stage;
use autopack_wire::worker::{self as pb, get_status_response::State};

use crate::world::{World, adding, command, phase, plan, until};

async fn status(world: &World) -> pb::GetStatusResponse {
    let mut client = world.service().worker;
    let answer = client.get_status(pb::GetStatusRequest {}).await;
    answer.unwrap().into_inner()
}

async fn slots(world: &World) -> Vec<pb::Slot> {
    let mut client = world.service().worker;
    let answer = client.list_slots(pb::ListSlotsRequest {}).await;
    answer.unwrap().into_inner().slots
}

async fn drain(world: &World, grace: Duration) -> u32 {
    let request = pb::DrainRequest {
        grace: Some(duration_to_proto(grace)),
    };
    let mut client = world.service().worker;
    client.drain(request).await.unwrap().into_inner().slots_used
}

async fn until_state(world: &World, state: State) {
    let mut client = world.service().worker;
    for _ in 0..3000 {
        let answer = client.get_status(pb::GetStatusRequest {}).await.unwrap();
        if answer.get_ref().state() == state {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    unreachable!("the worker never was {state:?}");
}

/// Starts a builder that waits for a file.
async fn waiting_builder(world: &mut World) -> (uuid::Uuid, PathBuf) {
    let (began, go) = (world.path("began"), world.path("go"));
    let script = format!(
        "echo new > new.txt; : > {}; while ! [ -e {} ]; do sleep 0.02; done",
        began.display(),
        go.display()
    );
    let uid = world.offer(command("P1", &script)).await;
    until("the builder runs", || began.exists()).await;
    (uid, go)
}

#[tokio::test]
async fn a_drain_lets_what_runs_finish_and_begins_nothing() {
    let mut world = World::new();
    until_state(&world, State::Active).await;
    let (uid, go) = waiting_builder(&mut world).await;
    let working = slots(&world).await;
    let slot = working.iter().find(|slot| slot.uid == uid.to_string());
    let slot = slot.expect("a slot works on the attempt");
    assert_eq!(slot.state(), pb::slot::State::Working);
    assert_eq!(
        (slot.kind.as_str(), slot.phase_id.as_str()),
        ("phase", "P1")
    );
    assert_eq!((slot.run_id.as_str(), slot.attempt), ("demo", 1));
    assert_eq!(slot.stage(), Stage::Building);
    assert!(slot.since_time.is_some());
    assert_eq!(working.len(), 2);
    let other = working.iter().find(|slot| slot.uid.is_empty()).unwrap();
    assert_eq!(other.state(), pb::slot::State::Idle);

    assert_eq!(drain(&world, Duration::from_secs(20)).await, 1);
    until_state(&world, State::Draining).await;
    until("the registry was told", || {
        let state = world.fake.state();
        state.presence.draining && !state.presence.leaving
    })
    .await;
    let now = status(&world).await;
    assert_eq!((now.slots, now.slots_used), (2, 1));
    assert!(now.grace_left.is_some_and(|left| left.seconds < 20));
    assert!(now.heartbeat_age.is_some() && !now.worker_uid.is_empty());
    let late = world.patch_phase("P2", &adding("a.txt", "a"));
    let late = world.offer(late).await;
    std::fs::write(go, "").unwrap();
    assert_eq!(world.report(uid).await.cause, None);
    world.ended().await;
    until_state(&world, State::Drained).await;
    let state = world.fake.state();
    assert!(state.presence.leaving, "the registry was told at the end");
    assert!(!state.settled.contains_key(&late) && state.released.is_empty());
    drop(state);
    let left = (1..=2)
        .filter(|n| futures::executor::block_on(world.bus.has_job(*n)).unwrap())
        .count();
    assert_eq!(left, 1, "the job that was not begun is still there");
}

#[tokio::test]
async fn a_drain_without_patience_hands_back_and_may_be_asked_for_twice() {
    let mut world = World::new();
    let (uid, _) = waiting_builder(&mut world).await;
    drain(&world, Duration::from_hours(1)).await;
    until_state(&world, State::Draining).await;
    assert!(world.fake.state().released.is_empty());
    drain(&world, Duration::ZERO).await;
    world.ended().await;
    let state = world.fake.state();
    assert!(state.released.contains(&uid) && state.settled.is_empty());
}

#[tokio::test]
async fn a_signal_during_a_long_drain_means_the_configured_grace() {
    let mut world = World::new();
    let (uid, _) = waiting_builder(&mut world).await;
    drain(&world, Duration::from_hours(1)).await;
    until_state(&world, State::Draining).await;
    // `drain_grace` of the test's configuration is nothing.
    world.shut_down().await;
    assert!(world.fake.state().released.contains(&uid));
}

#[tokio::test]
async fn what_was_not_begun_is_handed_back_at_once() {
    let mut world = World::idle();
    let mut config = world.config();
    config.drain_grace = Duration::from_mins(1);
    world.start_on(config, |_| {});
    world.fake.state().hang_in = Some("get_artifact");
    let patch = PatchSpec {
        path: "a.patch".into(),
        digest: "0".repeat(64),
    };
    let built = phase(
        "P1",
        BuilderSpec::Patch {
            patches: vec![patch],
        },
    );
    let job = world
        .offer_job(JobKind::Bootstrap, Some(plan(vec![built])))
        .await;
    until("the bootstrap is under way", || {
        world.fake.state().calls.contains(&"get_artifact")
    })
    .await;
    let began = Instant::now();
    world.shut_down().await;
    let took = began.elapsed();
    assert!(world.fake.state().released.contains(&job.0));
    assert!(took < Duration::from_millis(200), "it took {took:?}");
}
