//! Gates: what lands, and what never does.

use std::collections::BTreeMap;

use autopack_domain::plan::{StepKind, StepSpec};
use autopack_domain::{Cause, states::AttemptState};

use crate::world::{World, adding, with_step};

const GREEN: &str = "printf 'Ran 3 tests in 0.1s\\n\\nOK\\n' # python3 -m unittest";
const RED: &str = "printf 'FAILED tests/test_a.py::test_sum - assert 1 == 2\\n1 failed, 2 passed in 0.12s\\n'; exit 1 # pytest";
const EMPTY: &str = "printf 'Ran 0 tests in 0.0s\\n\\nOK\\n' # python3 -m unittest";

#[tokio::test]
async fn a_green_gate_lands_with_its_tests_and_stages() {
    let mut world = World::new();
    let spec = world.patch_phase("P1", &adding("a.txt", "a"));
    let spec = with_step(
        spec,
        StepKind::Check,
        "test -f a.txt && echo junk > junk.txt && rm README.md",
        10,
    );
    let uid = world
        .offer(with_step(spec, StepKind::Test, GREEN, 10))
        .await;
    let report = world.report(uid).await;
    assert_eq!(report.cause, None, "{}", report.detail);
    assert_eq!(report.tests, Some(3));
    assert!(
        report.gate.starts_with("passed; test -f a.txt"),
        "{}",
        report.gate
    );
    let stages = world.fake.state().stages[&uid].clone();
    assert_eq!(
        stages,
        [
            AttemptState::Governing,
            AttemptState::Gating,
            AttemptState::Landing
        ]
    );
    // What the gate wrote or removed is not in the commit.
    assert_eq!(
        world.git(&["show", "--name-status", "--format=", &report.commit]),
        "A\ta.txt"
    );
    assert!(
        world
            .fake
            .artifact(&report, "output")
            .unwrap()
            .contains("Ran 3 tests")
    );
    assert!(report.facts["stage_ms"]["gate"].is_u64());
}

#[tokio::test]
async fn gates_that_are_not_green_leave_the_branch_alone() {
    let mut world = World::new();
    for (n, (run, kind, cause)) in [
        (RED, StepKind::Test, Cause::GateFailed),
        (EMPTY, StepKind::Test, Cause::GateZeroTests),
        ("no-such-runner", StepKind::Test, Cause::GateNotFound),
        ("kill -9 $$", StepKind::Check, Cause::GateKilled),
        ("exit 4", StepKind::Check, Cause::GateFailed),
    ]
    .into_iter()
    .enumerate()
    {
        let spec = world.patch_phase(&format!("P{n}"), &adding("a.txt", "a"));
        let report = world.execute(with_step(spec, kind, run, 10)).await;
        assert_eq!(report.cause, Some(cause), "{run}: {}", report.detail);
        if run == RED {
            assert!(
                report.detail.contains("tests/test_a.py::test_sum"),
                "{}",
                report.detail
            );
            assert!(report.gate.starts_with("failed"));
        }
    }
    assert_eq!(world.branch(), None);
}

#[tokio::test]
async fn a_failed_set_up_says_nothing_about_the_change() {
    let mut world = World::new();
    let mut spec = world.patch_phase("P1", &adding("a.txt", "a"));
    spec.gate.setup.push(StepSpec {
        run: "echo no network; exit 1".into(),
        kind: StepKind::Check,
        dir: String::new(),
        timeout_seconds: 10,
        env: BTreeMap::default(),
        report: None,
    });
    let report = world
        .execute(with_step(spec, StepKind::Check, "true", 10))
        .await;
    assert_eq!(report.cause, Some(Cause::GateSetupFailed));
}

#[tokio::test]
async fn a_time_out_is_the_changes_fault_only_if_the_base_is_in_time() {
    let mut world = World::new();
    let spec = world.patch_phase("P1", &adding("slow.txt", "a"));
    let slow_change = with_step(spec, StepKind::Check, "test ! -f slow.txt || sleep 60", 1);
    let report = world.execute(slow_change).await;
    assert_eq!(report.cause, Some(Cause::GateFailed), "{}", report.detail);
    let spec = world.patch_phase("P2", &adding("b.txt", "b"));
    let report = world
        .execute(with_step(spec, StepKind::Check, "sleep 60", 1))
        .await;
    assert_eq!(report.cause, Some(Cause::GateTimeout));
}

#[tokio::test]
async fn a_step_runs_in_its_folder_and_never_outside() {
    let mut world = World::new();
    let mut spec = world.patch_phase("P1", &adding("a.txt", "a"));
    spec = with_step(spec, StepKind::Check, "test -f lib.rs", 10);
    spec.gate.steps.as_mut().unwrap()[0].dir = "src".into();
    assert_eq!(world.execute(spec.clone()).await.cause, None);
    spec.id = "P2".parse().unwrap();
    spec.builder = world.patch_phase("P2", &adding("b.txt", "b")).builder;
    spec.gate.steps.as_mut().unwrap()[0].dir = "../../..".into();
    assert_eq!(world.execute(spec).await.cause, Some(Cause::GateNotFound));
}
