//! Approvals: asked for by a worker, listed, decided.

use autopack_domain::Reason as R;
use autopack_wire::registry as pb;
use autopack_wire::registry::decide_approval_request::Decision;
use autopack_wire::types;

use crate::book::Book;
use crate::desk::{LONG, NOOP, settlement};

const TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

pub(crate) async fn call(book: &mut Book) {
    let run = book.started("approved", NOOP).await;
    let held = book.lease(&run, 0).await;
    let asking = pb::SettleAttemptRequest {
        approval: Some(types::ApprovalRequest {
            tree: TREE.into(),
            risk: "high".into(),
            asks: vec![types::ApprovalAsk {
                guard: "path".into(),
                path: "db/1.sql".into(),
                detail: "named".into(),
            }],
            asked_by: "bot-7".into(),
            ..Default::default()
        }),
        ..settlement(&run, &held, "APPROVAL_REQUIRED")
    };
    let _: pb::SettleAttemptResponse = book.ok("WorkService/SettleAttempt", asking).await;
    list(book).await;
    decide(book).await;
}

async fn list(book: &mut Book) {
    let method = "ApprovalService/ListApprovals";
    let page = |run: &str, token: &str| pb::ListApprovalsRequest {
        run_id: run.into(),
        page_token: token.into(),
        ..Default::default()
    };
    let found: pb::ListApprovalsResponse = book.ok(method, page("approved", "")).await;
    assert_eq!(found.approvals.len(), 1);
    let cases = vec![
        (R::RunNotFound, page("absent", "")),
        (R::PageTokenInvalid, page("", "made up")),
    ];
    book.each(method, cases).await;
}

async fn decide(book: &mut Book) {
    let method = "ApprovalService/DecideApproval";
    let word = |phase: &str, decision: Decision, by: &str| pb::DecideApprovalRequest {
        run_id: "approved".into(),
        phase_id: phase.into(),
        tree: TREE.into(),
        decision: decision.into(),
        decided_by: by.into(),
        note: "looked at it".into(),
        request_id: String::new(),
    };
    let named = |id: &str, by: &str| pb::DecideApprovalRequest {
        request_id: id.into(),
        ..word("A", Decision::Approve, by)
    };
    let before = vec![
        (R::ArgumentInvalid, word("A", Decision::Unspecified, "ada")),
        (R::ArgumentInvalid, word("A", Decision::Approve, " ")),
        (R::ArgumentInvalid, named(LONG, "ada")),
        (
            R::RunNotFound,
            pb::DecideApprovalRequest {
                run_id: "absent".into(),
                ..word("A", Decision::Approve, "ada")
            },
        ),
        (R::PhaseNotFound, word("Z", Decision::Approve, "ada")),
        (R::ApprovalMissing, word("B", Decision::Approve, "ada")),
        (
            R::ApprovalChanged,
            pb::DecideApprovalRequest {
                tree: "0000".into(),
                ..word("A", Decision::Approve, "ada")
            },
        ),
        (R::SameIdentity, word("A", Decision::Approve, "Bot-7 ")),
    ];
    book.each(method, before).await;
    for _ in 0..2 {
        let _: pb::DecideApprovalResponse = book.ok(method, named("approve-a", "ada")).await;
    }
    let after = vec![
        (R::RequestIdReused, named("approve-a", "bob")),
        (R::ApprovalDecided, word("A", Decision::Reject, "bob")),
    ];
    book.each(method, after).await;
    book.cancel("approved").await;
    let late = word("A", Decision::Approve, "ada");
    book.refused(method, R::RunState, late).await;
}
