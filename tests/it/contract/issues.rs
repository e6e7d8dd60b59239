//! Issues of runs and the backlog of their project.

use autopack_domain::Reason as R;
use autopack_wire::registry as pb;
use autopack_wire::types::{self, NewIssue};
use serde_json::json;

use crate::book::Book;
use crate::desk::{Held, LONG, PROJECT, settlement};

const KEY: &str = "docs__readme__stale";

/// Issues that a run keeps, at most.
const MOST: usize = 10_000;

fn issue(key: &str) -> NewIssue {
    NewIssue {
        key: key.into(),
        source: "static_check".into(),
        category: "docs".into(),
        ..Default::default()
    }
}

fn report(run: &str, phase: &str, id: &str) -> pb::RecordIssueRequest {
    pb::RecordIssueRequest {
        request_id: id.into(),
        run_id: run.into(),
        phase_id: phase.into(),
        issue: Some(issue(KEY)),
        ..Default::default()
    }
}

pub(crate) async fn call(book: &mut Book) {
    let run = book
        .started("issued", "builder: { kind: external, audit: true }")
        .await;
    let held = book.lease(&run, 1).await;
    record(book, &held).await;
    list(book).await;
    fill(book, &run, &held).await;
}

async fn record(book: &mut Book, held: &Held) {
    let method = "IssueService/RecordIssue";
    let stored: pb::RecordIssueResponse = book.ok(method, report("issued", "A", "recorded")).await;
    assert_eq!(stored.issue.unwrap_or_default().key, KEY);
    let cases = vec![
        (R::RequestIdReused, report("issued", "B", "recorded")),
        (
            R::ArgumentInvalid,
            pb::RecordIssueRequest {
                issue: None,
                ..report("issued", "A", "")
            },
        ),
        (R::ArgumentInvalid, report("issued", "A", LONG)),
        (R::RunNotFound, report("absent", "A", "")),
        (R::PhaseNotFound, report("issued", "Z", "")),
        (
            R::LeaseFenced,
            pb::RecordIssueRequest {
                attempt_uid: held.uid.clone(),
                fence: held.fence + 1,
                ..report("issued", "B", "")
            },
        ),
    ];
    book.each(method, cases).await;
}

async fn list(book: &mut Book) {
    let list = |run: &str, phase: &str, severity: &str, token: &str| pb::ListIssuesRequest {
        run_id: run.into(),
        phase_id: phase.into(),
        severity: severity.into(),
        page_token: token.into(),
        ..Default::default()
    };
    let method = "IssueService/ListIssues";
    let found: pb::ListIssuesResponse = book.ok(method, list("issued", "A", "", "")).await;
    assert_eq!(found.issues.len(), 1);
    let cases = vec![
        (R::RunNotFound, list("absent", "", "", "")),
        (R::PhaseNotFound, list("issued", "Z", "", "")),
        (R::ArgumentInvalid, list("issued", "", "huge", "")),
        (R::PageTokenInvalid, list("issued", "", "", "x")),
    ];
    book.each(method, cases).await;

    let backlog = |project: &str, profile: &str, token: &str| pb::GetBacklogRequest {
        project: project.into(),
        safety_profile: profile.into(),
        page_token: token.into(),
        ..Default::default()
    };
    let method = "IssueService/GetBacklog";
    let found: pb::GetBacklogResponse = book.ok(method, backlog(PROJECT, "", "")).await;
    assert_eq!(found.entries.len(), 1);
    let cases = vec![
        (R::ProjectNotFound, backlog("absent", "", "")),
        (R::ArgumentInvalid, backlog(PROJECT, "careless", "")),
        (R::PageTokenInvalid, backlog(PROJECT, "", "x")),
    ];
    book.each(method, cases).await;

    let resolve = |project: &str, key: &str, note: &str, id: &str| pb::ResolveIssueRequest {
        project: project.into(),
        key: key.into(),
        note: note.into(),
        request_id: id.into(),
    };
    let method = "IssueService/ResolveIssue";
    let first: pb::ResolveIssueResponse = book
        .ok(method, resolve(PROJECT, KEY, "not ours", "resolved"))
        .await;
    assert_eq!(first.entry.unwrap_or_default().status, "resolved");
    // It comes back, and a repetition of the call that closed it does not close it again.
    let _: pb::RecordIssueResponse = book
        .ok("IssueService/RecordIssue", report("issued", "B", ""))
        .await;
    let again: pb::ResolveIssueResponse = book
        .ok(method, resolve(PROJECT, KEY, "not ours", "resolved"))
        .await;
    assert_eq!(again.entry.unwrap_or_default().status, "open");
    let cases = vec![
        (
            R::RequestIdReused,
            resolve(PROJECT, KEY, "else", "resolved"),
        ),
        (R::ArgumentInvalid, resolve(PROJECT, KEY, " ", "")),
        (R::ProjectNotFound, resolve("absent", KEY, "why", "")),
        (R::IssueNotFound, resolve(PROJECT, "absent", "why", "")),
    ];
    book.each(method, cases).await;
}

/// No more issues are kept of a run than fit, whoever reports them.
async fn fill(book: &mut Book, run: &types::Run, held: &Held) {
    let over = pb::SettleAttemptRequest {
        issues: (0..=MOST).map(|n| issue(&format!("many__{n}"))).collect(),
        ..settlement(run, held, "")
    };
    book.refused("WorkService/SettleAttempt", R::LimitExceeded, over)
        .await;

    let kept = |n: usize| json!({ "key": format!("many__{n}"), "severity": "minor", "source": "test", "category": "docs" });
    let full = json!({
        "schema": "autopack/history/v1",
        "origin": { "kind": "sqlite", "name": "a.db", "key": "full" },
        "id": "full", "state": "DONE_FAILED_REQUIRES_HUMAN_REVIEW", "created_at": 5,
        "phases": [{ "id": "P1", "index": 0, "state": "FAILED" }],
        "issues": (0..MOST).map(kept).collect::<Vec<_>>(),
    });
    let import = pb::ImportRunsRequest {
        documents: vec![full.to_string()],
        ..Default::default()
    };
    let done: pb::ImportRunsResponse = book.ok("ImportService/ImportRuns", import).await;
    assert_eq!(
        done.runs[0].outcome(),
        pb::imported_run::Outcome::Imported,
        "{done:?}"
    );
    let one = report("full", "", "");
    book.refused("IssueService/RecordIssue", R::LimitExceeded, one)
        .await;
}
