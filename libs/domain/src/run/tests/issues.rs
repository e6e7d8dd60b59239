//! Issues: who may record them, what they make of tiers and the run, and how they are cleaned.

use super::*;
use crate::{
    EventKind, Reason,
    issue::{Cleanliness, DebtStatus, IssueCounts, IssueState, NewIssue, Severity},
    plan::SafetyProfile,
};

fn issue(key: &str, severity: Severity) -> NewIssue {
    NewIssue {
        key: key.into(),
        severity,
        source: "probe".into(),
        category: "docs".into(),
        description: String::new(),
        evidence: vec!["log".into()],
        paths: vec!["src/a.rs".into()],
    }
}

fn minor(key: &str) -> NewIssue {
    issue(key, Severity::Minor)
}

fn counts(minor: u32, major: u32, resolved: u32) -> IssueCounts {
    IssueCounts {
        minor,
        major,
        resolved,
    }
}

impl Bench {
    fn record(&mut self, phase: usize, new: NewIssue) -> Changes {
        let mut changes = Changes::default();
        self.run
            .record_issue(Some(phase), new, None, NOW, &mut changes)
            .unwrap();
        changes
    }

    fn limits(&mut self, change: impl FnOnce(&mut Strategy)) {
        change(Arc::make_mut(&mut self.run.strategy));
    }

    fn plan(&mut self, change: impl FnOnce(&mut Plan)) {
        change(Arc::make_mut(&mut self.run.plan));
    }
}

#[test]
fn a_key_counts_once_per_phase_tier_and_run_whatever_is_reported() {
    let mut bench = Bench::started();
    for phase in [0, 1, 0, 3] {
        bench.record(phase, minor("k"));
    }
    let changes = bench.record(0, minor("other"));
    let run = &bench.run;
    assert_eq!(run.issues.get(Some(0), "k").unwrap().occurrences, 2);
    assert_eq!(run.phases[0].issues, counts(2, 0, 0));
    assert_eq!(run.phases[0].issues.state(), IssueState::HasMinorIssues);
    assert_eq!(run.phases[2].issues.state(), IssueState::NoIssues);
    assert_eq!(run.tiers[0].issues, counts(2, 0, 0));
    assert_eq!(run.tiers[1].issues, counts(1, 0, 0));
    assert_eq!(run.run.issues, counts(2, 0, 0));
    assert_eq!(run.run.debt, DebtStatus::HasMinorIssues);
    let event = &changes.events[0];
    assert_eq!(
        (event.kind, event.text.as_str()),
        (EventKind::IssueRecorded, "other")
    );
    assert_eq!(event.run.issues, counts(2, 0, 0));
    assert_eq!(event.phase.as_ref().unwrap().1.issues, counts(2, 0, 0));
    assert_eq!(event.tier.as_ref().unwrap().1.issues, counts(2, 0, 0));
    // One that is major in one phase is major in the tier and the run, and never matters less again.
    bench.record(1, issue("k", Severity::Major));
    bench.record(1, minor("k"));
    let run = &bench.run;
    assert_eq!(run.phases[0].issues, counts(2, 0, 0));
    assert_eq!(run.phases[1].issues, counts(0, 1, 0));
    assert_eq!(run.tiers[0].issues, counts(1, 1, 0));
    assert_eq!(run.tiers[0].cleanliness, Cleanliness::NotClean);
    assert_eq!(run.tiers[1].cleanliness, Cleanliness::Clean);
    assert_eq!(run.run.issues, counts(1, 1, 0));
    bench.check();
}

#[test]
fn an_attempt_reports_for_its_own_phase_and_only_while_it_is_leased() {
    let mut bench = Bench::started();
    let (attempt, fence) = bench.lease(0);
    let record = |bench: &mut Bench, place, fence| {
        let by = Some((attempt, fence));
        let mut changes = Changes::default();
        let done = bench
            .run
            .record_issue(place, minor("k"), by, NOW, &mut changes);
        done.map_err(|refusal| {
            assert!(
                changes.events.is_empty() && !changes.run,
                "refused, and nothing changed"
            );
            refusal.reason
        })
    };
    assert_eq!(record(&mut bench, None, Fence(0)), Err(Reason::LeaseFenced));
    assert_eq!(
        record(&mut bench, Some(1), fence),
        Err(Reason::ArgumentInvalid)
    );
    assert_eq!(record(&mut bench, None, fence), Ok(()));
    let stored = bench.run.issues.get(Some(0), "k").unwrap();
    assert_eq!(stored.attempt, Some(attempt));
    bench.settle((attempt, fence), None);
    assert_eq!(record(&mut bench, None, fence), Err(Reason::LeaseFenced));
    assert_eq!(bench.run.run.issues, counts(1, 0, 0));
}

#[test]
fn an_aged_key_counts_as_major_and_is_stored_as_it_was_reported() {
    let mut bench = Bench::started();
    bench.limits(|s| s.aged = ["old".to_owned()].into());
    let changes = bench.record(0, minor("old"));
    let stored = bench.run.issues.get(Some(0), "old").unwrap();
    assert_eq!(
        (stored.severity, stored.effective),
        (Severity::Minor, Severity::Major)
    );
    assert_eq!(
        changes.seen[0].severity,
        Severity::Minor,
        "the backlog hears what was reported"
    );
    assert_eq!(bench.run.tiers[0].cleanliness, Cleanliness::NotClean);
    for phase in 0..4 {
        bench.pass(phase);
    }
    // A normal run succeeds all the same: what is not clean bars its promotion.
    assert_eq!(bench.run.run.state, RunState::DoneSuccess);
    bench.record(0, minor("late"));
    assert_eq!(
        bench.run.run.issues,
        counts(1, 1, 0),
        "an ended run still takes reports"
    );
    assert_eq!(bench.run.run.state, RunState::DoneSuccess);
}

