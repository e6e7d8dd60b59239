//! Audits, deadlines and states set by hand, of phases that are built outside.

use std::time::Duration;

use autopack_domain::Reason;
use autopack_wire::{
    client::Clients,
    registry as pb,
    server::Principal,
    status::{RemoteError, from_status},
    types,
};
use serde_json::json;

use crate::{
    harness::{Place, both},
    submissions::{audit, content, document, phase, result, started, submit, take},
};

both!(
    an_audit_is_somebody_elses_and_goes_with_the_lease,
    a_wait_ends_by_the_registrys_clock,
    a_state_set_by_hand_is_an_ordinary_command,
);

async fn set(
    clients: &Clients,
    phase: &str,
    state: types::phase::State,
) -> Result<types::Phase, RemoteError> {
    let request = pb::UpdatePhaseStatusRequest {
        run_id: "demo".into(),
        phase_id: phase.into(),
        state: state.into(),
        why: "because".into(),
        ..Default::default()
    };
    let answer = clients.submissions().update_phase_status(request).await;
    answer
        .map(|answer| answer.into_inner().phase.unwrap())
        .map_err(|status| from_status(&status))
}

async fn an_audit_is_somebody_elses_and_goes_with_the_lease(place: Place) {
    let (h, run) = started(&place).await;
    let auditor = h.as_principal(Principal::Auditor);
    let approve = |who: &str| json!({ "auditor": who, "recommendation": "approve", "usage": [{ "total": 5 }] });
    let none = audit(&auditor, "B", &approve("ada")).await.unwrap_err();
    assert_eq!(
        (none.reason, none.metadata["awaits"].as_str()),
        (Some(Reason::PhaseState), "submission")
    );
    submit(&h.clients, result("B", &document("Bot-7")))
        .await
        .unwrap();
    // Held: an offer of it is left out.
    let offer = pb::OfferPhasesRequest {
        run_uid: run.uid.clone(),
        expected_version: h.run("demo").await.run.unwrap().version,
        phases: vec![1],
    };
    let offered = h.clients.dispatch.clone().offer_phases(offer).await;
    assert_eq!(offered.map_or(0, |answer| answer.into_inner().offered), 0);
    let own = audit(&auditor, "B", &approve("bot-7")).await.unwrap_err();
    assert!(own.is(Reason::SameIdentity), "{own:?}");
    let revise = json!({ "auditor": "ada", "recommendation": "revise", "notes": "no tests" });
    let sent_back = audit(&auditor, "B", &revise).await.unwrap().phase.unwrap();
    assert_eq!(
        (sent_back.cause.as_str(), sent_back.detail.as_str()),
        ("AUDIT_REVISED", "ada: no tests")
    );
    submit(&h.clients, result("B", &document("Bot-7")))
        .await
        .unwrap();
    audit(&auditor, "B", &approve("ada")).await.unwrap();
    let leased = take(&h, &run, 1).await;
    let submission = leased.submission.clone().unwrap();
    assert_eq!(submission.auditor, "ada");
    assert_eq!(
        content(&h, &submission.audit_digest).await["recommendation"],
        "approve"
    );
    assert_eq!(leased.tokens_reserved, 145, "two results and an audit");
    assert_eq!(
        (
            leased.previous_cause.as_str(),
            leased.previous_detail.as_str()
        ),
        ("AUDIT_REVISED", "ada: no tests")
    );

    // Asked for by hand, and escalated.
    let asked = pb::RequestAuditRequest {
        run_id: "demo".into(),
        phase_id: "A".into(),
    };
    let mut submissions = h.as_principal(Principal::Builder).submissions();
    let first = submissions
        .request_audit(asked.clone())
        .await
        .unwrap()
        .into_inner();
    let again = submissions.request_audit(asked).await.unwrap().into_inner();
    assert_eq!(first, again, "a repetition changes nothing");
    assert!(first.phase.unwrap().handoff.unwrap().audit);
    submit(&h.clients, result("A", &document("bot")))
        .await
        .unwrap();
    assert_eq!(phase(&h, "A").await.handoff.unwrap().awaited, "audit");
    let escalate = json!({ "auditor": "ada", "recommendation": "escalate", "notes": "licence" });
    let failed = audit(&auditor, "A", &escalate)
        .await
        .unwrap()
        .phase
        .unwrap();
    assert_eq!(
        (failed.state(), failed.cause.as_str()),
        (types::phase::State::Failed, "AUDIT_ESCALATED")
    );
    h.stop().await;
}

