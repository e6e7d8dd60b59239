//! Jobs that the bus gave up on: made by a worker that is sent what it cannot read.

use std::time::{Duration, Instant};

use autopack_domain::Reason as R;
use autopack_testkit::nats_line::NatsLine;
use autopack_wire::bus::JobMessage;
use autopack_wire::registry as pb;
use prost::Message as _;

use crate::book::Book;
use crate::desk::NOOP;
use crate::scene::{LANE, Scene};

/// How long a dead letter may take.
const BOUND: Duration = Duration::from_secs(30);

pub(crate) async fn call(book: &mut Book, scene: &Scene) {
    // The first job of a lane makes its consumers.
    let opening = format!("{NOOP}, labels: {{ lane: {LANE} }}");
    let opening = book.started("opening", &opening).await;
    book.offer(&opening, &[0]).await;
    book.cancel(&opening.id).await;
    let run = book.started("lost", NOOP).await;
    book.offer(&run, &[0]).await;
    let attempt = book.snapshot(&run).await.attempts.into_iter().next();
    // One letter names a job that the run waits for, the other nothing.
    let wanted = JobMessage {
        job_uid: attempt.unwrap_or_default().job,
        run_uid: run.uid.clone(),
        kind: "surprise".into(),
        lane: LANE.into(),
        ..Default::default()
    };
    let mut bus = NatsLine::connect(scene.cluster.nats.port());
    let subject = format!("autopack.jobs.5.{LANE}");
    for body in [wanted.encode_to_vec(), vec![0xff, 0xff]] {
        bus.publish(&subject, "", &body);
    }
    let (wanted, idle) = letters(book, scene).await;

    let list = |size: i32, token: &str, id: &str| pb::ListDeadLettersRequest {
        page_size: size,
        page_token: token.into(),
        id: id.into(),
    };
    let cases = vec![
        (R::ArgumentInvalid, list(-1, "", "")),
        (R::PageTokenInvalid, list(0, "x", "")),
        (R::DeadLetterNotFound, list(0, "", "absent")),
    ];
    book.each("RegistryService/ListDeadLetters", cases).await;

    let requeue = |id: &str| pb::RequeueDeadLetterRequest { id: id.into() };
    let discard = |id: &str| pb::DiscardDeadLetterRequest { id: id.into() };
    let method = "RegistryService/DiscardDeadLetter";
    book.refused(method, R::DeadLetterWanted, discard(&wanted))
        .await;
    book.refused(method, R::DeadLetterNotFound, discard("absent"))
        .await;
    let method = "RegistryService/RequeueDeadLetter";
    book.refused(method, R::DeadLetterMovedOn, requeue(&idle))
        .await;
    book.refused(method, R::DeadLetterNotFound, requeue("absent"))
        .await;
    let again: pb::RequeueDeadLetterResponse = book.ok(method, requeue(&wanted)).await;
    assert_eq!(again.run_id, "lost");
    let _: pb::DiscardDeadLetterResponse = book
        .ok("RegistryService/DiscardDeadLetter", discard(&idle))
        .await;
}

/// Waits for both; the one that a run waits for, and the other.
async fn letters(book: &mut Book, scene: &Scene) -> (String, String) {
    let end = Instant::now() + BOUND;
    loop {
        let request = pb::ListDeadLettersRequest::default();
        let found: pb::ListDeadLettersResponse =
            book.ok("RegistryService/ListDeadLetters", request).await;
        let id = |wanted: bool| {
            let mut letters = found.dead_letters.iter();
            letters.find(|l| l.wanted == wanted).map(|l| l.id.clone())
        };
        if let (Some(wanted), Some(idle)) = (id(true), id(false)) {
            return (wanted, idle);
        }
        assert!(
            Instant::now() < end,
            "no dead letters within {BOUND:?}: {found:?}\n{}",
            scene.cluster.workers[0].log_text()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
