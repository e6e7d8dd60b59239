//! Rows beneath the code with values that nobody knows: one run is set aside, every other one goes on.

use autopack_domain::Reason;
use autopack_wire::{registry as pb, status::from_status};

use crate::harness::{Harness, PLAN, Place, both, request};

both!(
    an_unknown_state_of_a_run_is_set_aside,
    an_unknown_state_of_a_phase_is_set_aside,
    json_that_does_not_parse_is_set_aside,
    a_run_that_goes_bad_while_it_is_served_is_set_aside_once,
);

/// A run `demo` and a run `other`, then this damage to `demo`, then a start.
async fn damaged(place: &Place, table: &str, sql: &str) -> Harness {
    let h = Harness::start(place).await;
    h.create(request(PLAN)).await.unwrap();
    h.create(request(&PLAN.replace("id: demo", "id: other")))
        .await
        .unwrap();
    h.stop().await;
    place.damage(table, sql).await;
    Harness::start(place).await
}

async fn info(h: &Harness) -> pb::GetInfoResponse {
    let mut registry = h.clients.registry.clone();
    let answer = registry.get_info(pb::GetInfoRequest {}).await;
    answer.unwrap().into_inner()
}

/// `demo` is refused with all of these words; `other` is listed, read, scheduled and worked on.
async fn only_demo_is_set_aside(h: &Harness, words: &[&str]) {
    let aside = info(h).await.set_aside;
    assert_eq!(aside.len(), 1, "{aside:?}");
    if let Some(core) = h.serving.as_ref().and_then(run_registry::Serving::core) {
        assert_eq!(core.rows_set_aside(), 1);
    }
    for word in words {
        assert!(aside[0].contains(word), "{word} is not in {aside:?}");
    }
    let asked = pb::GetRunRequest {
        run_id: "demo".into(),
        brief: true,
    };
    let mut registry = h.clients.registry.clone();
    let refused = registry.get_run(asked).await.unwrap_err();
    let error = from_status(&refused);
    assert!(error.is(Reason::DataCorrupt), "{error:?}");
    for name in ["table", "row", "column", "value", "valid"] {
        assert!(error.metadata.contains_key(name), "{name}: {error:?}");
    }
    let active = pb::ListActiveRunsRequest {};
    let active = h.clients.dispatch.clone().list_active_runs(active).await;
    let active = active.unwrap().into_inner().run_uids;
    let other = h.run("other").await.run.unwrap();
    assert_eq!(
        active,
        std::slice::from_ref(&other.uid),
        "only the sound run is scheduled"
    );
    h.bootstrap(&other).await;
    for phase in [0, 1] {
        let lease = h.lease(&other, phase).await;
        h.settle(&other, &lease, "").await.unwrap();
    }
    assert_eq!(h.state("other").await, "STATE_DONE_SUCCESS");
    let list = pb::ListRunsRequest::default();
    let mut registry = h.clients.registry.clone();
    let list = registry.list_runs(list).await.unwrap();
    let ids: Vec<String> = list.into_inner().runs.into_iter().map(|r| r.id).collect();
    assert!(ids.contains(&"other".to_owned()), "{ids:?}");
}

async fn an_unknown_state_of_a_run_is_set_aside(place: Place) {
    let sql = "UPDATE run SET state = 'READY' WHERE id = 'demo'";
    let h = damaged(&place, "run", sql).await;
    only_demo_is_set_aside(&h, &["demo", "run", "state", "`READY`", "PLAN_BOOTSTRAP"]).await;
    h.stop().await;
}

async fn an_unknown_state_of_a_phase_is_set_aside(place: Place) {
    let sql = "UPDATE phase SET state = 'READY' WHERE idx = 1 AND run_uid = (SELECT uid FROM run WHERE id = 'demo')";
    let h = damaged(&place, "phase", sql).await;
    only_demo_is_set_aside(&h, &["phase", "/1", "state", "`READY`", "CI_RUNNING"]).await;
    h.stop().await;
}

async fn json_that_does_not_parse_is_set_aside(place: Place) {
    let sql = "UPDATE run_document SET plan = '{' WHERE run_uid = (SELECT uid FROM run WHERE id = 'demo')";
    let h = damaged(&place, "run_document", sql).await;
    only_demo_is_set_aside(&h, &["run_document", "plan", "EOF"]).await;
    h.stop().await;
}

async fn a_run_that_goes_bad_while_it_is_served_is_set_aside_once(place: Place) {
    let h = Harness::start(&place).await;
    let run = h.create(request(PLAN)).await.unwrap().run.unwrap();
    let pause = pb::PauseRunRequest {
        run_id: "demo".into(),
        ..Default::default()
    };
    // A paused run leaves the working set, so the next command reads its rows.
    h.clients.registry.clone().pause_run(pause).await.unwrap();
    place
        .damage("phase", "UPDATE phase SET state = 'READY'")
        .await;
    let asked = || pb::GetSnapshotRequest {
        run_uid: run.uid.clone(),
    };
    for _ in 0..2 {
        let refused = h.clients.dispatch.clone().get_snapshot(asked()).await;
        assert!(from_status(&refused.unwrap_err()).is(Reason::DataCorrupt));
    }
    assert_eq!(info(&h).await.set_aside.len(), 1);
    h.stop().await;
}
