//! What holds a phase back and what is dispatched: one scenario per rule, and the property that both agree.

use std::{collections::BTreeMap, sync::Arc};

use autopack_domain::{
    AttemptUid, Cause, Fence, JobUid, RunUid, Timestamp, WorkerUid,
    phase::PhaseOutcome,
    plan::{Plan, ReadOptions, read_plan},
    run::{
        Changes, JobKind, RunAggregate,
        bootstrap::Frozen,
        create::NewRun,
        settle::{Follow, Report},
    },
};
use autopack_policy::{
    dispatch::{Action, holds, plan_next},
    retry::decide,
    strategy::{Backlog, Overrides, Ruleset, compile},
};
use uuid::Uuid;

pub(crate) const NOW: Timestamp = Timestamp(1_000_000_000);
const BUILD: &str = r#""builder": {"kind": "command", "run": "true"}, "gate": {"steps": ["true"]}"#;

pub(crate) fn plan(run: &str, phases: &[&str]) -> Plan {
    let list: Vec<String> = phases
        .iter()
        .map(|p| format!(r#"{{"name": "n", "goal": "g", {BUILD}, {p}}}"#))
        .collect();
    let text = format!(
        r#"{{"schema": "autopack/plan/v1", "run": {{"id": "r", "goal": "g"{run}}},
            "tiers": [{{"id": "T1", "name": "t", "phases": [{}]}},
                      {{"id": "T2", "name": "t", "phases": [{{"id": "Z", "name": "n", "goal": "g", {BUILD}}}]}}]}}"#,
        list.join(",")
    );
    read_plan(&text, &ReadOptions::default()).unwrap().plan
}

fn uid(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// A started run of the plan.
pub(crate) fn started(plan: Plan) -> RunAggregate {
    let strategy = Arc::new(compile(
        &Ruleset::default(),
        &Backlog::default(),
        &plan,
        Overrides {
            backoff_seconds: Some(10),
        },
    ));
    let plan = Arc::new(plan);
    let new = NewRun {
        uid: RunUid(uid(1)),
        id: "r".parse().unwrap(),
        project: "p".into(),
        repository: "/r".into(),
        digest: String::new(),
        hold: false,
        facts: BTreeMap::new(),
    };
    let (mut run, _) = RunAggregate::create(new, Arc::clone(&plan), Arc::clone(&strategy), NOW);
    assert_eq!(
        plan_next(&run, NOW, 9).actions,
        [Action::OfferJob(JobKind::Bootstrap)]
    );
    let mut c = Changes::default();
    run.offer_job(JobUid(uid(2)), JobKind::Bootstrap, NOW, &mut c)
        .unwrap();
    assert!(
        plan_next(&run, NOW, 9).actions.is_empty(),
        "one job at a time"
    );
    let fence = run
        .lease_job(JobUid(uid(2)), WorkerUid(uid(3)), NOW, &mut c)
        .unwrap();
    let frozen = Frozen {
        base_sha: "b".into(),
        tip: "b".into(),
        plan,
        strategy,
        facts: vec![],
    };
    run.finish_bootstrap(JobUid(uid(2)), fence, frozen, NOW, &mut c)
        .unwrap();
    run
}

fn offered(run: &RunAggregate, now: Timestamp) -> Vec<usize> {
    plan_next(run, now, 99)
        .actions
        .into_iter()
        .flat_map(|a| {
            if let Action::OfferPhases(phases) = a {
                phases
            } else {
                vec![]
            }
        })
        .collect()
}

fn rules(run: &RunAggregate, phase: usize, now: Timestamp) -> Vec<&'static str> {
    holds(run, phase, now).iter().map(|h| h.rule).collect()
}

/// What is dispatched is exactly what nothing holds back (DESIGN rule 11).
fn agree(run: &RunAggregate, now: Timestamp) {
    let free: Vec<usize> = (0..run.phases.len())
        .filter(|&p| holds(run, p, now).is_empty())
        .collect();
    let mut dispatched = offered(run, now);
    dispatched.sort_unstable();
    assert_eq!(dispatched, free);
}

