//! Issues through the RPCs: recorded once, counted by distinct keys, aged over the runs of a project.

use autopack_domain::Reason;
use autopack_wire::{
    client::Clients, registry as pb, server::Principal, status::from_status, types,
};

use crate::harness::{Harness, Place, both, request};

both!(
    a_report_is_stored_once_and_tells_what_it_led_to,
    every_refusal_of_a_report_names_its_field_and_stores_nothing,
    a_worker_reports_for_its_own_attempt_and_is_fenced,
    issues_are_listed_by_pages_and_filters,
    a_settlement_carries_issues,
);

pub(crate) fn plan(id: &str, more: &str) -> String {
    format!(
        "schema: autopack/plan/v1
run: {{ id: {id}, goal: Prove issues, project: p{more} }}
tiers:
  - id: T1
    name: One
    phases:
      - {{ id: A, name: a, goal: a, task_category: docs, builder: {{ kind: noop }}, gate: {{ steps: [] }} }}
      - {{ id: B, name: b, goal: b, depends_on: [], builder: {{ kind: noop }}, gate: {{ steps: [] }} }}
  - id: T2
    name: Two
    phases:
      - {{ id: C, name: c, goal: c, builder: {{ kind: noop }}, gate: {{ steps: [] }} }}
"
    )
}

pub(crate) async fn run(h: &Harness, id: &str) -> types::Run {
    let created = h.create(request(&plan(id, ""))).await.unwrap();
    let run = created.run.unwrap();
    h.bootstrap(&run).await;
    // A run's age is when it was created: no two at the same time.
    h.clock.advance(std::time::Duration::from_secs(1));
    run
}

pub(crate) fn issue(key: &str) -> types::NewIssue {
    types::NewIssue {
        key: key.into(),
        severity: "minor".into(),
        source: "probe".into(),
        category: "docs".into(),
        description: "what it is".into(),
        evidence: vec!["log".into()],
        paths: vec!["README.md".into()],
    }
}

pub(crate) fn report(run: &str, phase: &str, key: &str) -> pb::RecordIssueRequest {
    pb::RecordIssueRequest {
        run_id: run.into(),
        phase_id: phase.into(),
        issue: Some(issue(key)),
        ..Default::default()
    }
}

pub(crate) async fn record(
    clients: &Clients,
    request: pb::RecordIssueRequest,
) -> Result<pb::RecordIssueResponse, tonic::Status> {
    let answer = clients.issues().record_issue(request).await;
    answer.map(tonic::Response::into_inner)
}

pub(crate) async fn list(h: &Harness, request: pb::ListIssuesRequest) -> pb::ListIssuesResponse {
    let answer = h.clients.issues().list_issues(request).await;
    answer.unwrap().into_inner()
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "it is compared with fields of messages"
)]
pub(crate) fn counts(minor: u32, major: u32) -> Option<types::IssueCounts> {
    Some(types::IssueCounts {
        minor,
        major,
        resolved: 0,
    })
}

async fn a_report_is_stored_once_and_tells_what_it_led_to(place: Place) {
    let h = Harness::start(&place).await;
    run(&h, "a").await;
    let once = pb::RecordIssueRequest {
        request_id: "one".into(),
        ..report("a", "A", "docs__readme__stale")
    };
    let first = record(&h.clients, once.clone()).await.unwrap();
    let stored = first.issue.clone().unwrap();
    assert_eq!(
        (stored.phase_id.as_str(), stored.tier_id.as_str()),
        ("A", "T1")
    );
    assert_eq!(
        (stored.task_category.as_str(), stored.occurrences),
        ("docs", 1)
    );
    assert_eq!(stored.effective_severity, "minor");
    assert_eq!(first.run.as_ref().unwrap().issues, counts(1, 0));
    assert_eq!(first.run.as_ref().unwrap().debt_status, "has_minor_issues");
    assert_eq!(first.tier.as_ref().unwrap().cleanliness, "clean");
    assert_eq!(
        first.phase.as_ref().unwrap().issue_state,
        "has_minor_issues"
    );
    let entry = first.backlog_entry.as_ref().unwrap();
    assert_eq!((entry.age_in_runs, entry.age_in_tiers), (1, 1));
    assert_eq!(
        (entry.status.as_str(), entry.first_seen_run.as_str()),
        ("open", "a")
    );
    // Repeated, it is the same report; told anew, the same issue.
    assert_eq!(record(&h.clients, once.clone()).await.unwrap(), first);
    let again = pb::RecordIssueRequest {
        request_id: "two".into(),
        ..once.clone()
    };
    let again = record(&h.clients, again).await.unwrap();
    assert_eq!(again.issue.unwrap().occurrences, 2);
    assert_eq!(again.run.unwrap().issues, counts(1, 0));
    assert_eq!(again.backlog_entry.unwrap().age_in_runs, 1);
    let other = pb::RecordIssueRequest {
        issue: Some(issue("else")),
        ..once
    };
    let error = from_status(&record(&h.clients, other).await.unwrap_err());
    assert!(error.is(Reason::RequestIdReused), "{error:?}");
    // A severity that is left out is the category's.
    let mut usual = report("a", "B", "auth__x__y");
    let found = usual.issue.as_mut().unwrap();
    (found.severity, found.category) = (String::new(), "security_auth_change".into());
    let usual = record(&h.clients, usual).await.unwrap();
    assert_eq!(usual.issue.unwrap().severity, "major");
    assert_eq!(usual.tier.unwrap().cleanliness, "not_clean");
    assert_eq!(usual.phase.unwrap().issue_state, "has_major_issues");
    // Of the run itself.
    let own = record(&h.clients, report("a", "", "own")).await.unwrap();
    assert_eq!(own.issue.unwrap().phase_id, "");
    assert!(own.tier.is_none() && own.phase.is_none());
    assert_eq!(own.run.unwrap().issues, counts(2, 1));
    h.stop().await;
}

