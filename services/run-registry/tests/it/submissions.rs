//! Results and audits from outside through the RPCs: stored once, refused with every fault, never landed by word alone.

use autopack_domain::Reason;
use autopack_wire::{
    client::Clients,
    registry as pb,
    server::Principal,
    status::{RemoteError, from_status},
    types,
};
use serde_json::{Value, json};

use crate::harness::{Harness, Place, both, request};

both!(
    a_result_is_stored_once_and_leased_like_any_other_attempt,
    every_fault_of_a_document_is_named_and_nothing_is_stored,
    refusals_name_the_state_and_what_is_allowed,
);

const PLAN: &str = r"
schema: autopack/plan/v1
run: { id: demo, goal: Prove submissions, project: demo }
tiers:
  - id: T1
    name: One
    phases:
      - { id: A, name: a, goal: a, depends_on: [], builder: { kind: external, timeout_seconds: 60 }, gate: { steps: [] } }
      - { id: B, name: b, goal: b, depends_on: [], task_category: security_auth_change, builder: { kind: external, audit: true }, gate: { steps: [] } }
      - { id: C, name: c, goal: c, depends_on: [], builder: { kind: noop }, gate: { steps: [] } }
";

pub(crate) async fn started(place: &Place) -> (Harness, types::Run) {
    let h = Harness::start(place).await;
    let run = h.create(request(PLAN)).await.unwrap().run.unwrap();
    h.bootstrap(&run).await;
    (h, run)
}

pub(crate) fn document(builder: &str) -> Value {
    json!({
        "builder": builder,
        "patch": "diff --git a/f b/f\n",
        "usage": [{ "total": 70, "model": "m" }],
        "issues": [{ "key": "docs__readme__stale", "category": "docs" }]
    })
}

pub(crate) fn result(phase: &str, document: &Value) -> pb::SubmitBuilderResultRequest {
    pb::SubmitBuilderResultRequest {
        run_id: "demo".into(),
        phase_id: phase.into(),
        request_id: String::new(),
        document: document.to_string(),
    }
}

pub(crate) async fn submit(
    clients: &Clients,
    request: pb::SubmitBuilderResultRequest,
) -> Result<pb::SubmitBuilderResultResponse, RemoteError> {
    let answer = clients.submissions().submit_builder_result(request).await;
    answer
        .map(tonic::Response::into_inner)
        .map_err(|status| from_status(&status))
}

pub(crate) async fn audit(
    clients: &Clients,
    phase: &str,
    document: &Value,
) -> Result<pb::SubmitAuditorResultResponse, RemoteError> {
    let request = pb::SubmitAuditorResultRequest {
        run_id: "demo".into(),
        phase_id: phase.into(),
        request_id: String::new(),
        document: document.to_string(),
    };
    let answer = clients.submissions().submit_auditor_result(request).await;
    answer
        .map(tonic::Response::into_inner)
        .map_err(|status| from_status(&status))
}

pub(crate) async fn phase(h: &Harness, id: &str) -> types::Phase {
    let phases = h.run("demo").await.phases;
    phases.into_iter().find(|p| p.id == id).unwrap()
}

pub(crate) async fn content(h: &Harness, digest: &str) -> Value {
    let request = pb::GetArtifactRequest {
        digest: digest.into(),
    };
    let mut artifacts = h.as_principal(Principal::Auditor).artifacts;
    let mut pieces = artifacts.get_artifact(request).await.unwrap().into_inner();
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.message().await.unwrap() {
        bytes.extend_from_slice(&piece.data);
    }
    serde_json::from_slice(&bytes).unwrap()
}

/// As a worker: takes the offer of a phase; the whole answer.
pub(crate) async fn take(h: &Harness, run: &types::Run, phase: u32) -> pb::LeaseJobResponse {
    h.offer(run, &[phase]).await;
    let asked = pb::GetSnapshotRequest {
        run_uid: run.uid.clone(),
    };
    let snapshot = h.clients.dispatch.clone().get_snapshot(asked).await;
    let attempts = snapshot.unwrap().into_inner().attempts;
    let attempt = attempts.iter().find(|a| a.phase == phase).unwrap();
    let lease = pb::LeaseJobRequest {
        job_uid: attempt.job.clone(),
        kind: "phase".into(),
        run_uid: run.uid.clone(),
        attempt_uid: attempt.uid.clone(),
        worker_uid: h.worker.clone(),
    };
    let mut work = h.clients.work.clone();
    work.lease_job(lease).await.unwrap().into_inner()
}

pub(crate) fn held(leased: &pb::LeaseJobResponse) -> (String, u64) {
    (leased.attempt.clone().unwrap().uid, leased.fence)
}

