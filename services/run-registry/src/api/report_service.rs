//! `ReportService`.

use std::time::Duration;

use autopack_domain::{
    backlog::BacklogStatus, budget::Account, issue::Cleanliness, run::RunAggregate,
};
use autopack_policy::promotion::{Answer, answers, is_eligible};
use autopack_store::reports::Figures;
use autopack_wire::{
    convert::{duration_to_proto, entry_to_proto},
    registry::{self as pb, report_service_server::ReportService},
};
use tonic::{Request, Response, Status};

use super::{Api, decode::refuse};
use crate::app::reports::{Progress, RunReport};

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl ReportService for Api {
    async fn get_run_report(
        &self,
        request: Request<pb::GetRunReportRequest>,
    ) -> Reply<pb::GetRunReportResponse> {
        let id = request.into_inner().run_id;
        let report = self.core.run_report(&id).await.map_err(refuse)?;
        Ok(Response::new(run_report(&report)))
    }

    async fn list_run_metrics(
        &self,
        request: Request<pb::ListRunMetricsRequest>,
    ) -> Reply<pb::ListRunMetricsResponse> {
        let r = request.into_inner();
        let page = (r.page_size, r.page_token.as_str());
        let found = self.core.run_metrics(page, &r.state, &r.project).await;
        let (runs, next_page_token) = found.map_err(refuse)?;
        Ok(Response::new(pb::ListRunMetricsResponse {
            runs: runs.iter().map(run_metrics).collect(),
            next_page_token,
        }))
    }

    async fn get_backlog_summary(
        &self,
        request: Request<pb::GetBacklogSummaryRequest>,
    ) -> Reply<pb::GetBacklogSummaryResponse> {
        let r = request.into_inner();
        let found = self
            .core
            .backlog_summary(&r.project, &r.safety_profile)
            .await;
        let found = found.map_err(refuse)?;
        let counts = found.counts;
        let done = counts.needs_cleanup + counts.resolved;
        Ok(Response::new(pb::GetBacklogSummaryResponse {
            total_issues: counts.total,
            open_count: counts.total.saturating_sub(done),
            needs_cleanup_count: counts.needs_cleanup,
            resolved_count: counts.resolved,
            top_aging_issues: found
                .oldest
                .iter()
                .map(|(e, s)| entry_to_proto(e, *s))
                .collect(),
            needs_cleanup: found
                .needs
                .iter()
                .map(|e| entry_to_proto(e, BacklogStatus::NeedsCleanup))
                .collect(),
        }))
    }

    async fn get_budget_analysis(
        &self,
        request: Request<pb::GetBudgetAnalysisRequest>,
    ) -> Reply<pb::GetBudgetAnalysisResponse> {
        let r = request.into_inner();
        let found = self.core.budget_analysis(&r.project, r.page_size).await;
        let found = found.map_err(refuse)?;
        let failures: Vec<pb::BudgetFailure> = found
            .failures
            .into_iter()
            .map(|(figures, phases)| pb::BudgetFailure {
                metrics: Some(run_metrics(&figures)),
                phases: phases
                    .into_iter()
                    .map(|p| pb::BudgetPhase {
                        phase_id: p.phase,
                        tier_id: p.tier,
                        category: p.category,
                        cause: p.cause.code().to_owned(),
                    })
                    .collect(),
            })
            .collect();
        let used = failures.iter().filter_map(|f| f.metrics.as_ref());
        let used: f64 = used.map(|m| m.token_utilization).sum();
        let mean = if failures.is_empty() {
            0.0
        } else {
            used / failures.len() as f64
        };
        Ok(Response::new(pb::GetBudgetAnalysisResponse {
            total_budget_failures: found.total,
            average_token_utilization: mean,
            failures,
            by_tier: shares(found.by_tier),
            by_category: shares(found.by_category),
            auditor_phases: found.auditor.0,
            auditor_phases_complete: found.auditor.1,
        }))
    }
}

/// Most first; the same number by name.
fn shares(of: std::collections::BTreeMap<String, u32>) -> Vec<pb::BudgetShare> {
    let mut shares: Vec<_> = of
        .into_iter()
        .map(|(name, runs)| pb::BudgetShare { name, runs })
        .collect();
    shares.sort_by_key(|share| std::cmp::Reverse(share.runs));
    shares
}

