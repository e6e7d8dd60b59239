//! Limits of projects and paused lanes: kept by the single writer, whoever decides.

use std::collections::HashMap;

use autopack_wire::{registry as pb, status::from_status, types};
use futures::future::join_all;

use crate::harness::{Harness, Place, both, request};

both!(
    schedulers_that_decide_at_once_do_not_pass_a_limit_together,
    a_batch_of_offers_answers_for_each_run,
    a_place_that_is_freed_is_taken_once_and_a_restart_counts_anew,
    limits_change_by_parts_with_every_fault_at_once,
    a_paused_lane_survives_a_restart_and_only_holds_what_is_not_on_offer,
    limits_that_do_not_parse_are_told_and_hold_nothing,
);

/// A run of six independent phases; the even ones have the label `gpu=1`.
fn plan(id: &str) -> String {
    let phases: Vec<String> = (0..6)
        .map(|n| {
            let labels = if u32::is_multiple_of(n, 2) { "labels: { gpu: '1' }, " } else { "" };
            format!("      - {{ id: P{n}, name: a, goal: a, depends_on: [], {labels}builder: {{ kind: noop }}, gate: {{ steps: [] }} }}")
        })
        .collect();
    format!(
        "schema: autopack/plan/v1\nrun: {{ id: {id}, goal: Prove the limits, project: p }}\ntiers:\n  - id: T1\n    name: One\n    phases:\n{}\n",
        phases.join("\n")
    )
}

async fn started(h: &Harness, id: &str) -> types::Run {
    let run = h.create(request(&plan(id))).await.unwrap().run.unwrap();
    h.bootstrap(&run).await;
    run
}

async fn offer(h: &Harness, run: &types::Run, phases: &[u32]) -> pb::OfferPhasesResponse {
    let request = pb::OfferPhasesRequest {
        run_uid: run.uid.clone(),
        expected_version: 0,
        phases: phases.to_vec(),
    };
    let answer = h.clients.dispatch.clone().offer_phases(request).await;
    answer.unwrap().into_inner()
}

async fn set(h: &Harness, change: pb::SetProjectLimitsRequest) -> types::ProjectLimits {
    let answer = h.clients.registry.clone().set_project_limits(change).await;
    answer.unwrap().into_inner().limits.unwrap()
}

async fn project(h: &Harness) -> pb::GetProjectResponse {
    let request = pb::GetProjectRequest {
        project: "p".into(),
    };
    let answer = h.clients.registry.clone().get_project(request).await;
    answer.unwrap().into_inner()
}

async fn rules(h: &Harness, run: &str, phase: &str) -> Vec<String> {
    let request = pb::ExplainRunRequest {
        run_id: run.into(),
        phase_id: phase.into(),
    };
    let answer = h.clients.registry.clone().explain_run(request).await;
    let phases = answer.unwrap().into_inner().phases;
    phases[0].holds.iter().map(|h| h.rule.clone()).collect()
}

fn change() -> pb::SetProjectLimitsRequest {
    pb::SetProjectLimitsRequest {
        project: "p".into(),
        ..Default::default()
    }
}

async fn schedulers_that_decide_at_once_do_not_pass_a_limit_together(place: Place) {
    let h = Harness::start(&place).await;
    let runs = [started(&h, "a").await, started(&h, "b").await];
    set(
        &h,
        pb::SetProjectLimitsRequest {
            max_running: Some(5),
            per_run: Some(3),
            labels: HashMap::from([("gpu=1".into(), 2)]),
            ..change()
        },
    )
    .await;
    // Each phase of both runs, asked for by several schedulers, all at the same time.
    let asked = runs.iter().flat_map(|run| (0..6).map(move |p| (run, p)));
    let asked: Vec<_> = asked.cycle().take(36).collect();
    let answers = join_all(asked.iter().map(|(run, phase)| {
        let request = pb::OfferPhasesRequest {
            run_uid: run.uid.clone(),
            expected_version: 0,
            phases: vec![*phase],
        };
        let mut dispatch = h.clients.dispatch.clone();
        async move { dispatch.offer_phases(request).await }
    }))
    .await;
    let offered: u32 = answers.iter().flatten().map(|a| a.get_ref().offered).sum();
    assert_eq!(offered, 5);
    assert_eq!(project(&h).await.running, 5);
    let mut gpus = 0;
    for run in &runs {
        let phases = h.run(&run.id).await.phases;
        let live = phases.iter().filter(|p| !p.current_attempt.is_empty());
        let live: Vec<u32> = live.map(|p| p.index).collect();
        assert!(live.len() <= 3, "{live:?}");
        gpus += live.iter().filter(|p| p.is_multiple_of(2)).count();
    }
    assert!(gpus <= 2, "{gpus}");
    h.stop().await;
}

