//! The bus that misbehaves on purpose.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use autopack_bus::{
    Bus, EventItem, EventOptions, InProcessBus, JobOptions, Limits,
    chaos::{ChaosBus, Faults},
};
use tokio::time::timeout;

use crate::rig::{SILENCE, event, job};

#[tokio::test]
async fn jobs_are_doubled_dropped_and_reordered_by_the_seed() {
    let faults = Faults {
        doubled: 20,
        dropped: 20,
        reordered: 50,
    };
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        let bus = ChaosBus::new(Arc::new(InProcessBus::new(Limits::default())), faults, seed);
        for batch in 0..10 {
            let jobs = (0..10).map(|n| job(&format!("{batch}-{n}"))).collect();
            assert_eq!(bus.publish_jobs(jobs).await.unwrap().len(), 10);
        }
        let mut source = bus.jobs(JobOptions::default()).await.unwrap();
        let mut got = Vec::new();
        while let Ok(next) = timeout(SILENCE, source.next()).await {
            let delivery = next.unwrap().unwrap();
            got.push(delivery.job().job_uid.clone());
            delivery.ack().await.unwrap();
        }
        let done = bus.done();
        assert!(done.doubled > 0 && done.dropped > 0 && done.reordered > 0);
        assert_eq!(got.len() as u64, 100 - done.dropped + done.doubled);
        let mut times: BTreeMap<&String, u64> = BTreeMap::new();
        for uid in &got {
            *times.entry(uid).or_default() += 1;
        }
        assert_eq!(
            times.values().filter(|n| **n == 2).count() as u64,
            done.doubled
        );
        runs.push(got);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn whoever_follows_events_learns_of_what_is_missing() {
    let faults = Faults {
        dropped: 30,
        ..Faults::default()
    };
    let bus = ChaosBus::new(Arc::new(InProcessBus::new(Limits::default())), faults, 1);
    let mut source = bus.events(EventOptions::default()).await.unwrap();
    let events = (1..=50).map(|n| event("aa", n, n)).collect();
    bus.publish_events(events).await.unwrap();
    let (mut last, mut gap) = (0, false);
    while let Ok(item) = timeout(Duration::from_millis(250), source.next()).await {
        match item.unwrap().unwrap() {
            EventItem::Gap => gap = true,
            EventItem::Event(event) => {
                assert!(
                    event.sequence == last + 1 || gap,
                    "{} after {last}",
                    event.sequence
                );
                (last, gap) = (event.sequence, false);
            }
        }
    }
    assert!(bus.done().dropped > 0);
}
