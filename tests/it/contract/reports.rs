//! Reports, the self-check, the schema's documentation, the import.

use autopack_domain::Reason as R;
use autopack_wire::registry as pb;

use crate::book::Book;
use crate::desk::PROJECT;

pub(crate) async fn call(book: &mut Book) {
    reports(book).await;
    doctor(book).await;
    let import = |project: &str, runs: usize| pb::ImportRunsRequest {
        documents: vec!["{}".into(); runs],
        project: project.into(),
        validate_only: true,
    };
    let method = "ImportService/ImportRuns";
    let done: pb::ImportRunsResponse = book.ok(method, import("", 1)).await;
    assert_eq!(done.runs.len(), 1);
    book.refused(method, R::ArgumentInvalid, import("a project", 1))
        .await;
    book.refused(method, R::LimitExceeded, import("", 201))
        .await;
}

async fn reports(book: &mut Book) {
    let report = |run: &str| pb::GetRunReportRequest { run_id: run.into() };
    let method = "ReportService/GetRunReport";
    let found: pb::GetRunReportResponse = book.ok(method, report("promoted")).await;
    assert!(found.promotion_eligible);
    book.refused(method, R::RunNotFound, report("absent")).await;

    let metrics = |state: &str, token: &str| pb::ListRunMetricsRequest {
        page_token: token.into(),
        state: state.into(),
        ..Default::default()
    };
    let method = "ReportService/ListRunMetrics";
    let found: pb::ListRunMetricsResponse = book.ok(method, metrics("DONE_SUCCESS", "")).await;
    assert!(!found.runs.is_empty());
    book.refused(method, R::ArgumentInvalid, metrics("READY", ""))
        .await;
    book.refused(method, R::PageTokenInvalid, metrics("", "x"))
        .await;

    let backlog = |project: &str, profile: &str| pb::GetBacklogSummaryRequest {
        project: project.into(),
        safety_profile: profile.into(),
    };
    let method = "ReportService/GetBacklogSummary";
    let found: pb::GetBacklogSummaryResponse = book.ok(method, backlog(PROJECT, "")).await;
    assert!(found.total_issues > 0);
    book.refused(method, R::ArgumentInvalid, backlog(PROJECT, "careless"))
        .await;
    book.refused(method, R::ProjectNotFound, backlog("absent", ""))
        .await;

    let budgets = |size: i32| pb::GetBudgetAnalysisRequest {
        project: PROJECT.into(),
        page_size: size,
    };
    let method = "ReportService/GetBudgetAnalysis";
    let _: pb::GetBudgetAnalysisResponse = book.ok(method, budgets(0)).await;
    book.refused(method, R::ArgumentInvalid, budgets(-1)).await;
}

async fn doctor(book: &mut Book) {
    let page = |run: &str, token: &str| pb::DiagnoseRequest {
        run_id: run.into(),
        limit: 0,
        page_token: token.into(),
    };
    let diagnose = |run: &str| page(run, "");
    let method = "DoctorService/Diagnose";
    let found: pb::DiagnoseResponse = book.ok(method, diagnose("")).await;
    // What all these calls left behind is sound.
    let errors: Vec<_> = found
        .findings
        .iter()
        .filter(|f| f.severity == "error")
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let one: pb::DiagnoseResponse = book.ok(method, diagnose("first")).await;
    assert!(one.rows < found.rows);
    book.refused(method, R::RunNotFound, diagnose("absent"))
        .await;
    book.refused(method, R::PageTokenInvalid, page("", "made up"))
        .await;

    let repair = |token: &str| pb::RepairRequest {
        validate_only: true,
        page_token: token.into(),
    };
    let method = "DoctorService/Repair";
    let _: pb::RepairResponse = book.ok(method, repair("")).await;
    book.refused(method, R::PageTokenInvalid, repair("made up"))
        .await;
    let list = pb::ListRepairsRequest { limit: 0 };
    let _: pb::ListRepairsResponse = book.ok("DoctorService/ListRepairs", list).await;
    let ids = pb::InferIdsRequest {
        project: PROJECT.into(),
    };
    let found: pb::InferIdsResponse = book.ok("DoctorService/InferIds", ids).await;
    assert_eq!(found.convention, "parent_child");

    let describe = |subject: &str| pb::DescribeSchemaRequest {
        subject: subject.into(),
    };
    let method = "DoctorService/DescribeSchema";
    let found: pb::DescribeSchemaResponse = book.ok(method, describe("phase")).await;
    assert_eq!(found.subjects.len(), 1);
    book.refused(method, R::ArgumentInvalid, describe("surprise"))
        .await;
}
