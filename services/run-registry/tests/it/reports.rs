//! Reports: each figure against what the tests did.

use autopack_domain::Reason;
use autopack_wire::{
    client::Clients, registry as pb, server::Principal, status::from_status, types,
};

use crate::harness::{Harness, PLAN, Place, both, request};

both!(
    a_run_is_told_with_its_progress_and_every_rule_of_promotion,
    metrics_are_listed_by_state_and_page,
    a_backlog_is_summed_up_as_its_list_shows_it,
    a_spent_budget_is_laid_at_its_tier_and_category,
    refusals_of_reports_are_named,
);

async fn started(h: &Harness, id: &str, tokens: &str) -> types::Run {
    let budget = format!("id: {id}{tokens}, goal");
    let document = PLAN.replace("id: demo, goal", &budget);
    let run = h.create(request(&document)).await.unwrap().run.unwrap();
    h.bootstrap(&run).await;
    run
}

async fn finish(h: &Harness, run: &types::Run) {
    for phase in [0, 1] {
        let lease = h.lease(run, phase).await;
        h.settle(run, &lease, "").await.unwrap();
    }
}

async fn record(h: &Harness, run: &str, phase: &str, key: &str, severity: &str) {
    let request = pb::RecordIssueRequest {
        run_id: run.into(),
        phase_id: phase.into(),
        issue: Some(types::NewIssue {
            key: key.into(),
            severity: severity.into(),
            source: "probe".into(),
            category: "docs".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    h.clients.issues().record_issue(request).await.unwrap();
}

async fn report(h: &Harness, id: &str) -> pb::GetRunReportResponse {
    let request = pb::GetRunReportRequest { run_id: id.into() };
    let answer = h.clients.reports().get_run_report(request).await;
    answer.unwrap().into_inner()
}

async fn metrics(h: &Harness, request: pb::ListRunMetricsRequest) -> pb::ListRunMetricsResponse {
    let answer = h.clients.reports().list_run_metrics(request).await;
    answer.unwrap().into_inner()
}

fn broken(report: &pb::GetRunReportResponse) -> Vec<&str> {
    let rules = report.promotion_rules.iter().filter(|r| !r.holds);
    rules.map(|r| r.rule.as_str()).collect()
}

async fn a_run_is_told_with_its_progress_and_every_rule_of_promotion(place: Place) {
    let h = Harness::start(&place).await;
    let run = started(&h, "a", "").await;
    let found = report(&h, "a").await;
    let progress = found.progress.clone().unwrap();
    assert_eq!((progress.percent_complete, progress.total_phases), (0, 2));
    assert_eq!(
        progress.elapsed_duration.unwrap().seconds,
        0,
        "nothing was leased"
    );
    assert_eq!(broken(&found), ["done_success"]);
    let lease = h.lease(&run, 0).await;
    h.clock.advance(std::time::Duration::from_millis(2500));
    let progress = report(&h, "a").await.progress.unwrap();
    assert_eq!(
        (progress.current_tier.as_str(), progress.current_phases),
        ("T1", vec!["A".into()])
    );
    let elapsed = progress.elapsed_duration.unwrap();
    assert_eq!((elapsed.seconds, elapsed.nanos), (2, 500_000_000));
    h.settle(&run, &lease, "").await.unwrap();
    assert_eq!(report(&h, "a").await.progress.unwrap().percent_complete, 50);
    let lease = h.lease(&run, 1).await;
    h.settle(&run, &lease, "").await.unwrap();
    h.clock.advance(std::time::Duration::from_mins(1));
    let found = report(&h, "a").await;
    let progress = found.progress.clone().unwrap();
    assert_eq!(
        (progress.percent_complete, progress.tiers_percent_complete),
        (100, 100)
    );
    assert_eq!(
        progress.elapsed_duration.unwrap().seconds,
        2,
        "the clock stops with the run"
    );
    assert!(progress.current_tier.is_empty() && progress.current_phases.is_empty());
    assert!(found.promotion_eligible && broken(&found).is_empty());
    assert_eq!(
        (found.safety_profile.as_str(), found.max_minor_issues),
        ("normal", 6)
    );
    record(&h, "a", "A", "k", "major").await;
    let found = report(&h, "a").await;
    assert!(!found.promotion_eligible);
    assert_eq!(broken(&found), ["no_tier_not_clean"]);
    assert!(found.tiers[0].promotion_blocked && !found.tiers[0].tokens_over);
    assert_eq!(
        found.phases[0].phase.as_ref().unwrap().issue_state,
        "has_major_issues"
    );
    for n in 0..7 {
        record(&h, "a", "B", &format!("m{n}"), "minor").await;
    }
    let found = report(&h, "a").await;
    assert_eq!(broken(&found), ["no_tier_not_clean", "no_excess_minors"]);
    assert_eq!(found.run.unwrap().debt_status, "excess_minor_issues");
    h.stop().await;
}

async fn metrics_are_listed_by_state_and_page(place: Place) {
    let h = Harness::start(&place).await;
    for id in ["a", "b", "c"] {
        let run = started(&h, id, "").await;
        h.clock.advance(std::time::Duration::from_secs(1));
        if id != "c" {
            finish(&h, &run).await;
        }
    }
    record(&h, "b", "A", "k", "major").await;
    let done = pb::ListRunMetricsRequest {
        state: "DONE_SUCCESS".into(),
        page_size: 1,
        ..Default::default()
    };
    let first = metrics(&h, done.clone()).await;
    let second = metrics(
        &h,
        pb::ListRunMetricsRequest {
            page_token: first.next_page_token.clone(),
            ..done
        },
    )
    .await;
    let shown = |page: &pb::ListRunMetricsResponse| {
        let m = &page.runs[0];
        let id = m.run.as_ref().unwrap().id.clone();
        (
            id,
            m.promotion_eligible,
            m.tiers_not_clean,
            m.phase_count,
            m.tier_count,
        )
    };
    assert_eq!(shown(&first), ("b".to_owned(), false, 1, 2, 1));
    assert_eq!(shown(&second), ("a".to_owned(), true, 0, 2, 1));
    assert!(second.next_page_token.is_empty());
    assert_eq!(
        (
            second.runs[0].safety_profile.as_str(),
            second.runs[0].max_minor_issues
        ),
        ("normal", 6)
    );
    let all = metrics(&h, pb::ListRunMetricsRequest::default()).await;
    assert_eq!(all.runs.len(), 3);
    let none = pb::ListRunMetricsRequest {
        project: "nobody".into(),
        ..Default::default()
    };
    assert!(metrics(&h, none).await.runs.is_empty());
    h.stop().await;
}

async fn a_backlog_is_summed_up_as_its_list_shows_it(place: Place) {
    let h = Harness::start(&place).await;
    for (n, keys) in [&["gone", "old", "grave"][..], &["old"], &["old"], &["new"]]
        .iter()
        .enumerate()
    {
        let run = started(&h, &format!("r{n}"), "").await;
        for key in *keys {
            let severity = if *key == "grave" { "major" } else { "minor" };
            record(&h, &run.id, "A", key, severity).await;
        }
        h.clock.advance(std::time::Duration::from_secs(1));
        finish(&h, &run).await;
        h.clock.advance(std::time::Duration::from_secs(1));
    }
    for profile in ["", "safety_critical"] {
        let request = pb::GetBacklogRequest {
            project: "demo".into(),
            safety_profile: profile.into(),
            ..Default::default()
        };
        let listed = h.clients.issues().get_backlog(request).await;
        let listed = listed.unwrap().into_inner().entries;
        let request = pb::GetBacklogSummaryRequest {
            project: "demo".into(),
            safety_profile: profile.into(),
        };
        let found = h.clients.reports().get_backlog_summary(request).await;
        let found = found.unwrap().into_inner();
        let of = |status: &str| listed.iter().filter(|e| e.status == status).count() as u64;
        assert_eq!(found.total_issues, 4);
        assert_eq!(found.open_count, of("open"), "{profile}");
        assert_eq!(found.needs_cleanup_count, of("needs_cleanup"), "{profile}");
        assert_eq!(found.resolved_count, of("resolved"), "{profile}");
        assert_eq!(found.top_aging_issues, listed);
        assert_eq!(found.top_aging_issues[0].key, "old");
        assert_eq!(found.needs_cleanup.len() as u64, of("needs_cleanup"));
        // Not seen by the three runs after it (two, where safety is critical).
        assert_eq!(of("resolved"), 2, "gone and grave: {listed:?}");
        assert!(of("needs_cleanup") >= 1);
    }
    h.stop().await;
}

async fn a_spent_budget_is_laid_at_its_tier_and_category(place: Place) {
    let h = Harness::start(&place).await;
    let empty = pb::GetBudgetAnalysisRequest::default();
    let analysis = async |request: pb::GetBudgetAnalysisRequest| {
        let answer = h.clients.reports().get_budget_analysis(request).await;
        answer.unwrap().into_inner()
    };
    let found = analysis(empty.clone()).await;
    assert_eq!((found.total_budget_failures, found.failures.len()), (0, 0));
    let run = started(&h, "a", "").await;
    let lease = h.lease(&run, 0).await;
    let usage = types::Usage {
        provider: "p".into(),
        model: "m".into(),
        role: "auditor".into(),
        total: 2_500_000,
        provenance: "reported".into(),
        ..Default::default()
    };
    let spent = pb::RecordUsageRequest {
        run_uid: run.uid.clone(),
        attempt_uid: lease.0.clone(),
        fence: lease.1,
        usage: vec![usage],
    };
    h.clients.work.clone().record_usage(spent).await.unwrap();
    h.settle(&run, &lease, "BUDGET_TOKENS").await.unwrap();
    assert_eq!(h.state("a").await, "STATE_DONE_FAILED_BUDGET_EXHAUSTED");
    let other = started(&h, "b", "").await;
    finish(&h, &other).await;
    let found = analysis(empty).await;
    assert_eq!(found.total_budget_failures, 1);
    let failure = &found.failures[0];
    let used = failure.metrics.as_ref().unwrap();
    assert_eq!(used.run.as_ref().unwrap().id, "a");
    assert!(
        (used.token_utilization - 0.5).abs() < 1e-9,
        "{}",
        used.token_utilization
    );
    assert!((found.average_token_utilization - 0.5).abs() < 1e-9);
    assert!(!used.promotion_eligible);
    let phase = &failure.phases[0];
    assert_eq!(
        (phase.phase_id.as_str(), phase.cause.as_str()),
        ("A", "BUDGET_TOKENS")
    );
    let share = |name: &str| pb::BudgetShare {
        name: name.into(),
        runs: 1,
    };
    assert_eq!(found.by_tier, [share("T1")]);
    assert_eq!(found.by_category, [share(&phase.category)]);
    assert!(phase.category.ends_with(":medium"), "{}", phase.category);
    assert_eq!(
        (found.auditor_phases, found.auditor_phases_complete),
        (1, 0)
    );
    h.stop().await;
}

async fn refusals_of_reports_are_named(place: Place) {
    let h = Harness::start(&place).await;
    let mut reports = h.clients.reports();
    let run = pb::GetRunReportRequest { run_id: "x".into() };
    let error = from_status(&reports.get_run_report(run.clone()).await.unwrap_err());
    assert!(error.is(Reason::RunNotFound), "{error:?}");
    let state = pb::ListRunMetricsRequest {
        state: "READY".into(),
        ..Default::default()
    };
    let error = from_status(&reports.list_run_metrics(state).await.unwrap_err());
    assert!(error.is(Reason::ArgumentInvalid), "{error:?}");
    assert!(error.faults[0].allowed.contains(&"DONE_SUCCESS".to_owned()));
    let token = pb::ListRunMetricsRequest {
        page_token: "x".into(),
        ..Default::default()
    };
    let error = from_status(&reports.list_run_metrics(token).await.unwrap_err());
    assert!(error.is(Reason::PageTokenInvalid), "{error:?}");
    let project = pb::GetBacklogSummaryRequest {
        project: "nobody".into(),
        ..Default::default()
    };
    let error = from_status(&reports.get_backlog_summary(project).await.unwrap_err());
    assert!(error.is(Reason::ProjectNotFound), "{error:?}");
    let size = pb::GetBudgetAnalysisRequest {
        page_size: -1,
        ..Default::default()
    };
    let error = from_status(&reports.get_budget_analysis(size).await.unwrap_err());
    assert_eq!(error.faults[0].path, "page_size", "{error:?}");
    let worker: Clients = h.as_principal(Principal::Worker);
    let error = from_status(&worker.reports().get_run_report(run).await.unwrap_err());
    assert!(error.is(Reason::PermissionDenied), "{error:?}");
    h.stop().await;
}
