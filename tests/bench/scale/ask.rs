//! What is asked, and how long the answers take.

use std::time::{Duration, Instant};

use autopack_testkit::Many;
use autopack_wire::{client::Clients, registry as pb};

use crate::numbers::{Line, percentile};

/// Times that each question is asked.
const ROUNDS: usize = 300;
/// Pages that a reader turns before the deep page is measured.
const DEEP: usize = 60;
/// The aim for each, in milliseconds.
const AIM: f64 = 50.0;

/// The aim for a call of the self-check, in seconds.
const CALL: f64 = 10.0;

/// Every question, over one database.
pub(crate) async fn every_question(id: &'static str, clients: &Clients, many: Many) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut note = |what: &str, spans: &[Duration]| {
        let p99 = Line::plain(id, format!("{what}, p99"), percentile(spans, 0.99), "ms");
        lines.push(Line::plain(
            id,
            format!("{what}, p50"),
            percentile(spans, 0.5),
            "ms",
        ));
        lines.push(p99.at_most(AIM, "the aim"));
    };
    let list = |state: &str, project: &str, page_token: &str| pb::ListRunsRequest {
        state: state.into(),
        project: project.into(),
        page_token: page_token.into(),
        ..pb::ListRunsRequest::default()
    };
    for (what, state, project) in [
        ("runs", "", ""),
        ("runs by state", "DONE_FAILED_POLICY_VIOLATION", ""),
        ("runs by a rare state", "GATE", ""),
        ("runs of a project", "", "many-3"),
        ("runs of a project by state", "DONE_CANCELLED", "many-3"),
    ] {
        let token = deep(clients, list(state, project, "")).await;
        note(
            &format!("ListRuns: {what}"),
            &runs(clients, list(state, project, "")).await,
        );
        if !token.is_empty() {
            note(
                &format!("ListRuns: {what}, a deep page"),
                &runs(clients, list(state, project, &token)).await,
            );
        }
    }
    let some = |n: usize| format!("many-{}", (n * 7919) % many.runs as usize);
    let mut spans = Vec::with_capacity(ROUNDS);
    for n in 0..ROUNDS {
        let request = pb::GetRunReportRequest { run_id: some(n) };
        let began = Instant::now();
        clients.reports().get_run_report(request).await.unwrap();
        spans.push(began.elapsed());
    }
    note("GetRunReport: any run", &spans);
    spans.clear();
    for _ in 0..ROUNDS {
        let request = pb::ListRunMetricsRequest {
            project: "many-5".into(),
            ..Default::default()
        };
        let began = Instant::now();
        clients.reports().list_run_metrics(request).await.unwrap();
        spans.push(began.elapsed());
    }
    note("ListRunMetrics: a page of a project", &spans);
    spans.clear();
    for n in 0..ROUNDS {
        let request = pb::GetBacklogRequest {
            project: format!("many-{}", n % many.projects as usize),
            ..Default::default()
        };
        let began = Instant::now();
        clients.issues().get_backlog(request).await.unwrap();
        spans.push(began.elapsed());
    }
    note("GetBacklog: the first page of a project", &spans);
    spans.clear();
    for n in 0..ROUNDS {
        let request = pb::GetBacklogSummaryRequest {
            project: format!("many-{}", n % many.projects as usize),
            ..Default::default()
        };
        let began = Instant::now();
        clients
            .reports()
            .get_backlog_summary(request)
            .await
            .unwrap();
        spans.push(began.elapsed());
    }
    note("GetBacklogSummary: a project", &spans);
    spans.clear();
    for n in 0..ROUNDS {
        let request = pb::GetBudgetAnalysisRequest {
            project: format!("many-{}", n % many.projects as usize),
            ..Default::default()
        };
        let began = Instant::now();
        clients
            .reports()
            .get_budget_analysis(request)
            .await
            .unwrap();
        spans.push(began.elapsed());
    }
    note("GetBudgetAnalysis: a project", &spans);
    lines
}

async fn runs(clients: &Clients, request: pb::ListRunsRequest) -> Vec<Duration> {
    let mut registry = clients.registry.clone();
    let mut spans = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let answer = registry.list_runs(request.clone()).await.unwrap();
        spans.push(began.elapsed());
        assert!(!answer.into_inner().runs.is_empty());
    }
    spans
}

/// The token of a page that is far behind, or of the last one.
async fn deep(clients: &Clients, mut request: pb::ListRunsRequest) -> String {
    let mut registry = clients.registry.clone();
    request.page_size = 500;
    for _ in 0..DEEP {
        let answer = registry
            .list_runs(request.clone())
            .await
            .unwrap()
            .into_inner();
        if answer.next_page_token.is_empty() {
            break;
        }
        request.page_token = answer.next_page_token;
    }
    request.page_token
}

/// The self-check over everything, page by page: how long it takes, its longest call, and the most memory of the process
/// since its start.
pub(crate) async fn self_check(id: &'static str, clients: &Clients, process: u32) -> Vec<Line> {
    let before = most_mib(process);
    let began = Instant::now();
    let (mut calls, mut findings, mut rows, mut longest) = (0, 0, 0, 0.0_f64);
    let mut request = pb::DiagnoseRequest::default();
    let said = loop {
        let asked = Instant::now();
        let answer = clients.doctor().diagnose(request.clone()).await;
        longest = longest.max(asked.elapsed().as_secs_f64());
        calls += 1;
        match answer.map(tonic::Response::into_inner) {
            Ok(page) => {
                findings += page.findings.len();
                rows += page.rows;
                request.page_token = page.next_page_token;
            }
            Err(status) => break format!("{:?}", status.code()),
        }
        if request.page_token.is_empty() {
            break format!("{findings} findings");
        }
    };
    let took = began.elapsed().as_secs_f64();
    let what = format!("doctor over everything ({rows} rows in {calls} calls): {said}");
    vec![
        Line::plain(
            id,
            "most memory of the process before the self-check",
            before,
            "MiB",
        ),
        Line::plain(id, what, took, "s"),
        Line::plain(id, "the longest call of it", longest, "s").at_most(CALL, "the aim"),
        Line::plain(
            id,
            "most memory of the process after it",
            most_mib(process),
            "MiB",
        ),
    ]
}

/// The most that the process ever held.
fn most_mib(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}
