//! Rows beneath the code with values that nobody knows: one run is set aside, every other one goes on.

use autopack_domain::{FindingCode, Reason};
use autopack_wire::{registry as pb, status::from_status};

use crate::harness::{Harness, PLAN, Place, both, request, until};
use crate::history::findings;

both!(
    an_unknown_state_of_a_run_is_set_aside,
    an_unknown_state_of_a_phase_is_set_aside,
    json_that_does_not_parse_is_set_aside,
    a_run_that_is_left_alone_for_what_no_other_finding_names_is_named,
    a_run_that_goes_bad_while_it_is_served_is_set_aside_once,
    a_run_that_cannot_be_read_has_a_major_issue_until_it_can,
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

/// Each column holds a value that it may hold; only together they make no run.
async fn a_run_that_is_left_alone_for_what_no_other_finding_names_is_named(place: Place) {
    let sql = "UPDATE phase SET place = 7 WHERE idx = 1 AND run_uid = (SELECT uid FROM run WHERE id = 'demo')";
    let h = damaged(&place, "phase", sql).await;
    let found = findings(&h).await;
    let named: Vec<_> = found.iter().filter(|f| f.run == "demo").collect();
    let [one] = &named[..] else {
        panic!("{found:#?}");
    };
    assert_eq!(one.code, FindingCode::RunSetAside, "{one:?}");
    assert!(one.code.is_error() && one.safe.is_none(), "{one:?}");
    assert_eq!(
        (one.place.table.as_str(), one.place.column.as_str()),
        ("phase", "place")
    );
    assert_eq!(one.value.as_deref(), Some("7"));
    only_demo_is_set_aside(&h, &["phase", "place", "`7`"]).await;
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
    // By its id, too, although the run was met by its uid.
    until("the issue is recorded", async || {
        !issues(&h, "").await.issues.is_empty()
    })
    .await;
    assert_eq!(issues(&h, "").await.counts.unwrap().major, 1);
    h.stop().await;
}

async fn issues(h: &Harness, phase: &str) -> pb::ListIssuesResponse {
    let asked = pb::ListIssuesRequest {
        run_id: "demo".into(),
        phase_id: phase.into(),
        ..Default::default()
    };
    let answer = h.clients.issues().list_issues(asked).await;
    answer.unwrap().into_inner()
}

async fn a_run_that_cannot_be_read_has_a_major_issue_until_it_can(place: Place) {
    let bad = "UPDATE phase SET state = 'READY' WHERE idx = 1 AND run_uid = (SELECT uid FROM run WHERE id = 'demo')";
    let h = damaged(&place, "phase", bad).await;
    until("the issue is recorded", async || {
        !issues(&h, "").await.issues.is_empty()
    })
    .await;
    let found = issues(&h, "").await;
    let issue = &found.issues[0];
    assert_eq!(
        (
            issue.severity.as_str(),
            issue.category.as_str(),
            issue.source.as_str()
        ),
        ("major", "data_integrity", "registry")
    );
    assert!(
        issue.key.starts_with("data_integrity__phase__state__"),
        "{}",
        issue.key
    );
    assert!(
        issue.description.contains("`READY`"),
        "{}",
        issue.description
    );
    assert_eq!(found.counts.unwrap().major, 1);
    assert!(issues(&h, "A").await.issues.is_empty());
    let project = h.run("other").await.run.unwrap().project;
    let backlog = |h: &Harness| {
        let asked = pb::GetBacklogRequest {
            project: project.clone(),
            ..Default::default()
        };
        let clients = h.clients.clone();
        async move {
            clients
                .issues()
                .get_backlog(asked)
                .await
                .unwrap()
                .into_inner()
                .entries
        }
    };
    let entries = backlog(&h).await;
    assert_eq!((entries.len(), entries[0].key == issue.key), (1, true));
    assert_eq!(
        (entries[0].base_severity.as_str(), entries[0].occurrences),
        ("major", 1)
    );
    h.stop().await;
    // The next registry finds the same, and says nothing new.
    let h = Harness::start(&place).await;
    let mut doctor = h.clients.doctor();
    doctor
        .diagnose(pb::DiagnoseRequest::default())
        .await
        .unwrap();
    assert_eq!(issues(&h, "").await.issues[0].occurrences, 1);
    assert_eq!(backlog(&h).await[0].occurrences, 1);
    h.stop().await;
    // Mended while nobody looked: the issue is resolved, and the counts are those of what is stored.
    let good = bad.replace("'READY'", "'QUEUED'");
    place.damage("phase", &good).await;
    let h = Harness::start(&place).await;
    until("the issue is resolved", async || {
        issues(&h, "").await.issues.is_empty()
    })
    .await;
    let counts = issues(&h, "").await.counts.unwrap();
    assert_eq!((counts.major, counts.resolved), (0, 1));
    assert!(info(&h).await.set_aside.is_empty());
    let mut doctor = h.clients.doctor();
    let left = doctor
        .diagnose(pb::DiagnoseRequest::default())
        .await
        .unwrap();
    let left = left.into_inner().findings;
    let of_demo: Vec<_> = left.iter().filter(|f| f.run_id == "demo").collect();
    assert!(of_demo.is_empty(), "{of_demo:?}");
    h.stop().await;
}
