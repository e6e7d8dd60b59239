//! Results on other branches, and looks at integration branches.

use autopack_domain::Reason as R;
use autopack_wire::registry as pb;
use autopack_wire::types::{self, IntegrationView, promotion::State};

use crate::book::Book;
use crate::desk::{ABSENT, Held, LONG};
use crate::scene::Scene;

fn promote(run: &str, id: &str, target: &str) -> pb::PromoteRunRequest {
    pb::PromoteRunRequest {
        run_id: run.into(),
        request_id: id.into(),
        target_branch: target.into(),
        ..Default::default()
    }
}

pub(crate) async fn call(book: &mut Book, scene: &Scene) {
    let run = book.ended("promoted").await;
    let asked = ask(book).await;
    let held = book.take_job(&run, "promote").await;
    carry_out(book, &run, &held).await;
    read(book, &asked).await;
    abandon(book).await;
    abandon_by_hand(book, scene).await;
    pull_request(book).await;
    look(book).await;
}

async fn ask(book: &mut Book) -> types::Promotion {
    let method = "PromotionService/PromoteRun";
    let answer: pb::PromoteRunResponse =
        book.ok(method, promote("promoted", "asked", "main")).await;
    let cases = vec![
        (R::RequestIdReused, promote("promoted", "asked", "release")),
        (R::PromotionBusy, promote("promoted", "", "release")),
        (
            R::ArgumentInvalid,
            pb::PromoteRunRequest {
                strategy: "rebase".into(),
                ..promote("promoted", "", "main")
            },
        ),
        (R::ArgumentInvalid, promote("well", "", "a..b")),
        (R::RunNotFound, promote("absent", "", "main")),
        (R::PromotionIneligible, promote("over", "", "main")),
    ];
    book.each(method, cases).await;
    answer.promotion.unwrap_or_default()
}

fn prepare(run: &str, job: &str, fence: u64) -> pb::PreparePromotionRequest {
    pb::PreparePromotionRequest {
        run_uid: run.into(),
        job_uid: job.into(),
        fence,
        from: "m0".into(),
        commit: "c1".into(),
    }
}

async fn carry_out(book: &mut Book, run: &types::Run, held: &Held) {
    let method = "WorkService/PreparePromotion";
    let cases = vec![
        (R::ArgumentInvalid, prepare(&run.uid, "it", held.fence)),
        (R::RunNotFound, prepare(ABSENT, &held.uid, held.fence)),
        (R::JobGone, prepare(&run.uid, ABSENT, held.fence)),
        (R::LeaseFenced, prepare(&run.uid, &held.uid, held.fence + 9)),
    ];
    book.each(method, cases).await;
    let _: pb::PreparePromotionResponse = book
        .ok(method, prepare(&run.uid, &held.uid, held.fence))
        .await;

    let finish = |run: &str, job: &str, fence: u64, state: State| pb::FinishPromotionRequest {
        run_uid: run.into(),
        job_uid: job.into(),
        fence,
        state: state.into(),
        commit: "c1".into(),
    };
    let method = "WorkService/FinishPromotion";
    let cases = vec![
        (
            R::ArgumentInvalid,
            finish(&run.uid, &held.uid, held.fence, State::Failed),
        ),
        (
            R::RunNotFound,
            finish(ABSENT, &held.uid, held.fence, State::Landed),
        ),
        (
            R::JobGone,
            finish(&run.uid, ABSENT, held.fence, State::Landed),
        ),
        (
            R::LeaseFenced,
            finish(&run.uid, &held.uid, held.fence + 9, State::Landed),
        ),
    ];
    book.each(method, cases).await;
    let good = finish(&run.uid, &held.uid, held.fence, State::Landed);
    let _: pb::FinishPromotionResponse = book.ok(method, good).await;
}

