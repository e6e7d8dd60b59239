//! Plans, phases, patches and records for tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use autopack_domain::attempt::Attempt;
use autopack_domain::budget::Account;
use autopack_domain::plan::{
    BuilderSpec, Complexity, GateProfile, GateSpec, LimitSpec, PhaseSpec, Plan, RunBudgets,
    RunScope, RunSpec, SCHEMA_V1, SafetyProfile, ScopeSpec, StepKind, StepSpec, TestRules,
    TierSpec,
};
use autopack_domain::run::Run;
use autopack_domain::states::{AttemptState, RunState};
use autopack_domain::tier::PhaseCounts;
use autopack_domain::{AttemptUid, Fence, JobUid, RunUid, Timestamp};
use uuid::Uuid;

/// The branch of the run.
pub(crate) const BRANCH: &str = "autonomous/demo";

pub(crate) fn phase(id: &str, builder: BuilderSpec) -> PhaseSpec {
    PhaseSpec {
        id: id.parse().unwrap(),
        name: format!("Phase {id}"),
        goal: "Do it.".into(),
        description: String::new(),
        task_category: "feature_scaffolding".into(),
        complexity: Complexity::Low,
        builder_mode: String::new(),
        depends_on: Vec::new(),
        scope: ScopeSpec::default(),
        builder: Some(builder),
        allow_noop: false,
        gate: GateSpec {
            profile: GateProfile::Normal,
            setup: Vec::new(),
            steps: Some(Vec::new()),
            tests: TestRules::default(),
        },
        max_attempts: None,
        tokens: None,
        limits: LimitSpec::default(),
        priority: None,
        labels: BTreeMap::default(),
    }
}

/// A phase with a command.
pub(crate) fn command(id: &str, run: &str) -> PhaseSpec {
    let env = BTreeMap::default();
    phase(
        id,
        BuilderSpec::Command {
            run: run.into(),
            env,
            timeout_seconds: 20,
        },
    )
}

/// Adds a step to a phase's gate.
pub(crate) fn with_step(
    mut phase: PhaseSpec,
    kind: StepKind,
    run: &str,
    timeout_seconds: u32,
) -> PhaseSpec {
    let step = StepSpec {
        run: run.into(),
        kind,
        dir: String::new(),
        timeout_seconds,
        env: BTreeMap::default(),
        report: None,
    };
    phase.gate.steps.get_or_insert_default().push(step);
    phase
}

pub(crate) fn plan(phases: Vec<PhaseSpec>) -> Plan {
    Plan {
        schema: SCHEMA_V1.into(),
        run: RunSpec {
            id: None,
            project: "demo".into(),
            goal: "Demo".into(),
            base: "HEAD".into(),
            safety_profile: SafetyProfile::Normal,
            run_scope: RunScope::MultiTier,
            budgets: RunBudgets {
                tokens: 1,
                phases: 25,
                minutes: 60,
            },
            priority: 5,
            labels: BTreeMap::default(),
        },
        tiers: vec![TierSpec {
            id: "T1".parse().unwrap(),
            name: "T1".into(),
            description: String::new(),
            tokens: None,
            ci_runs: None,
            phases,
        }],
    }
}

pub(crate) fn run(repo: &Path, base: &str) -> Run {
    Run {
        uid: RunUid(Uuid::from_u128(1)),
        id: "demo".parse().unwrap(),
        project: "demo".into(),
        state: RunState::PhaseQueueing,
        version: 1,
        last_event: 1,
        revision: 0,
        fence: Fence(0),
        held: false,
        frozen: true,
        started: true,
        paused: false,
        cancelling: false,
        goal: "Demo".into(),
        base_ref: "HEAD".into(),
        base_sha: base.into(),
        tip: base.into(),
        branch: BRANCH.into(),
        repository: repo.to_str().unwrap().into(),
        digest: String::new(),
        priority: 5,
        tokens: Account::capped(None),
        phases_cap: 25,
        phases_used: 0,
        minutes_cap: 60,
        first_lease_at: None,
        paused_at: None,
        paused_us: 0,
        counts: PhaseCounts::default(),
        open_intents: 0,
        issues: autopack_domain::issue::IssueCounts::default(),
        debt: autopack_domain::issue::DebtStatus::Clean,
        cause: None,
        detail: String::new(),
        facts: std::sync::Arc::default(),
        created_at: Timestamp(0),
        started_at: None,
        completed_at: None,
    }
}

pub(crate) fn attempt(uid: AttemptUid) -> Attempt {
    Attempt {
        uid,
        phase: 0,
        number: 1,
        state: AttemptState::Offered,
        job: JobUid(Uuid::nil()),
        fence: Fence(0),
        worker: None,
        tip: String::new(),
        tree: String::new(),
        commit: String::new(),
        intent: None,
        cause: None,
        detail: String::new(),
        gate: String::new(),
        tests: None,
        tokens_reserved: 0,
        tokens_used: 0,
        offered_at: Timestamp(0),
        leased_at: None,
        finished_at: None,
        artifacts: Vec::new(),
        facts: serde_json::Map::default(),
    }
}

/// A patch that adds a text file.
pub(crate) fn adding(name: &str, content: &str) -> Vec<u8> {
    let lines: String = content.lines().flat_map(|line| ["+", line, "\n"]).collect();
    let count = content.lines().count();
    format!("diff --git a/{name} b/{name}\nnew file mode 100644\n--- /dev/null\n+++ b/{name}\n@@ -0,0 +1,{count} @@\n{lines}")
        .into_bytes()
}

/// A patch that changes the third line of the README.
pub(crate) fn readme(word: &str) -> Vec<u8> {
    format!("--- a/README.md\n+++ b/README.md\n@@ -1,5 +1,5 @@\n # Demo\n \n-One\n+{word}\n Two\n Three\n").into_bytes()
}

pub(crate) fn write(dir: &Path, name: &str, content: &str) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Runs git as a user would, without the machine's configuration; the trimmed output.
#[expect(clippy::disallowed_methods, reason = "a test plays the user")]
pub(crate) fn git(dir: &Path, args: &[&str]) -> String {
    let output = std::process::Command::new("git")
        .args(["-c", "user.name=User", "-c", "user.email=user@example.org"])
        .args([
            "-c",
            "init.defaultBranch=main",
            "-c",
            "advice.detachedHead=false",
        ])
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}
