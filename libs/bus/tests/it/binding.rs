//! Who makes streams and consumers, and what becomes of those that differ.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::jetstream::{self, stream::RetentionPolicy};
use autopack_bus::{Bus, BusConfig, BusError, JetStreamBus, JobOptions};
use autopack_testkit::{Nats, NatsVersion};
use tokio::time::timeout;

use crate::rig::{SOON, job, job_of, take};

fn worker(server: &Nats) -> BusConfig {
    BusConfig {
        manage: false,
        name: "builder-worker/1".into(),
        ..BusConfig::at(server.url())
    }
}

async fn admin(server: &Nats) -> jetstream::Context {
    jetstream::new(async_nats::connect(server.url()).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_makes_nothing_and_waits_for_the_registry() {
    let server = Nats::start(NatsVersion::Newest);
    let bus = JetStreamBus::connect(worker(&server)).await.unwrap();
    assert!(
        bus.publish_jobs(vec![job("x")])
            .await
            .unwrap_err()
            .is_transient()
    );
    let mut source = bus.jobs(JobOptions::default()).await.unwrap();
    let waiting = tokio::spawn(async move {
        loop {
            match source.next().await {
                Ok(delivery) => break delivery.unwrap().ack().await,
                Err(error) => {
                    assert!(
                        error.to_string().contains("the registry makes it"),
                        "{error}"
                    );
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let context = admin(&server).await;
    assert!(context.get_stream("AUTOPACK_JOBS").await.is_err());
    let registry = JetStreamBus::connect(BusConfig::at(server.url()))
        .await
        .unwrap();
    registry.publish_jobs(vec![job("a")]).await.unwrap();
    timeout(SOON, waiting).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_worker_refuses_a_consumer_that_takes_jobs_away_too_early() {
    let server = Nats::start(NatsVersion::Newest);
    let config = BusConfig {
        ack_wait: Duration::from_secs(5),
        ..BusConfig::at(server.url())
    };
    let _registry = JetStreamBus::connect(config).await.unwrap();
    let bus = JetStreamBus::connect(worker(&server)).await.unwrap();
    let Err(error) = bus.jobs(JobOptions::default()).await else {
        panic!("the worker would lose its jobs after 5 s");
    };
    assert!(matches!(error, BusError::Config(_)), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("5000 ms") && text.contains("30000 ms"),
        "{text}"
    );
}

#[tokio::test]
async fn limits_that_differ_are_told_and_mended() {
    let server = Nats::start(NatsVersion::Oldest);
    let bus = JetStreamBus::connect(BusConfig::at(server.url()))
        .await
        .unwrap();
    assert_eq!(bus.stats().drifts, 0);
    let config = BusConfig {
        events_max_bytes: 1 << 20,
        fleet_slots: 3000,
        max_deliver: 9,
        ..BusConfig::at(server.url())
    };
    let other = JetStreamBus::connect(config).await.unwrap();
    assert_eq!(other.stats().drifts, 4, "a stream and three consumers");
    let context = admin(&server).await;
    let events = context.get_stream("AUTOPACK_EVENTS").await.unwrap();
    assert_eq!(events.cached_info().config.max_bytes, 1 << 20);
    let jobs = context.get_stream("AUTOPACK_JOBS").await.unwrap();
    let consumer = jobs.consumer_info("jobs-low-default").await.unwrap();
    assert_eq!(consumer.config.max_ack_pending, 6000);
    assert_eq!(consumer.config.max_deliver, 9);
    other.maintain().await.unwrap();
    assert_eq!(other.stats().drifts, 4, "what was mended stays so");
}

#[tokio::test]
async fn what_the_server_does_not_let_us_change_is_named() {
    let server = Nats::start(NatsVersion::Newest);
    let context = admin(&server).await;
    let other = jetstream::stream::Config {
        name: "AUTOPACK_JOBS".into(),
        subjects: vec!["autopack.jobs.>".into()],
        retention: RetentionPolicy::Limits,
        ..Default::default()
    };
    context.create_stream(other).await.unwrap();
    let Err(error) = JetStreamBus::connect(BusConfig::at(server.url())).await else {
        panic!("jobs would never leave such a stream");
    };
    assert!(matches!(error, BusError::Config(_)), "{error}");
    assert!(error.to_string().contains("retention"), "{error}");
}

#[tokio::test]
async fn a_lane_gets_its_consumers_with_its_first_job() {
    let server = Nats::start(NatsVersion::Newest);
    let registry = JetStreamBus::connect(BusConfig::at(server.url()))
        .await
        .unwrap();
    registry
        .publish_jobs(vec![job_of("a", 5, "gpu")])
        .await
        .unwrap();
    let bus = JetStreamBus::connect(worker(&server)).await.unwrap();
    let options = JobOptions {
        lanes: vec!["gpu".into()],
        ..JobOptions::default()
    };
    let mut source = bus.jobs(options).await.unwrap();
    take(&mut source).await.ack().await.unwrap();
}

/// Nobody may empty the job stream behind the registry's back; a deleted consumer is made anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_is_refused_and_a_deleted_consumer_comes_back() {
    let server = Nats::start(NatsVersion::Newest);
    let registry = Arc::new(
        JetStreamBus::connect(BusConfig::at(server.url()))
            .await
            .unwrap(),
    );
    let context = admin(&server).await;
    let jobs = context.get_stream("AUTOPACK_JOBS").await.unwrap();
    let kept = registry.publish_jobs(vec![job("kept")]).await.unwrap()[0];
    assert!(jobs.purge().await.is_err());
    assert!(registry.has_job(kept).await.unwrap());
    let bus = JetStreamBus::connect(worker(&server)).await.unwrap();
    let mut source = bus.jobs(JobOptions::default()).await.unwrap();
    take(&mut source).await.ack().await.unwrap();
    jobs.delete_consumer("jobs-normal-default").await.unwrap();
    registry.maintain().await.unwrap();
    registry.publish_jobs(vec![job("a")]).await.unwrap();
    let deadline = Instant::now() + SOON;
    loop {
        assert!(Instant::now() < deadline, "the worker does not come back");
        match timeout(SOON, source.next()).await.unwrap() {
            Ok(delivery) => break delivery.unwrap().ack().await.unwrap(),
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    }
}

/// A frozen server: calls end by their deadline, and go on after it thaws.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_is_waited_for_with_deadlines() {
    let server = Nats::start(NatsVersion::Newest);
    let config = BusConfig {
        request_timeout: Duration::from_millis(500),
        ..BusConfig::at(server.url())
    };
    let bus = JetStreamBus::connect(config).await.unwrap();
    server.freeze();
    let before = Instant::now();
    let error = bus.publish_jobs(vec![job("a")]).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(before.elapsed() < Duration::from_secs(5));
    assert_eq!(bus.stats().publish_failures, 1);
    server.thaw();
    let deadline = Instant::now() + SOON;
    while let Err(error) = bus.publish_jobs(vec![job("a")]).await {
        assert!(error.is_transient() && Instant::now() < deadline, "{error}");
    }
}
