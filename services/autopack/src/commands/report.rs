//! `autopack report`.

use autopack_wire::registry::{
    GetBacklogSummaryRequest, GetBudgetAnalysisRequest, GetRunReportRequest, ListRunMetricsRequest,
};
use serde_json::Value;

use super::Context;
use crate::{
    cli::ReportCommand,
    error::{Exit, Outcome},
    output::report,
};

/// One report.
pub(super) async fn run(context: &Context, command: ReportCommand) -> Outcome {
    let connection = context.connect().await?;
    let mut reports = connection.clients.reports();
    let ui = context.ui;
    // The connection is closed before anything is printed or an error returned.
    match command {
        ReportCommand::Run { run } => {
            let request = GetRunReportRequest { run_id: run };
            let answer = reports.get_run_report(request).await;
            connection.close().await;
            let found = answer?.into_inner();
            ui.data(|| report::run_json(&found), || report::run(ui, &found));
        }
        ReportCommand::Runs {
            state,
            project,
            limit,
        } => {
            let request = ListRunMetricsRequest {
                page_size: limit,
                page_token: String::new(),
                state,
                project,
            };
            let answer = reports.list_run_metrics(request).await;
            connection.close().await;
            let found = answer?.into_inner().runs;
            ui.data(
                || found.iter().map(report::metrics_json).collect::<Value>(),
                || report::metrics(ui, &found),
            );
        }
        ReportCommand::Backlog {
            project,
            safety_profile,
        } => {
            let request = GetBacklogSummaryRequest {
                project,
                safety_profile,
            };
            let answer = reports.get_backlog_summary(request).await;
            connection.close().await;
            let found = answer?.into_inner();
            ui.data(
                || report::backlog_json(&found),
                || report::backlog(ui, &found),
            );
        }
        ReportCommand::Budgets { project, limit } => {
            let request = GetBudgetAnalysisRequest {
                project,
                page_size: limit,
            };
            let answer = reports.get_budget_analysis(request).await;
            connection.close().await;
            let found = answer?.into_inner();
            ui.data(
                || report::budgets_json(&found),
                || report::budgets(ui, &found),
            );
        }
    }
    Ok(Exit::Success)
}
