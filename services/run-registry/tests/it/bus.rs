//! What the bus loses, the registry offers again; what it gives up on, people see.

use std::{sync::Arc, time::Duration};

use autopack_bus::{
    Bus, BusConfig, InProcessBus, JetStreamBus, JobOptions, Limits,
    chaos::{ChaosBus, Faults},
};
use autopack_domain::Reason;
use autopack_testkit::{Nats, NatsVersion};
use autopack_wire::{registry as pb, status::from_status, types};
use tokio::time::timeout;

use crate::harness::{Harness, PLAN, request, until};

const SOON: Duration = Duration::from_secs(20);

async fn nats(server: &Nats) -> Arc<dyn Bus> {
    let config = BusConfig {
        request_timeout: Duration::from_secs(1),
        ..BusConfig::at(server.url())
    };
    Arc::new(JetStreamBus::connect(config).await.unwrap())
}

/// Two phases that do not wait for each other.
fn plan() -> String {
    PLAN.replace("id: B, name: b,", "id: B, name: b, depends_on: [],")
}

/// A run with both phases on offer.
async fn offered(h: &Harness) -> types::Run {
    let run = h.create(request(&plan())).await.unwrap().run.unwrap();
    h.bootstrap(&run).await;
    h.offer(&run, &[0, 1]).await;
    run
}

/// Uids of the jobs that the run has on offer.
async fn on_offer(h: &Harness, run: &types::Run) -> Vec<String> {
    let request = pb::GetSnapshotRequest {
        run_uid: run.uid.clone(),
    };
    let snapshot = h.clients.dispatch.clone().get_snapshot(request).await;
    let attempts = snapshot.unwrap().into_inner().attempts;
    let mut jobs: Vec<_> = attempts.into_iter().map(|a| a.job).collect();
    jobs.sort();
    jobs
}

