//! What the relay does with an event that the bus can never take.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use autopack_bus::{Bus, BusConfig, EventItem, EventOptions, JetStreamBus};
use autopack_testkit::{Nats, NatsVersion};
use autopack_wire::registry as pb;
use tokio::time::timeout;

use crate::harness::{Harness, PLAN, Place, request, until};

const SOON: Duration = Duration::from_secs(20);

/// A run whose events are larger than the server allows: its jobs go out, its events are left out and counted, and the
/// events of others are not held up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_too_large_for_the_bus_holds_up_nobody() {
    let server = Nats::start_configured(NatsVersion::Newest, "max_payload: 4096\n");
    let config = BusConfig::at(server.url());
    let bus: Arc<dyn Bus> = Arc::new(JetStreamBus::connect(config).await.unwrap());
    let mut events = bus.events(EventOptions::default()).await.unwrap();
    let place = Place::postgres();
    let config = place.config("http://one:1");
    let mut h = Harness::stand_by_on(&place, config, Arc::clone(&bus)).await;
    let serving = h.serving.clone().unwrap();
    assert!(serving.until_active().await);
    h.worker = h.register().await;
    let left_out = || serving.core().unwrap().figures().events_left_out;

    let plan = PLAN.replace("id: B, name: b,", "id: B, name: b, depends_on: [],");
    let large = plan.replace("Prove the registry", &"x".repeat(4000));
    let large = h.create(request(&large)).await.unwrap().run.unwrap();
    h.bootstrap(&large).await;
    h.offer(&large, &[0, 1]).await;
    let small = plan.replace("id: demo", "id: small");
    let small = h.create(request(&small)).await.unwrap().run.unwrap();

    let told = timeout(SOON, async {
        loop {
            if let EventItem::Event(event) = events.next().await.unwrap().unwrap() {
                let run = event.run.as_ref().unwrap();
                assert_ne!(run.uid, large.uid, "{} bytes", run.goal.len());
                if run.uid == small.uid {
                    return;
                }
            }
        }
    });
    told.await.expect("the small run is told of");
    assert!(left_out() >= 1, "{}", left_out());

    let request = pb::GetSnapshotRequest {
        run_uid: large.uid.clone(),
    };
    let snapshot = h.clients.dispatch.clone().get_snapshot(request).await;
    let attempts = snapshot.unwrap().into_inner().attempts;
    let offered: BTreeSet<String> = attempts.into_iter().map(|a| a.job).collect();
    assert_eq!(offered.len(), 2);
    until("the jobs of the large run are on the bus", async || {
        let stored = bus.stored_jobs().await.unwrap();
        offered.iter().all(|job| stored.contains(job))
    })
    .await;
    assert_eq!(serving.core().unwrap().figures().outbox_depth, 0);
    h.stop().await;
}
