//! The landing turn, and the intent that is stored before a branch moves.

use autopack_domain::Reason as R;
use autopack_wire::registry as pb;
use autopack_wire::types::Intent;

use crate::book::Book;
use crate::desk::{ABSENT, Held, NOOP};

pub(crate) async fn call(book: &mut Book) {
    let run = book.started("landed", NOOP).await;
    let first = book.lease(&run, 0).await;
    let second = book.lease(&run, 1).await;
    let turn = |run: &str, uid: &str, fence: u64| pb::AwaitLandingTurnRequest {
        run_uid: run.into(),
        attempt_uid: uid.into(),
        fence,
        wait: None,
    };
    let method = "WorkService/AwaitLandingTurn";
    let cases = vec![
        (R::ArgumentInvalid, turn(&run.uid, "it", first.fence)),
        (R::RunNotFound, turn(ABSENT, &first.uid, first.fence)),
        (R::LeaseFenced, turn(&run.uid, &first.uid, first.fence + 9)),
    ];
    book.each(method, cases).await;
    let mine: pb::AwaitLandingTurnResponse = book
        .ok(method, turn(&run.uid, &first.uid, first.fence))
        .await;
    assert!(mine.granted);
    let theirs: pb::AwaitLandingTurnResponse = book
        .ok(method, turn(&run.uid, &second.uid, second.fence))
        .await;
    assert!(!theirs.granted);

    let prepare = |run: &str, held: &Held, fence: u64, tip: &str| pb::PrepareLandingRequest {
        run_uid: run.into(),
        attempt_uid: held.uid.clone(),
        fence,
        intent: Some(Intent {
            expected_tip: tip.into(),
            commit: "c1".into(),
            tree: "t1".into(),
            ..Default::default()
        }),
    };
    let method = "WorkService/PrepareLanding";
    let cases = vec![
        (
            R::ArgumentInvalid,
            pb::PrepareLandingRequest {
                intent: None,
                ..prepare(&run.uid, &first, first.fence, "base")
            },
        ),
        (
            R::LandingBusy,
            prepare(&run.uid, &second, second.fence, "base"),
        ),
        (
            R::LeaseFenced,
            prepare(&run.uid, &first, first.fence + 9, "base"),
        ),
        (
            R::TipMoved,
            prepare(&run.uid, &first, first.fence, "elsewhere"),
        ),
    ];
    book.each(method, cases).await;
    for stage in [
        autopack_wire::types::attempt::State::Governing,
        autopack_wire::types::attempt::State::Gating,
        autopack_wire::types::attempt::State::Landing,
    ] {
        let request = pb::ReportStageRequest {
            run_uid: run.uid.clone(),
            attempt_uid: first.uid.clone(),
            fence: first.fence,
            stage: stage.into(),
        };
        let _: pb::ReportStageResponse = book.ok("WorkService/ReportStage", request).await;
    }
    let _: pb::PrepareLandingResponse = book
        .ok(method, prepare(&run.uid, &first, first.fence, "base"))
        .await;
}
