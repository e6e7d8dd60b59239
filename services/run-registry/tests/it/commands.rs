//! Commands: idempotency, refusals that name the state, the way to success.

use autopack_domain::Reason;
use autopack_wire::{registry as pb, status::from_status};

use crate::harness::{Harness, PLAN, Place, both, request};

both!(
    a_run_goes_from_plan_to_success,
    the_same_plan_is_the_same_run_and_another_one_is_refused_with_what_differs,
    a_request_id_makes_commands_idempotent,
    validate_only_reports_every_fault_and_stores_nothing,
    refusals_name_the_state,
    a_phase_is_added_like_a_plan_and_explained_by_the_dispatching_predicates,
    many_commands_share_commits_and_each_gets_its_own_reply,
);

async fn a_run_goes_from_plan_to_success(place: Place) {
    let h = Harness::start(&place).await;
    let run = h.create(request(PLAN)).await.unwrap().run.unwrap();
    assert_eq!(h.state("demo").await, "STATE_QUEUED");
    h.bootstrap(&run).await;
    assert_eq!(h.state("demo").await, "STATE_PHASE_QUEUEING");
    for phase in [0, 1] {
        let lease = h.lease(&run, phase).await;
        assert_eq!(h.state("demo").await, "STATE_PHASE_EXECUTION");
        h.settle(&run, &lease, "").await.unwrap();
    }
    let done = h.run("demo").await.run.unwrap();
    assert_eq!(done.state().as_str_name(), "STATE_DONE_SUCCESS");
    assert_eq!((done.phases_used, done.counts.unwrap().complete), (2, 2));
    h.stop().await;
}

async fn the_same_plan_is_the_same_run_and_another_one_is_refused_with_what_differs(place: Place) {
    let h = Harness::start(&place).await;
    let first = h.create(request(PLAN)).await.unwrap();
    let again = h.create(request(PLAN)).await.unwrap();
    assert!(!first.existing && again.existing);
    assert_eq!(first.run.as_ref().unwrap().uid, again.run.unwrap().uid);
    let other = h
        .create(request(&PLAN.replace("Prove", "Disprove")))
        .await
        .unwrap_err();
    let error = from_status(&other);
    assert!(error.is(Reason::RunExists), "{error:?}");
    assert!(error.metadata["differs"].contains("the plan"), "{error:?}");
    let elsewhere = pb::CreateRunRequest {
        repository: "/other".into(),
        ..request(PLAN)
    };
    let error = from_status(&h.create(elsewhere).await.unwrap_err());
    assert!(error.message.contains("/other"), "{}", error.message);
    let fresh = h
        .create(pb::CreateRunRequest {
            fresh: true,
            ..request(PLAN)
        })
        .await
        .unwrap();
    assert_eq!(fresh.run.unwrap().id, "demo-2");
    let folded = h
        .create(request(&PLAN.replace("id: demo", "id: DEMO")))
        .await
        .unwrap_err();
    assert!(from_status(&folded).is(Reason::RunExists));
    h.stop().await;
}

async fn a_request_id_makes_commands_idempotent(place: Place) {
    let h = Harness::start(&place).await;
    let asked = pb::CreateRunRequest {
        request_id: "r-1".into(),
        ..request(PLAN)
    };
    let first = h
        .create(pb::CreateRunRequest {
            fresh: true,
            ..asked.clone()
        })
        .await
        .unwrap()
        .run
        .unwrap();
    let reused = h
        .create(pb::CreateRunRequest {
            fresh: true,
            repository: "/x".into(),
            ..asked
        })
        .await
        .unwrap_err();
    assert!(from_status(&reused).is(Reason::RequestIdReused));
    let pause = pb::PauseRunRequest {
        run_id: first.id.clone(),
        request_id: "r-2".into(),
    };
    let paused = h
        .clients
        .registry
        .clone()
        .pause_run(pause.clone())
        .await
        .unwrap()
        .into_inner()
        .run
        .unwrap();
    let resume = pb::ResumeRunRequest {
        run_id: first.id.clone(),
        request_id: "r-3".into(),
    };
    h.clients.registry.clone().resume_run(resume).await.unwrap();
    // The repeated pause is the one that was carried out before: it does not pause again.
    let repeated = h
        .clients
        .registry
        .clone()
        .pause_run(pause)
        .await
        .unwrap()
        .into_inner()
        .run
        .unwrap();
    assert!(paused.paused && !repeated.paused);
    h.stop().await;
}

