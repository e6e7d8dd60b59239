//! What only the in-process bus has.

use std::time::Duration;

use autopack_bus::{Bus, BusError, EventItem, EventOptions, InProcessBus, JobOptions, Limits};

use crate::rig::{event, job, job_of, take};

#[tokio::test]
async fn a_full_bus_refuses_and_keeps_nothing_of_what_it_refused() {
    let bus = InProcessBus::new(Limits {
        jobs: 2,
        ..Limits::default()
    });
    bus.publish_jobs(vec![job("a")]).await.unwrap();
    let refused = bus.publish_jobs(vec![job("b"), job("c")]).await;
    let Err(error @ BusError::Full(_)) = refused else {
        panic!("{refused:?}");
    };
    assert!(error.is_transient());
    let mut source = bus.jobs(JobOptions::default()).await.unwrap();
    take(&mut source).await.ack().await.unwrap();
    bus.publish_jobs(vec![job("b"), job("c")]).await.unwrap();
}

#[tokio::test]
async fn each_priority_counts_not_only_the_band() {
    let bus = InProcessBus::new(Limits::default());
    let jobs = [3, 6, 4, 9, 7, 0].map(|p| job_of(&p.to_string(), p, "default"));
    bus.publish_jobs(jobs.to_vec()).await.unwrap();
    let mut source = bus.jobs(JobOptions::default()).await.unwrap();
    let mut order = Vec::new();
    for _ in jobs {
        let delivery = take(&mut source).await;
        order.push(delivery.job().priority);
        delivery.ack().await.unwrap();
    }
    assert_eq!(order, [9, 7, 6, 4, 3, 0]);
}

#[tokio::test]
async fn a_job_given_back_keeps_its_place() {
    let bus = InProcessBus::new(Limits::default());
    bus.publish_jobs(vec![job("a"), job("b")]).await.unwrap();
    let mut source = bus.jobs(JobOptions::default()).await.unwrap();
    drop(take(&mut source).await);
    assert_eq!(take(&mut source).await.job().job_uid, "a");
}

#[tokio::test]
async fn a_slow_consumer_gets_a_gap_for_what_it_missed() {
    let bus = InProcessBus::new(Limits {
        events: 4,
        ..Limits::default()
    });
    let mut source = bus.events(EventOptions::default()).await.unwrap();
    assert_eq!(source.next().await.unwrap(), Some(EventItem::Gap));
    let events = (1..=10).map(|n| event("aa", n, n)).collect();
    bus.publish_events(events).await.unwrap();
    assert_eq!(source.next().await.unwrap(), Some(EventItem::Gap));
    for expected in 7..=10 {
        let Some(EventItem::Event(event)) = source.next().await.unwrap() else {
            panic!("one gap is enough");
        };
        assert_eq!(event.sequence, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn delays_follow_the_clock_of_the_test() {
    let bus = InProcessBus::new(Limits::default());
    bus.publish_jobs(vec![job("a")]).await.unwrap();
    let mut source = bus.jobs(JobOptions::default()).await.unwrap();
    let hour = Duration::from_hours(1);
    let before = tokio::time::Instant::now();
    take(&mut source).await.nak(hour).await.unwrap();
    let again = source.next().await.unwrap().unwrap();
    assert!(before.elapsed() >= hour);
    assert_eq!(again.deliveries(), 2);
}

#[tokio::test]
async fn ids_are_forgotten_after_the_window() {
    tokio::time::pause();
    let bus = InProcessBus::new(Limits::default());
    let first = bus.publish_jobs(vec![job("a")]).await.unwrap();
    tokio::time::advance(Duration::from_secs(121)).await;
    assert!(bus.publish_jobs(vec![job("a")]).await.unwrap() > first);
}