#[test]
fn limits_decide_cleanliness_and_debt() {
    let mut bench = Bench::started();
    bench.limits(|s| {
        s.tier[0].max_minor_issues = 1;
        s.max_minor_issues = 2;
    });
    bench.record(0, minor("a"));
    assert_eq!(bench.run.tiers[0].cleanliness, Cleanliness::Clean);
    bench.record(1, minor("b"));
    assert_eq!(bench.run.tiers[0].cleanliness, Cleanliness::NotClean);
    assert_eq!(bench.run.run.debt, DebtStatus::HasMinorIssues);
    bench.record(3, minor("c"));
    assert_eq!(bench.run.run.debt, DebtStatus::ExcessMinorIssues);
    let own = bench
        .run
        .record_issue(None, minor("d"), None, NOW, &mut Changes::default());
    assert_eq!((own, bench.run.run.issues), (Ok(()), counts(4, 0, 0)));
    assert_eq!(
        bench.run.tiers[1].issues,
        counts(1, 0, 0),
        "the run's own is of no tier"
    );
}

#[test]
fn a_safety_critical_run_ends_at_the_first_tier_that_is_not_clean() {
    let mut bench = Bench::started();
    bench.limits(|s| s.safety_profile = SafetyProfile::SafetyCritical);
    bench.record(0, issue("k", Severity::Major));
    for phase in 0..3 {
        bench.pass(phase);
    }
    let run = &bench.run;
    assert_eq!(run.tiers[0].state, TierState::Failed);
    assert_eq!(run.phases[3].state, PhaseState::Skipped);
    assert_eq!(run.run.state, RunState::DoneFailedRequiresHumanReview);
    assert_eq!(run.run.cause, Some(Cause::IssuesOverLimit));
    assert!(run.run.detail.contains("T1"), "{}", run.run.detail);
    // Nothing was cleaned: the retry finds the same.
    bench.run.retry(None, NOW, &mut Changes::default()).unwrap();
    assert_eq!(bench.run.run.state, RunState::DoneFailedRequiresHumanReview);
    assert_eq!(bench.run.run.cause, Some(Cause::IssuesOverLimit));
    bench.check();
}

#[test]
fn a_safety_critical_run_with_an_issue_of_its_own_fails_at_its_end() {
    let mut bench = Bench::started();
    bench.limits(|s| s.safety_profile = SafetyProfile::SafetyCritical);
    let own = issue("data__run__odd", Severity::Major);
    bench
        .run
        .record_issue(None, own, None, NOW, &mut Changes::default())
        .unwrap();
    for phase in 0..4 {
        bench.pass(phase);
    }
    assert_eq!(bench.run.tiers[1].state, TierState::Complete);
    assert_eq!(bench.run.run.state, RunState::DoneFailedRequiresHumanReview);
    assert_eq!(bench.run.run.cause, Some(Cause::IssuesOverLimit));
}

#[test]
fn a_cleanup_phase_that_completes_resolves_what_it_names_until_it_is_seen_again() {
    let mut bench = Bench::started();
    bench.plan(|plan| {
        let spec = &mut plan.tiers[1].phases[0];
        spec.task_category = "debt_cleanup".into();
        spec.labels = BTreeMap::from([
            ("cleans".to_owned(), "k".to_owned()),
            ("cleans.2".to_owned(), "elsewhere".to_owned()),
            ("team".to_owned(), "other".to_owned()),
        ]);
    });
    bench.record(0, issue("k", Severity::Major));
    bench.record(1, minor("k"));
    bench.record(1, minor("other"));
    for phase in 0..3 {
        bench.pass(phase);
    }
    let lease = bench.lease(3);
    let report = Report {
        outcome: Some(PhaseOutcome::NoChange),
        ..Report::default()
    };
    let mut changes = Changes::default();
    bench
        .run
        .settle(lease.0, lease.1, report, &decide, NOW, &mut changes)
        .unwrap();
    let cleaned: Vec<&str> = changes.cleaned.iter().map(String::as_str).collect();
    assert_eq!(cleaned, ["elsewhere", "k"], "the backlog hears of both");
    let resolved = changes
        .events
        .iter()
        .filter(|e| e.kind == EventKind::IssueResolved);
    assert_eq!(resolved.count(), 2);
    assert_eq!(bench.run.run.issues, counts(1, 0, 1));
    assert_eq!(bench.run.tiers[0].cleanliness, Cleanliness::Clean);
    bench.record(0, minor("k"));
    assert_eq!(bench.run.run.issues, counts(1, 1, 0), "it was major once");
    assert_eq!(bench.run.tiers[0].cleanliness, Cleanliness::NotClean);
}

#[test]
fn issues_come_with_the_end_of_an_attempt_in_the_same_step() {
    let mut bench = Bench::started();
    let lease = bench.lease(0);
    let report = Report {
        cause: Some(Cause::GateFailed),
        issues: vec![minor("a"), issue("b", Severity::Major), minor("a")],
        ..Report::default()
    };
    let mut changes = Changes::default();
    bench
        .run
        .settle(lease.0, lease.1, report, &decide, NOW, &mut changes)
        .unwrap();
    assert_eq!(bench.run.phases[0].issues, counts(1, 1, 0));
    assert_eq!(changes.issues.len(), 2);
    let new: Vec<bool> = changes.seen.iter().map(|s| s.new_in_run).collect();
    assert_eq!(new, [true, true, false]);
    bench.check();
}