async fn validate_only_reports_every_fault_and_stores_nothing(place: Place) {
    let h = Harness::start(&place).await;
    let valid = pb::CreateRunRequest {
        validate_only: true,
        ..request(PLAN)
    };
    let answer = h.create(valid).await.unwrap();
    assert_eq!(answer.plan.unwrap().tiers.len(), 1);
    assert_eq!(answer.provenance["run.goal"], "plan");
    let bad = PLAN
        .replace("id: A,", "id: .A, speed: 3,")
        .replace("id: B,", "id: B, complexity: huge,");
    let error = from_status(&h.create(request(&bad)).await.unwrap_err());
    assert!(error.is(Reason::PlanInvalid));
    assert!(error.faults.len() >= 3, "{:?}", error.faults);
    assert!(
        error
            .faults
            .iter()
            .any(|f| f.path.ends_with("complexity") && f.allowed.contains(&"high".to_owned()))
    );
    let list = h
        .clients
        .registry
        .clone()
        .list_runs(pb::ListRunsRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert!(list.runs.is_empty());
    h.stop().await;
}

async fn refusals_name_the_state(place: Place) {
    let h = Harness::start(&place).await;
    let run = h.create(request(PLAN)).await.unwrap().run.unwrap();
    h.bootstrap(&run).await;
    for phase in [0, 1] {
        let lease = h.lease(&run, phase).await;
        h.settle(&run, &lease, "").await.unwrap();
    }
    let start = pb::StartRunRequest {
        run_id: "demo".into(),
        ..Default::default()
    };
    let error = from_status(
        &h.clients
            .registry
            .clone()
            .start_run(start)
            .await
            .unwrap_err(),
    );
    assert!(error.is(Reason::RunState));
    assert_eq!(error.metadata["state"], "DONE_SUCCESS");
    let gone = pb::GetRunRequest {
        run_id: "nope".into(),
        brief: true,
    };
    let error = from_status(&h.clients.registry.clone().get_run(gone).await.unwrap_err());
    assert!(error.is(Reason::RunNotFound) && error.message.contains("autopack runs"));
    h.stop().await;
}

async fn a_phase_is_added_like_a_plan_and_explained_by_the_dispatching_predicates(place: Place) {
    let h = Harness::start(&place).await;
    let run = h.create(request(PLAN)).await.unwrap().run.unwrap();
    h.bootstrap(&run).await;
    let add = |document: &str| pb::AddPhaseRequest {
        run_id: "demo".into(),
        tier_id: "T1".into(),
        document: document.into(),
        ..Default::default()
    };
    let bad = add(
        "{ id: A, name: again, goal: g, builder: { kind: noop }, gate: { steps: [] }, depends_on: [Z] }",
    );
    let error = from_status(&h.clients.registry.clone().add_phase(bad).await.unwrap_err());
    assert!(error.faults.len() >= 2, "{error:?}");
    let good = add(
        "{ id: C, name: c, goal: g, builder: { kind: noop }, gate: { steps: [] }, depends_on: [B] }",
    );
    let added = h
        .clients
        .registry
        .clone()
        .add_phase(good)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(added.phase.unwrap().index, 2);
    let why = pb::ExplainRunRequest {
        run_id: "demo".into(),
        phase_id: String::new(),
    };
    let why = h
        .clients
        .registry
        .clone()
        .explain_run(why)
        .await
        .unwrap()
        .into_inner()
        .phases;
    let rules: Vec<Vec<&str>> = why
        .iter()
        .map(|p| p.holds.iter().map(|h| h.rule.as_str()).collect())
        .collect();
    assert_eq!(rules, [vec![], vec!["depends_on"], vec!["depends_on"]]);
    h.stop().await;
}

async fn many_commands_share_commits_and_each_gets_its_own_reply(place: Place) {
    let h = Harness::start(&place).await;
    let plans: Vec<String> = (0..60)
        .map(|i| PLAN.replace("id: demo", &format!("id: demo-{i}")))
        .collect();
    let created = futures::future::join_all(plans.iter().map(|p| h.create(request(p)))).await;
    let mut ids: Vec<String> = created
        .into_iter()
        .map(|c| c.unwrap().run.unwrap().id)
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 60);
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let page = pb::ListRunsRequest {
            page_size: 25,
            page_token: token,
            ..Default::default()
        };
        let page = h
            .clients
            .registry
            .clone()
            .list_runs(page)
            .await
            .unwrap()
            .into_inner();
        seen.extend(page.runs.into_iter().map(|r| r.id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    seen.sort();
    assert_eq!(seen, ids);
    h.stop().await;
}
