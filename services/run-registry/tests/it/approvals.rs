//! Changes that wait for a person's word: asked by a worker, listed, decided, and timed out.

use std::time::Duration;

use autopack_domain::Reason;
use autopack_wire::{
    client::Clients,
    registry::{self as pb, decide_approval_request::Decision},
    server::Principal,
    status::{RemoteError, from_status},
    types,
};

use crate::{
    harness::{Harness, Place, both},
    submissions::{held, phase, started, take},
};

both!(
    a_request_is_listed_decided_once_and_goes_with_the_lease,
    nobody_but_a_user_decides_and_not_on_a_change_of_their_own,
    no_word_in_a_day_is_a_no,
    a_request_and_its_cause_come_together,
);

const TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// As a worker: the attempt of phase C ends with this cause and request.
async fn settle(
    h: &Harness,
    run: &types::Run,
    cause: &str,
    request: Option<types::ApprovalRequest>,
) -> Result<(), RemoteError> {
    let (attempt_uid, fence) = held(&take(h, run, 2).await);
    let request = pb::SettleAttemptRequest {
        run_uid: run.uid.clone(),
        attempt_uid,
        fence,
        cause: cause.into(),
        detail: "tree".into(),
        approval: request,
        ..Default::default()
    };
    let answer = h.clients.work.clone().settle_attempt(request).await;
    answer.map(drop).map_err(|status| from_status(&status))
}

fn asks() -> types::ApprovalRequest {
    types::ApprovalRequest {
        tree: TREE.into(),
        tip: String::new(),
        risk: "high".into(),
        asks: vec![types::ApprovalAsk {
            guard: "path".into(),
            path: "db/1.sql".into(),
            detail: "named".into(),
        }],
        asked_by: "bot-7".into(),
    }
}

async fn decide(
    clients: &Clients,
    decision: Decision,
    tree: &str,
    by: &str,
) -> Result<types::Phase, RemoteError> {
    let request = pb::DecideApprovalRequest {
        run_id: "demo".into(),
        phase_id: "C".into(),
        tree: tree.into(),
        decision: decision.into(),
        decided_by: by.into(),
        note: "looked at it".into(),
        request_id: String::new(),
    };
    let answer = clients.approvals().decide_approval(request).await;
    answer
        .map(|answer| answer.into_inner().phase.unwrap())
        .map_err(|status| from_status(&status))
}

async fn listed(clients: &Clients, run: &str, with_decided: bool) -> Vec<pb::PendingApproval> {
    let request = pb::ListApprovalsRequest {
        run_id: run.into(),
        with_decided,
        ..Default::default()
    };
    let answer = clients.approvals().list_approvals(request).await.unwrap();
    answer.into_inner().approvals
}

async fn a_request_is_listed_decided_once_and_goes_with_the_lease(place: Place) {
    let (h, run) = started(&place).await;
    assert!(listed(&h.clients, "", true).await.is_empty());
    settle(&h, &run, "APPROVAL_REQUIRED", Some(asks()))
        .await
        .unwrap();
    let waiting = phase(&h, "C").await;
    assert_eq!(
        (waiting.state(), waiting.attempts_charged),
        (types::phase::State::Queued, 0)
    );
    let handoff = waiting.handoff.unwrap();
    assert_eq!(handoff.awaited, "approval");
    assert_eq!(handoff.approval.unwrap().request, Some(asks()));

    let found = listed(&h.as_principal(Principal::Reader), "demo", false).await;
    assert_eq!((found.len(), found[0].run_id.as_str()), (1, "demo"));
    let why = pb::ExplainRunRequest {
        run_id: "demo".into(),
        phase_id: "C".into(),
    };
    let why = h.clients.registry.clone().explain_run(why).await.unwrap();
    let why = format!("{:?}", why.into_inner());
    assert!(
        why.contains("approval") && why.contains("db/1.sql"),
        "{why}"
    );
    // Held: an offer of it is left out.
    let offer = pb::OfferPhasesRequest {
        run_uid: run.uid.clone(),
        expected_version: h.run("demo").await.run.unwrap().version,
        phases: vec![2],
    };
    let offered = h.clients.dispatch.clone().offer_phases(offer).await;
    assert_eq!(offered.map_or(0, |answer| answer.into_inner().offered), 0);

    let yes = decide(&h.clients, Decision::Approve, TREE, "ada")
        .await
        .unwrap();
    assert_eq!(yes.handoff.unwrap().awaited, "");
    decide(&h.clients, Decision::Approve, TREE, "ada")
        .await
        .unwrap();
    let late = decide(&h.clients, Decision::Reject, TREE, "bob")
        .await
        .unwrap_err();
    assert!(late.is(Reason::ApprovalDecided), "{late:?}");
    assert!(listed(&h.clients, "", false).await.is_empty());
    assert_eq!(listed(&h.clients, "", true).await.len(), 1);
    let leased = take(&h, &run, 2).await;
    let word = leased.approval.unwrap().decision.unwrap();
    assert_eq!((word.approved, word.decided_by.as_str()), (true, "ada"));
    h.stop().await;
}

