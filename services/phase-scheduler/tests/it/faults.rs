//! What a fault that repeats costs: ten minutes of it, in calls.

use std::time::Duration;

use crate::stub::{Stub, until};

const LONG: Duration = Duration::from_mins(10);

#[tokio::test(start_paused = true)]
async fn a_run_that_is_refused_for_ever_is_left_alone_and_others_go_on() {
    let stub = Stub::new();
    let bad = stub.add(1, 4, "");
    let good = stub.add(2, 4, "");
    stub.0.lock().unwrap().refused.insert(bad);
    let (supervisor, clients) = stub.scheduler().await;
    until("the good run's offers", || stub.offered(good) == 4).await;
    tokio::time::sleep(LONG).await;
    let (offers, reads) = (
        stub.calls("offer", &bad.to_string()),
        stub.calls("read", &bad.to_string()),
    );
    assert!((10..40).contains(&offers), "{offers} offers");
    assert!(reads <= offers + 2, "{reads} reads");
    let asked = autopack_wire::scheduler::ExplainRequest {
        run_id: "r1".into(),
        phase_id: "P0".into(),
    };
    let answer = clients.scheduler.clone().explain(asked).await.unwrap();
    let holds = &answer.get_ref().phases[0].holds;
    assert_eq!(holds[0].rule, "backoff_scheduler", "{holds:?}");
    // The fault is gone: within the longest wait the run goes on.
    stub.0.lock().unwrap().refused.clear();
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(stub.offered(bad), 4);
    supervisor.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_cannot_be_read_costs_a_bounded_number_of_reads() {
    let stub = Stub::new();
    let bad = stub.add(1, 1, "");
    let good = stub.add(2, 1, "");
    stub.0.lock().unwrap().unreadable.insert(bad);
    let (supervisor, _clients) = stub.scheduler().await;
    tokio::time::sleep(LONG).await;
    let reads = stub.calls("read", &bad.to_string());
    assert!((10..40).contains(&reads), "{reads} reads");
    assert_eq!(stub.offered(good), 1);
    supervisor.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_is_away_is_asked_for_its_list_only_and_found_again_within_a_second_or_two()
{
    let stub = Stub::new();
    let run = stub.add(1, 3, "");
    stub.0.lock().unwrap().down = true;
    let (supervisor, _clients) = stub.scheduler().await;
    tokio::time::sleep(LONG).await;
    let lists = stub.calls("list", "");
    // Five tries of the client each, a wait of a second between.
    assert!(lists < 3000, "{lists} lists");
    assert!(stub.calls("policy", "") < 20);
    assert_eq!(stub.calls("offer", &run.to_string()), 0);
    stub.0.lock().unwrap().down = false;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(stub.offered(run), 3);
    supervisor.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_scheduler_that_has_nothing_to_do_asks_seldom() {
    let stub = Stub::new();
    let run = stub.add(1, 2, "");
    let (supervisor, _clients) = stub.scheduler().await;
    until("the offers", || stub.offered(run) == 2).await;
    tokio::time::sleep(LONG).await;
    assert_eq!(
        stub.calls("offer", &run.to_string()),
        1,
        "both in one request"
    );
    assert!(stub.calls("read", &run.to_string()) <= 2);
    assert!(stub.calls("policy", "") <= 620);
    assert!(stub.calls("list", "") <= 130);
    supervisor.shutdown(Duration::from_secs(1)).await;
}
