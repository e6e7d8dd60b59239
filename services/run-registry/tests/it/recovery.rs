//! What a crash, a lost lease or a bad row leaves behind.

use std::time::Duration;

use autopack_domain::Reason;
use autopack_wire::{registry as pb, status::from_status};

use crate::harness::{Harness, PLAN, Place, both, request, until};

both!(
    an_expired_lease_is_fenced_and_its_phase_waits_again,
    a_settlement_whose_answer_was_lost_is_answered_again,
);

async fn an_expired_lease_is_fenced_and_its_phase_waits_again(place: Place) {
    let h = Harness::start(&place).await;
    let run = h.create(request(PLAN)).await.unwrap().run.unwrap();
    h.bootstrap(&run).await;
    let old = h.lease(&run, 0).await;
    let beat = |worker: String, lease: (String, u64)| pb::HeartbeatRequest {
        worker_uid: worker,
        leases: vec![pb::LeaseRef {
            uid: lease.0,
            fence: lease.1,
        }],
        ..Default::default()
    };
    h.clock.advance(Duration::from_secs(6));
    let kept = h
        .clients
        .work
        .clone()
        .heartbeat(beat(h.worker.clone(), old.clone()))
        .await
        .unwrap()
        .into_inner();
    assert!(kept.stop.is_empty());
    h.clock.advance(Duration::from_secs(6));
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(
        h.run("demo").await.phases[0].current_attempt,
        old.0,
        "the renewal gave it ten more seconds"
    );
    h.clock.advance(Duration::from_secs(5));
    until("the lease to expire", async || {
        h.run("demo").await.phases[0].current_attempt.is_empty()
    })
    .await;
    let phase = h.run("demo").await.phases[0].clone();
    assert_eq!(
        (phase.crashes, phase.attempts_charged, phase.cause.as_str()),
        (1, 0, "LEASE_EXPIRED")
    );
    let lost = h
        .clients
        .work
        .clone()
        .heartbeat(beat(h.worker.clone(), old.clone()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(lost.stop, vec![old.0.clone()], "the worker is told to stop");
    let new = h.lease(&run, 0).await;
    let refused = h.settle(&run, &old, "").await.unwrap_err();
    assert!(from_status(&refused).is(Reason::LeaseFenced));
    h.settle(&run, &new, "").await.unwrap();
    assert_eq!(
        h.run("demo").await.phases[0].state().as_str_name(),
        "STATE_COMPLETE"
    );
    h.stop().await;
}

#[tokio::test]
async fn a_restart_hands_leases_over_and_charges_nothing() {
    let place = Place::sqlite();
    let h = Harness::start(&place).await;
    let run = h.create(request(PLAN)).await.unwrap().run.unwrap();
    h.bootstrap(&run).await;
    let old = h.lease(&run, 0).await;
    let before = h.run("demo").await.run.unwrap().last_event;
    h.stop().await;
    let h = Harness::start(&place).await;
    until("the lease to end", async || {
        h.run("demo").await.phases[0].current_attempt.is_empty()
    })
    .await;
    let phase = h.run("demo").await.phases[0].clone();
    assert_eq!(
        (phase.crashes, phase.attempts_charged, phase.attempts_made),
        (0, 0, 1)
    );
    assert!(h.run("demo").await.run.unwrap().last_event > before);
    let refused = h.settle(&run, &old, "").await.unwrap_err();
    assert!(from_status(&refused).is(Reason::LeaseFenced));
    for phase in [0, 1] {
        let lease = h.lease(&run, phase).await;
        h.settle(&run, &lease, "").await.unwrap();
    }
    assert_eq!(h.state("demo").await, "STATE_DONE_SUCCESS");
    h.stop().await;
}

#[tokio::test]
async fn an_older_registry_is_fenced_by_the_epoch() {
    let place = Place::sqlite();
    let old = Harness::start(&place).await;
    old.create(request(PLAN)).await.unwrap();
    let new = Harness::start(&place).await;
    let pause = pb::PauseRunRequest {
        run_id: "demo".into(),
        ..Default::default()
    };
    let refused = old
        .clients
        .registry
        .clone()
        .pause_run(pause.clone())
        .await
        .unwrap_err();
    assert!(
        from_status(&refused).is(Reason::RegistryUnavailable),
        "{refused:?}"
    );
    new.clients.registry.clone().pause_run(pause).await.unwrap();
    new.stop().await;
}

async fn a_settlement_whose_answer_was_lost_is_answered_again(place: Place) {
    let h = Harness::start(&place).await;
    let run = h.create(request(PLAN)).await.unwrap().run.unwrap();
    h.bootstrap(&run).await;
    let lease = h.lease(&run, 0).await;
    h.settle(&run, &lease, "").await.unwrap();
    let events = h.run("demo").await.run.unwrap().last_event;
    h.settle(&run, &lease, "").await.unwrap();
    let other = h.settle(&run, &lease, "GATE_FAILED").await.unwrap_err();
    assert!(from_status(&other).is(Reason::LeaseFenced));
    assert_eq!(
        h.run("demo").await.run.unwrap().last_event,
        events,
        "nothing was recorded twice"
    );
    h.stop().await;
}
