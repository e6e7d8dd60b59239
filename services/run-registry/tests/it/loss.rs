//! A registry whose database connection is cut, or whose server goes away: it waits, answers, and comes back.

use std::time::Duration;

use autopack_domain::Reason;
use autopack_testkit::Postgres;
use autopack_wire::{registry as pb, status::from_status};

use crate::harness::{Harness, PLAN, Place, request, until};

fn plan(number: usize) -> String {
    PLAN.replace("id: demo", &format!("id: demo-{number}"))
}

fn stats(h: &Harness) -> autopack_store_write::WriterStats {
    let core = h.serving.as_ref().unwrap().core();
    core.expect("it stays active").writer_stats()
}

#[tokio::test]
async fn a_cut_connection_is_made_again_and_no_command_is_lost_or_doubled() {
    let place = Place::postgres();
    let h = Harness::start(&place).await;
    let base = place.base.as_ref().unwrap();
    for number in 0..5 {
        assert_eq!(base.cut_sessions("run-registry "), 1, "one session writes");
        let created = h.create(request(&plan(number))).await.unwrap();
        assert!(!created.existing);
    }
    assert!(stats(&h).reconnections >= 5, "{:?}", stats(&h));
    assert_eq!(base.sql("SELECT count(*) FROM run"), "5");
    let gaps = "SELECT count(*) = max(sequence) AND min(sequence) = 1 FROM event";
    assert_eq!(base.sql(gaps), "t", "the log has no gap");
    assert_eq!(
        base.sql("SELECT epoch FROM registry_epoch"),
        "1",
        "nobody took over"
    );
    h.stop().await;
}

#[tokio::test]
async fn cut_readers_are_replaced() {
    let place = Place::postgres();
    let h = Harness::start(&place).await;
    h.create(request(PLAN)).await.unwrap();
    let base = place.base.as_ref().unwrap();
    assert!(base.cut_sessions("run-registry-read") >= 1);
    // A read that meets a dead connection is told to come back, and finds a live one.
    until("reads to be served", async || {
        let asked = pb::ListRunsRequest::default();
        let mut registry = h.clients.registry.clone();
        match registry.list_runs(asked).await {
            Ok(list) => list.into_inner().runs.len() == 1,
            Err(status) => {
                assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
                false
            }
        }
    })
    .await;
    h.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_restarts_delays_commands_and_fails_none() {
    let server = Postgres::start();
    let base = server.database();
    let config = run_registry::RegistryConfig::distributed(Some(&base.url()), "").unwrap();
    let place = Place::sqlite();
    let h = Harness::stand_by(&place, config).await;
    assert!(h.serving.as_ref().unwrap().until_active().await);
    h.create(request(&plan(0))).await.unwrap();
    server.kill();
    let waiting = h.create(request(&plan(1)));
    let (created, ()) = tokio::join!(waiting, async {
        tokio::task::block_in_place(|| server.resume());
    });
    // The look for a run of the same id may meet the dead server; a repetition is safe and finds it alive.
    if let Err(status) = created {
        assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
        until("the registry to serve again", async || {
            h.create(request(&plan(1))).await.is_ok()
        })
        .await;
    }
    assert_eq!(base.sql("SELECT count(*) FROM run"), "2");
    h.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_away_commands_are_told_to_come_back() {
    let server = Postgres::start();
    let base = server.database();
    let config = run_registry::RegistryConfig::distributed(Some(&base.url()), "").unwrap();
    let place = Place::sqlite();
    let h = Harness::stand_by(&place, config).await;
    assert!(h.serving.as_ref().unwrap().until_active().await);
    h.create(request(PLAN)).await.unwrap();
    server.stop();
    let pause = pb::PauseRunRequest {
        run_id: "demo".into(),
        ..Default::default()
    };
    let mut registry = h.clients.registry.clone();
    let asked = registry.pause_run(pause.clone());
    let refused = tokio::time::timeout(Duration::from_secs(20), asked).await;
    let refused = refused.expect("an answer in time").unwrap_err();
    let error = from_status(&refused);
    assert!(error.is(Reason::RegistryUnavailable), "{error:?}");
    assert!(error.retry_after.is_some(), "{error:?}");
    server.resume();
    until("the registry to serve again", async || {
        let again = h.clients.registry.clone().pause_run(pause.clone()).await;
        again.is_ok()
    })
    .await;
    assert!(
        h.serving
            .as_ref()
            .unwrap()
            .core()
            .unwrap()
            .is_database_reachable()
    );
    h.stop().await;
}
