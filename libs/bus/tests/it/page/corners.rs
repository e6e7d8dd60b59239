//! Corners of a healthy server.

use std::time::Duration;

use async_nats::jetstream::{
    AckKind,
    consumer::pull::{self, MessagesErrorKind},
    context::PublishErrorKind,
    stream::{Config, DiscardPolicy},
};
use futures::StreamExt as _;
use tokio::time::timeout;

use super::{Bench, Row, SILENCE, end, must, one, stored, waits, yes};
use crate::rig::SOON;

pub(super) async fn rows(bench: &Bench) -> Vec<Row> {
    let mut rows = poison(bench).await;
    rows.extend(stale(bench).await);
    rows.push(progress(bench).await);
    rows.push(terminated(bench).await);
    rows.push(swallowed(bench).await);
    rows.push(prefetched(bench).await);
    rows.push(deleted(bench).await);
    rows.push(full(bench).await);
    rows.push(purge(bench).await);
    rows.push(overlap(bench).await);
    rows.push(filters(bench).await);
    rows
}

async fn poison(bench: &Bench) -> Vec<Row> {
    let advisories = Config {
        name: "ADVICE".into(),
        subjects: vec!["$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.POISON.>".into()],
        ..Config::default()
    };
    let mut advice = bench.context.create_stream(advisories).await.unwrap();
    let config = pull::Config {
        max_deliver: 2,
        ..waits(300)
    };
    let (mut stream, consumer) = bench.queue("POISON", config).await;
    bench.publish("POISON", "1").await;
    let _first = must(&consumer).await;
    let second = must(&consumer).await;
    let third = one(&consumer, SILENCE).await;
    let left = stored(&mut stream).await == 1;
    let told = stored(&mut advice).await == 1;
    second.double_ack().await.unwrap();
    let removed = stored(&mut stream).await == 0;
    vec![
        (
            "third delivery with `max_deliver` 2",
            yes(third.is_some()).into(),
        ),
        (
            "a message delivered too often stays in the queue",
            yes(left).into(),
        ),
        (
            "a late acknowledgement still removes it",
            yes(removed).into(),
        ),
        ("its advisory is captured by a stream", yes(told).into()),
    ]
}

async fn stale(bench: &Bench) -> Vec<Row> {
    let (mut stream, consumer) = bench.queue("STALE", waits(300)).await;
    bench.publish("STALE", "1").await;
    let stale = must(&consumer).await;
    let current = must(&consumer).await;
    let first = end(&stale).await;
    let gone = stored(&mut stream).await == 0;
    let second = end(&current).await;
    vec![
        (
            "an acknowledgement after redelivery, by the worker that lost the message",
            format!("{first}, message gone: {}", yes(gone)),
        ),
        (
            "a second acknowledgement of a message that is gone",
            second.into(),
        ),
    ]
}

async fn progress(bench: &Bench) -> Row {
    let (_stream, consumer) = bench.queue("PROGRESS", waits(600)).await;
    bench.publish("PROGRESS", "1").await;
    let held = must(&consumer).await;
    let mut again = false;
    for _ in 0..6 {
        held.ack_with(AckKind::Progress).await.unwrap();
        again |= one(&consumer, Duration::from_millis(300)).await.is_some();
    }
    (
        "progress holds a message beyond `ack_wait`",
        yes(!again).into(),
    )
}

async fn terminated(bench: &Bench) -> Row {
    let (mut stream, consumer) = bench.queue("TERM", waits(300)).await;
    bench.publish("TERM", "1").await;
    let message = must(&consumer).await;
    message.double_ack_with(AckKind::Term).await.unwrap();
    let gone = stored(&mut stream).await == 0;
    (
        "a terminated message leaves the queue at once",
        yes(gone).into(),
    )
}

async fn swallowed(bench: &Bench) -> Row {
    let (_stream, consumer) = bench.queue("SWALLOW", waits(5000)).await;
    bench.publish("SWALLOW", "1").await;
    must(&consumer).await.double_ack().await.unwrap();
    let swallowed = bench.publish("SWALLOW", "1").await;
    (
        "the id of an acknowledged message, published again within the window",
        if swallowed { "swallowed" } else { "stored" }.into(),
    )
}

