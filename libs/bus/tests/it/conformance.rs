//! What every bus does with jobs.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use autopack_bus::EventOptions;
use tokio::{task::JoinSet, time::timeout};

use crate::rig::{Rig, SOON, assert_silent, job, job_of, take};

const LONG: Duration = Duration::from_secs(30);

pub(crate) async fn a_job_is_taken_once_and_gone_when_acknowledged(rig: Rig) {
    let mut source = rig.source(LONG).await;
    let sequences = rig.publish(&[job("a"), job("b")]).await;
    assert!(sequences[0] < sequences[1]);
    let first = take(&mut source).await;
    assert_eq!(first.job().job_uid, "a");
    assert_eq!(first.deliveries(), 1);
    assert_eq!(first.sequence(), sequences[0]);
    assert_eq!(first.traceparent(), Some("00-a"));
    assert!(rig.bus.has_job(sequences[0]).await.unwrap());
    first.ack().await.unwrap();
    assert!(!rig.bus.has_job(sequences[0]).await.unwrap());
    assert!(rig.bus.has_job(sequences[1]).await.unwrap());
    let second = take(&mut source).await;
    assert_eq!(second.job().job_uid, "b");
    second.ack().await.unwrap();
    assert_silent(&mut source).await;
    assert!(rig.bus.is_connected());
}

pub(crate) async fn a_job_given_back_waits_for_its_delay(rig: Rig) {
    let mut source = rig.source(LONG).await;
    let sequence = rig.publish(&[job("a")]).await[0];
    let before = Instant::now();
    let delay = Duration::from_millis(600);
    take(&mut source).await.nak(delay).await.unwrap();
    assert_silent(&mut source).await;
    assert!(rig.bus.has_job(sequence).await.unwrap());
    let again = take(&mut source).await;
    assert!(before.elapsed() >= delay);
    assert_eq!(again.deliveries(), 2);
    again.nak(Duration::ZERO).await.unwrap();
    let third = take(&mut source).await;
    assert_eq!(third.deliveries(), 3);
    third.ack().await.unwrap();
}

pub(crate) async fn a_dropped_delivery_comes_back_at_once(rig: Rig) {
    let mut source = rig.source(LONG).await;
    rig.publish(&[job("a")]).await;
    drop(take(&mut source).await);
    let again = take(&mut source).await;
    assert_eq!(again.deliveries(), 2);
    drop(source);
    drop(again);
    let mut other = rig.source(LONG).await;
    let third = take(&mut other).await;
    assert_eq!(third.job().job_uid, "a");
    third.ack().await.unwrap();
}

pub(crate) async fn an_unanswered_job_comes_back_and_a_late_ack_still_removes_it(rig: Rig) {
    let mut source = rig.source(Duration::from_millis(500)).await;
    let sequence = rig.publish(&[job("a")]).await[0];
    let stale = take(&mut source).await;
    let current = take(&mut source).await;
    assert_eq!(current.deliveries(), 2);
    // No fence on any bus: whoever acknowledges removes it. The registry's fence is the safety.
    stale.ack().await.unwrap();
    assert!(!rig.bus.has_job(sequence).await.unwrap());
    current.ack().await.unwrap();
    assert_silent(&mut source).await;
}

pub(crate) async fn progress_holds_a_job(rig: Rig) {
    let mut source = rig.source(Duration::from_millis(800)).await;
    rig.publish(&[job("a")]).await;
    let held = take(&mut source).await;
    for _ in 0..8 {
        assert_silent(&mut source).await;
        held.progress().await.unwrap();
    }
    held.ack().await.unwrap();
    assert_silent(&mut source).await;
}

pub(crate) async fn an_id_is_stored_once(rig: Rig) {
    let mut source = rig.source(LONG).await;
    let first = rig.publish(&[job("a")]).await;
    assert_eq!(rig.publish(&[job("a")]).await, first);
    take(&mut source).await.ack().await.unwrap();
    assert_silent(&mut source).await;
    // Within the window the id stays known after the job is gone: a new offer needs a new id.
    assert_eq!(rig.publish(&[job("a")]).await, first);
    assert_silent(&mut source).await;
    assert!(rig.publish(&[job("a2")]).await > first);
    take(&mut source).await.ack().await.unwrap();
}

