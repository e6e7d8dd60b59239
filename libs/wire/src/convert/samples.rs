//! Values with every field set to something of its own, for round trips.

mod outside;

use std::{collections::BTreeMap, sync::Arc};

use autopack_domain::{
    Cause, EventKind, Fence, Timestamp,
    attempt::{ArtifactRef, Attempt, Intent},
    budget::Account,
    event::Event,
    integration::{Compared, Seen},
    issue::{Cleanliness, DebtStatus, IssueCounts},
    phase::{Phase, PhaseOutcome},
    plan::*,
    promotion::{Promotion, PromotionIntent, PromotionState, PromotionStrategy, Wanted},
    run::{Job, JobKind, JobState, Run, RunAggregate},
    states::{AttemptState, PhaseState, RunState, TierState},
    strategy::{PhaseStrategy, Strategy, TierStrategy},
    submission::{Awaited, Handoff, Wait},
    tier::{PhaseCounts, Tier},
    usage::{Provenance, Usage},
};

use super::RecordedEvent;

/// A uid that ends in a number.
pub(crate) fn uid<T: std::str::FromStr<Err: std::fmt::Debug>>(n: u32) -> T {
    format!("01970000-0000-7000-8000-{n:012}").parse().unwrap()
}

fn account(n: u64) -> Account {
    Account {
        cap: Some(n + 100),
        reserved: n + 1,
        settled: n + 2,
    }
}

fn map(key: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        (key.to_owned(), "1".to_owned()),
        ("zwei".to_owned(), "ü\n".to_owned()),
    ])
}

fn counts(n: u32) -> PhaseCounts {
    PhaseCounts {
        queued: n,
        executing: n + 1,
        gate: n + 2,
        ci_running: n + 3,
        complete: n + 4,
        failed: n + 5,
        skipped: n + 6,
    }
}

fn issue_counts(n: u32) -> IssueCounts {
    IssueCounts {
        minor: n,
        major: n + 1,
        resolved: n + 2,
    }
}

pub(crate) fn run() -> Run {
    Run {
        uid: uid(1),
        id: "demo-1".parse().unwrap(),
        project: "demo".into(),
        state: RunState::CiRunning,
        version: 7,
        last_event: 9,
        revision: 2,
        fence: Fence(11),
        held: true,
        frozen: true,
        started: true,
        paused: true,
        cancelling: true,
        goal: "goal".into(),
        base_ref: "main".into(),
        base_sha: "b".repeat(40),
        tip: "c".repeat(40),
        branch: "autonomous/demo-1".into(),
        repository: "/r".into(),
        digest: "d".repeat(64),
        priority: 9,
        tokens: account(10),
        phases_cap: 25,
        phases_used: 3,
        minutes_cap: 120,
        first_lease_at: Some(Timestamp(1_700_000_000_123_456)),
        paused_at: Some(Timestamp(-1)),
        paused_us: 42,
        counts: counts(1),
        open_intents: 1,
        issues: issue_counts(1),
        debt: DebtStatus::ExcessMinorIssues,
        cause: Some(Cause::GateFailed),
        detail: "detail".into(),
        facts: std::sync::Arc::new(map("operator")),
        created_at: Timestamp(1),
        started_at: Some(Timestamp(2)),
        completed_at: Some(Timestamp(3)),
    }
}

pub(crate) fn tier() -> Tier {
    Tier {
        id: "T1".parse().unwrap(),
        state: TierState::InProgress,
        counts: counts(3),
        tokens: account(20),
        ci_runs: Account {
            cap: None,
            reserved: 0,
            settled: 5,
        },
        snapshot: "s".repeat(40),
        issues: issue_counts(4),
        cleanliness: Cleanliness::NotClean,
        started_at: Some(Timestamp(4)),
        completed_at: Some(Timestamp(5)),
    }
}

