//! Two registries on one database: one is active, the other waits, says so, and takes over.

use std::time::Duration;

use autopack_domain::Reason;
use autopack_testkit::Postgres;
use autopack_wire::{registry as pb, status::from_status};
use run_registry::Activity;

use crate::harness::{Harness, PLAN, Place, request, until};

async fn two(place: &Place) -> (Harness, Harness) {
    let one = Harness::start(place).await;
    let two = Harness::stand_by(place, place.config("http://two:2")).await;
    until("the second to be a standby", async || {
        matches!(*activity(&two).borrow(), Activity::Standby { .. })
    })
    .await;
    (one, two)
}

fn activity(h: &Harness) -> tokio::sync::watch::Receiver<Activity> {
    h.serving.as_ref().unwrap().activity()
}

fn pause() -> pb::PauseRunRequest {
    pb::PauseRunRequest {
        run_id: "demo".into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_second_registry_stands_by_and_names_the_active_one() {
    let place = Place::postgres();
    let (one, two) = two(&place).await;
    one.create(request(PLAN)).await.unwrap();
    let refused = two.create(request(PLAN)).await.unwrap_err();
    let error = from_status(&refused);
    assert!(error.is(Reason::NotActive), "{error:?}");
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    assert_eq!(error.metadata["active"], "http://one:1");
    assert_eq!(error.metadata["epoch"], "1");
    assert!(error.retry_after.is_some(), "it is worth repeating");
    let beat = pb::HeartbeatRequest::default();
    let refused = two.clients.work.clone().heartbeat(beat).await.unwrap_err();
    assert!(from_status(&refused).is(Reason::NotActive), "every service");
    two.stop().await;
    one.clients
        .registry
        .clone()
        .pause_run(pause())
        .await
        .unwrap();
    one.stop().await;
}

#[tokio::test]
async fn a_standby_takes_over_with_live_leases_and_a_higher_epoch() {
    let place = Place::postgres();
    let (one, mut two) = two(&place).await;
    let run = one.create(request(PLAN)).await.unwrap().run.unwrap();
    one.bootstrap(&run).await;
    let lease = one.lease(&run, 0).await;
    one.stop().await;
    assert!(two.serving.as_ref().unwrap().until_active().await);
    two.worker = two.register().await;
    assert_eq!(two.serving.as_ref().unwrap().core().unwrap().epoch(), 2);
    let phase = two.run("demo").await.phases[0].clone();
    assert_eq!(phase.current_attempt, lease.0, "the lease goes on");
    two.settle(&run, &lease, "")
        .await
        .expect("with the fence it had");
    let lease = two.lease(&run, 1).await;
    // A deadline of its own by the new registry's clock: it ends only after the full length.
    two.clock.advance(Duration::from_secs(11));
    until("the new lease to expire", async || {
        two.run("demo").await.phases[1].current_attempt.is_empty()
    })
    .await;
    let late = two.settle(&run, &lease, "").await.unwrap_err();
    assert!(from_status(&late).is(Reason::LeaseFenced));
    two.stop().await;
}

/// Its intent is stored and the answer was lost with the registry; another attempt asks for the turn first.
#[tokio::test]
async fn an_attempt_with_a_stored_intent_lands_first_after_a_take_over() {
    let place = Place::postgres();
    let (one, two) = two(&place).await;
    let plan = PLAN.replace("id: B, name: b,", "id: B, name: b, depends_on: [],");
    let run = one.create(request(&plan)).await.unwrap().run.unwrap();
    one.bootstrap(&run).await;
    let (first, second) = (one.lease(&run, 0).await, one.lease(&run, 1).await);
    let reach = async |h: &Harness, lease: &(String, u64)| {
        let stage = pb::ReportStageRequest {
            run_uid: run.uid.clone(),
            attempt_uid: lease.0.clone(),
            fence: lease.1,
            stage: autopack_wire::types::attempt::State::Landing.into(),
        };
        h.clients.work.clone().report_stage(stage).await.unwrap();
    };
    let turn = async |h: &Harness, lease: &(String, u64)| {
        let request = pb::AwaitLandingTurnRequest {
            run_uid: run.uid.clone(),
            attempt_uid: lease.0.clone(),
            fence: lease.1,
            wait: None,
        };
        let answer = h.clients.work.clone().await_landing_turn(request).await;
        answer.unwrap().into_inner()
    };
    let prepare = async |h: &Harness, lease: &(String, u64), tip: &str| {
        let intent = autopack_wire::types::Intent {
            expected_tip: tip.to_owned(),
            tree: "tree".into(),
            commit: format!("commit of {}", lease.0),
            resolved: false,
        };
        let request = pb::PrepareLandingRequest {
            run_uid: run.uid.clone(),
            attempt_uid: lease.0.clone(),
            fence: lease.1,
            intent: Some(intent),
        };
        h.clients.work.clone().prepare_landing(request).await
    };
    reach(&one, &first).await;
    reach(&one, &second).await;
    let granted = turn(&one, &first).await;
    assert!(granted.granted);
    prepare(&one, &first, &granted.tip).await.unwrap();
    one.stop().await;
    assert!(two.serving.as_ref().unwrap().until_active().await);

    let early = turn(&two, &second).await;
    assert!(early.granted, "the queue was lost with the registry");
    let busy = prepare(&two, &second, &early.tip).await.unwrap_err();
    assert!(from_status(&busy).is(Reason::LandingBusy), "{busy:?}");
    let granted = turn(&two, &first).await;
    assert!(granted.granted, "nobody can land before it");
    prepare(&two, &first, &granted.tip).await.unwrap();
    assert!(!turn(&two, &second).await.granted);
    two.stop().await;
}

#[tokio::test]
async fn an_active_registry_that_lost_its_session_to_another_one_becomes_a_standby() {
    let place = Place::postgres();
    let (one, two) = two(&place).await;
    one.create(request(PLAN)).await.unwrap();
    // Its session ends and cannot come back before the standby has the lock.
    let base = place.base.as_ref().unwrap();
    let epoch = "UPDATE registry_epoch SET epoch = epoch + 1, address = 'http://other:3'";
    base.sql(epoch);
    let refused = one
        .clients
        .registry
        .clone()
        .pause_run(pause())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused:?}");
    until("one of them to be active again", async || {
        activity(&one).borrow().is_active() || activity(&two).borrow().is_active()
    })
    .await;
    let (active, other) = if activity(&one).borrow().is_active() {
        (&one, &two)
    } else {
        (&two, &one)
    };
    active
        .clients
        .registry
        .clone()
        .pause_run(pause())
        .await
        .unwrap();
    let refused = other
        .clients
        .registry
        .clone()
        .pause_run(pause())
        .await
        .unwrap_err();
    assert!(from_status(&refused).is(Reason::NotActive), "{refused:?}");
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn a_registry_that_starts_before_its_database_serves_once_that_is_there() {
    let server = Postgres::start();
    let base = server.database();
    let config = run_registry::RegistryConfig::distributed(Some(&base.url()), "").unwrap();
    let place = Place::sqlite();
    server.stop();
    let h = Harness::stand_by(&place, config).await;
    let refused = h.create(request(PLAN)).await.unwrap_err();
    assert!(from_status(&refused).is(Reason::NotActive), "{refused:?}");
    server.resume();
    assert!(h.serving.as_ref().unwrap().until_active().await);
    h.create(request(PLAN)).await.unwrap();
    h.stop().await;
}

#[tokio::test]
async fn a_schema_that_is_too_new_ends_the_registry_with_what_it_needs() {
    let place = Place::postgres();
    let h = Harness::start(&place).await;
    h.stop().await;
    let base = place.base.as_ref().unwrap();
    base.sql("UPDATE schema_compat SET version = 9000, min_reader = 9000");
    let h = Harness::stand_by(&place, place.config("")).await;
    h.supervisor.cancelled().await;
    let report = h.supervisor.shutdown(Duration::from_secs(5)).await;
    let failure = report.failure.unwrap();
    assert!(
        failure.contains("SCHEMA_TOO_NEW") && failure.contains("9000"),
        "{failure}"
    );
}

#[tokio::test]
async fn the_schema_is_checked_and_applied_from_the_command_line() {
    let place = Place::postgres();
    let config = place.config("");
    let missing = run_registry::migrate::check(&config).await.unwrap();
    assert!(missing.len() >= 3, "{missing:?}");
    assert_eq!(
        run_registry::migrate::apply(&config).await.unwrap(),
        missing
    );
    assert_eq!(run_registry::migrate::check(&config).await.unwrap(), []);
    assert_eq!(run_registry::migrate::apply(&config).await.unwrap(), []);
}