pub(crate) async fn urgent_jobs_come_first(rig: Rig) {
    let jobs = [("low", 1), ("mid", 5), ("mid2", 5), ("top", 9)];
    let jobs = jobs.map(|(id, priority)| job_of(id, priority, "default"));
    rig.publish(&jobs).await;
    let mut source = rig.source(LONG).await;
    let mut order = Vec::new();
    for _ in 0..jobs.len() {
        let delivery = take(&mut source).await;
        order.push(delivery.job().job_uid.clone());
        delivery.ack().await.unwrap();
    }
    assert_eq!(order, ["top", "mid", "mid2", "low"]);
}

pub(crate) async fn lanes_are_kept_apart(rig: Rig) {
    let mut plain = rig.source(LONG).await;
    let mut both = rig.source_of(&["GPU box", "spare"], LONG).await;
    rig.publish(&[job_of("a", 5, "GPU box"), job_of("b", 5, "spare")])
        .await;
    assert_silent(&mut plain).await;
    let mut got = BTreeSet::new();
    for _ in 0..2 {
        let delivery = take(&mut both).await;
        got.insert(delivery.job().job_uid.clone());
        delivery.ack().await.unwrap();
    }
    assert_eq!(got, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    rig.publish(&[job_of("c", 5, "")]).await;
    take(&mut plain).await.ack().await.unwrap();
}

pub(crate) async fn a_dropped_next_loses_nothing(rig: Rig) {
    let mut source = rig.source(LONG).await;
    let jobs: Vec<_> = (0..50).map(|n| job(&format!("job-{n}"))).collect();
    let mut got = BTreeSet::new();
    let deadline = Instant::now() + SOON;
    for (n, job) in jobs.iter().enumerate() {
        rig.publish(std::slice::from_ref(job)).await;
        // Some of these are dropped before, some while, and some after a job arrives.
        let patience = Duration::from_micros(n as u64 * 20);
        if let Ok(next) = timeout(patience, source.next()).await {
            let delivery = next.unwrap().unwrap();
            got.insert(delivery.job().job_uid.clone());
            delivery.ack().await.unwrap();
        }
    }
    while got.len() < jobs.len() {
        assert!(Instant::now() < deadline, "only {} came", got.len());
        let delivery = take(&mut source).await;
        got.insert(delivery.job().job_uid.clone());
        delivery.ack().await.unwrap();
    }
    assert_silent(&mut source).await;
}

pub(crate) async fn nothing_is_prefetched(rig: Rig) {
    let mut busy = rig.source(LONG).await;
    let mut idle = rig.source(LONG).await;
    let jobs: Vec<_> = (0..9)
        .map(|n| job_of(&format!("job-{n}"), n, "default"))
        .collect();
    rig.publish(&jobs).await;
    let held = take(&mut busy).await;
    // Far below ack_wait: none of them was waiting with the busy one.
    for _ in 1..jobs.len() {
        take(&mut idle).await.ack().await.unwrap();
    }
    held.ack().await.unwrap();
    assert_silent(&mut idle).await;
}

pub(crate) async fn a_lost_stream_is_another_stream(rig: Rig) {
    let mut source = rig.source(LONG).await;
    let before = rig.bus.stream_epoch().await.unwrap();
    assert_eq!(rig.bus.stream_epoch().await.unwrap(), before);
    let sequence = rig.publish(&[job("a")]).await[0];
    rig.lose_jobs().await;
    assert!(!rig.bus.has_job(sequence).await.unwrap());
    assert_ne!(rig.bus.stream_epoch().await.unwrap(), before);
    // The same source goes on with the new stream, as does the same publisher.
    rig.publish(&[job("a-again")]).await;
    let delivery = take(&mut source).await;
    assert_eq!(delivery.job().job_uid, "a-again");
    delivery.ack().await.unwrap();
    rig.lose_jobs().await;
    rig.publish(&[job("b")]).await;
    take(&mut source).await.ack().await.unwrap();
}

pub(crate) async fn closing_ends_everything(rig: Rig) {
    let mut source = rig.source(LONG).await;
    let mut events = rig.bus.events(EventOptions::default()).await.unwrap();
    events.next().await.unwrap();
    let bus = rig.bus.clone();
    let waiting = tokio::spawn(async move {
        let job = source.next().await.unwrap();
        (job.is_none(), events.next().await.unwrap().is_none())
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let before = Instant::now();
    bus.close(SOON).await;
    assert!(before.elapsed() < Duration::from_secs(3));
    let ended = timeout(SOON, waiting).await.unwrap().unwrap();
    assert_eq!(ended, (true, true));
    assert!(!bus.is_connected());
    assert!(bus.publish_jobs(vec![job("late")]).await.is_err());
}

pub(crate) async fn many_workers_share_many_jobs(rig: Rig) {
    const JOBS: usize = 2_000;
    const WORKERS: usize = 8;
    let jobs: Vec<_> = (0..JOBS)
        .map(|n| job_of(&format!("job-{n}"), (n % 10) as u32, "default"))
        .collect();
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let mut source = rig.source(LONG).await;
        workers.spawn(async move {
            let mut got = Vec::new();
            while let Ok(next) = timeout(Duration::from_secs(2), source.next()).await {
                let delivery = next.unwrap().unwrap();
                got.push(delivery.job().job_uid.clone());
                delivery.ack().await.unwrap();
            }
            got
        });
    }
    for window in jobs.chunks(100) {
        rig.publish(window).await;
    }
    let got = workers.join_all().await.concat();
    let unique: BTreeSet<_> = got.iter().collect();
    assert_eq!((got.len(), unique.len()), (JOBS, JOBS));
}

pub(crate) async fn the_less_urgent_have_their_turn(rig: Rig) {
    let urgent = (0..80).map(|n| job_of(&format!("urgent-{n}"), 9, "default"));
    let others = (0..4).flat_map(|n| {
        [
            job_of(&format!("normal-{n}"), 5, "default"),
            job_of(&format!("low-{n}"), 1, "default"),
        ]
    });
    let jobs: Vec<_> = others.chain(urgent).collect();
    rig.publish(&jobs).await;
    let mut source = rig.source(LONG).await;
    let (mut early, mut low, mut taken) = (0, 0, 0);
    while low < 4 {
        let delivery = take(&mut source).await;
        let uid = delivery.job().job_uid.clone();
        delivery.ack().await.unwrap();
        taken += 1;
        low += usize::from(uid.starts_with("low"));
        early += usize::from(taken <= 40 && uid.starts_with("urgent"));
    }
    assert!(taken <= 72, "the last low one came as number {taken}");
    let first = taken.min(40);
    assert!(
        early >= first * 7 / 8 - 1,
        "only {early} of the first {first} were urgent"
    );
}

/// A slot takes one job and asks for no other: what it holds never exceeds the slots.
pub(crate) async fn each_slot_holds_exactly_what_it_took(rig: Rig) {
    let jobs: Vec<_> = (0..10).map(|n| job(&format!("job-{n}"))).collect();
    rig.publish(&jobs).await;
    let mut slots = Vec::new();
    for _ in 0..3 {
        let mut source = rig.source(LONG).await;
        let held = take(&mut source).await;
        slots.push((source, held));
    }
    let mut rest = rig.source(LONG).await;
    for _ in 0..7 {
        take(&mut rest).await.ack().await.unwrap();
    }
    assert_silent(&mut rest).await;
    for (_, held) in slots {
        assert_eq!(held.deliveries(), 1);
        held.ack().await.unwrap();
    }
}

pub(crate) async fn what_is_stored_is_told(rig: Rig) {
    assert!(rig.bus.stored_jobs().await.unwrap().is_empty());
    // More than one page.
    let jobs: Vec<_> = (0..1_203).map(|n| job(&format!("job-{n}"))).collect();
    rig.publish(&jobs).await;
    let mut source = rig.source(LONG).await;
    let held = take(&mut source).await;
    let delayed = take(&mut source).await;
    let gone = take(&mut source).await;
    let uids = [&held, &delayed, &gone].map(|d| d.job().job_uid.clone());
    delayed.nak(LONG).await.unwrap();
    gone.ack().await.unwrap();
    let stored = rig.bus.stored_jobs().await.unwrap();
    assert_eq!(stored.len(), jobs.len() - 1);
    assert!(stored.contains(&uids[0]) && stored.contains(&uids[1]));
    assert!(!stored.contains(&uids[2]));
    rig.bus.maintain().await.unwrap();
    rig.lose_jobs().await;
    assert!(rig.bus.stored_jobs().await.unwrap().is_empty());
}
