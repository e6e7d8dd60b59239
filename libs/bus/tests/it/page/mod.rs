//! The conformance page: what each supported server does in the corners that the bus relies on.
//!
//! Invariant: what the page says was seen in this run; a page that differs fails, and `UPDATE_DOCS=1` writes it.

mod corners;
mod crashes;

use std::{fmt::Write as _, path::Path, time::Duration};

use async_nats::jetstream::{
    self, AckKind, Context, Message,
    consumer::{AckPolicy, PullConsumer, pull},
    message::PublishMessage,
    stream::{Config, RetentionPolicy, Stream},
};
use autopack_testkit::{Nats, NatsVersion};
use futures::StreamExt as _;

/// Long enough to believe that nothing comes.
const SILENCE: Duration = Duration::from_millis(700);
const PAGE: &str = "../../docs/reference/bus-conformance.md";
const HEAD: &str = "<!-- Generated. `UPDATE_DOCS=1 cargo test -p autopack-bus -- page` writes it. -->\n\
# What the bus relies on\n\n\
Each row was seen on each of these versions of nats-server by the tests of `libs/bus`, which fail when a server\n\
behaves otherwise. Older servers are refused unless `bus.allow_unsupported` is set. What follows from the rows:\n\
an acknowledgement proves nothing about ownership, so the registry fences; ids are forgotten, so consumers are\n\
idempotent; what a crash or an operator removes is offered again by the registry.\n\n";

/// A server and a client that knows nothing of the bus.
struct Bench {
    server: Nats,
    context: Context,
}

/// A row of the page.
type Row = (&'static str, String);

impl Bench {
    async fn start(version: NatsVersion) -> Self {
        let server = Nats::start(version);
        let context = context(&server).await;
        Self { server, context }
    }

    /// A work queue with one consumer for all of it.
    async fn queue(&self, name: &str, consumer: pull::Config) -> (Stream, PullConsumer) {
        let config = Config {
            name: name.to_owned(),
            subjects: vec![format!("{name}.>")],
            retention: RetentionPolicy::WorkQueue,
            ..Config::default()
        };
        let stream = self.context.create_stream(config).await.unwrap();
        let consumer = pull::Config {
            durable_name: Some("c".into()),
            ack_policy: AckPolicy::Explicit,
            ..consumer
        };
        let consumer = stream.create_consumer(consumer).await.unwrap();
        (stream, consumer)
    }

    /// Publishes under an id; whether it was swallowed as a repetition.
    async fn publish(&self, queue: &str, id: &str) -> bool {
        let message = PublishMessage::build().payload("x".into()).message_id(id);
        let ack = self.context.send_publish(format!("{queue}.a"), message);
        ack.await.unwrap().await.unwrap().duplicate
    }
}

async fn context(server: &Nats) -> Context {
    jetstream::new(async_nats::connect(server.url()).await.unwrap())
}

fn waits(ack_wait: u64) -> pull::Config {
    pull::Config {
        ack_wait: Duration::from_millis(ack_wait),
        ..pull::Config::default()
    }
}

/// The next message, if one comes within the time.
async fn one(consumer: &PullConsumer, within: Duration) -> Option<Message> {
    let batch = consumer.batch().max_messages(1).expires(within);
    let mut batch = batch.messages().await.unwrap();
    batch.next().await?.ok()
}

/// The next message, which has to come.
async fn must(consumer: &PullConsumer) -> Message {
    one(consumer, crate::rig::SOON).await.expect("a message")
}

async fn stored(stream: &mut Stream) -> u64 {
    stream.info().await.unwrap().state.messages
}

async fn end(message: &Message) -> &'static str {
    match message.double_ack_with(AckKind::Ack).await {
        Ok(()) => "confirmed",
        Err(_) => "refused",
    }
}

fn yes(fact: bool) -> &'static str {
    if fact { "yes" } else { "no" }
}

async fn rows(version: NatsVersion) -> Vec<Row> {
    let mut bench = Bench::start(version).await;
    let mut rows = corners::rows(&bench).await;
    rows.extend(crashes::rows(&mut bench).await);
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_conformance_page_is_what_the_servers_do() {
    let (oldest, newest) = tokio::join!(rows(NatsVersion::Oldest), rows(NatsVersion::Newest));
    let mut page = HEAD.to_owned();
    let [old, new] = NatsVersion::ALL.map(NatsVersion::number);
    let _ = writeln!(page, "| Behaviour | {old} | {new} |\n|---|---|---|");
    for ((name, old), (_, new)) in oldest.iter().zip(&newest) {
        let _ = writeln!(page, "| {name} | {old} | {new} |");
    }
    println!("{page}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        return std::fs::write(file, page).unwrap();
    }
    let kept = std::fs::read_to_string(file).unwrap_or_default();
    assert_eq!(
        kept, page,
        "docs/reference/bus-conformance.md differs from what the servers do: see whether the bus still holds, \
         then run `UPDATE_DOCS=1 cargo test -p autopack-bus -- page`"
    );
}
