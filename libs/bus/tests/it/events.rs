//! What every bus does with events.

use autopack_bus::{EventItem, EventOptions, EventSource};
use tokio::time::timeout;

use crate::rig::{Rig, SILENCE, SOON, event};

async fn next(source: &mut Box<dyn EventSource>) -> EventItem {
    let next = timeout(SOON, source.next()).await;
    next.expect("an item in time")
        .unwrap()
        .expect("the bus is open")
}

/// The global number of an event, or `None` for a gap.
async fn number(source: &mut Box<dyn EventSource>) -> Option<u64> {
    match next(source).await {
        EventItem::Gap => None,
        EventItem::Event(event) => Some(event.sequence),
    }
}

pub(crate) async fn events_come_in_order_after_a_first_gap(rig: Rig) {
    rig.bus
        .publish_events(vec![event("aa", 1, 1)])
        .await
        .unwrap();
    let mut source = rig.bus.events(EventOptions::default()).await.unwrap();
    let events: Vec<_> = (2..=500).map(|n| event("aa", n, n)).collect();
    rig.bus.publish_events(events.clone()).await.unwrap();
    assert_eq!(next(&mut source).await, EventItem::Gap);
    for sent in events {
        let EventItem::Event(got) = next(&mut source).await else {
            panic!("a gap where none was");
        };
        assert_eq!(*got, sent.event);
    }
    assert!(timeout(SILENCE, source.next()).await.is_err());
}

pub(crate) async fn a_hole_in_the_numbers_is_a_gap(rig: Rig) {
    let mut source = rig.bus.events(EventOptions::default()).await.unwrap();
    let sent = [7, 8, 10, 11, 3, 4].map(|n| event("aa", n, n)).to_vec();
    rig.bus.publish_events(sent).await.unwrap();
    let expected = [
        None,
        Some(7),
        Some(8),
        None,
        Some(10),
        Some(11),
        None,
        Some(3),
        Some(4),
    ];
    for (place, expected) in expected.into_iter().enumerate() {
        assert_eq!(number(&mut source).await, expected, "at {place}");
    }
}

pub(crate) async fn doubles_are_dropped(rig: Rig) {
    let mut source = rig.bus.events(EventOptions::default()).await.unwrap();
    for n in [1, 2, 1, 2, 3] {
        let sent = vec![event("aa", n, n)];
        rig.bus.publish_events(sent).await.unwrap();
    }
    for expected in [None, Some(1), Some(2), Some(3)] {
        assert_eq!(number(&mut source).await, expected);
    }
}

pub(crate) async fn one_run_can_be_followed(rig: Rig) {
    let options = EventOptions {
        run_uid: Some("bb".into()),
    };
    let mut source = rig.bus.events(options).await.unwrap();
    let sent = vec![
        event("aa", 1, 1),
        event("bb", 2, 1),
        event("aa", 3, 2),
        event("bb", 4, 2),
    ];
    rig.bus.publish_events(sent).await.unwrap();
    for expected in [None, Some(2), Some(4)] {
        assert_eq!(number(&mut source).await, expected);
    }
}