async fn every_refusal_of_a_report_names_its_field_and_stores_nothing(place: Place) {
    let h = Harness::start(&place).await;
    run(&h, "a").await;
    let bad = pb::RecordIssueRequest {
        issue: Some(types::NewIssue {
            severity: "medium".into(),
            key: " ".into(),
            source: "a b".into(),
            evidence: vec![String::new()],
            paths: vec!["x".repeat(501)],
            description: "x".repeat(2001),
            ..issue("")
        }),
        ..report("a", "A", "")
    };
    let error = from_status(&record(&h.clients, bad).await.unwrap_err());
    assert!(error.is(Reason::ArgumentInvalid), "{error:?}");
    let mut fields: Vec<&str> = error.faults.iter().map(|f| f.path.as_str()).collect();
    fields.sort_unstable();
    let all = [
        "issue.description",
        "issue.evidence[0]",
        "issue.key",
        "issue.paths[0]",
        "issue.severity",
        "issue.source",
    ];
    assert_eq!(fields, all);
    let severity = error.faults.iter().find(|f| f.path == "issue.severity");
    assert_eq!(severity.unwrap().allowed, ["minor", "major"]);
    let none = pb::RecordIssueRequest {
        issue: None,
        ..report("a", "A", "")
    };
    for (request, reason) in [
        (none, Reason::ArgumentInvalid),
        (report("nobody", "A", "k"), Reason::RunNotFound),
        (report("a", "Z", "k"), Reason::PhaseNotFound),
    ] {
        let error = from_status(&record(&h.clients, request).await.unwrap_err());
        assert!(error.is(reason), "{reason:?}: {error:?}");
    }
    assert!(list(&h, all_of("a")).await.issues.is_empty());
    let mut issues = h.clients.issues();
    for (request, reason, path) in [
        (
            pb::ListIssuesRequest {
                run_id: "x".into(),
                ..Default::default()
            },
            Reason::RunNotFound,
            "",
        ),
        (
            pb::ListIssuesRequest {
                phase_id: "Z".into(),
                ..all_of("a")
            },
            Reason::PhaseNotFound,
            "",
        ),
        (
            pb::ListIssuesRequest {
                severity: "bad".into(),
                ..all_of("a")
            },
            Reason::ArgumentInvalid,
            "severity",
        ),
        (
            pb::ListIssuesRequest {
                page_size: -1,
                ..all_of("a")
            },
            Reason::ArgumentInvalid,
            "page_size",
        ),
        (
            pb::ListIssuesRequest {
                page_token: "?".into(),
                ..all_of("a")
            },
            Reason::PageTokenInvalid,
            "",
        ),
    ] {
        let error = from_status(&issues.list_issues(request).await.unwrap_err());
        assert!(error.is(reason), "{reason:?}: {error:?}");
        assert!(path.is_empty() || error.faults[0].path == path, "{error:?}");
    }
    for (project, profile, token, reason) in [
        ("nobody", "", "", Reason::ProjectNotFound),
        ("p", "lax", "", Reason::ArgumentInvalid),
        ("p", "", "1~2", Reason::PageTokenInvalid),
    ] {
        let request = pb::GetBacklogRequest {
            project: project.into(),
            safety_profile: profile.into(),
            page_size: 0,
            page_token: token.into(),
        };
        let error = from_status(&issues.get_backlog(request).await.unwrap_err());
        assert!(error.is(reason), "{reason:?}: {error:?}");
    }
    h.stop().await;
}

pub(crate) fn all_of(run: &str) -> pb::ListIssuesRequest {
    pb::ListIssuesRequest {
        run_id: run.into(),
        include_resolved: true,
        ..Default::default()
    }
}

