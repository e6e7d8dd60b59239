//! Pull requests, integration branches, and who is refused what.

use autopack_domain::Reason;
use autopack_wire::{
    client::Clients, registry as pb, server::Principal, status::from_status, types,
    types::promotion::State,
};

use crate::{
    harness::{Harness, Place, both},
    promotions::{asking, ended, get, promote, take},
};

both!(
    a_pull_request_is_recorded_once,
    a_young_pull_request_does_not_give_way,
    an_integration_branch_is_looked_at_on_request,
    refusals_of_promotions_are_named,
    who_may_promote,
);

async fn a_pull_request_is_recorded_once(place: Place) {
    let h = Harness::start(&place).await;
    ended(&h, "a").await;
    let by_request = pb::PromoteRunRequest {
        pull_request: true,
        ..asking("a")
    };
    let open = promote(&h, by_request.clone()).await.unwrap();
    let record = pb::RecordPullRequestRequest {
        promotion_uid: open.uid.clone(),
        url: "https://git.example/1".into(),
        detail: String::new(),
    };
    for _ in 0..2 {
        let answer = h
            .clients
            .promotions()
            .record_pull_request(record.clone())
            .await;
        let stored = answer.unwrap().into_inner().promotion.unwrap();
        assert_eq!(
            (stored.state(), stored.url.as_str()),
            (State::Opened, "https://git.example/1")
        );
    }
    let open = promote(&h, by_request).await.unwrap();
    let failed = pb::RecordPullRequestRequest {
        promotion_uid: open.uid.clone(),
        url: String::new(),
        detail: "403 no right".into(),
    };
    h.clients
        .promotions()
        .record_pull_request(failed)
        .await
        .unwrap();
    let stored = get(&h, &open.uid).await;
    assert_eq!(
        (stored.state(), stored.cause.as_str()),
        (State::Failed, "PULL_REQUEST_REFUSED")
    );
    h.stop().await;
}

async fn an_integration_branch_is_looked_at_on_request(place: Place) {
    let h = Harness::start(&place).await;
    let run = ended(&h, "a").await;
    let status = |h: &Harness| {
        let mut promotions = h.clients.promotions();
        async move {
            let request = pb::GetIntegrationStatusRequest { run_id: "a".into() };
            let answer = promotions.get_integration_status(request).await;
            answer.unwrap().into_inner().status.unwrap()
        }
    };
    let before = status(&h).await;
    assert_eq!(
        (before.branch.as_str(), before.seen),
        ("autonomous/a", None)
    );
    let request = pb::RefreshIntegrationStatusRequest {
        run_id: "a".into(),
        target_branch: "release".into(),
    };
    let asked = h
        .clients
        .promotions()
        .refresh_integration_status(request)
        .await;
    assert!(asked.unwrap().into_inner().status.unwrap().refreshing);
    assert!(status(&h).await.refreshing);
    let (job, leased) = take(&h, &run, "integration_status").await;
    assert_eq!(leased.compare_with, "release");
    let seen = types::IntegrationView {
        tip: "t".into(),
        commits: 2,
        base: None,
        target: Some(types::BranchComparison {
            branch: "release".into(),
            tip: "r".into(),
            ahead: 2,
            behind: 1,
        }),
    };
    let finish = pb::FinishIntegrationStatusRequest {
        run_uid: run.uid.clone(),
        job_uid: job,
        fence: leased.fence,
        seen: Some(seen.clone()),
    };
    let mut work = h.clients.work.clone();
    work.finish_integration_status(finish).await.unwrap();
    let after = status(&h).await;
    assert!(!after.refreshing && after.look_time.is_some());
    let found = after.seen.unwrap();
    assert_eq!(
        (found.tip, found.commits, found.target),
        ("t".into(), 2, seen.target)
    );
    h.stop().await;
}