async fn nobody_but_a_user_decides_and_not_on_a_change_of_their_own(place: Place) {
    let (h, run) = started(&place).await;
    let missing = decide(&h.clients, Decision::Approve, TREE, "ada")
        .await
        .unwrap_err();
    assert!(missing.is(Reason::ApprovalMissing), "{missing:?}");
    settle(&h, &run, "APPROVAL_REQUIRED", Some(asks()))
        .await
        .unwrap();
    for role in [
        Principal::Worker,
        Principal::Builder,
        Principal::Auditor,
        Principal::Reader,
    ] {
        let refused = decide(&h.as_principal(role), Decision::Approve, TREE, "ada").await;
        assert_eq!(
            refused.unwrap_err().code,
            tonic::Code::PermissionDenied,
            "{role:?}"
        );
    }
    for (tree, by, reason) in [
        ("0000", "ada", Reason::ApprovalChanged),
        (TREE, "Bot-7 ", Reason::SameIdentity),
        (TREE, " ", Reason::ArgumentInvalid),
    ] {
        let refused = decide(&h.clients, Decision::Approve, tree, by)
            .await
            .unwrap_err();
        assert!(refused.is(reason), "{refused:?}");
    }
    let unsaid = decide(&h.clients, Decision::Unspecified, TREE, "ada")
        .await
        .unwrap_err();
    assert!(unsaid.is(Reason::ArgumentInvalid), "{unsaid:?}");
    let no = decide(&h.clients, Decision::Reject, TREE, "ada")
        .await
        .unwrap();
    assert_eq!(
        (no.cause.as_str(), no.detail.as_str()),
        ("APPROVAL_REJECTED", "ada: looked at it")
    );
    h.stop().await;
}

async fn no_word_in_a_day_is_a_no(place: Place) {
    let (h, run) = started(&place).await;
    settle(&h, &run, "APPROVAL_REQUIRED", Some(asks()))
        .await
        .unwrap();
    h.clock.advance(Duration::from_hours(24));
    let request = pb::ExpireWaitsRequest {
        run_uid: run.uid.clone(),
        expected_version: h.run("demo").await.run.unwrap().version,
        phases: vec![2],
    };
    let answer = h.clients.dispatch.clone().expire_waits(request).await;
    assert_eq!(answer.unwrap().into_inner().expired, 1);
    assert_eq!(phase(&h, "C").await.cause, "APPROVAL_OVERDUE");
    h.stop().await;
}

async fn a_request_and_its_cause_come_together(place: Place) {
    let (h, run) = started(&place).await;
    let alone = settle(&h, &run, "APPROVAL_REQUIRED", None)
        .await
        .unwrap_err();
    assert!(alone.is(Reason::ArgumentInvalid), "{alone:?}");
    h.stop().await;
}