/// The bus holds exactly what is on offer.
async fn healed(h: &Harness, bus: &dyn Bus, run: &types::Run) {
    for _ in 0..1000 {
        let jobs = on_offer(h, run).await;
        if let Ok(stored) = bus.stored_jobs().await
            && jobs.len() == 2
            && jobs.iter().all(|job| stored.contains(job))
        {
            return;
        }
        h.clock.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the bus holds {:?}", bus.stored_jobs().await);
}

/// The same bus, counting how often it is compared with what is on offer.
fn counting(bus: &Arc<dyn Bus>) -> Arc<ChaosBus> {
    Arc::new(ChaosBus::new(Arc::clone(bus), Faults::default(), 0))
}

/// Waits until what is stored was compared with what is on offer as things are now, from beginning to end. Each look is
/// due after `step`: one that seemed long, because the clock was moved meanwhile, puts the next one off.
async fn compared(h: &Harness, bus: &ChaosBus, step: Duration) {
    // The first look may be under way, the second sees everything, and with the third that one is over.
    for _ in 0..3 {
        let before = bus.done().looks;
        h.clock.advance(step);
        until("a comparison", async || bus.done().looks > before).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_deleted_or_emptied_is_filled_again() {
    let server = Nats::start(NatsVersion::Newest);
    let bus = nats(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let counted = counting(&bus);
    let h = Harness::with_bus(folder.path(), Arc::clone(&counted) as _).await;
    let run = offered(&h).await;
    healed(&h, bus.as_ref(), &run).await;
    let before = on_offer(&h, &run).await;
    h.clock.advance(Duration::from_mins(1));
    compared(&h, &counted, Duration::from_mins(10)).await;
    assert_eq!(
        on_offer(&h, &run).await,
        before,
        "what is stored is not doubled"
    );

    let client = async_nats::connect(server.url()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    context.delete_stream("AUTOPACK_JOBS").await.unwrap();
    healed(&h, bus.as_ref(), &run).await;
    let second = on_offer(&h, &run).await;
    assert!(
        second.iter().all(|job| !before.contains(job)),
        "new offers have new ids"
    );

    // Emptied message by message, because the stream refuses a purge.
    let mut stream = context.get_stream("AUTOPACK_JOBS").await.unwrap();
    assert!(stream.purge().await.is_err());
    let state = stream.info().await.unwrap().state.clone();
    for sequence in state.first_sequence..=state.last_sequence {
        let _ = stream.delete_message(sequence).await;
    }
    healed(&h, bus.as_ref(), &run).await;
    assert_ne!(on_offer(&h, &run).await, second);
    h.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_lost_its_disk_is_filled_again() {
    let mut server = Nats::start(NatsVersion::Oldest);
    let bus = nats(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let h = Harness::with_bus(folder.path(), Arc::clone(&bus)).await;
    let run = offered(&h).await;
    healed(&h, bus.as_ref(), &run).await;
    server.kill();
    server.wipe();
    server.start_again();
    healed(&h, bus.as_ref(), &run).await;
    h.stop().await;
}

/// Killed between publish and mark: the next registry publishes the same rows once more, under the same ids.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_published_and_not_marked_is_not_doubled() {
    let server = Nats::start(NatsVersion::Newest);
    let bus = nats(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let h = Harness::with_bus(folder.path(), Arc::clone(&bus)).await;
    let run = offered(&h).await;
    healed(&h, bus.as_ref(), &run).await;
    let jobs = on_offer(&h, &run).await;
    h.stop().await;
    let file = folder.path().join("db").join("registry.db");
    let db = sea_orm::Database::connect(format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    let reset = "UPDATE relay_cursor SET sequence = 0";
    sea_orm::ConnectionTrait::execute_unprepared(&db, reset)
        .await
        .unwrap();
    db.close().await.unwrap();
    let h = Harness::with_bus(folder.path(), Arc::clone(&bus)).await;
    healed(&h, bus.as_ref(), &run).await;
    assert_eq!(on_offer(&h, &run).await, jobs, "the stream still held them");
    let mut source = bus.jobs(JobOptions::default()).await.unwrap();
    let mut phases = Vec::new();
    // What is acknowledged is stored no more.
    while !bus.stored_jobs().await.unwrap().is_empty() {
        let next = timeout(SOON, source.next()).await.expect("a stored job");
        let delivery = next.unwrap().unwrap();
        phases.extend((delivery.job().kind == "phase").then_some(delivery.job().phase));
        delivery.ack().await.unwrap();
    }
    phases.sort_unstable();
    assert_eq!(phases, [0, 1]);
    h.stop().await;
}

/// Publications are doubled, turned round and lost; every job arrives, and only the fence decides who has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doubled_reordered_and_dropped_publications_lose_nothing() {
    let inner = Arc::new(InProcessBus::new(Limits::default()));
    let faults = Faults {
        doubled: 40,
        dropped: 40,
        reordered: 50,
    };
    let bus = Arc::new(ChaosBus::new(inner, faults, 11));
    let folder = tempfile::tempdir().unwrap();
    let h = Harness::with_bus(folder.path(), Arc::clone(&bus) as _).await;
    for n in 0..8 {
        let plan = plan().replace("id: demo", &format!("id: demo-{n}"));
        let run = h.create(request(&plan)).await.unwrap().run.unwrap();
        h.bootstrap(&run).await;
        h.offer(&run, &[0, 1]).await;
        healed(&h, bus.as_ref(), &run).await;
    }
    let done = bus.done();
    assert!(done.dropped > 0 && done.doubled > 0, "{done:?}");
    h.stop().await;
}

async fn letters(h: &Harness) -> Vec<pb::DeadLetter> {
    let request = pb::ListDeadLettersRequest::default();
    let answer = h.clients.registry.clone().list_dead_letters(request).await;
    answer.unwrap().into_inner().dead_letters
}

async fn discard(h: &Harness, id: &str) -> Result<(), tonic::Status> {
    let request = pb::DiscardDeadLetterRequest { id: id.into() };
    let mut registry = h.clients.registry.clone();
    registry.discard_dead_letter(request).await.map(drop)
}

async fn requeue(h: &Harness, id: &str) -> Result<String, tonic::Status> {
    let request = pb::RequeueDeadLetterRequest { id: id.into() };
    let mut registry = h.clients.registry.clone();
    let done = registry.requeue_dead_letter(request).await;
    done.map(|answer| answer.into_inner().job_uid)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_given_up_on_is_listed_requeued_and_discarded() {
    let server = Nats::start(NatsVersion::Newest);
    let over_nats = nats(&server).await;
    let in_process: Arc<dyn Bus> = Arc::new(InProcessBus::new(Limits::default()));
    for bus in [in_process, over_nats] {
        let folder = tempfile::tempdir().unwrap();
        let counted = counting(&bus);
        let h = Harness::with_bus(folder.path(), Arc::clone(&counted) as _).await;
        let run = offered(&h).await;
        healed(&h, bus.as_ref(), &run).await;
        let mut source = bus.jobs(JobOptions::default()).await.unwrap();
        let first = loop {
            let next = timeout(SOON, source.next())
                .await
                .unwrap()
                .unwrap()
                .unwrap();
            if next.job().kind == "phase" {
                break next;
            }
            next.ack().await.unwrap();
        };
        let phase = first.job().phase;
        first.give_up("no such builder").await.unwrap();
        until("a letter", async || !letters(&h).await.is_empty()).await;
        let letter = letters(&h).await.remove(0);
        assert_eq!(
            (letter.reason.as_str(), letter.detail.as_str()),
            ("REFUSED", "no such builder")
        );
        assert_eq!((letter.run_id.as_str(), letter.wanted), ("demo", true));
        assert_eq!(letter.phase_id, if phase == 0 { "A" } else { "B" });
        // Given up for good: it does not come back by itself, however long nobody looks.
        compared(&h, &counted, Duration::from_hours(1)).await;
        assert!(on_offer(&h, &run).await.contains(&letter.job_uid));

        let error = from_status(&discard(&h, &letter.id).await.unwrap_err());
        assert!(error.is(Reason::DeadLetterWanted), "{error:?}");
        let job = requeue(&h, &letter.id).await.unwrap();
        assert!(on_offer(&h, &run).await.contains(&job));
        healed(&h, bus.as_ref(), &run).await;
        assert!(letters(&h).await.is_empty());
        let error = from_status(&requeue(&h, &letter.id).await.unwrap_err());
        assert!(error.is(Reason::DeadLetterNotFound), "{error:?}");

        // The next letter's run moves on, and says so.
        let next = timeout(SOON, source.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        next.give_up("again").await.unwrap();
        until("a letter", async || !letters(&h).await.is_empty()).await;
        let cancel = pb::CancelRunRequest {
            run_id: "demo".into(),
            ..Default::default()
        };
        h.clients.registry.clone().cancel_run(cancel).await.unwrap();
        let letter = letters(&h).await.remove(0);
        assert!(!letter.wanted);
        let error = requeue(&h, &letter.id).await.unwrap_err();
        assert!(error.message().contains("moved on"), "{error:?}");
        assert!(from_status(&error).is(Reason::DeadLetterMovedOn));
        discard(&h, &letter.id).await.unwrap();
        let error = from_status(&discard(&h, &letter.id).await.unwrap_err());
        assert!(error.is(Reason::DeadLetterNotFound), "{error:?}");
        h.stop().await;
    }
}

/// Delivered too often, as when workers cannot reach the registry for long: it rests, and comes back by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_delivered_too_often_comes_back_after_a_rest() {
    let bus: Arc<dyn Bus> = Arc::new(InProcessBus::new(Limits {
        deliveries: 2,
        ..Limits::default()
    }));
    let folder = tempfile::tempdir().unwrap();
    let counted = counting(&bus);
    let h = Harness::with_bus(folder.path(), Arc::clone(&counted) as _).await;
    let run = offered(&h).await;
    healed(&h, bus.as_ref(), &run).await;
    let before = on_offer(&h, &run).await;
    let mut source = bus.jobs(JobOptions::default()).await.unwrap();
    while let Ok(next) = timeout(Duration::from_millis(300), source.next()).await {
        let delivery = next.unwrap().unwrap();
        delivery.nak(Duration::ZERO).await.unwrap();
    }
    until("two letters", async || {
        letters(&h).await.iter().filter(|l| l.wanted).count() == 2
    })
    .await;
    h.clock.advance(Duration::from_secs(30));
    compared(&h, &counted, Duration::from_secs(3)).await;
    assert_eq!(on_offer(&h, &run).await, before, "they rest");
    h.clock.advance(Duration::from_secs(40));
    healed(&h, bus.as_ref(), &run).await;
    assert!(
        on_offer(&h, &run)
            .await
            .iter()
            .all(|job| !before.contains(job))
    );
    assert!(letters(&h).await.iter().all(|letter| !letter.wanted));
    h.stop().await;
}