async fn refusals_of_promotions_are_named(place: Place) {
    let h = Harness::start(&place).await;
    ended(&h, "a").await;
    let with = |change: fn(&mut pb::PromoteRunRequest)| {
        let mut request = asking("a");
        change(&mut request);
        request
    };
    for (request, path) in [
        (with(|r| r.strategy = "rebase".into()), "strategy"),
        (with(|r| r.target_branch = "a..b".into()), "target_branch"),
        (
            with(|r| r.target_branch = "autonomous/a".into()),
            "target_branch",
        ),
        (
            with(|r| r.target_branch = "autonomous/another".into()),
            "target_branch",
        ),
        (with(|r| r.expected_tip = "HEAD".into()), "expected_tip"),
    ] {
        let status = promote(&h, request).await.unwrap_err();
        let refusal = from_status(&status).into_refusal();
        assert_eq!(refusal.reason, Reason::ArgumentInvalid, "{path}");
        assert_eq!(refusal.faults[0].path, path);
    }
    let status = promote(&h, asking("nobody")).await.unwrap_err();
    assert!(from_status(&status).is(Reason::RunNotFound));
    let request = pb::GetPromotionRequest {
        promotion_uid: "0197a4c2-0000-7000-8000-00000000dead".into(),
    };
    let status = h
        .clients
        .promotions()
        .get_promotion(request)
        .await
        .unwrap_err();
    assert!(from_status(&status).is(Reason::PromotionNotFound));
    let status = h
        .clients
        .promotions()
        .record_pull_request(pb::RecordPullRequestRequest {
            promotion_uid: "0197a4c2-0000-7000-8000-00000000dead".into(),
            url: "u".into(),
            detail: String::new(),
        })
        .await
        .unwrap_err();
    assert!(from_status(&status).is(Reason::PromotionNotFound));
    h.stop().await;
}

async fn who_may_promote(place: Place) {
    let h = Harness::start(&place).await;
    ended(&h, "a").await;
    let ask = |clients: Clients| async move {
        let code = clients.promotions().promote_run(asking("a")).await;
        code.map(drop).map_err(|status| status.code())
    };
    for other in [
        Principal::Worker,
        Principal::Builder,
        Principal::Auditor,
        Principal::Reader,
    ] {
        let denied = ask(h.as_principal(other)).await;
        assert_eq!(denied, Err(tonic::Code::PermissionDenied), "{other:?}");
    }
    let reader = h.as_principal(Principal::Reader);
    let request = pb::ListPromotionsRequest { run_id: "a".into() };
    reader.promotions().list_promotions(request).await.unwrap();
    assert_eq!(ask(h.as_principal(Principal::User)).await, Ok(()));
    h.stop().await;
}

async fn a_young_pull_request_does_not_give_way(place: Place) {
    let h = Harness::start(&place).await;
    ended(&h, "a").await;
    let by_request = pb::PromoteRunRequest {
        pull_request: true,
        ..asking("a")
    };
    let open = promote(&h, by_request.clone()).await.unwrap();
    let status = promote(&h, asking("a")).await.unwrap_err();
    assert!(from_status(&status).is(Reason::PromotionBusy), "{status:?}");
    let same = promote(&h, by_request.clone()).await.unwrap();
    assert_eq!(same.uid, open.uid, "the same goes on with it");
    let record = |uid: &str, url: &str| {
        let request = pb::RecordPullRequestRequest {
            promotion_uid: uid.to_owned(),
            url: url.to_owned(),
            detail: String::new(),
        };
        let mut promotions = h.clients.promotions();
        async move { promotions.record_pull_request(request).await }
    };
    for bad in ["javascript:alert(1)", "https://", "https://a b", "u"] {
        let status = record(&open.uid, bad).await.unwrap_err();
        assert!(from_status(&status).is(Reason::ArgumentInvalid), "{bad}");
    }
    let url = "https://git.example/1";
    record(&open.uid, url).await.unwrap();
    assert_eq!(get(&h, &open.uid).await.url, url);
    let old = promote(&h, by_request).await.unwrap();
    h.clock.advance(std::time::Duration::from_mins(11));
    let next = promote(&h, asking("a")).await.unwrap();
    assert_eq!(next.state(), State::Pending);
    let given_up = get(&h, &old.uid).await;
    assert_eq!(
        (given_up.state(), given_up.cause.as_str()),
        (State::Failed, "PULL_REQUEST_UNCLEAR")
    );
    h.stop().await;
}