fn lease(run: &mut RunAggregate, phase: usize, n: u128, now: Timestamp) -> (AttemptUid, Fence) {
    let mut c = Changes::default();
    let tokens = autopack_policy::estimate::reservation(run, phase);
    run.offer(
        phase,
        AttemptUid(uid(n)),
        JobUid(uid(n)),
        tokens,
        now,
        &mut c,
    )
    .unwrap();
    run.close_offers(now, &mut c);
    let fence = run
        .lease(
            AttemptUid(uid(n)),
            JobUid(uid(n)),
            WorkerUid(uid(3)),
            now,
            &mut Changes::default(),
        )
        .unwrap();
    (AttemptUid(uid(n)), fence)
}

fn settle(
    run: &mut RunAggregate,
    lease: (AttemptUid, Fence),
    cause: Option<Cause>,
    tokens: u64,
    now: Timestamp,
) {
    let usage = autopack_domain::usage::Usage {
        provider: String::new(),
        model: String::new(),
        role: "builder".into(),
        purpose: String::new(),
        total: tokens,
        prompt: None,
        completion: None,
        provenance: autopack_domain::usage::Provenance::Reported,
    };
    let report = Report {
        cause,
        outcome: cause.is_none().then_some(PhaseOutcome::NoChange),
        usage: if tokens > 0 { vec![usage] } else { vec![] },
        ..Report::default()
    };
    let by = |a: &RunAggregate, p: usize, c: Cause| decide(a, p, c, now, 200);
    run.settle(lease.0, lease.1, report, &by, now, &mut Changes::default())
        .unwrap();
}

#[test]
fn dependencies_and_tiers_hold_phases_back() {
    let mut run = started(plan(
        "",
        &[
            r#""id": "A", "depends_on": []"#,
            r#""id": "B""#,
            r#""id": "C", "depends_on": []"#,
        ],
    ));
    assert_eq!(offered(&run, NOW), [0, 2]);
    assert_eq!(rules(&run, 1, NOW), ["depends_on"]);
    assert_eq!(rules(&run, 3, NOW), ["tier"]);
    agree(&run, NOW);
    let a = lease(&mut run, 0, 10, NOW);
    settle(&mut run, a, None, 0, NOW);
    assert_eq!(offered(&run, NOW), [1, 2]);
    agree(&run, NOW);
}

#[test]
fn priorities_go_first_and_the_window_bounds_the_offer() {
    let run = started(plan(
        "",
        &[
            r#""id": "A", "depends_on": []"#,
            r#""id": "B", "depends_on": [], "priority": 9"#,
        ],
    ));
    assert_eq!(offered(&run, NOW), [1, 0]);
    assert_eq!(plan_next(&run, NOW, 1).actions.len(), 1);
    assert!(plan_next(&run, NOW, 0).actions.is_empty());
}