async fn read(book: &mut Book, asked: &types::Promotion) {
    let get = |uid: &str| pb::GetPromotionRequest {
        promotion_uid: uid.into(),
    };
    let method = "PromotionService/GetPromotion";
    let found: pb::GetPromotionResponse = book.ok(method, get(&asked.uid)).await;
    assert_eq!(found.promotion.unwrap_or_default().state(), State::Landed);
    book.refused(method, R::ArgumentInvalid, get("it")).await;
    book.refused(method, R::PromotionNotFound, get(ABSENT))
        .await;

    let list = |run: &str| pb::ListPromotionsRequest { run_id: run.into() };
    let method = "PromotionService/ListPromotions";
    let found: pb::ListPromotionsResponse = book.ok(method, list("promoted")).await;
    assert_eq!(found.promotions.len(), 1);
    book.refused(method, R::RunNotFound, list("absent")).await;
}

/// A promotion whose move may have happened, and whose repository is gone for ever.
async fn abandon(book: &mut Book) {
    let run = book.ended("abandoned").await;
    let abandon = |run: &str, id: &str, why: &str| pb::AbandonPromotionRequest {
        run_id: run.into(),
        request_id: id.into(),
        requested_by: "ada".into(),
        why: why.into(),
    };
    let method = "PromotionService/AbandonPromotion";
    book.refused(method, R::PromotionNotFound, abandon("abandoned", "", ""))
        .await;
    let _: pb::PromoteRunResponse = book
        .ok(
            "PromotionService/PromoteRun",
            promote("abandoned", "", "main"),
        )
        .await;
    book.refused(method, R::PromotionReadable, abandon("abandoned", "", ""))
        .await;
    let held = store_move(book, &run).await;
    // A worker holds it.
    book.refused(method, R::PromotionReadable, abandon("abandoned", "", ""))
        .await;
    lose(book, &run, held).await;
    let cases = vec![
        (R::RunNotFound, abandon("absent", "", "")),
        (R::ArgumentInvalid, abandon("abandoned", LONG, "")),
    ];
    book.each(method, cases).await;
    for _ in 0..2 {
        let ended: pb::AbandonPromotionResponse = book
            .ok(method, abandon("abandoned", "given-up", "gone"))
            .await;
        let ended = ended.promotion.unwrap_or_default();
        assert_eq!(
            (ended.state(), ended.cause.as_str()),
            (State::Failed, "PROMOTION_ABANDONED")
        );
    }
    book.refused(
        method,
        R::RequestIdReused,
        abandon("abandoned", "given-up", "else"),
    )
    .await;
}

/// As a worker that is about to move the branch.
async fn store_move(book: &mut Book, run: &types::Run) -> Held {
    let held = book.take_job(run, "promote").await;
    let request = prepare(&run.uid, &held.uid, held.fence);
    let _: pb::PreparePromotionResponse = book.ok("WorkService/PreparePromotion", request).await;
    held
}

/// As a worker that cannot read the branch.
async fn lose(book: &mut Book, run: &types::Run, held: Held) {
    let fail = pb::FailJobRequest {
        run_uid: run.uid.clone(),
        job_uid: held.uid,
        fence: held.fence,
        cause: "REPOSITORY_UNAVAILABLE".into(),
        detail: "it is gone".into(),
    };
    let _: pb::FailJobResponse = book.ok("WorkService/FailJob", fail).await;
}

/// The same by the command line, and what it leaves in the record.
async fn abandon_by_hand(book: &mut Book, scene: &Scene) {
    let run = book.ended("left").await;
    let asked = promote("left", "", "main");
    let _: pb::PromoteRunResponse = book.ok("PromotionService/PromoteRun", asked).await;
    let held = store_move(book, &run).await;
    lose(book, &run, held).await;
    let cli = scene.cluster.cli("operator");
    let line = ["promote", "left", "--abandon", "--why", "deleted last week"];
    let ended = cli.ask(&line);
    ended.done.expect_code(0);
    let recorded = cli.ask(&["integration", "left"]);
    for said in [&ended.json, &recorded.json["promotions"][0]] {
        assert_eq!(said["state"], "FAILED", "{said:#}");
        assert_eq!(said["cause"], "PROMOTION_ABANDONED", "{said:#}");
        let detail = said["detail"].as_str().unwrap();
        for word in [
            "deleted last week",
            "m0",
            "c1",
            "REPOSITORY_UNAVAILABLE: it is gone",
        ] {
            assert!(detail.contains(word), "{word} is not in {detail}");
        }
    }
    let again = cli.call(&line);
    again.expect_code(1);
    assert!(again.stderr.contains("PROMOTION_NOT_FOUND"), "{again:?}");
    // Nothing stands in the way of the next one.
    let asked = promote("left", "", "main");
    let _: pb::PromoteRunResponse = book.ok("PromotionService/PromoteRun", asked).await;
}

