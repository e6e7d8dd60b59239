//! Workers: what they announce, what is listed, and which of them may take a job.

use std::time::Duration;

use autopack_domain::Reason;
use autopack_wire::{registry as pb, status::from_status, types};

use crate::harness::{Harness, PLAN, Place, request};

const NEEDY: &str = r"
schema: autopack/plan/v1
run: { id: demo, goal: Prove placement, project: demo, labels: { worker.zone: b } }
tiers:
  - id: T1
    name: One
    phases:
      - { id: A, name: a, goal: a, labels: { worker.gpu: yes-please }, builder: { kind: noop }, gate: { steps: [] } }
      - { id: B, name: b, goal: b, depends_on: [], builder: { kind: noop }, gate: { steps: [] } }
";

fn profile(name: &str, tools: &[&str], labels: &[(&str, &str)]) -> pb::RegisterWorkerRequest {
    let label = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pb::RegisterWorkerRequest {
        name: name.into(),
        slots: 2,
        capabilities: tools.iter().map(|tool| format!("tool:{tool}")).collect(),
        labels: labels.iter().map(label).collect(),
        version: "1.2.3".into(),
        host: "machine".into(),
        lanes: vec!["default".into()],
        address: "http://machine:7879".into(),
        ..Default::default()
    }
}

async fn register(h: &Harness, request: pb::RegisterWorkerRequest) -> String {
    let answer = h.clients.work.clone().register_worker(request).await;
    answer.unwrap().into_inner().worker_uid
}

async fn list(h: &Harness, size: i32, token: &str) -> pb::ListWorkersResponse {
    let request = pb::ListWorkersRequest {
        page_size: size,
        page_token: token.into(),
    };
    let answer = h.clients.registry.clone().list_workers(request).await;
    answer.unwrap().into_inner()
}

async fn beat(h: &Harness, worker: &str, draining: bool, leaving: bool) -> pb::HeartbeatResponse {
    let request = pb::HeartbeatRequest {
        worker_uid: worker.into(),
        draining,
        leaving,
        tool_versions: [("go".to_owned(), "go 1.25".to_owned())].into(),
        ..Default::default()
    };
    let answer = h.clients.work.clone().heartbeat(request).await;
    answer.unwrap().into_inner()
}

async fn slots(h: &Harness) -> u32 {
    let request = pb::ListActiveRunsRequest::default();
    let answer = h.clients.dispatch.clone().list_active_runs(request).await;
    answer.unwrap().into_inner().slots
}

#[tokio::test]
async fn workers_are_listed_as_they_stand_and_page_by_page() {
    let place = Place::sqlite();
    let h = Harness::start(&place).await;
    let mut uids = vec![h.worker.clone()];
    for name in ["a", "b", "c"] {
        uids.push(register(&h, profile(name, &["go"], &[("zone", "b")])).await);
    }
    let first = list(&h, 3, "").await;
    let second = list(&h, 3, &first.next_page_token).await;
    let found: Vec<&str> = first
        .workers
        .iter()
        .chain(&second.workers)
        .map(|worker| worker.uid.as_str())
        .collect();
    assert_eq!(found, uids);
    assert_eq!(second.next_page_token, "");
    let wrong = pb::ListWorkersRequest {
        page_size: 0,
        page_token: "x".into(),
    };
    let refused = h.clients.registry.clone().list_workers(wrong).await;
    assert!(from_status(&refused.unwrap_err()).is(Reason::PageTokenInvalid));
    assert_eq!(slots(&h).await, 4 + 3 * 2);

    let answer = beat(&h, &uids[1], true, false).await;
    assert!(!answer.unknown_worker && answer.time.is_some());
    h.clock.advance(Duration::from_secs(15));
    beat(&h, &uids[1], true, false).await;
    beat(&h, &uids[2], false, false).await;
    beat(&h, &h.worker, false, false).await;
    h.clock.advance(Duration::from_secs(6));
    let now = list(&h, 0, "").await.workers;
    let states: Vec<&str> = now.iter().map(|w| w.state().as_str_name()).collect();
    assert_eq!(
        states,
        [
            "STATE_ACTIVE",
            "STATE_DRAINING",
            "STATE_ACTIVE",
            "STATE_LOST"
        ]
    );
    assert_eq!(
        slots(&h).await,
        4 + 2,
        "no job for the draining and the lost"
    );
    let b = &now[2];
    assert_eq!((b.name.as_str(), b.version.as_str()), ("b", "1.2.3"));
    assert_eq!(
        (b.host.as_str(), b.address.as_str()),
        ("machine", "http://machine:7879")
    );
    assert_eq!(
        (&b.labels["zone"], &b.tool_versions["go"]),
        (&"b".into(), &"go 1.25".into())
    );
    let (seen, registered) = (b.seen_time.unwrap(), b.registered_time.unwrap());
    assert_eq!(seen.seconds - registered.seconds, 15);
    // The lost one comes back; the one that took leave does not stay.
    assert!(!beat(&h, &uids[3], false, false).await.unknown_worker);
    assert!(!beat(&h, &uids[1], true, true).await.unknown_worker);
    let now = list(&h, 0, "").await.workers;
    assert_eq!(now.len(), 3);
    assert_eq!(now[2].state().as_str_name(), "STATE_ACTIVE");
    // After ten minutes nobody speaks of a lost one.
    h.clock.advance(Duration::from_mins(11));
    assert!(list(&h, 0, "").await.workers.is_empty());
    assert!(beat(&h, &uids[3], false, false).await.unknown_worker);
    h.stop().await;
}

