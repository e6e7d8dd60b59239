//! The scheduler's own service: the order of the queue, what holds a phase, paused lanes, limits.

use std::time::Duration;

use autopack_domain::project::ProjectLimits;
use autopack_wire::scheduler::{ExplainRequest, ListQueueRequest, PauseLaneRequest};

use crate::stub::{Stub, until};

fn list(size: i32, token: &str) -> ListQueueRequest {
    ListQueueRequest {
        page_size: size,
        page_token: token.to_owned(),
        ..ListQueueRequest::default()
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_the_window_is_listed_in_its_order_by_pages() {
    let stub = Stub::new();
    let runs = [stub.add(1, 30, ""), stub.add(2, 30, "")];
    let (supervisor, clients) = stub.scheduler().await;
    // Eight slots: sixteen places, shared evenly.
    until("a full window", || {
        runs.iter().map(|r| stub.offered(*r)).sum::<usize>() == 16
    })
    .await;
    assert_eq!((stub.offered(runs[0]), stub.offered(runs[1])), (8, 8));
    // The offers show once the runs were read again.
    tokio::time::sleep(Duration::from_secs(11)).await;
    let mut queue = clients.scheduler.clone();
    let first = queue.list_queue(list(40, "")).await.unwrap().into_inner();
    assert_eq!(
        (first.total, first.phases.len(), first.in_flight),
        (44, 40, 16)
    );
    let rest = list(40, &first.next_page_token);
    let rest = queue.list_queue(rest).await.unwrap().into_inner();
    assert_eq!((rest.phases.len(), rest.next_page_token.as_str()), (4, ""));
    for (n, phase) in first.phases.iter().chain(&rest.phases).enumerate() {
        assert_eq!(phase.position as usize, n + 1);
        assert_eq!(phase.holds[0].rule, "queue");
        assert_eq!(phase.lane, "default");
    }
    // The runs' projects take turns.
    assert_ne!(first.phases[0].project, first.phases[1].project);
    let last = rest.phases.last().unwrap().clone();
    let asked = ExplainRequest {
        run_id: last.run_id,
        phase_id: last.phase_id,
    };
    let why = queue.explain(asked).await.unwrap().into_inner().phases;
    assert_eq!(
        (why[0].position, why[0].holds[0].rule.as_str()),
        (44, "queue")
    );
    assert!(
        why[0].holds[0].facts.contains("43 phases are before it"),
        "{why:?}"
    );
    let bad = queue.list_queue(list(1, "x")).await.unwrap_err();
    assert_eq!(bad.code(), tonic::Code::InvalidArgument);
    supervisor.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_lane_holds_its_phases_until_it_is_resumed() {
    let stub = Stub::new();
    stub.0.lock().unwrap().policy.pause("gpu", true);
    let gpu = stub.add(1, 3, r#", "labels": {"lane": "GPU"}"#);
    let other = stub.add(2, 3, "");
    let (supervisor, clients) = stub.scheduler().await;
    until("the other lane's offers", || stub.offered(other) == 3).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(stub.offered(gpu), 0);
    let mut queue = clients.scheduler.clone();
    let listed = queue.list_queue(list(0, "")).await.unwrap().into_inner();
    assert_eq!((listed.total, listed.paused_lanes.len()), (3, 1));
    assert_eq!(listed.phases[0].holds[0].rule, "lane_paused");
    assert_eq!(listed.phases[0].lane, "gpu");
    let resume = PauseLaneRequest {
        lane: "gpu".into(),
        paused: false,
    };
    let left = queue.pause_lane(resume).await.unwrap().into_inner();
    assert!(left.paused_lanes.is_empty());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(stub.offered(gpu), 3, "at once, not with the next poll");
    supervisor.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn limits_are_read_when_a_decision_is_made() {
    let stub = Stub::new();
    let two = ProjectLimits {
        max_running: Some(2),
        ..ProjectLimits::default()
    };
    stub.0.lock().unwrap().policy.set_limits("p1", two);
    let run = stub.add(1, 5, "");
    let (supervisor, clients) = stub.scheduler().await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(stub.offered(run), 2);
    let asked = ExplainRequest {
        run_id: "r1".into(),
        phase_id: "P4".into(),
    };
    let why = clients.scheduler.clone().explain(asked).await.unwrap();
    assert_eq!(why.get_ref().phases[0].holds[0].rule, "project_limit");
    {
        let mut inner = stub.0.lock().unwrap();
        inner.policy.set_limits("p1", ProjectLimits::default());
        inner.version += 1;
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(stub.offered(run), 5);
    supervisor.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn offers_of_many_runs_share_a_call_and_an_older_registry_is_asked_for_each() {
    for old in [false, true] {
        let stub = Stub::new();
        stub.0.lock().unwrap().old = old;
        let runs: Vec<_> = (1..=8).map(|n| stub.add(n, 2, "")).collect();
        let refused = runs[3];
        stub.0.lock().unwrap().refused.insert(refused);
        let (supervisor, _clients) = stub.scheduler().await;
        let others = runs.iter().filter(|run| **run != refused);
        until("the offers of all others", || {
            others.clone().all(|run| stub.offered(*run) == 2)
        })
        .await;
        assert_eq!(stub.offered(refused), 0);
        assert_eq!(stub.calls("offer", &runs[0].to_string()), 1);
        let calls = stub.calls("batch", "");
        assert!((1..=4).contains(&calls), "{calls} calls for eight runs");
        supervisor.shutdown(Duration::from_secs(1)).await;
    }
}
