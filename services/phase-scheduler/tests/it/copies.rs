//! Copies of runs that were out of date when they came.

use std::sync::Arc;

use autopack_bus::{Bus, BusConfig, EventEnvelope};
use autopack_domain::{EventKind, RunUid, event::Event};
use autopack_wire::convert::RecordedEvent;
use tokio::sync::Notify;

use crate::stub::{NOW, Stub, until};

/// Changes the run as a person's command does; the run's events go on by one.
fn command(stub: &Stub, run: RunUid, paused: bool) {
    let mut inner = stub.0.lock().unwrap();
    let run = &mut inner.runs.get_mut(&run).unwrap().run;
    run.paused = paused;
    run.version += 1;
    run.last_event += 1;
}

/// Publishes the run's last event.
async fn publish(bus: &Arc<dyn Bus>, stub: &Stub, uid: RunUid, kind: EventKind) {
    let run = stub.0.lock().unwrap().runs[&uid].run.clone();
    let recorded = RecordedEvent {
        sequence: run.last_event,
        run_sequence: run.last_event,
        at: NOW,
        event: Event {
            kind,
            run: run.clone(),
            tier: None,
            phase: None,
            attempt: None,
            job: None,
            text: String::new(),
        },
    };
    let envelope = EventEnvelope {
        id: format!("{uid}-{}", run.last_event),
        project: run.project,
        run_uid: uid.to_string(),
        event: (&recorded).into(),
        traceparent: None,
    };
    bus.publish_events(vec![envelope]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_resumed_while_a_copy_of_it_was_on_its_way_goes_on() {
    let bus = autopack_bus::connect(BusConfig::default()).await.unwrap();
    let stub = Stub::new();
    let run = stub.add(1, 2, "");
    let on_its_way = Arc::new(Notify::new());
    // The list never helps: only the event tells.
    command(&stub, run, true);
    let slow = Arc::clone(&on_its_way);
    stub.0.lock().unwrap().slow.insert(run, slow);
    let (supervisor, _clients) = stub.scheduler_on(Arc::clone(&bus));
    until("the limits are known", || stub.calls("policy", "") > 0).await;

    // It is read because of an event that came before the pause.
    stub.0
        .lock()
        .unwrap()
        .runs
        .get_mut(&run)
        .unwrap()
        .run
        .paused = false;
    publish(&bus, &stub, run, EventKind::RunResumed).await;
    command(&stub, run, true);
    until("it is being read", || {
        stub.calls("read", &run.to_string()) == 1
    })
    .await;
    // Resumed meanwhile; the copy on its way says paused, and stays the last word on the list for now.
    command(&stub, run, false);
    publish(&bus, &stub, run, EventKind::RunResumed).await;
    stub.0.lock().unwrap().slow.clear();
    stub.0.lock().unwrap().unlisted.insert(run);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    on_its_way.notify_one();
    until("its phases are offered", || stub.offered(run) == 2).await;
    supervisor.shutdown(std::time::Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_the_registry_lists_is_read_although_it_was_seen_paused() {
    let stub = Stub::new();
    let run = stub.add(1, 2, "");
    let (supervisor, _clients) = {
        stub.0.lock().unwrap().held.insert(run);
        stub.scheduler().await
    };
    until("it is known", || stub.calls("offer", &run.to_string()) > 0).await;
    command(&stub, run, true);
    stub.0.lock().unwrap().refused.insert(run);
    until("it is seen paused", || {
        stub.calls("read", &run.to_string()) > 1
    })
    .await;
    command(&stub, run, false);
    stub.0.lock().unwrap().refused.clear();
    stub.0.lock().unwrap().held.clear();
    until("its phases are offered", || stub.offered(run) == 2).await;
    supervisor.shutdown(std::time::Duration::from_secs(1)).await;
}