#[tokio::test]
async fn leases_are_listed_with_run_phase_and_stage() {
    let place = Place::sqlite();
    let h = Harness::start(&place).await;
    let run = h.create(request(PLAN)).await.unwrap().run.unwrap();
    h.bootstrap(&run).await;
    let lease = h.lease(&run, 0).await;
    let held = list(&h, 0, "").await.workers.remove(0).leases;
    assert_eq!(held.len(), 1);
    assert_eq!((&held[0].run_id, &held[0].phase_id), (&run.id, &"A".into()));
    assert_eq!((&held[0].uid, held[0].kind.as_str()), (&lease.0, "phase"));
    assert_eq!(held[0].stage(), types::attempt::State::Building);
    assert!(held[0].since_time.is_some());
    h.settle(&run, &lease, "").await.unwrap();
    assert!(list(&h, 0, "").await.workers[0].leases.is_empty());
    h.stop().await;
}

/// Leases the run's first job of this kind as this worker.
async fn lease_as(
    h: &Harness,
    worker: &str,
    kind: &str,
    run: &types::Run,
    (job, attempt): (&str, &str),
) -> Result<pb::LeaseJobResponse, tonic::Status> {
    let request = pb::LeaseJobRequest {
        job_uid: job.into(),
        kind: kind.into(),
        run_uid: run.uid.clone(),
        attempt_uid: attempt.into(),
        worker_uid: worker.into(),
    };
    let answer = h.clients.work.clone().lease_job(request).await;
    answer.map(tonic::Response::into_inner)
}

async fn version(h: &Harness, run: &types::Run) -> u64 {
    h.run(&run.id).await.run.unwrap().version
}

async fn why(h: &Harness, phase: &str) -> Vec<(String, String)> {
    let request = pb::ExplainRunRequest {
        run_id: "demo".into(),
        phase_id: phase.into(),
    };
    let answer = h.clients.registry.clone().explain_run(request).await;
    let mut phases = answer.unwrap().into_inner().phases;
    let holds = phases.remove(0).holds.into_iter();
    holds.map(|hold| (hold.rule, hold.facts)).collect()
}

#[tokio::test]
async fn only_a_worker_with_the_tools_and_labels_gets_the_job() {
    let place = Place::sqlite();
    let h = Harness::start(&place).await;
    let plain = register(&h, profile("plain", &["cargo"], &[("zone", "b")])).await;
    let go = register(&h, profile("go", &["go"], &[("zone", "b")])).await;
    let run = h.create(request(NEEDY)).await.unwrap().run.unwrap();
    let offer = pb::OfferJobRequest {
        run_uid: run.uid.clone(),
        expected_version: version(&h, &run).await,
        kind: "bootstrap".into(),
    };
    let answer = h.clients.dispatch.clone().offer_job(offer).await;
    let job = answer.unwrap().into_inner().job_uid;
    // The harness's own worker has no label at all.
    let refused = lease_as(&h, &h.worker, "bootstrap", &run, (&job, "")).await;
    let refused = from_status(&refused.unwrap_err());
    assert!(refused.is(Reason::WorkerNotEligible), "{refused:?}");
    assert_eq!(refused.metadata["missing"], "label zone=b");
    let leased = lease_as(&h, &plain, "bootstrap", &run, (&job, ""))
        .await
        .unwrap();
    let fleet: Vec<&[String]> = leased.fleet.iter().map(|w| &w.capabilities[..]).collect();
    assert_eq!(
        fleet,
        [["tool:go".to_owned()]],
        "others that the labels admit"
    );
    let found = pb::FinishBootstrapRequest {
        run_uid: run.uid.clone(),
        job_uid: job,
        fence: leased.fence,
        base_sha: "base".into(),
        tip: "base".into(),
        facts: [("phase_tools".to_owned(), "go@0-1".to_owned())].into(),
        ..Default::default()
    };
    h.clients
        .work
        .clone()
        .finish_bootstrap(found)
        .await
        .unwrap();

    assert_eq!(why(&h, "B").await, [], "one worker will do");
    let held = why(&h, "A").await;
    assert_eq!(held[0].0, "no_eligible_worker");
    assert!(
        held[0].1.contains("go lacks label gpu=yes-please"),
        "{held:?}"
    );
    assert!(
        held[0]
            .1
            .contains("plain lacks label gpu=yes-please, tool go"),
        "{held:?}"
    );

    let offer = pb::OfferPhasesRequest {
        run_uid: run.uid.clone(),
        expected_version: version(&h, &run).await,
        phases: vec![1],
    };
    h.clients
        .dispatch
        .clone()
        .offer_phases(offer)
        .await
        .unwrap();
    let snapshot = pb::GetSnapshotRequest {
        run_uid: run.uid.clone(),
    };
    let answer = h.clients.dispatch.clone().get_snapshot(snapshot).await;
    let attempt = answer.unwrap().into_inner().attempts.remove(0);
    let ids = (attempt.job.as_str(), attempt.uid.as_str());
    let refused = lease_as(&h, &plain, "phase", &run, ids).await.unwrap_err();
    assert_eq!(from_status(&refused).metadata["missing"], "tool go");
    // Nothing was changed by the refusal: the right one still gets it, and then it is gone for all.
    let leased = lease_as(&h, &go, "phase", &run, ids).await.unwrap();
    assert_eq!(leased.attempt.unwrap().number, 1);
    let late = lease_as(&h, &plain, "phase", &run, ids).await.unwrap_err();
    assert!(from_status(&late).is(Reason::JobGone), "{late:?}");
    h.stop().await;
}