async fn a_batch_of_offers_answers_for_each_run(place: Place) {
    use pb::offer_outcome::Outcome;
    let h = Harness::start(&place).await;
    let runs = [started(&h, "a").await, started(&h, "b").await];
    let limits = pb::SetProjectLimitsRequest {
        per_run: Some(2),
        ..change()
    };
    set(&h, limits).await;
    let part = |uid: &str, expected_version: u64, phases: &[u32]| pb::OfferPhasesRequest {
        run_uid: uid.to_owned(),
        expected_version,
        phases: phases.to_vec(),
    };
    let unknown = "0197a4c2-0000-7000-8000-00000000ffff".to_owned();
    let offers = vec![
        part(&runs[0].uid, 0, &[0, 1, 2]),
        part(&runs[1].uid, 9999, &[0]),
        part(&unknown, 0, &[0]),
        part("not a uid", 0, &[0]),
        part(&runs[1].uid, 0, &[3]),
    ];
    let mut dispatch = h.clients.dispatch.clone();
    let request = pb::OfferBatchRequest { offers };
    let answer = dispatch.offer_batch(request).await.unwrap().into_inner();
    let outcomes: Vec<_> = answer
        .outcomes
        .into_iter()
        .map(|o| o.outcome.unwrap())
        .collect();
    let offered = |outcome: &Outcome| match outcome {
        Outcome::Offered(done) => (done.offered, done.held),
        Outcome::Refused(refusal) => panic!("{refusal:?}"),
    };
    let reason = |outcome: &Outcome| {
        let Outcome::Refused(refusal) = outcome.clone() else {
            panic!("{outcome:?}");
        };
        let code = tonic::Code::from_i32(refusal.code);
        from_status(&tonic::Status::with_details(
            code,
            refusal.message,
            refusal.details,
        ))
        .reason_code
    };
    assert_eq!(offered(&outcomes[0]), (2, 1));
    let refused: Vec<_> = outcomes[1..4].iter().map(reason).collect();
    assert_eq!(
        refused,
        ["VERSION_CONFLICT", "RUN_NOT_FOUND", "ARGUMENT_INVALID"]
    );
    assert_eq!(offered(&outcomes[4]), (1, 0));

    let offers = vec![part(&unknown, 0, &[0]); 65];
    let refused = dispatch.offer_batch(pb::OfferBatchRequest { offers }).await;
    let refused = from_status(&refused.unwrap_err());
    assert!(
        refused.is(autopack_domain::Reason::LimitExceeded),
        "{refused:?}"
    );
    assert_eq!(refused.metadata["max"], "64");
    h.stop().await;
}

async fn a_place_that_is_freed_is_taken_once_and_a_restart_counts_anew(place: Place) {
    let h = Harness::start(&place).await;
    let run = started(&h, "a").await;
    set(
        &h,
        pb::SetProjectLimitsRequest {
            max_running: Some(2),
            share: Some(4),
            ..change()
        },
    )
    .await;
    let lease = h.lease(&run, 1).await;
    let answer = offer(&h, &run, &[3, 5]).await;
    assert_eq!((answer.offered, answer.held), (1, 1));
    let answer = offer(&h, &run, &[5]).await;
    assert_eq!((answer.offered, answer.held), (0, 1), "held, not refused");
    assert_eq!(rules(&h, "a", "P5").await, ["project_limit"]);
    h.settle(&run, &lease, "").await.unwrap();
    assert_eq!(project(&h).await.running, 1);
    assert!(rules(&h, "a", "P5").await.is_empty());
    assert_eq!(offer(&h, &run, &[5]).await.offered, 1);
    h.stop().await;
    let h = Harness::start(&place).await;
    let found = project(&h).await;
    let limits = found.limits.unwrap();
    assert_eq!(
        (found.running, limits.share, limits.max_running),
        (2, 4, Some(2))
    );
    assert_eq!(offer(&h, &run, &[0]).await.held, 1);
    h.stop().await;
}