async fn a_worker_reports_for_its_own_attempt_and_is_fenced(place: Place) {
    let h = Harness::start(&place).await;
    let run = run(&h, "a").await;
    let as_worker = h.as_principal(Principal::Worker);
    let bare = record(&as_worker, report("a", "A", "k")).await;
    let error = from_status(&bare.unwrap_err());
    assert_eq!(error.faults[0].path, "attempt_uid", "{error:?}");
    let lease = h.lease(&run, 0).await;
    let own = |phase: &str, fence| pb::RecordIssueRequest {
        attempt_uid: lease.0.clone(),
        fence,
        ..report("a", phase, "k")
    };
    for (request, reason) in [
        (own("A", lease.1 - 1), Reason::LeaseFenced),
        (own("B", lease.1), Reason::ArgumentInvalid),
    ] {
        let error = from_status(&record(&as_worker, request).await.unwrap_err());
        assert!(error.is(reason), "{reason:?}: {error:?}");
    }
    let stored = record(&as_worker, own("", lease.1))
        .await
        .unwrap()
        .issue
        .unwrap();
    assert_eq!(
        (stored.phase_id.as_str(), &stored.attempt_uid),
        ("A", &lease.0)
    );
    h.settle(&run, &lease, "").await.unwrap();
    let late = from_status(&record(&as_worker, own("A", lease.1)).await.unwrap_err());
    assert!(late.is(Reason::LeaseFenced), "{late:?}");
    let reader = h.as_principal(Principal::Reader);
    let denied = from_status(&record(&reader, report("a", "A", "k")).await.unwrap_err());
    assert!(denied.is(Reason::PermissionDenied), "{denied:?}");
    let auditor = h.as_principal(Principal::Auditor);
    assert!(record(&auditor, report("a", "A", "x")).await.is_ok());
    h.stop().await;
}

async fn issues_are_listed_by_pages_and_filters(place: Place) {
    let h = Harness::start(&place).await;
    run(&h, "a").await;
    for (phase, key) in [
        ("B", "z"),
        ("A", "y"),
        ("A", "x é"),
        ("", "own"),
        ("C", "x é"),
    ] {
        record(&h.clients, report("a", phase, key)).await.unwrap();
    }
    let mut major = report("a", "C", "w");
    major.issue.as_mut().unwrap().severity = "major".into();
    record(&h.clients, major).await.unwrap();
    let (mut found, mut page_token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = list(
            &h,
            pb::ListIssuesRequest {
                page_size: 2,
                page_token,
                ..all_of("a")
            },
        )
        .await;
        assert_eq!(page.counts, counts(4, 1), "of the whole run, on each page");
        pages += 1;
        found.extend(page.issues.into_iter().map(|i| (i.phase_id, i.key)));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let want = [
        ("", "own"),
        ("A", "x é"),
        ("A", "y"),
        ("B", "z"),
        ("C", "w"),
        ("C", "x é"),
    ];
    assert_eq!(pages, 3);
    assert_eq!(found, want.map(|(p, k)| (p.to_owned(), k.to_owned())));
    let of = async |phase: &str, severity: &str| {
        let request = pb::ListIssuesRequest {
            phase_id: phase.into(),
            severity: severity.into(),
            ..all_of("a")
        };
        list(&h, request).await.issues.len()
    };
    assert_eq!(
        (
            of("A", "").await,
            of("", "major").await,
            of("C", "minor").await
        ),
        (2, 1, 1)
    );
    h.stop().await;
}

async fn a_settlement_carries_issues(place: Place) {
    let h = Harness::start(&place).await;
    let run = run(&h, "a").await;
    let lease = h.lease(&run, 0).await;
    let request = pb::SettleAttemptRequest {
        run_uid: run.uid.clone(),
        attempt_uid: lease.0.clone(),
        fence: lease.1,
        outcome: "no_change".into(),
        issues: vec![issue("k"), issue("l"), issue("k")],
        ..Default::default()
    };
    let mut work = h.clients.work.clone();
    let bad = pb::SettleAttemptRequest {
        issues: vec![issue("k"), issue("")],
        ..request.clone()
    };
    let error = from_status(&work.settle_attempt(bad).await.unwrap_err());
    assert_eq!(error.faults[0].path, "issues[1].key", "{error:?}");
    work.settle_attempt(request.clone()).await.unwrap();
    work.settle_attempt(request)
        .await
        .expect("repeated, it answers as the first time");
    let found = list(&h, all_of("a")).await;
    assert_eq!(found.counts, counts(2, 0));
    let seen: Vec<u32> = found.issues.iter().map(|i| i.occurrences).collect();
    assert_eq!(seen, [2, 1]);
    assert!(found.issues.iter().all(|i| i.attempt_uid == lease.0));
    h.stop().await;
}
