//! What becomes of jobs that nobody can carry out.

use std::time::{Duration, Instant};

use autopack_bus::{
    Bus, BusConfig, DeadLetter, DeadLetters as _, DeadReason, JetStreamBus, JobOptions,
};
use autopack_testkit::{Nats, NatsVersion};

use crate::rig::{Rig, SOON, assert_silent, job, take};

const LONG: Duration = Duration::from_secs(30);
const NOW: i64 = 1_700_000_000_000_000;

async fn bury_until(bus: &dyn Bus, count: usize) -> Vec<DeadLetter> {
    let deadline = Instant::now() + SOON;
    loop {
        bus.bury(NOW).await.unwrap();
        let letters = bus.dead_letters(None, 100).await.unwrap().letters;
        if letters.len() >= count {
            return letters;
        }
        assert!(Instant::now() < deadline, "only {letters:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) async fn a_job_delivered_too_often_is_buried(rig: Rig) {
    let sequence = rig.publish(&[job("poison")]).await[0];
    rig.publish(&[job("good")]).await;
    let most = BusConfig::default().max_deliver;
    let mut source = rig.source(LONG).await;
    let mut good = 0;
    let mut poison = 0;
    while poison < most || good < 1 {
        let delivery = take(&mut source).await;
        if delivery.job().job_uid == "good" {
            good += 1;
            delivery.ack().await.unwrap();
        } else {
            poison += 1;
            assert_eq!(delivery.deliveries(), u64::from(poison));
            delivery.nak(Duration::ZERO).await.unwrap();
        }
    }
    assert_silent(&mut source).await;
    let letters = bury_until(rig.bus.as_ref(), 1).await;
    let letter = &letters[0];
    assert_eq!(letter.reason, DeadReason::MaxDeliveries);
    assert_eq!(letter.subject, "autopack.jobs.5.default");
    assert_eq!(
        (letter.sequence, letter.deliveries),
        (sequence, u64::from(most))
    );
    assert_eq!(letter.job().unwrap().job_uid, "poison");
    assert_eq!(letter.headers["traceparent"], "00-poison");
    assert_eq!(letter.headers["Nats-Msg-Id"], "poison");
    assert!(letter.detail.contains("64 times"), "{}", letter.detail);
    assert!(letter.at > 0);
    assert!(!rig.bus.has_job(sequence).await.unwrap());
    assert!(rig.bus.stored_jobs().await.unwrap().is_empty());
    assert_eq!(
        rig.bus.bury(NOW).await.unwrap(),
        0,
        "nothing is buried twice"
    );
    assert_eq!(rig.bus.stats().dead_letters, 1);
}

pub(crate) async fn a_job_that_a_worker_gives_up_is_buried(rig: Rig) {
    let sequence = rig.publish(&[job("never")]).await[0];
    let mut source = rig.source(LONG).await;
    let delivery = take(&mut source).await;
    delivery.give_up("the kind is\nnot known").await.unwrap();
    assert!(!rig.bus.has_job(sequence).await.unwrap());
    assert_silent(&mut source).await;
    let letters = bury_until(rig.bus.as_ref(), 1).await;
    assert_eq!(letters.len(), 1, "the advisory adds no second one");
    let letter = &letters[0];
    assert_eq!(letter.reason, DeadReason::Refused);
    assert_eq!(letter.detail, "the kind is not known");
    assert_eq!((letter.deliveries, letter.sequence), (1, sequence));
    let found = rig.bus.dead_letter(&letter.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(letter));
    assert!(rig.bus.forget_dead_letter(&letter.id).await.unwrap());
    assert!(!rig.bus.forget_dead_letter(&letter.id).await.unwrap());
    assert_eq!(rig.bus.dead_letter(&letter.id).await.unwrap(), None);
    for other in ["", "nonsense", "ff-99"] {
        assert_eq!(rig.bus.dead_letter(other).await.unwrap(), None);
    }
}

pub(crate) async fn letters_come_newest_first_in_pages(rig: Rig) {
    let jobs: Vec<_> = (0..7).map(|n| job(&format!("job-{n}"))).collect();
    rig.publish(&jobs).await;
    let mut source = rig.source(LONG).await;
    for _ in &jobs {
        take(&mut source).await.give_up("no").await.unwrap();
    }
    bury_until(rig.bus.as_ref(), 7).await;
    let mut uids = Vec::new();
    let mut before = None;
    loop {
        let page = rig.bus.dead_letters(before, 3).await.unwrap();
        assert!(page.letters.len() <= 3);
        uids.extend(page.letters.iter().map(|l| l.job().unwrap().job_uid));
        before = page.before;
        if before.is_none() {
            break;
        }
    }
    let expected: Vec<_> = (0..7).rev().map(|n| format!("job-{n}")).collect();
    assert_eq!(uids, expected);
}

async fn connect(server: &Nats) -> JetStreamBus {
    let config = BusConfig::at(server.url());
    JetStreamBus::connect(config).await.unwrap()
}

#[tokio::test]
async fn a_job_that_cannot_be_read_is_buried_and_the_next_is_taken() {
    let server = Nats::start(NatsVersion::Newest);
    let bus = connect(&server).await;
    let client = async_nats::connect(server.url()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    let poison = context.publish("autopack.jobs.5.default", "\u{1}garbage".into());
    let poison = poison.await.unwrap().await.unwrap().sequence;
    bus.publish_jobs(vec![job("good")]).await.unwrap();
    let mut source = bus.jobs(JobOptions::default()).await.unwrap();
    let good = take(&mut source).await;
    assert_eq!(good.job().job_uid, "good");
    good.ack().await.unwrap();
    assert!(!bus.has_job(poison).await.unwrap());
    let letters = bury_until(&bus, 1).await;
    assert_eq!(letters[0].reason, DeadReason::Unreadable);
    assert_eq!(&letters[0].body[..], b"\x01garbage");
    assert_eq!(letters[0].job(), None);
    assert!(!letters[0].reason.may_heal());
}

/// Ended by an operator's tool: the body is gone, the fact is not.
#[tokio::test]
async fn a_job_ended_by_others_leaves_a_letter() {
    let server = Nats::start(NatsVersion::Oldest);
    let bus = connect(&server).await;
    let sequence = bus.publish_jobs(vec![job("a")]).await.unwrap()[0];
    let context = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let consumer: async_nats::jetstream::consumer::PullConsumer = context
        .get_consumer_from_stream("jobs-normal-default", "AUTOPACK_JOBS")
        .await
        .unwrap();
    let mut batch = consumer.fetch().max_messages(1).messages().await.unwrap();
    let message = futures::StreamExt::next(&mut batch).await.unwrap().unwrap();
    let end = async_nats::jetstream::AckKind::Term;
    message.double_ack_with(end).await.unwrap();
    let letters = bury_until(&bus, 1).await;
    assert_eq!(letters[0].reason, DeadReason::Terminated);
    assert_eq!((letters[0].sequence, letters[0].body.len()), (sequence, 0));
}

/// An advisory about a stream that is gone says nothing about the job of the same number in the new one.
#[tokio::test]
async fn an_advisory_of_an_earlier_stream_is_ignored() {
    let server = Nats::start(NatsVersion::Newest);
    let config = BusConfig {
        max_deliver: 1,
        ..BusConfig::at(server.url())
    };
    let bus = JetStreamBus::connect(config).await.unwrap();
    bus.publish_jobs(vec![job("old")]).await.unwrap();
    let mut source = bus.jobs(JobOptions::default()).await.unwrap();
    take(&mut source).await.nak(Duration::ZERO).await.unwrap();
    assert_silent(&mut source).await;
    let context = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let deadline = Instant::now() + SOON;
    loop {
        let mut stream = context.get_stream("AUTOPACK_ADVISORIES").await.unwrap();
        if stream.info().await.unwrap().state.messages > 0 {
            break;
        }
        assert!(Instant::now() < deadline, "no advisory");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    context.delete_stream("AUTOPACK_JOBS").await.unwrap();
    let sequence = bus.publish_jobs(vec![job("new")]).await.unwrap()[0];
    assert_eq!(sequence, 1);
    assert_eq!(bus.bury(NOW).await.unwrap(), 0);
    assert!(bus.has_job(1).await.unwrap());
    take(&mut source).await.ack().await.unwrap();
}