async fn prefetched(bench: &Bench) -> Row {
    let (_stream, consumer) = bench.queue("PREFETCH", waits(1500)).await;
    for id in ["1", "2", "3"] {
        bench.publish("PREFETCH", id).await;
    }
    let mut batch = consumer.fetch().max_messages(3).messages().await.unwrap();
    batch
        .next()
        .await
        .unwrap()
        .unwrap()
        .double_ack()
        .await
        .unwrap();
    drop(batch);
    let early = one(&consumer, SILENCE).await.is_some();
    let late = one(&consumer, SOON).await.is_some();
    let text = match (early, late) {
        (false, true) => "come back after `ack_wait`",
        (true, _) => "come back at once",
        (false, false) => "are lost",
    };
    (
        "messages prefetched by a consumer that goes away",
        text.into(),
    )
}

async fn deleted(bench: &Bench) -> Row {
    let (_stream, consumer) = bench.queue("DELETED", waits(5000)).await;
    let mut messages = consumer.messages().await.unwrap();
    let waiting = tokio::spawn(async move { messages.next().await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    bench.context.delete_stream("DELETED").await.unwrap();
    let pull = match timeout(SOON, waiting).await.unwrap().unwrap() {
        Some(Err(error)) => match error.kind() {
            MessagesErrorKind::ConsumerDeleted => "ConsumerDeleted",
            _ => "another error",
        },
        _ => "silence",
    };
    let sent = bench
        .context
        .publish("DELETED.a", "x".into())
        .await
        .unwrap();
    let publish = match sent.await.map_err(|error| error.kind()) {
        Err(PublishErrorKind::StreamNotFound) => "StreamNotFound",
        Err(_) => "another error",
        Ok(_) => "stored",
    };
    (
        "the stream deleted under a live pull, and a publication to it",
        format!("{pull}, {publish}"),
    )
}

async fn full(bench: &Bench) -> Row {
    let config = Config {
        name: "FULL".into(),
        subjects: vec!["FULL.>".into()],
        max_messages: 1,
        discard: DiscardPolicy::New,
        ..Config::default()
    };
    bench.context.create_stream(config).await.unwrap();
    bench.publish("FULL", "1").await;
    let sent = bench.context.publish("FULL.a", "x".into()).await.unwrap();
    let text = match sent.await {
        Ok(_) => "stored".to_owned(),
        Err(error) => code(&error),
    };
    ("a publication beyond the bound, with discard new", text)
}

/// The server's own number for an error, wherever it stands in the chain.
fn code(error: &(dyn std::error::Error + 'static)) -> String {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(api) = error.downcast_ref::<async_nats::jetstream::Error>() {
            return format!("refused with {}", api.error_code().0);
        }
        next = error.source();
    }
    "refused".to_owned()
}

async fn purge(bench: &Bench) -> Row {
    let config = Config {
        name: "KEPT".into(),
        subjects: vec!["KEPT.>".into()],
        deny_purge: true,
        ..Config::default()
    };
    let stream = bench.context.create_stream(config.clone()).await.unwrap();
    let purged = stream.purge().await.is_ok();
    let allowed = Config {
        deny_purge: false,
        ..config
    };
    let lifted = bench.context.update_stream(allowed).await.is_ok();
    (
        "a purge of a stream that denies it, and lifting the denial",
        format!(
            "{}, {}",
            if purged { "done" } else { "refused" },
            if lifted { "done" } else { "refused" }
        ),
    )
}

async fn overlap(bench: &Bench) -> Row {
    let (stream, _consumer) = bench.queue("OVERLAP", waits(300)).await;
    let second = pull::Config {
        durable_name: Some("second".into()),
        filter_subject: "OVERLAP.a".into(),
        ..waits(300)
    };
    let text = match stream.create_consumer(second).await {
        Ok(_) => "made".to_owned(),
        Err(error) => match error.kind() {
            async_nats::jetstream::stream::ConsumerErrorKind::JetStream(api) => {
                format!("refused with {}", api.error_code().0)
            }
            _ => "refused".to_owned(),
        },
    };
    (
        "a second consumer of a work queue with an overlapping filter",
        text,
    )
}

async fn filters(bench: &Bench) -> Row {
    let config = Config {
        name: "FILTERS".into(),
        subjects: vec!["FILTERS.>".into()],
        ..Config::default()
    };
    let stream = bench.context.create_stream(config).await.unwrap();
    let wanted = vec!["FILTERS.a".to_owned(), "FILTERS.b".to_owned()];
    let consumer = pull::Config {
        durable_name: Some("several".into()),
        filter_subjects: wanted.clone(),
        ..pull::Config::default()
    };
    let made = stream.create_consumer(consumer).await.unwrap();
    let kept = made.cached_info().config.filter_subjects == wanted;
    ("several filters of a consumer are kept", yes(kept).into())
}