async fn a_wait_ends_by_the_registrys_clock(place: Place) {
    let (h, run) = started(&place).await;
    let expire = async |phases: Vec<u32>| {
        let request = pb::ExpireWaitsRequest {
            run_uid: run.uid.clone(),
            expected_version: h.run("demo").await.run.unwrap().version,
            phases,
        };
        let answer = h.clients.dispatch.clone().expire_waits(request).await;
        answer.map(|answer| answer.into_inner().expired)
    };
    assert_eq!(expire(vec![0, 1, 2]).await.unwrap(), 0);
    h.clock.advance(Duration::from_mins(1));
    assert_eq!(expire(vec![0, 1]).await.unwrap(), 1, "B has a day");
    let overdue = phase(&h, "A").await;
    assert_eq!(
        (overdue.state(), overdue.cause.as_str()),
        (types::phase::State::Failed, "SUBMISSION_OVERDUE")
    );
    let unknown = from_status(&expire(vec![9]).await.unwrap_err());
    assert!(unknown.is(Reason::PhaseNotFound), "{unknown:?}");
    let stale = pb::ExpireWaitsRequest {
        run_uid: run.uid.clone(),
        expected_version: 1,
        phases: vec![0],
    };
    let stale = h
        .clients
        .dispatch
        .clone()
        .expire_waits(stale)
        .await
        .unwrap_err();
    assert!(from_status(&stale).is(Reason::VersionConflict), "{stale:?}");
    let stranger = pb::ExpireWaitsRequest::default();
    let mut dispatch = h.as_principal(Principal::Builder).dispatch;
    let denied = from_status(&dispatch.expire_waits(stranger).await.unwrap_err());
    assert!(denied.is(Reason::PermissionDenied), "{denied:?}");
    h.stop().await;
}

async fn a_state_set_by_hand_is_an_ordinary_command(place: Place) {
    use types::phase::State;
    let (h, _) = started(&place).await;
    // Its builder could skip what it was to build.
    let builder = h.as_principal(Principal::Builder);
    let refused = set(&builder, "A", State::Skipped).await.unwrap_err();
    assert!(refused.is(Reason::PermissionDenied), "{refused:?}");
    let operator = &h.clients;
    for state in [
        State::Complete,
        State::Executing,
        State::Gate,
        State::CiRunning,
    ] {
        let refused = set(operator, "A", state).await.unwrap_err();
        assert!(refused.is(Reason::PhaseState), "{refused:?}");
        assert!(
            refused.metadata["allowed"].starts_with("FAILED, SKIPPED"),
            "{refused:?}"
        );
    }
    assert!(
        set(operator, "C", State::Skipped)
            .await
            .unwrap_err()
            .is(Reason::NotExternal)
    );
    let unknown = set(operator, "A", State::Unspecified).await.unwrap_err();
    assert_eq!(unknown.faults[0].path, "state");
    let failed = set(operator, "A", State::Failed).await.unwrap();
    assert_eq!(
        (failed.cause.as_str(), failed.detail.as_str()),
        ("BUILDER_FAILED", "because")
    );
    assert_eq!(
        set(operator, "A", State::Queued)
            .await
            .unwrap()
            .handoff
            .unwrap()
            .awaited,
        "submission"
    );
    let skipped = set(operator, "A", State::Skipped).await.unwrap();
    assert_eq!(skipped.cause, "SKIPPED_BY_REQUEST");
    let denied = set(&h.as_principal(Principal::Auditor), "B", State::Failed).await;
    assert!(denied.unwrap_err().is(Reason::PermissionDenied));
    h.stop().await;
}