#[test]
fn a_charged_failure_backs_off_and_the_timer_wakes() {
    let mut run = started(plan("", &[r#""id": "A""#]));
    let a = lease(&mut run, 0, 10, NOW);
    settle(&mut run, a, Some(Cause::GateFailed), 0, NOW);
    assert_eq!(rules(&run, 0, NOW), ["backoff"]);
    let next = plan_next(&run, NOW, 9);
    let wake = next.wake_at.unwrap();
    assert!(next.actions.is_empty());
    // 10 s, give or take a fifth.
    assert!(
        (8_000_000..=12_000_000).contains(&(wake.0 - NOW.0)),
        "{wake:?}"
    );
    assert_eq!(offered(&run, wake), [0]);
    agree(&run, NOW);
}

#[test]
fn a_token_budget_waits_for_what_is_in_flight_and_is_exhausted_with_none() {
    let budget = r#", "budgets": {"tokens": 30000}"#;
    let mut run = started(plan(
        budget,
        &[
            r#""id": "A", "depends_on": []"#,
            r#""id": "B", "depends_on": []"#,
        ],
    ));
    // 12,288 x 1.4 is reserved for each; both together pass the cap.
    assert_eq!(offered(&run, NOW), [0]);
    let a = lease(&mut run, 0, 10, NOW);
    assert_eq!(rules(&run, 1, NOW), ["BUDGET_TOKENS"]);
    assert!(
        plan_next(&run, NOW, 9).actions.is_empty(),
        "it waits while A could free its share"
    );
    settle(&mut run, a, None, 5000, NOW);
    assert_eq!(offered(&run, NOW), [1]);
    let b = lease(&mut run, 1, 11, NOW);
    settle(&mut run, b, None, 25_000, NOW);
    let next = plan_next(&run, NOW, 9).actions;
    assert!(
        matches!(&next[..], [Action::ExhaustPhases { phases, cause: Cause::BudgetTokens, .. }] if phases == &[2]),
        "{next:?}"
    );
}

#[test]
fn a_tier_and_a_phase_have_accounts_of_their_own() {
    for (level, cap) in [
        ("tier", "the tier's account"),
        ("phase", "the phase's account"),
    ] {
        let mut run = started(plan(
            "",
            &[
                r#""id": "A", "max_attempts": 3"#,
                r#""id": "B", "depends_on": []"#,
            ],
        ));
        let a = lease(&mut run, 0, 10, NOW);
        match level {
            "tier" => run.tiers[0].tokens.cap = Some(20_000),
            _ => run.phases[0].tokens.cap = Some(20_000),
        }
        settle(&mut run, a, Some(Cause::GateFailed), 15_000, NOW);
        let late = NOW.plus(std::time::Duration::from_secs(20));
        let hold = holds(&run, 0, late)
            .into_iter()
            .find(|h| h.rule == "BUDGET_TOKENS");
        assert!(hold.unwrap().facts.contains(cap), "{level}");
        assert_eq!(
            offered(&run, late).contains(&1),
            level == "phase",
            "{level}"
        );
    }
}

#[test]
fn phases_and_minutes_are_budgets_too() {
    let mut run = started(plan(
        r#", "budgets": {"phases": 1, "minutes": 1}"#,
        &[
            r#""id": "A", "depends_on": []"#,
            r#""id": "B", "depends_on": []"#,
        ],
    ));
    assert_eq!(offered(&run, NOW), [0], "only one may be dispatched at all");
    let a = lease(&mut run, 0, 10, NOW);
    assert_eq!(rules(&run, 1, NOW), ["BUDGET_PHASES"]);
    assert!(
        plan_next(&run, NOW, 9).actions.is_empty(),
        "nothing is exhausted while A is in flight"
    );
    let late = Timestamp(NOW.0 + 61_000_000);
    assert!(matches!(
        plan_next(&run, late, 9).actions[..],
        [Action::ExhaustMinutes { .. }]
    ));
    assert_eq!(
        plan_next(&run, NOW, 9).wake_at,
        Some(Timestamp(NOW.0 + 60_000_000))
    );
    settle(&mut run, a, None, 0, NOW);
    assert!(matches!(
        &plan_next(&run, NOW, 9).actions[..],
        [Action::ExhaustPhases {
            cause: Cause::BudgetPhases,
            ..
        }]
    ));
}

#[test]
fn a_paused_or_cancelled_run_dispatches_nothing() {
    let mut run = started(plan("", &[r#""id": "A""#]));
    run.pause(NOW, &mut Changes::default()).unwrap();
    assert_eq!(rules(&run, 0, NOW), ["paused"]);
    agree(&run, NOW);
    run.resume(NOW, &mut Changes::default()).unwrap();
    run.cancel("enough", NOW, &mut Changes::default()).unwrap();
    assert!(plan_next(&run, NOW, 9).actions.is_empty());
}

#[test]
fn an_unresolved_landing_asks_for_a_cleanup_first() {
    let mut run = started(plan(
        "",
        &[
            r#""id": "A", "depends_on": []"#,
            r#""id": "B", "depends_on": []"#,
        ],
    ));
    let a = lease(&mut run, 0, 10, NOW);
    for stage in [
        autopack_domain::states::AttemptState::Gating,
        autopack_domain::states::AttemptState::Landing,
    ] {
        run.stage(a.0, a.1, stage, NOW, &mut Changes::default())
            .unwrap();
    }
    let intent = autopack_domain::attempt::Intent {
        expected_tip: "b".into(),
        tree: "t".into(),
        commit: "c".into(),
        resolved: false,
    };
    run.prepare_landing(a.0, a.1, intent, NOW, &mut Changes::default())
        .unwrap();
    let by = |a: &RunAggregate, p: usize, c: Cause| decide(a, p, c, NOW, 0);
    run.lose(a.0, false, &by, NOW, &mut Changes::default())
        .unwrap();
    assert_eq!(
        plan_next(&run, NOW, 9).actions,
        [Action::OfferJob(JobKind::Cleanup)]
    );
    assert_eq!(rules(&run, 1, NOW), ["landing_unresolved"]);
}

#[test]
fn a_builder_that_repeats_itself_is_not_repeated() {
    let text = plan("", &[r#""id": "A""#]);
    let mut fixed = text.clone();
    fixed.tiers[0].phases[0].builder =
        Some(autopack_domain::plan::BuilderSpec::Patch { patches: vec![] });
    for (plan, cause, again) in [
        (text.clone(), Cause::GateFailed, true),
        (fixed.clone(), Cause::GateFailed, false),
        (fixed.clone(), Cause::PatchDoesNotApply, false),
        (fixed.clone(), Cause::MergeConflict, true),
        (fixed, Cause::GateTimeout, true),
        (text, Cause::BuilderNotFound, false),
    ] {
        let mut run = started(plan);
        let a = lease(&mut run, 0, 10, NOW);
        settle(&mut run, a, Some(cause), 0, NOW);
        let failed = run.phases[0].state == autopack_domain::states::PhaseState::Failed;
        assert_eq!(failed, !again, "{cause}");
    }
}

#[test]
fn attempts_and_infrastructure_have_bounds_of_their_own() {
    let mut run = started(plan("", &[r#""id": "A", "max_attempts": 2"#]));
    let mut now = NOW;
    for (n, cause) in [
        Cause::GateTimeout,
        Cause::GateFailed,
        Cause::GateTimeout,
        Cause::GateFailed,
    ]
    .into_iter()
    .enumerate()
    {
        now = now.plus(std::time::Duration::from_secs(40));
        assert_eq!(offered(&run, now), [0], "attempt {n}");
        let a = lease(&mut run, 0, 20 + n as u128, now);
        settle(&mut run, a, Some(cause), 0, now);
    }
    assert_eq!(run.phases[0].cause, Some(Cause::GateFailed));
    assert_eq!(
        (run.phases[0].attempts_charged, run.phases[0].infra_charged),
        (2, 2)
    );
    assert_eq!(
        decide(&run, 0, Cause::GateFailed, now, 0),
        Follow::GiveUp(Cause::GateFailed)
    );
}

#[test]
fn a_paused_provider_is_waited_for_however_often_and_an_empty_one_is_not() {
    let mut run = started(plan("", &[r#""id": "A", "max_attempts": 1"#]));
    let mut now = NOW;
    for n in 0..20 {
        assert_eq!(offered(&run, now), [0], "pause {n}");
        let a = lease(&mut run, 0, 100 + n, now);
        settle(&mut run, a, Some(Cause::ProviderPaused), 0, now);
        let wait = run.phases[0].not_before.unwrap();
        assert!(wait > now.plus(std::time::Duration::from_secs(40)), "{n}");
        assert!(offered(&run, now).is_empty());
        now = now.plus(std::time::Duration::from_secs(80));
    }
    assert_eq!(
        (run.phases[0].attempts_charged, run.phases[0].infra_charged),
        (0, 0)
    );
    let mut n = 200;
    while run.phases[0].state == autopack_domain::states::PhaseState::Queued {
        assert!(n < 220, "an empty account must end it");
        let a = lease(&mut run, 0, n, now);
        settle(&mut run, a, Some(Cause::ProviderExhausted), 0, now);
        now = now.plus(std::time::Duration::from_secs(80));
        n += 1;
    }
    assert_eq!(run.phases[0].cause, Some(Cause::ProviderExhausted));
    assert_eq!(run.phases[0].attempts_charged, 0);
}
