//! Results and audits from outside.

use autopack_domain::Reason as R;
use autopack_wire::registry as pb;
use autopack_wire::types::phase::State;
use serde_json::{Value, json};

use crate::book::Book;
use crate::desk::LONG;

fn result(run: &str, phase: &str, id: &str, builder: &str) -> pb::SubmitBuilderResultRequest {
    pb::SubmitBuilderResultRequest {
        run_id: run.into(),
        phase_id: phase.into(),
        request_id: id.into(),
        document: json!({ "builder": builder, "patch": "diff --git a/f b/f\n" }).to_string(),
    }
}

fn audit(run: &str, phase: &str, id: &str, document: &Value) -> pb::SubmitAuditorResultRequest {
    pb::SubmitAuditorResultRequest {
        run_id: run.into(),
        phase_id: phase.into(),
        request_id: id.into(),
        document: document.to_string(),
    }
}

pub(crate) async fn call(book: &mut Book) {
    let outside = "builder: { kind: external, audit: true }";
    book.started("outside", outside).await;
    book.started("by-hand", outside).await;
    let run = book.started("taken", "builder: { kind: external }").await;
    let gone = book.create("gone", outside).await;
    book.cancel(&gone.id).await;
    let approve = json!({ "auditor": "ada", "recommendation": "approve" });
    let method = "SubmissionService/SubmitAuditorResult";
    book.refused(method, R::PhaseState, audit("outside", "A", "", &approve))
        .await;

    let method = "SubmissionService/SubmitBuilderResult";
    let invalid = pb::SubmitBuilderResultRequest {
        document: "{}".into(),
        ..result("outside", "A", "", "bot")
    };
    let cases = vec![
        (R::SubmissionInvalid, invalid),
        (R::ArgumentInvalid, result("outside", "A", LONG, "bot")),
        (R::RunNotFound, result("absent", "A", "", "bot")),
        (R::PhaseNotFound, result("outside", "Z", "", "bot")),
        (R::NotExternal, result("outside", "B", "", "bot")),
        (R::RunState, result("gone", "A", "", "bot")),
    ];
    book.each(method, cases).await;
    let sent: pb::SubmitBuilderResultResponse =
        book.ok(method, result("outside", "A", "sent", "bot")).await;
    assert!(sent.phase.unwrap_or_default().handoff.is_some());
    book.refused(
        method,
        R::RequestIdReused,
        result("outside", "A", "sent", "other"),
    )
    .await;
    book.refused(method, R::PhaseState, result("outside", "A", "", "bot"))
        .await;

    let ask = |run: &str, phase: &str| pb::RequestAuditRequest {
        run_id: run.into(),
        phase_id: phase.into(),
    };
    let method = "SubmissionService/RequestAudit";
    let _: pb::RequestAuditResponse = book.ok(method, ask("outside", "A")).await;
    // A worker has it.
    let _: pb::SubmitBuilderResultResponse = book
        .ok(
            "SubmissionService/SubmitBuilderResult",
            result("taken", "A", "", "bot"),
        )
        .await;
    book.lease(&run, 0).await;
    let cases = vec![
        (R::RunNotFound, ask("absent", "A")),
        (R::PhaseNotFound, ask("outside", "Z")),
        (R::NotExternal, ask("outside", "B")),
        (R::PhaseState, ask("taken", "A")),
        (R::RunState, ask("gone", "A")),
    ];
    book.each(method, cases).await;

    let method = "SubmissionService/SubmitAuditorResult";
    let own = json!({ "auditor": "bot", "recommendation": "approve" });
    let cases = vec![
        (R::SameIdentity, audit("outside", "A", "", &own)),
        (R::SubmissionInvalid, audit("outside", "A", "", &json!({}))),
        (R::ArgumentInvalid, audit("outside", "A", LONG, &approve)),
        (R::RunNotFound, audit("absent", "A", "", &approve)),
        (R::PhaseNotFound, audit("outside", "Z", "", &approve)),
        (R::NotExternal, audit("outside", "B", "", &approve)),
        (R::RunState, audit("gone", "A", "", &approve)),
    ];
    book.each(method, cases).await;
    let _: pb::SubmitAuditorResultResponse = book
        .ok(method, audit("outside", "A", "audited", &approve))
        .await;
    book.refused(
        method,
        R::RequestIdReused,
        audit("outside", "A", "audited", &own),
    )
    .await;

    let set = |run: &str, phase: &str, id: &str, state: State| pb::UpdatePhaseStatusRequest {
        run_id: run.into(),
        phase_id: phase.into(),
        request_id: id.into(),
        state: state.into(),
        why: "by hand".into(),
    };
    let method = "SubmissionService/UpdatePhaseStatus";
    let once = "max_attempts: 1, builder: { kind: external }";
    let failed = book.started("failed-by-hand", once).await;
    let _: pb::UpdatePhaseStatusResponse = book
        .ok(method, set("failed-by-hand", "A", "", State::Failed))
        .await;
    book.cancel(&failed.id).await;
    let cases = vec![
        (
            R::ArgumentInvalid,
            set("by-hand", "A", "", State::Unspecified),
        ),
        (R::RunNotFound, set("absent", "A", "", State::Skipped)),
        (R::PhaseNotFound, set("by-hand", "Z", "", State::Skipped)),
        (R::NotExternal, set("by-hand", "B", "", State::Skipped)),
        (R::PhaseState, set("by-hand", "A", "", State::Complete)),
        (R::RunState, set("failed-by-hand", "A", "", State::Queued)),
    ];
    book.each(method, cases).await;
    let set_by: pb::UpdatePhaseStatusResponse = book
        .ok(method, set("by-hand", "A", "set", State::Skipped))
        .await;
    assert_eq!(set_by.phase.unwrap_or_default().state(), State::Skipped);
    book.refused(
        method,
        R::RequestIdReused,
        set("by-hand", "A", "set", State::Failed),
    )
    .await;
}
