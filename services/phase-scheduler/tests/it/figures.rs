//! What `/metrics` of a scheduler shows.

use std::time::Duration;

use autopack_runtime::telemetry::{Meters, TelemetryConfig};

use crate::stub::{Stub, until};

/// The value of one series; `None` while it is not shown.
fn value(meters: &Meters, series: &str) -> Option<f64> {
    let text = meters.render().unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    line.map(|rest| rest.trim().parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_numbers_show_what_waits_and_how_the_registry_answered() {
    let meters = Meters::init(&TelemetryConfig::new("phase-scheduler")).unwrap();
    let stub = Stub::new();
    let gpu = stub.add(1, 3, r#", "labels": {"lane": "gpu"}"#);
    let good = stub.add(2, 4, "");
    let (refused, held, away) = (stub.add(3, 1, ""), stub.add(4, 1, ""), stub.add(5, 1, ""));
    {
        let mut inner = stub.0.lock().unwrap();
        inner.policy.pause("gpu", true);
        inner.refused.insert(refused);
        inner.held.insert(held);
        inner.away.insert(away);
    }
    let (supervisor, _clients) = stub.scheduler().await;
    let offers = |answer: &str| {
        let series = format!("autopack_scheduler_offers_total{{answer=\"{answer}\"}}");
        value(&meters, &series)
    };
    until("the good run's offers", || stub.offered(good) == 4).await;
    until("each answer", || {
        ["done", "stale", "held", "later"]
            .iter()
            .all(|answer| offers(answer) > Some(0.0))
    })
    .await;
    let shown = |name: &str| value(&meters, &format!("autopack_scheduler_{name}"));
    assert_eq!(shown("phases_offered_total"), Some(4.0));
    assert!(shown("plan_seconds_count") > Some(0.0));
    until("the waiting lane", || {
        shown("queue_depth{lane=\"gpu\"}") == Some(3.0)
            && shown("queue_oldest_seconds{lane=\"gpu\"}") >= Some(30.0)
    })
    .await;
    assert_eq!(shown("runs"), Some(5.0));
    until("trouble", || shown("runs_in_trouble") >= Some(1.0)).await;

    {
        let mut inner = stub.0.lock().unwrap();
        inner.policy.pause("gpu", false);
        inner.version += 1;
        inner.refused.clear();
        inner.held.clear();
        inner.away.clear();
    }
    until("all offers", || {
        stub.offered(gpu) == 3 && stub.offered(away) == 1
    })
    .await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(shown("phases_offered_total"), Some(10.0));
    assert_eq!(shown("runs_in_trouble"), Some(0.0));
    supervisor.shutdown(Duration::from_secs(1)).await;
}
