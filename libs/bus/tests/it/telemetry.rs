//! Measurements: best effort, and honest about it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use autopack_bus::{
    Bus, BusConfig, InProcessBus, JetStreamBus, Limits, Measurement, TelemetryBus as _,
    TelemetryItem, TelemetryOptions, TelemetrySource,
};
use autopack_testkit::{Nats, NatsVersion};
use tokio::time::timeout;

use crate::rig::{Rig, SILENCE, SOON, job, take};

fn measure(kind: &str, value: f64) -> Measurement {
    Measurement {
        kind: kind.into(),
        at: 1_700_000_000_250_000,
        labels: BTreeMap::from([("host".into(), "h".into())]),
        values: BTreeMap::from([("value".into(), value)]),
    }
}

async fn next(source: &mut Box<dyn TelemetrySource>) -> TelemetryItem {
    let next = timeout(SOON, source.next()).await;
    next.expect("in time").unwrap().expect("the bus is open")
}

async fn number(source: &mut Box<dyn TelemetrySource>) -> (String, u64) {
    match next(source).await {
        TelemetryItem::Message(message) => (message.kind.clone(), message.number),
        gap @ TelemetryItem::Gap { .. } => panic!("{gap:?}"),
    }
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) async fn measurements_come_in_order_and_by_kind(rig: Rig) {
    let all = TelemetryOptions::default();
    let one = TelemetryOptions {
        kind: Some("lag".into()),
        durable: None,
    };
    let mut all = rig.bus.telemetry(all).await.unwrap();
    let mut one = rig.bus.telemetry(one).await.unwrap();
    for (kind, value) in [("lag", 1.0), ("slots", 4.0), ("lag", 2.0)] {
        assert!(rig.bus.send_telemetry(measure(kind, value)));
    }
    for (kind, n) in [("lag", 1), ("slots", 1), ("lag", 2)] {
        assert_eq!(number(&mut all).await, (kind.to_owned(), n));
    }
    let TelemetryItem::Message(first) = next(&mut one).await else {
        panic!("a gap where none was");
    };
    assert_eq!(first.values["value"].to_bits(), 1.0_f64.to_bits());
    assert_eq!(first.labels["host"], "h");
    assert_eq!(first.time.unwrap().nanos, 250_000_000);
    assert_eq!(number(&mut one).await, ("lag".to_owned(), 2));
    assert!(timeout(SILENCE, one.next()).await.is_err());
    until("counting", || rig.bus.stats().telemetry_sent == 3).await;
    assert_eq!(rig.bus.stats().telemetry_dropped, 0);
}

pub(crate) async fn redeliveries_are_counted(rig: Rig) {
    rig.publish(&[job("a")]).await;
    let mut source = rig.source(Duration::from_secs(30)).await;
    assert_eq!(rig.bus.stats().redeliveries, 0);
    drop(take(&mut source).await);
    take(&mut source).await.ack().await.unwrap();
    assert_eq!(rig.bus.stats().redeliveries, 1);
}

#[tokio::test]
async fn a_reader_that_lags_is_told_how_much_it_missed() {
    let bus = InProcessBus::new(Limits {
        telemetry: 4,
        ..Limits::default()
    });
    let mut source = bus.telemetry(TelemetryOptions::default()).await.unwrap();
    bus.send_telemetry(measure("lag", 0.0));
    assert_eq!(number(&mut source).await.1, 1);
    for n in 0..10 {
        bus.send_telemetry(measure("lag", f64::from(n)));
    }
    let TelemetryItem::Gap { missed, kind, .. } = next(&mut source).await else {
        panic!("no gap");
    };
    assert_eq!((missed, kind.as_str()), (6, "lag"));
    assert_eq!(number(&mut source).await.1, 8);
}

/// The server is away: sending returns at once, the buffer fills, the rest is dropped and counted, and a reader
/// that goes on where it stopped learns how much is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_drops_beyond_the_buffer_and_holds_nothing_up() {
    let mut server = Nats::start(NatsVersion::Newest);
    let config = BusConfig {
        telemetry_buffer: 8,
        request_timeout: Duration::from_secs(1),
        ..BusConfig::at(server.url())
    };
    let bus = JetStreamBus::connect(config).await.unwrap();
    let options = TelemetryOptions {
        kind: None,
        durable: Some("reader".into()),
    };
    let mut source = bus.telemetry(options.clone()).await.unwrap();
    bus.send_telemetry(measure("lag", 0.0));
    assert_eq!(number(&mut source).await.1, 1);
    server.kill();
    until("the loss is seen", || !bus.is_connected()).await;
    let before = Instant::now();
    for n in 0..100 {
        bus.send_telemetry(measure("lag", f64::from(n)));
    }
    assert!(before.elapsed() < Duration::from_millis(500));
    let dropped = bus.stats().telemetry_dropped;
    // Eight are in the buffer, and as many at most were taken from it already.
    assert!((84..=92).contains(&dropped), "{dropped}");
    server.start_again();
    until("the buffer is sent", || {
        bus.stats().telemetry_sent + bus.stats().telemetry_dropped == 101
    })
    .await;
    // The first one may come again; numbers tell it apart.
    bus.send_telemetry(measure("lag", 1.0));
    let mut missed = 0;
    loop {
        match next(&mut source).await {
            TelemetryItem::Gap { missed: more, .. } => missed += more,
            TelemetryItem::Message(message) if message.number == 102 => break,
            TelemetryItem::Message(_) => {}
        }
    }
    assert_eq!(missed, bus.stats().telemetry_dropped);
    assert!(bus.stats().disconnects >= 1 && bus.stats().connects >= 2);
}

#[tokio::test]
async fn a_durable_reader_goes_on_where_the_last_one_stopped() {
    let server = Nats::start(NatsVersion::Oldest);
    let bus = JetStreamBus::connect(BusConfig::at(server.url()))
        .await
        .unwrap();
    let options = TelemetryOptions {
        kind: Some("lag".into()),
        durable: Some("metrics".into()),
    };
    let mut source = bus.telemetry(options.clone()).await.unwrap();
    for n in 0..3 {
        bus.send_telemetry(measure("lag", f64::from(n)));
    }
    assert_eq!(number(&mut source).await.1, 1);
    // Asking for the second acknowledges the first.
    assert_eq!(number(&mut source).await.1, 2);
    drop(source);
    bus.send_telemetry(measure("lag", 3.0));
    // What the last reader was handed and did not confirm comes again; nothing is missing.
    let mut source = bus.telemetry(options).await.unwrap();
    for expected in 2..=4 {
        assert_eq!(number(&mut source).await.1, expected);
    }
}