pub(crate) fn phase(id: &str, place: usize) -> Phase {
    Phase {
        id: id.parse().unwrap(),
        tier: 0,
        place,
        state: PhaseState::Gate,
        attempts_made: 4,
        attempts_charged: 3,
        infra_charged: 2,
        crashes: 1,
        conflicts: 5,
        not_before: Some(Timestamp(6)),
        cause: Some(Cause::NoChange),
        detail: "why".into(),
        commit: "e".repeat(40),
        outcome: Some(PhaseOutcome::AlreadyPresent),
        tokens: account(30),
        current: Some(uid(2)),
        issues: issue_counts(7),
        handoff: Some(Box::new(Handoff {
            wait: Some(Wait {
                what: Awaited::Audit,
                until: Timestamp(9),
            }),
            submission: Some(outside::submission()),
            audit: true,
            usage: vec![usage()],
            approval: Some(outside::approval()),
        })),
        started_at: Some(Timestamp(7)),
        completed_at: Some(Timestamp(8)),
    }
}

pub(crate) fn attempt() -> Attempt {
    Attempt {
        uid: uid(3),
        phase: 1,
        number: 2,
        state: AttemptState::Landing,
        job: uid(4),
        fence: Fence(5),
        worker: Some(uid(6)),
        tip: "t".into(),
        tree: "tree".into(),
        commit: "commit".into(),
        intent: Some(Intent {
            expected_tip: "x".into(),
            tree: "y".into(),
            commit: "z".into(),
            resolved: true,
        }),
        cause: Some(Cause::LeaseExpired),
        detail: "detail".into(),
        gate: "passed; cargo test".into(),
        tests: Some(0),
        tokens_reserved: 10,
        tokens_used: 11,
        offered_at: Timestamp(12),
        leased_at: Some(Timestamp(13)),
        finished_at: Some(Timestamp(14)),
        artifacts: vec![ArtifactRef {
            name: "diff".into(),
            digest: "f".repeat(64),
            size: 3,
        }],
        facts: serde_json::from_str(r#"{"b":1,"a":{"c":[true,null,"é"]}}"#).unwrap(),
    }
}

pub(crate) fn job() -> Job {
    Job {
        uid: uid(7),
        kind: JobKind::Cleanup,
        state: JobState::Leased,
        fence: Fence(8),
        worker: Some(uid(9)),
        failures: 2,
        not_before: Some(Timestamp(15)),
    }
}

pub(crate) fn promotion() -> Promotion {
    Promotion {
        uid: uid(31),
        wanted: Wanted {
            strategy: PromotionStrategy::Squash,
            target: "main".into(),
            expected: "e1".into(),
            pull_request: true,
        },
        by: "ann".into(),
        request: String::new(),
        tested: "t1".into(),
        state: PromotionState::Failed,
        intent: Some(PromotionIntent {
            from: "f1".into(),
            commit: "c1".into(),
        }),
        commit: "l1".into(),
        url: "u".into(),
        cause: Some(Cause::PromotionConflict),
        detail: "d".into(),
        asked_at: Timestamp(16),
        finished_at: Some(Timestamp(17)),
    }
}

pub(crate) fn seen() -> Seen {
    let beside = |n: u32| Compared {
        branch: format!("b{n}"),
        tip: format!("t{n}"),
        ahead: n + 1,
        behind: n + 2,
    };
    Seen {
        tip: "t".into(),
        commits: 7,
        base: beside(10),
        target: beside(20),
    }
}

pub(crate) fn usage() -> Usage {
    Usage {
        provider: "p".into(),
        model: "m".into(),
        role: "builder".into(),
        purpose: "build".into(),
        total: 100,
        prompt: Some(60),
        completion: Some(0),
        provenance: Provenance::Derived,
    }
}

/// Every kind of builder.
pub(crate) fn builders() -> Vec<BuilderSpec> {
    vec![
        BuilderSpec::Patch {
            patches: vec![PatchSpec {
                path: "a.patch".into(),
                digest: "0".repeat(64),
            }],
        },
        BuilderSpec::Command {
            run: "make".into(),
            env: map("A"),
            timeout_seconds: 60,
        },
        BuilderSpec::Model(ModelSpec::new("m")),
        BuilderSpec::external(),
        BuilderSpec::Replay {
            run: "old-1".parse().unwrap(),
        },
        BuilderSpec::Noop,
    ]
}

pub(crate) fn phase_spec(id: &str, builder: Option<BuilderSpec>) -> PhaseSpec {
    PhaseSpec {
        id: id.parse().unwrap(),
        name: "name".into(),
        goal: "goal".into(),
        description: "text".into(),
        task_category: "docs".into(),
        complexity: Complexity::High,
        builder_mode: "tweak_light".into(),
        depends_on: vec!["P1.1".parse().unwrap()],
        scope: ScopeSpec {
            paths: Some(vec!["src/**".into()]),
            protected_paths: vec!["x".into()],
            approval_paths: vec!["y".into()],
            read_only_context: vec![ContextSpec {
                path: "README".into(),
                reason: "why".into(),
            }],
            deliverables: vec!["out/".into()],
            acceptance_criteria: vec!["works".into()],
        },
        builder,
        allow_noop: true,
        gate: super::samples_gate::gate(),
        max_attempts: Some(2),
        tokens: Some(1000),
        limits: LimitSpec {
            memory_mb: 1,
            disk_mb: 2,
            cpu_seconds: 3,
            processes: 4,
            file_kb: 5,
            files: 6,
        },
        priority: Some(0),
        labels: map("l"),
    }
}

/// One tier with a phase per kind of builder, and two phases that leave everything open.
pub(crate) fn plan() -> Plan {
    let mut phases: Vec<PhaseSpec> = builders()
        .into_iter()
        .enumerate()
        .map(|(i, b)| phase_spec(&format!("P1.{}", i + 1), Some(b)))
        .collect();
    phases[0].depends_on.clear();
    let mut open = phase_spec("P1.7", None);
    open.scope = ScopeSpec::default();
    open.gate.steps = None;
    (open.max_attempts, open.tokens, open.priority) = (None, None, None);
    phases.push(open);
    let mut none = phase_spec("P1.8", None);
    none.scope.paths = Some(Vec::new());
    none.gate.steps = Some(Vec::new());
    phases.push(none);
    Plan {
        schema: SCHEMA_V1.into(),
        run: RunSpec {
            id: Some("demo-1".parse().unwrap()),
            project: "demo".into(),
            goal: "goal".into(),
            base: "main".into(),
            safety_profile: SafetyProfile::SafetyCritical,
            run_scope: RunScope::SingleTier,
            budgets: RunBudgets {
                tokens: 5,
                phases: 6,
                minutes: 7,
            },
            priority: 5,
            labels: map("k"),
        },
        tiers: vec![TierSpec {
            id: "T1".parse().unwrap(),
            name: "Core".into(),
            description: "text".into(),
            tokens: Some(0),
            ci_runs: Some(3),
            phases,
        }],
    }
}

pub(crate) fn strategy() -> Strategy {
    let phase = PhaseStrategy {
        max_attempts: 3,
        max_infra: 4,
        tokens: 5,
        estimate: 6,
        backoff_seconds: 7,
        gate_profile: GateProfile::Strict,
        auditor_profile: "security".into(),
        auto_apply: true,
    };
    Strategy {
        version: "v1".into(),
        safety_profile: SafetyProfile::SafetyCritical,
        tokens: 1,
        phases: 2,
        minutes: 3,
        max_minor_issues: 4,
        aging_runs: 5,
        aging_tiers: 6,
        aged: ["a__b__c".to_owned(), "é".to_owned()].into(),
        tier: vec![TierStrategy {
            tokens: 1,
            ci_runs: 2,
            max_minor_issues: 3,
            max_major_issues: 4,
        }],
        phase: vec![phase; 8],
    }
}

pub(crate) fn event() -> RecordedEvent {
    RecordedEvent {
        sequence: 100,
        run_sequence: 9,
        at: Timestamp(99),
        event: Event {
            kind: EventKind::AttemptFinished,
            run: run(),
            tier: Some((0, tier())),
            phase: Some((4, phase("P1.5", 4))),
            attempt: Some(attempt()),
            job: Some(job()),
            text: "text".into(),
        },
    }
}

pub(crate) fn aggregate() -> RunAggregate {
    let phases = (0..8).map(|i| phase(&format!("P1.{}", i + 1), i)).collect();
    let attempts = BTreeMap::from([(attempt().uid, attempt())]);
    RunAggregate::assemble(
        run(),
        Arc::new(plan()),
        Arc::new(strategy()),
        vec![tier()],
        phases,
        attempts,
        vec![job()],
    )
}
