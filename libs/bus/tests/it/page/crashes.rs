//! Corners of a server that is killed.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use tokio::time::timeout;

use super::{Bench, Row, context, must, stored, waits};
use crate::rig::SOON;

pub(super) async fn rows(bench: &mut Bench) -> Vec<Row> {
    let mut rows = ids(bench).await;
    rows.push(live_pull(bench).await);
    rows
}

async fn ids(bench: &mut Bench) -> Vec<Row> {
    let (_stream, consumer) = bench.queue("IDS", waits(5000)).await;
    bench.publish("IDS", "acked").await;
    must(&consumer).await.double_ack().await.unwrap();
    bench.publish("IDS", "pending").await;
    bench.server.restart();
    bench.context = context(&bench.server).await;
    let mut stream = bench.context.get_stream("IDS").await.unwrap();
    let kept = stored(&mut stream).await;
    let say = |swallowed: bool| {
        if swallowed {
            "swallowed"
        } else {
            "stored again"
        }
    };
    let acked = say(bench.publish("IDS", "acked").await);
    let pending = say(bench.publish("IDS", "pending").await);
    vec![
        (
            "messages of one pending, after SIGKILL and restart",
            kept.to_string(),
        ),
        (
            "the id of an acknowledged message, after SIGKILL and restart",
            acked.into(),
        ),
        (
            "the id of a pending message, after SIGKILL and restart",
            pending.into(),
        ),
    ]
}

async fn live_pull(bench: &mut Bench) -> Row {
    let (_stream, consumer) = bench.queue("LIVE", waits(5000)).await;
    let stream = consumer
        .stream()
        .max_messages_per_batch(1)
        .expires(Duration::from_secs(4))
        .heartbeat(Duration::from_secs(1));
    let mut messages = stream.messages().await.unwrap();
    let waiting = tokio::spawn(async move {
        loop {
            match messages.next().await {
                Some(Ok(message)) => return message.double_ack().await.is_ok(),
                Some(Err(_)) => {}
                None => return false,
            }
        }
    });
    bench.server.kill();
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.server.start_again();
    let deadline = Instant::now() + SOON;
    loop {
        assert!(Instant::now() < deadline, "the client does not come back");
        let sent = bench.context.publish("LIVE.a", "x".into());
        if let Ok(Ok(ack)) = timeout(Duration::from_secs(2), sent).await
            && ack.await.is_ok()
        {
            break;
        }
    }
    let resumed = matches!(timeout(SOON, waiting).await, Ok(Ok(true)));
    let text = if resumed { "goes on by itself" } else { "ends" };
    (
        "a live pull, after the server was away for a second",
        text.into(),
    )
}