async fn pull_request(book: &mut Book) {
    let asked = pb::PromoteRunRequest {
        pull_request: true,
        ..promote("well", "", "main")
    };
    let asked: pb::PromoteRunResponse = book.ok("PromotionService/PromoteRun", asked).await;
    let uid = asked.promotion.unwrap_or_default().uid;
    let record = |uid: &str, url: &str| pb::RecordPullRequestRequest {
        promotion_uid: uid.into(),
        url: url.into(),
        detail: String::new(),
    };
    let (method, url) = (
        "PromotionService/RecordPullRequest",
        "https://git.example/demo/pulls/7",
    );
    let cases = vec![
        (R::ArgumentInvalid, record(&uid, "")),
        (R::ArgumentInvalid, record(&uid, "a page")),
        (R::PromotionNotFound, record(ABSENT, url)),
    ];
    book.each(method, cases).await;
    let done: pb::RecordPullRequestResponse = book.ok(method, record(&uid, url)).await;
    assert_eq!(done.promotion.unwrap_or_default().state(), State::Opened);
}

async fn look(book: &mut Book) {
    let refresh = |run: &str, target: &str| pb::RefreshIntegrationStatusRequest {
        run_id: run.into(),
        target_branch: target.into(),
    };
    let method = "PromotionService/RefreshIntegrationStatus";
    let cases = vec![
        (R::RunNotFound, refresh("absent", "")),
        (R::RunState, refresh("first", "")),
        (
            R::ArgumentInvalid,
            refresh("promoted", &"x".repeat(9 << 10)),
        ),
    ];
    book.each(method, cases).await;
    let _: pb::RefreshIntegrationStatusResponse = book.ok(method, refresh("promoted", "")).await;

    let run = pb::GetRunRequest {
        run_id: "promoted".into(),
        brief: true,
    };
    let run: pb::GetRunResponse = book.ok("RegistryService/GetRun", run).await;
    let run = run.run.unwrap_or_default();
    let held = book.take_job(&run, "integration_status").await;
    let finish = |run: &str, job: &str, fence: u64| pb::FinishIntegrationStatusRequest {
        run_uid: run.into(),
        job_uid: job.into(),
        fence,
        seen: Some(IntegrationView {
            tip: "base".into(),
            ..Default::default()
        }),
    };
    let method = "WorkService/FinishIntegrationStatus";
    let cases = vec![
        (R::ArgumentInvalid, finish(&run.uid, "it", held.fence)),
        (R::RunNotFound, finish(ABSENT, &held.uid, held.fence)),
        (R::JobGone, finish(&run.uid, ABSENT, held.fence)),
        (R::LeaseFenced, finish(&run.uid, &held.uid, held.fence + 9)),
    ];
    book.each(method, cases).await;
    let _: pb::FinishIntegrationStatusResponse = book
        .ok(method, finish(&run.uid, &held.uid, held.fence))
        .await;

    let get = |run: &str| pb::GetIntegrationStatusRequest { run_id: run.into() };
    let method = "PromotionService/GetIntegrationStatus";
    let status: pb::GetIntegrationStatusResponse = book.ok(method, get("promoted")).await;
    let status = status.status.unwrap_or_default();
    assert!(
        !status.refreshing && status.look_time.is_some(),
        "{status:?}"
    );
    book.refused(method, R::RunNotFound, get("absent")).await;
}
