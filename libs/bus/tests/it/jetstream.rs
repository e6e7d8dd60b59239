//! What only JetStream has: a server that goes away, is full, or refuses.

use std::{sync::Arc, time::Duration};

use autopack_bus::{Bus, BusConfig, BusError, EventItem, EventOptions, JetStreamBus, JobOptions};
use autopack_testkit::{Nats, NatsVersion};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use crate::rig::{SOON, event, job, take};

async fn publish_until_done(bus: &dyn Bus, id: &str) {
    let done = timeout(SOON, async {
        while let Err(error) = bus.publish_jobs(vec![job(id)]).await {
            assert!(error.is_transient(), "{error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    done.await.expect("published in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_goes_on_where_it_stopped() {
    let mut server = Nats::start(NatsVersion::Newest);
    let config = BusConfig {
        request_timeout: Duration::from_secs(1),
        ..BusConfig::at(server.url())
    };
    let bus = JetStreamBus::connect(config).await.unwrap();
    let epoch = bus.stream_epoch().await.unwrap();
    let mut source = bus.jobs(JobOptions::default()).await.unwrap();
    let mut events = bus.events(EventOptions::default()).await.unwrap();
    assert_eq!(events.next().await.unwrap(), Some(EventItem::Gap));
    let stored = bus.publish_jobs(vec![job("a"), job("b")]).await.unwrap();
    take(&mut source).await.ack().await.unwrap();
    let waiting = tokio::spawn(async move {
        let first = take(&mut source).await;
        let first = first.job().job_uid.clone();
        (first, source)
    });
    let (first, mut source) = waiting.await.unwrap();
    assert_eq!(first, "b", "it was dropped, and will come again");

    server.kill();
    let down = bus.publish_jobs(vec![job("c")]).await;
    assert!(down.unwrap_err().is_transient());
    server.start_again();

    publish_until_done(&bus, "c").await;
    assert_eq!(bus.stream_epoch().await.unwrap(), epoch);
    assert!(bus.has_job(stored[1]).await.unwrap());
    let mut got = Vec::new();
    for _ in 0..2 {
        let delivery = timeout(Duration::from_secs(40), source.next()).await;
        let delivery = delivery.unwrap().unwrap().unwrap();
        got.push(delivery.job().job_uid.clone());
        delivery.ack().await.unwrap();
    }
    got.sort();
    assert_eq!(got, ["b", "c"]);
    let item = timeout(SOON, events.next()).await.unwrap().unwrap();
    assert_eq!(item, Some(EventItem::Gap), "events may have been missed");
    bus.publish_events(vec![event("aa", 1, 1)]).await.unwrap();
    let item = timeout(SOON, events.next()).await.unwrap().unwrap();
    assert!(matches!(item, Some(EventItem::Event(_))));
}

/// What the stream of events holds: the ids of its messages, in order.
async fn stored(context: &async_nats::jetstream::Context) -> Vec<String> {
    let mut stream = context.get_stream("AUTOPACK_EVENTS").await.unwrap();
    let last = stream.info().await.unwrap().state.last_sequence;
    let mut ids = Vec::new();
    for sequence in 1..=last {
        let message = stream.get_raw_message(sequence).await.unwrap();
        let id = message.headers.get(async_nats::header::NATS_MESSAGE_ID);
        ids.push(id.map_or_else(String::new, ToString::to_string));
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_with_one_acknowledgement_is_stored_whole_whatever_came_between() {
    let server = Nats::start(NatsVersion::Newest);
    let bus = JetStreamBus::connect(BusConfig::at(server.url())).await;
    let bus = bus.unwrap();
    let client = async_nats::connect(server.url()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    let window = |numbers: std::ops::RangeInclusive<u64>| numbers.map(|n| event("aa", n, n));
    let ids = |numbers: std::ops::RangeInclusive<u64>| numbers.map(|n| format!("aa-{n}"));

    bus.publish_events(window(1..=3).collect()).await.unwrap();
    bus.publish_events(window(4..=6).collect()).await.unwrap();
    assert_eq!(stored(&context).await, ids(1..=6).collect::<Vec<_>>());

    // Another registry publishes: its message counts for none of ours.
    let other = context.publish("autopack.events.p.bb.other", "x".into());
    other.await.unwrap().await.unwrap();
    bus.publish_events(window(7..=9).collect()).await.unwrap();
    // A part of what comes was there before.
    bus.publish_events(window(8..=11).collect()).await.unwrap();
    bus.publish_events(window(12..=13).collect()).await.unwrap();
    let expected: Vec<_> = ids(1..=6)
        .chain([String::new()])
        .chain(ids(7..=13))
        .collect();
    assert_eq!(stored(&context).await, expected);

    // One of a window cannot be taken: the caller learns of it.
    let mut large = event("aa", 15, 15);
    large.event.text = "x".repeat(2 << 20);
    let refused = bus
        .publish_events(vec![event("aa", 14, 14), large, event("aa", 16, 16)])
        .await;
    assert!(matches!(refused, Err(BusError::Message(_))), "{refused:?}");

    // The stream is made anew behind our back, with as many messages as it had, or none.
    bus.publish_events(window(17..=18).collect()).await.unwrap();
    context.delete_stream("AUTOPACK_EVENTS").await.unwrap();
    bus.publish_events(window(19..=21).collect()).await.unwrap();
    assert_eq!(stored(&context).await, ids(19..=21).collect::<Vec<_>>());
    bus.publish_events(window(22..=23).collect()).await.unwrap();
    assert_eq!(stored(&context).await, ids(19..=23).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_waits_through_an_outage_without_being_asked_again() {
    let mut server = Nats::start(NatsVersion::Newest);
    let bus = Arc::new(
        JetStreamBus::connect(BusConfig::at(server.url()))
            .await
            .unwrap(),
    );
    let mut source = bus.jobs(JobOptions::default()).await.unwrap();
    let waiting = tokio::spawn(async move {
        loop {
            match source.next().await {
                Ok(delivery) => break delivery.unwrap().ack().await,
                Err(error) => assert!(error.is_transient(), "{error}"),
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.kill();
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.start_again();
    publish_until_done(bus.as_ref(), "after").await;
    timeout(SOON, waiting).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_full_stream_refuses_the_new_and_keeps_the_old() {
    let server = Nats::start(NatsVersion::Newest);
    let config = BusConfig {
        jobs_max_bytes: 2_000,
        ..BusConfig::at(server.url())
    };
    let bus = JetStreamBus::connect(config).await.unwrap();
    let mut stored = Vec::new();
    let error = loop {
        let id = format!("job-{}", stored.len());
        match bus.publish_jobs(vec![job(&id)]).await {
            Ok(sequence) => stored.extend(sequence),
            Err(error) => break error,
        }
        assert!(stored.len() < 100, "the bound does not hold");
    };
    assert!(matches!(error, BusError::Full(_)), "{error}");
    assert!(error.is_transient());
    for sequence in stored {
        assert!(bus.has_job(sequence).await.unwrap());
    }
}

#[tokio::test]
async fn a_second_process_finds_the_streams_as_they_are() {
    let server = Nats::start(NatsVersion::Newest);
    let config = BusConfig::at(server.url());
    let first = JetStreamBus::connect(config.clone()).await.unwrap();
    first.publish_jobs(vec![job("a")]).await.unwrap();
    let second = JetStreamBus::connect(config).await.unwrap();
    let epoch = first.stream_epoch().await.unwrap();
    assert_eq!(second.stream_epoch().await.unwrap(), epoch);
    let mut source = second.jobs(JobOptions::default()).await.unwrap();
    take(&mut source).await.ack().await.unwrap();
}

#[tokio::test]
async fn nobody_at_the_address_is_told_within_the_deadline() {
    let config = BusConfig {
        connect_deadline: Duration::from_millis(500),
        ..BusConfig::at("nats://127.0.0.1:9")
    };
    let before = std::time::Instant::now();
    let Err(error) = JetStreamBus::connect(config).await else {
        panic!("somebody listens on the discard port");
    };
    assert!(error.is_transient());
    assert!(before.elapsed() < Duration::from_secs(3));
}

/// A server of another version, as far as a client can see before it asks for anything.
async fn pretend_to_be(version: &str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let info = serde_json::json!({
        "server_id": "old", "server_name": "old", "version": version, "go": "go", "host": "127.0.0.1",
        "port": address.port(), "headers": true, "max_payload": 1_048_576, "proto": 1, "client_id": 1,
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let hello = format!("INFO {info}\r\n");
            stream.write_all(hello.as_bytes()).await.unwrap();
            let mut said = [0_u8; 4096];
            while let Ok(1..) = stream.read(&mut said).await {
                let _ = stream.write_all(b"PONG\r\n").await;
            }
        }
    });
    format!("nats://{address}")
}

#[tokio::test]
async fn a_server_below_the_floor_is_refused_unless_allowed() {
    let url = pretend_to_be("2.9.10").await;
    let Err(error) = JetStreamBus::connect(BusConfig::at(&url)).await else {
        panic!("2.9.10 was accepted");
    };
    assert!(matches!(error, BusError::Unsupported { .. }), "{error}");
    assert!(error.to_string().contains("2.9.10 is older than 2.11.11"));
    let allowed = BusConfig {
        allow_unsupported: true,
        request_timeout: Duration::from_millis(300),
        ..BusConfig::at(&url)
    };
    // Allowed, it gets as far as its first request, which this pretender does not answer.
    let Err(error) = JetStreamBus::connect(allowed).await else {
        panic!("nobody made a stream");
    };
    assert!(error.is_transient(), "{error}");
}