async fn a_result_is_stored_once_and_leased_like_any_other_attempt(place: Place) {
    let (h, run) = started(&place).await;
    let waiting = phase(&h, "A").await.handoff.unwrap();
    assert_eq!(waiting.awaited, "submission");
    let once = pb::SubmitBuilderResultRequest {
        request_id: "one".into(),
        ..result("A", &document("bot-7"))
    };
    let builder = h.as_principal(Principal::Builder);
    let first = submit(&builder, once.clone()).await.unwrap();
    let submission = first.phase.unwrap().handoff.unwrap().submission.unwrap();
    assert_eq!(submission.builder, "bot-7");
    assert_eq!(content(&h, &submission.digest).await["builder"], "bot-7");
    assert_eq!(first.run.unwrap().issues.unwrap().minor, 1);
    // Repeated, nothing more happens; the key with another document is refused.
    let version = h.run("demo").await.run.unwrap().version;
    submit(&builder, once.clone()).await.unwrap();
    assert_eq!(h.run("demo").await.run.unwrap().version, version);
    let other = pb::SubmitBuilderResultRequest {
        document: document("bot-8").to_string(),
        ..once.clone()
    };
    let refused = submit(&builder, other).await.unwrap_err();
    assert!(refused.is(Reason::RequestIdReused), "{refused:?}");

    let leased = take(&h, &run, 0).await;
    assert_eq!(
        leased.submission.as_ref().unwrap().digest,
        submission.digest
    );
    assert_eq!(leased.tokens_reserved, 70, "what was used outside");
    h.settle(&run, &held(&leased), "GATE_FAILED").await.unwrap();
    let red = phase(&h, "A").await;
    assert_eq!(
        (red.state(), red.cause.as_str()),
        (types::phase::State::Queued, "GATE_FAILED")
    );
    let handoff = red.handoff.unwrap();
    assert_eq!(
        (handoff.awaited.as_str(), handoff.submission),
        ("submission", None)
    );
    assert_eq!(red.tokens.unwrap().settled, 70);
    // The earlier key still answers, and submits nothing again.
    let again = submit(&builder, once).await.unwrap();
    assert_eq!(again.phase.unwrap().handoff.unwrap().submission, None);

    submit(&builder, result("A", &document("bot-7")))
        .await
        .unwrap();
    let leased = take(&h, &run, 0).await;
    h.settle(&run, &held(&leased), "").await.unwrap();
    let done = phase(&h, "A").await;
    assert_eq!(
        (done.state(), done.handoff),
        (types::phase::State::Complete, None)
    );
    let facts = pb::ListFactsRequest {
        run_id: "demo".into(),
    };
    let facts = h.clients.registry.clone().list_facts(facts).await.unwrap();
    let totals: Vec<u64> = facts
        .into_inner()
        .usage
        .iter()
        .map(|u| u.usage.as_ref().unwrap().total)
        .collect();
    assert_eq!(totals, [70, 70]);
    h.stop().await;
}

async fn every_fault_of_a_document_is_named_and_nothing_is_stored(place: Place) {
    let (h, _) = started(&place).await;
    let before = h.run("demo").await.run.unwrap().version;
    let bad = json!({
        "run_id": "another", "phase_id": "B", "builder": "bot", "status": "finished", "tokens_used": 5, "patch": ""
    });
    let refused = submit(&h.clients, result("A", &bad)).await.unwrap_err();
    assert!(refused.is(Reason::SubmissionInvalid), "{refused:?}");
    let fields: Vec<&str> = refused.faults.iter().map(|f| f.path.as_str()).collect();
    assert_eq!(
        fields,
        ["tokens_used", "run_id", "phase_id", "status", "patch"]
    );
    // The id in the document is the run's own, also where the request names its uid.
    let uid = h.run("demo").await.run.unwrap().uid;
    let by_uid = pb::SubmitBuilderResultRequest {
        run_id: uid,
        ..result(
            "A",
            &json!({ "run_id": "demo", "builder": "bot", "status": "failed" }),
        )
    };
    let refused = audit(&h.clients, "A", &json!({ "auditor": "ada" }))
        .await
        .unwrap_err();
    assert!(refused.is(Reason::SubmissionInvalid), "{refused:?}");
    assert_eq!(h.run("demo").await.run.unwrap().version, before);
    submit(&h.clients, by_uid).await.unwrap();
    assert_eq!(phase(&h, "A").await.cause, "BUILDER_FAILED");
    h.stop().await;
}

async fn refusals_name_the_state_and_what_is_allowed(place: Place) {
    let (h, run) = started(&place).await;
    let good = document("bot");
    for (request, reason) in [
        (result("Z", &good), Reason::PhaseNotFound),
        (result("C", &good), Reason::NotExternal),
        (
            pb::SubmitBuilderResultRequest {
                run_id: "none".into(),
                ..result("A", &good)
            },
            Reason::RunNotFound,
        ),
        (
            pb::SubmitBuilderResultRequest {
                request_id: "x".repeat(37),
                ..result("A", &good)
            },
            Reason::ArgumentInvalid,
        ),
    ] {
        let refused = submit(&h.clients, request).await.unwrap_err();
        assert!(refused.is(reason), "{refused:?}");
    }
    submit(&h.clients, result("A", &good)).await.unwrap();
    let twice = submit(&h.clients, result("A", &good)).await.unwrap_err();
    assert!(twice.is(Reason::PhaseState), "{twice:?}");
    assert_eq!(twice.metadata["awaits"], "nothing");
    let leased = take(&h, &run, 0).await;
    let late = submit(&h.clients, result("A", &good)).await.unwrap_err();
    assert_eq!(late.metadata["state"], "EXECUTING");
    assert_eq!(
        late.metadata["allowed"],
        "QUEUED, with no attempt under way"
    );
    h.settle(&run, &held(&leased), "").await.unwrap();
    // Roles: who may not, is told who may.
    let auditor = h.as_principal(Principal::Auditor);
    let denied = submit(&auditor, result("A", &good)).await.unwrap_err();
    assert!(denied.is(Reason::PermissionDenied), "{denied:?}");
    assert_eq!(denied.metadata["allowed"], "operator,builder");
    let builder = h.as_principal(Principal::Builder);
    let denied = audit(&builder, "B", &json!({})).await.unwrap_err();
    assert_eq!(denied.metadata["allowed"], "operator,auditor");
    h.stop().await;
}