async fn limits_change_by_parts_with_every_fault_at_once(place: Place) {
    let h = Harness::start(&place).await;
    let version = async || {
        let request = pb::GetPolicyRequest { known_version: 0 };
        let answer = h.clients.dispatch.clone().get_policy(request).await;
        answer.unwrap().into_inner()
    };
    let before = version().await;
    assert!(before.version > 0 && before.projects.is_empty());
    let first = pb::SetProjectLimitsRequest {
        share: Some(3),
        labels: HashMap::from([("gpu=1".into(), 2)]),
        ..change()
    };
    set(&h, first).await;
    let limits = set(
        &h,
        pb::SetProjectLimitsRequest {
            per_run: Some(4),
            ..change()
        },
    )
    .await;
    assert_eq!(
        (limits.share, limits.per_run, limits.max_running),
        (3, Some(4), None)
    );
    assert_eq!(limits.labels["gpu=1"], 2);
    let after = version().await;
    assert!(after.version > before.version);
    assert_eq!(after.projects, [limits]);
    let bad = pb::SetProjectLimitsRequest {
        share: Some(0),
        per_run: Some(u32::MAX),
        labels: HashMap::from([("gpu".into(), 1)]),
        ..change()
    };
    let status = h.clients.registry.clone().set_project_limits(bad).await;
    let error = from_status(&status.unwrap_err());
    assert_eq!(error.faults.len(), 3, "{error:?}");
    assert_eq!(version().await.version, after.version);
    h.stop().await;
}

async fn a_paused_lane_survives_a_restart_and_only_holds_what_is_not_on_offer(place: Place) {
    let h = Harness::start(&place).await;
    let run = started(&h, "a").await;
    let lease = h.lease(&run, 0).await;
    let pause = |paused| pb::PauseLaneRequest {
        lane: String::new(),
        paused,
    };
    let answer = h.clients.dispatch.clone().pause_lane(pause(true)).await;
    assert_eq!(answer.unwrap().into_inner().paused_lanes, ["default"]);
    assert_eq!(offer(&h, &run, &[1]).await.held, 1);
    assert_eq!(rules(&h, "a", "P1").await, ["lane_paused"]);
    h.settle(&run, &lease, "").await.unwrap();
    h.stop().await;
    let h = Harness::start(&place).await;
    assert_eq!(offer(&h, &run, &[1]).await.held, 1);
    let answer = h.clients.dispatch.clone().pause_lane(pause(false)).await;
    assert!(answer.unwrap().into_inner().paused_lanes.is_empty());
    assert_eq!(offer(&h, &run, &[1]).await.offered, 1);
    h.stop().await;
}

async fn limits_that_do_not_parse_are_told_and_hold_nothing(place: Place) {
    let h = Harness::start(&place).await;
    let run = started(&h, "a").await;
    let one = pb::SetProjectLimitsRequest {
        max_running: Some(1),
        ..change()
    };
    set(&h, one.clone()).await;
    h.stop().await;
    let damage = "UPDATE project SET limits = '{\"max_walking\":1}' WHERE name = 'p'";
    place.damage("project", damage).await;
    let h = Harness::start(&place).await;
    let request = pb::GetInfoRequest {};
    let info = h.clients.registry.clone().get_info(request).await;
    let aside = info.unwrap().into_inner().set_aside;
    assert_eq!(aside.len(), 1, "{aside:?}");
    for word in ["project p", "limits", "max_walking"] {
        assert!(aside[0].contains(word), "{word} is not in {aside:?}");
    }
    assert_eq!(offer(&h, &run, &[0, 1]).await.offered, 2);
    set(&h, one).await;
    assert_eq!(offer(&h, &run, &[2]).await.held, 1);
    h.stop().await;
}
