//! Bootstraps: base, branch, gates, preflight.

use std::collections::HashMap;

use async_trait::async_trait;
use autopack_domain::Cause;
use autopack_domain::plan::{BuilderSpec, ModelSpec, PatchSpec, PhaseSpec, Plan};
use autopack_domain::run::JobKind;
use builder_worker::Host;
use builder_worker::preflight::{Findings, PatchSource, check};

use crate::world::{BRANCH, World, adding, command, phase, plan, until, write};

async fn bootstrap(world: &mut World, plan: Plan) -> Result<Findings, (Cause, String)> {
    {
        let mut state = world.fake.state();
        state.bootstrapped = None;
        state.failed_jobs.clear();
    }
    world.offer_job(JobKind::Bootstrap, Some(plan)).await;
    until("the bootstrap has ended", || {
        let state = world.fake.state();
        state.bootstrapped.is_some() || !state.failed_jobs.is_empty()
    })
    .await;
    let mut state = world.fake.state();
    state
        .failed_jobs
        .pop()
        .map_or_else(|| Ok(state.bootstrapped.take().unwrap()), Err)
}

fn inferred(mut phase: PhaseSpec) -> PhaseSpec {
    phase.gate.steps = None;
    phase
}

fn add_python_tests(world: &World) {
    let test = "import unittest\n\nclass T(unittest.TestCase):\n    def test_a(self):\n        self.assertTrue(True)\n";
    write(&world.repo(), "tests/test_a.py", test);
    write(
        &world.repo(),
        "setup.py",
        "from setuptools import setup\nsetup(name='demo')\n",
    );
    world.git(&["add", "-A"]);
    world.git(&["commit", "-q", "-m", "Tests"]);
}

#[tokio::test]
async fn base_gates_and_facts_are_found_and_the_inferred_gate_passes() {
    let mut world = World::new();
    add_python_tests(&world);
    world.git(&[
        "remote",
        "add",
        "origin",
        "https://me:pw@example.org/demo.git",
    ]);
    let base = world.git(&["rev-parse", "HEAD"]);
    let built = world.patch_phase("P1", &adding("a.txt", "a"));
    let phases = vec![
        inferred(built.clone()),
        inferred(phase("P2", BuilderSpec::Noop)),
    ];
    let findings = bootstrap(&mut world, plan(phases)).await.unwrap();
    assert_eq!(
        (findings.base_sha.as_str(), findings.tip.as_str()),
        (base.as_str(), base.as_str())
    );
    assert_eq!(findings.facts["remote_url"], "https://example.org/demo.git");
    assert!(
        findings.facts["toolchains"].contains("pip"),
        "{:?}",
        findings.facts
    );
    assert_eq!(findings.facts["environment_hash"].len(), 64);
    assert_eq!(findings.gates[&1].steps, Some(Vec::new()));
    let gate = findings.gates[&0].clone();
    assert!(
        gate.steps.as_ref().unwrap()[0].run.contains("unittest"),
        "{gate:?}"
    );
    {
        let mut state = world.fake.state();
        state.run.base_sha.clone_from(&base);
        state.run.tip = base;
    }
    let report = world.execute(PhaseSpec { gate, ..built }).await;
    assert_eq!(
        (report.cause, report.tests),
        (None, Some(1)),
        "{}",
        report.detail
    );
}

#[tokio::test]
async fn all_faults_come_in_one_report() {
    let mut world = World::new();
    let mut protected = command("P2", "no-such-agent");
    protected.scope.paths = Some(vec![".git/config".into()]);
    let phases = vec![
        inferred(world.patch_phase("P1", b"nonsense\n")),
        protected,
        phase(
            "P3",
            BuilderSpec::Replay {
                run: "demo-0".parse().unwrap(),
            },
        ),
        phase("P4", BuilderSpec::Model(ModelSpec::new("claude-x"))),
    ];
    let (cause, detail) = bootstrap(&mut world, plan(phases)).await.unwrap_err();
    assert_eq!(cause, Cause::PreflightFailed);
    for part in [
        "tiers[0].phases[0].builder.patch",
        "tiers[0].phases[0].gate.steps",
        "`[]`: no gate",
        "no-such-agent",
        "tiers[0].phases[1].scope.paths[0]",
        "tiers[0].phases[2].builder.kind",
        "tiers[0].phases[3].builder.model",
        "`anthropic` is not known on this worker",
    ] {
        assert!(detail.contains(part), "{part} is not in:\n{detail}");
    }
}

#[tokio::test]
async fn a_base_or_branch_that_cannot_be_used_is_named() {
    let mut world = World::new();
    let noop = || plan(vec![phase("P1", BuilderSpec::Noop)]);
    world.fake.state().run.base_ref = "mian".into();
    let (cause, detail) = bootstrap(&mut world, noop()).await.unwrap_err();
    assert!(
        cause == Cause::BaseMissing && detail.contains("main"),
        "{detail}"
    );
    world.fake.state().run.base_ref = "main".into();
    world.git(&["branch", BRANCH]);
    assert_eq!(
        bootstrap(&mut world, noop()).await.unwrap_err().0,
        Cause::BranchExists
    );
    world.git(&["checkout", "-q", BRANCH]);
    assert_eq!(
        bootstrap(&mut world, noop()).await.unwrap_err().0,
        Cause::BranchCheckedOut
    );
    world.git(&["checkout", "-q", "main"]);
    world.git(&["branch", "-D", BRANCH]);
    world.git(&["branch", "autonomous"]);
    assert_eq!(
        bootstrap(&mut world, noop()).await.unwrap_err().0,
        Cause::BranchExists
    );
    world.fake.state().run.repository = world.path("nowhere").to_str().unwrap().into();
    assert_eq!(
        bootstrap(&mut world, noop()).await.unwrap_err().0,
        Cause::RepositoryUnavailable
    );
}

#[tokio::test]
async fn a_branch_with_this_runs_newest_commit_is_taken_up() {
    let mut world = World::new();
    let first = world.patch_phase("P1", &adding("a.txt", "a"));
    let landed = world.execute(first).await.commit;
    let findings = bootstrap(&mut world, plan(vec![phase("P1", BuilderSpec::Noop)]))
        .await
        .unwrap();
    assert_eq!(findings.tip, landed);
    assert_ne!(findings.base_sha, landed);
}

struct Files(HashMap<String, Vec<u8>>);

#[async_trait]
impl PatchSource for Files {
    async fn read(&self, patch: &PatchSpec) -> Result<Vec<u8>, String> {
        self.0
            .get(&patch.path)
            .cloned()
            .ok_or_else(|| "no such file".to_owned())
    }
}

#[tokio::test]
async fn a_plan_is_checked_without_a_registry() {
    let world = World::idle();
    let host = Host::open(&world.config()).await.unwrap();
    let patches = vec![PatchSpec {
        path: "a.patch".into(),
        digest: String::new(),
    }];
    let plan = plan(vec![phase("P1", BuilderSpec::Patch { patches })]);
    let repo = world.repo();
    let files = Files(HashMap::from([(
        "a.patch".to_owned(),
        adding("a.txt", "a"),
    )]));
    let report = check(&host, &plan, repo.to_str().unwrap(), &files)
        .await
        .unwrap();
    assert_eq!(report.faults, []);
    let report = check(&host, &plan, repo.to_str().unwrap(), &Files(HashMap::new()))
        .await
        .unwrap();
    assert!(
        report.faults[0].problem.contains("a.patch"),
        "{:?}",
        report.faults
    );
}
