//! Counting and ageing against models of their own: sets of what was seen, and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use autopack_domain::{
    RunUid, Timestamp,
    backlog::{BacklogEntry, BacklogStatus},
    issue::{Cleanliness, DebtStatus, IssueCounts, NewIssue, Severity},
    plan::{ReadOptions, SafetyProfile, read_plan},
    run::{Changes, RunAggregate, create::NewRun},
    states::RunState,
};
use autopack_policy::{
    backlog::{Thresholds, aged, cleanup_phases},
    promotion::{answers, is_eligible},
    strategy::{Backlog, Overrides, Ruleset, compile},
};
use proptest::prelude::*;

use crate::dispatch::plan;

const THREE: &[&str] = &[r#""id": "A""#, r#""id": "B""#, r#""id": "C""#];

/// A run of four phases in two tiers (T1: A, B, C; T2: Z), in which these keys have aged.
fn run(number: u128, aged: &BTreeSet<String>, at: Timestamp) -> RunAggregate {
    let plan = plan("", THREE);
    let backlog = Backlog { aged: aged.clone() };
    let strategy = compile(&Ruleset::default(), &backlog, &plan, Overrides::default());
    let new = NewRun {
        uid: RunUid(uuid::Uuid::from_u128(number)),
        id: format!("r{number}").parse().unwrap(),
        project: "p".into(),
        repository: "/r".into(),
        digest: String::new(),
        hold: true,
        facts: BTreeMap::new(),
    };
    RunAggregate::create(new, Arc::new(plan), Arc::new(strategy), at).0
}

fn issue(key: u8, severity: Severity) -> NewIssue {
    NewIssue {
        key: format!("k{key}"),
        severity,
        source: "probe".into(),
        category: "docs".into(),
        description: String::new(),
        evidence: Vec::new(),
        paths: Vec::new(),
    }
}

fn severity() -> impl Strategy<Value = Severity> {
    prop_oneof![4 => Just(Severity::Minor), 1 => Just(Severity::Major)]
}

/// Phase (4: the run itself), key, severity.
type Report = (usize, u8, Severity);

fn reports() -> impl Strategy<Value = Vec<Report>> {
    prop::collection::vec((0..5_usize, 0..12_u8, severity()), 0..40)
}

/// What was seen in the places that count: keys that are major somewhere, and all others.
fn model(reports: &[Report], aged: &BTreeSet<String>, places: &[usize]) -> IssueCounts {
    let mut all = BTreeSet::new();
    let mut major = BTreeSet::new();
    for (place, key, severity) in reports {
        if places.contains(place) {
            all.insert(*key);
            if *severity == Severity::Major || aged.contains(&format!("k{key}")) {
                major.insert(*key);
            }
        }
    }
    IssueCounts {
        minor: (all.len() - major.len()) as u32,
        major: major.len() as u32,
        resolved: 0,
    }
}

proptest! {
    #[test]
    fn counts_are_the_distinct_keys_of_each_level(reports in reports(), old in prop::collection::btree_set(0..12_u8, 0..3)) {
        let aged: BTreeSet<String> = old.iter().map(|k| format!("k{k}")).collect();
        let mut run = run(1, &aged, Timestamp(1));
        for (n, (place, key, severity)) in reports.iter().enumerate() {
            let mut changes = Changes::default();
            let place = (*place < 4).then_some(*place);
            run.record_issue(place, issue(*key, *severity), None, Timestamp(n as i64), &mut changes).unwrap();
            // A copy that hears only of the event has the same counts.
            prop_assert_eq!(changes.events[0].run.issues, run.run.issues);
        }
        for phase in 0..4 {
            prop_assert_eq!(run.phases[phase].issues, model(&reports, &aged, &[phase]));
        }
        let tiers = [model(&reports, &aged, &[0, 1, 2]), model(&reports, &aged, &[3])];
        let whole = model(&reports, &aged, &[0, 1, 2, 3, 4]);
        for (tier, counts) in tiers.iter().enumerate() {
            let limits = &run.strategy.tier[tier];
            let dirty = counts.minor > limits.max_minor_issues || counts.major > 0;
            prop_assert_eq!(run.tiers[tier].issues, *counts);
            prop_assert_eq!(run.tiers[tier].cleanliness == Cleanliness::NotClean, dirty);
        }
        prop_assert_eq!(run.run.issues, whole);
        let excess = whole.minor > run.strategy.max_minor_issues;
        prop_assert_eq!(run.run.debt == DebtStatus::ExcessMinorIssues, excess);
        prop_assert_eq!(run.run.debt == DebtStatus::Clean, whole.minor == 0);
        let reported: u32 = run.issues.iter().map(|(_, i)| i.occurrences).sum();
        prop_assert_eq!(reported as usize, reports.len());
    }
}

/// One run of a project: its reports, whether it succeeds, which key a phase of it cleans at its end, and which one an
/// operator closes after it.
type Life = (Vec<Report>, bool, Option<u8>, Option<u8>);

fn lives() -> impl Strategy<Value = Vec<Life>> {
    let reports = prop::collection::vec((0..4_usize, 0..4_u8, severity()), 0..5);
    let cleaned = prop::option::weighted(0.3, 0..4_u8);
    let closed = prop::option::weighted(0.2, 0..4_u8);
    prop::collection::vec((reports, prop::bool::weighted(0.8), cleaned, closed), 0..10)
}

/// The status of a key from the history alone.
fn told(lives: &[Life], key: u8, limits: Thresholds) -> Option<BacklogStatus> {
    let sees = |life: &Life| life.0.iter().any(|(_, k, _)| *k == key);
    let last = lives.iter().rposition(sees)?;
    let runs = lives.iter().filter(|life| sees(life)).count() as u32;
    let seen = lives
        .iter()
        .flat_map(|life| &life.0)
        .filter(|(_, k, _)| *k == key);
    let tiers: BTreeSet<usize> = seen.clone().map(|(place, ..)| place / 3).collect();
    let is_minor = seen
        .clone()
        .all(|(_, _, severity)| *severity == Severity::Minor);
    let aged = is_minor && (runs >= limits.runs || tiers.len() as u32 >= limits.tiers);
    let cleaned = lives[last..].iter().rposition(|life| life.2 == Some(key));
    if lives[last..].iter().any(|life| life.3 == Some(key)) {
        return Some(BacklogStatus::Resolved);
    }
    let quiet = match cleaned {
        Some(at) => lives[last + at + 1..].iter().any(|life| life.1),
        None => lives[last + 1..].iter().filter(|life| life.1).count() >= limits.runs as usize,
    };
    Some(match (quiet, aged && cleaned.is_none()) {
        (true, _) => BacklogStatus::Resolved,
        (false, true) => BacklogStatus::NeedsCleanup,
        (false, false) => BacklogStatus::Open,
    })
}

proptest! {
    #[test]
    fn ages_are_distinct_runs_and_tiers_and_statuses_follow_from_the_history(lives in lives(), critical in any::<bool>()) {
        let profile = if critical { SafetyProfile::SafetyCritical } else { SafetyProfile::Normal };
        let limits = Thresholds::of(&Ruleset::default(), profile);
        let mut entries: BTreeMap<String, BacklogEntry> = BTreeMap::new();
        let mut successes: Vec<Timestamp> = Vec::new();
        for (n, (reports, success, cleaned, closed)) in lives.iter().enumerate() {
            let created = Timestamp(n as i64 * 1000);
            let mut run = run(n as u128 + 1, &BTreeSet::new(), created);
            for (m, (place, key, severity)) in reports.iter().enumerate() {
                let mut changes = Changes::default();
                let now = Timestamp(created.0 + 1 + m as i64);
                run.record_issue(Some(*place), issue(*key, *severity), None, now, &mut changes).unwrap();
                for sighting in changes.seen {
                    let before = entries.remove(&sighting.key);
                    let after = BacklogEntry::after(before, run.run.id.as_str(), sighting);
                    entries.insert(after.key.clone(), after);
                }
            }
            if let Some(entry) = cleaned.and_then(|key| entries.get_mut(&format!("k{key}"))) {
                entry.clean(run.run.id.as_str(), Timestamp(created.0 + 500));
            }
            if let Some(entry) = closed.and_then(|key| entries.get_mut(&format!("k{key}"))) {
                entry.close("not ours", Timestamp(created.0 + 600));
            }
            if *success {
                successes.insert(0, created);
            }
        }
        let mut old = BTreeSet::new();
        for key in 0..4_u8 {
            let entry = entries.get(&format!("k{key}"));
            let status = entry.map(|e| limits.status(e, &successes[..successes.len().min(limits.runs as usize)]));
            prop_assert_eq!(status, told(&lives, key, limits), "k{}", key);
            if let Some(entry) = entry {
                let sees = |life: &&Life| life.0.iter().any(|(_, k, _)| *k == key);
                prop_assert_eq!(entry.runs as usize, lives.iter().filter(sees).count());
                if status == Some(BacklogStatus::NeedsCleanup) {
                    old.insert(entry.key.clone());
                }
            }
        }
        let all: Vec<BacklogEntry> = entries.into_values().collect();
        prop_assert_eq!(aged(&all, limits, &successes), old);
    }
}

#[test]
fn thresholds_come_from_the_ruleset_and_the_profile() {
    let of = |ruleset: &Ruleset, profile| {
        let found = Thresholds::of(ruleset, profile);
        (found.runs, found.tiers)
    };
    let mut ruleset = Ruleset::default();
    assert_eq!(of(&ruleset, SafetyProfile::Normal), (3, 2));
    assert_eq!(of(&ruleset, SafetyProfile::SafetyCritical), (2, 1));
    ruleset.aging_runs.insert("normal".into(), 9);
    assert_eq!(of(&ruleset, SafetyProfile::Normal), (9, 2));
    assert_eq!(of(&ruleset, SafetyProfile::SafetyCritical), (2, 1));
}

#[test]
fn a_proposed_cleanup_is_a_phase_that_plans_accept() {
    let entry = BacklogEntry {
        key: "docs__readme__stale".into(),
        category: "docs".into(),
        severity: Severity::Minor,
        runs: 3,
        tiers: vec!["T1".into()],
        occurrences: 5,
        paths: vec!["README.md".into()],
        first_run: "a".into(),
        first_seen_at: Timestamp(1),
        last_run: "c".into(),
        last_seen_at: Timestamp(3),
        cleaned: None,
        closed: None,
    };
    let phases = cleanup_phases(&[entry]);
    let document = serde_json::json!({
        "schema": "autopack/plan/v1",
        "run": { "goal": "Clean up", "default_builder": { "kind": "noop" } },
        "tiers": [{ "id": "T1", "name": "Debt", "phases": phases }],
    });
    let read = read_plan(&document.to_string(), &ReadOptions::default()).unwrap();
    let phase = &read.plan.tiers[0].phases[0];
    assert_eq!(phase.task_category, "debt_cleanup");
    assert_eq!(phase.labels["cleans"], "docs__readme__stale");
    assert_eq!(
        phase.scope.paths.as_deref(),
        Some(&["README.md".to_owned()][..])
    );
    assert!(read.warnings.is_empty(), "{:?}", read.warnings);
}

#[test]
fn promotion_needs_every_rule_and_each_says_what_it_stands_on() {
    let mut run = run(1, &BTreeSet::new(), Timestamp(1));
    let holds = |run: &RunAggregate| -> Vec<bool> {
        let found = answers(&run.run, &run.tiers);
        assert!(
            found
                .iter()
                .all(|a| !a.facts.is_empty() && !a.remedy.is_empty())
        );
        found.iter().map(|a| a.holds).collect()
    };
    assert_eq!(holds(&run), [false, true, true, true]);
    run.run.state = RunState::DoneSuccess;
    assert!(is_eligible(&answers(&run.run, &run.tiers)));
    run.tiers[1].cleanliness = Cleanliness::NotClean;
    assert_eq!(holds(&run), [true, false, true, true]);
    run.tiers[0].tokens.settled = run.tiers[0].tokens.cap.unwrap() + 1;
    assert_eq!(holds(&run), [true, false, false, true]);
    run.run.debt = DebtStatus::ExcessMinorIssues;
    run.run.state = RunState::DoneFailedBudgetExhausted;
    assert_eq!(holds(&run), [false, false, false, false]);
}