/// The part of the cap that is used; 0 without one.
fn utilization(account: &Account) -> f64 {
    match account.cap {
        Some(cap) if cap > 0 => account.settled as f64 / cap as f64,
        Some(_) | None => 0.0,
    }
}

fn is_over(account: &Account) -> bool {
    account.cap.is_some_and(|cap| account.settled > cap)
}

fn run_report(report: &RunReport) -> pb::GetRunReportResponse {
    let a = &report.run;
    pb::GetRunReportResponse {
        run: Some((&a.run).into()),
        safety_profile: a.strategy.safety_profile.as_str().to_owned(),
        run_scope: a.plan.run.run_scope.as_str().to_owned(),
        token_utilization: utilization(&a.run.tokens),
        max_minor_issues: a.strategy.max_minor_issues,
        aged_issues: a.strategy.aged.iter().cloned().collect(),
        tiers: (0..a.tiers.len()).map(|t| tier_metrics(a, t)).collect(),
        phases: phases(a),
        progress: Some(progress(&report.progress)),
        promotion_eligible: is_eligible(&report.answers),
        promotion_rules: report.answers.iter().map(rule).collect(),
    }
}

fn rule(answer: &Answer) -> pb::PromotionRule {
    pb::PromotionRule {
        rule: answer.rule.to_owned(),
        holds: answer.holds,
        facts: answer.facts.clone(),
        remedy: answer.remedy.to_owned(),
    }
}

fn tier_metrics(a: &RunAggregate, index: usize) -> pb::TierMetrics {
    let (tier, limits) = (&a.tiers[index], &a.strategy.tier[index]);
    let (tokens_over, ci_runs_over) = (is_over(&tier.tokens), is_over(&tier.ci_runs));
    let dirty = tier.cleanliness == Cleanliness::NotClean;
    pb::TierMetrics {
        tier: Some((index, tier).into()),
        name: a.plan.tiers[index].name.clone(),
        phase_count: tier.counts.total(),
        max_minor_issues: limits.max_minor_issues,
        max_major_issues: limits.max_major_issues,
        tokens_over,
        ci_runs_over,
        promotion_blocked: dirty || tokens_over || ci_runs_over,
    }
}

fn phases(a: &RunAggregate) -> Vec<pb::PhaseMetrics> {
    let mut order: Vec<usize> = (0..a.phases.len()).collect();
    order.sort_by_key(|&p| (a.phases[p].tier, a.phases[p].place));
    let one = |p: usize| {
        let spec = a.spec(p);
        pb::PhaseMetrics {
            phase: Some((p, &a.phases[p]).into()),
            name: spec.name.clone(),
            task_category: spec.task_category.clone(),
            complexity: spec.complexity.as_str().to_owned(),
        }
    };
    order.into_iter().map(one).collect()
}

fn progress(of: &Progress) -> pb::RunProgress {
    let percent = |(done, all): (u32, u32)| {
        let part = u64::from(done) * 100 / u64::from(all.max(1));
        u32::try_from(part).unwrap_or(100)
    };
    pb::RunProgress {
        percent_complete: percent(of.phases),
        tiers_percent_complete: percent(of.tiers),
        completed_phases: of.phases.0,
        total_phases: of.phases.1,
        completed_tiers: of.tiers.0,
        total_tiers: of.tiers.1,
        elapsed_duration: Some(duration_to_proto(Duration::from_micros(
            u64::try_from(of.elapsed_us).unwrap_or(0),
        ))),
        current_tier: of.tier.clone().unwrap_or_default(),
        current_phases: of.running.clone(),
    }
}

fn run_metrics(of: &Figures) -> pb::RunMetrics {
    let (run, tiers) = (&of.run, &of.tiers);
    let dirty = |t: &&autopack_domain::tier::Tier| t.cleanliness == Cleanliness::NotClean;
    let strategy = of.strategy.as_ref();
    pb::RunMetrics {
        run: Some(run.into()),
        safety_profile: strategy.map_or_else(String::new, |s| s.safety_profile.as_str().to_owned()),
        token_utilization: utilization(&run.tokens),
        phase_count: run.counts.total(),
        tier_count: tiers.len() as u32,
        tiers_not_clean: tiers.iter().filter(dirty).count() as u32,
        ci_runs: tiers.iter().map(|t| t.ci_runs.settled).sum(),
        max_minor_issues: strategy.map_or(0, |s| s.max_minor_issues),
        promotion_eligible: is_eligible(&answers(run, tiers)),
    }
}
