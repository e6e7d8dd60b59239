//! Landing beside others, and after crashes.

use std::sync::Arc;

use autopack_domain::phase::PhaseOutcome;
use autopack_domain::plan::StepKind;
use autopack_domain::run::JobKind;
use autopack_domain::states::AttemptState;
use autopack_domain::{AttemptUid, Cause};
use tokio::sync::Barrier;

use crate::world::{BRANCH, World, adding, readme, until, with_step};

/// Two attempts that were built on the same tip.
async fn side_by_side(
    world: &mut World,
    phases: [autopack_domain::plan::PhaseSpec; 2],
) -> [uuid::Uuid; 2] {
    world.fake.state().meet = Some(Arc::new(Barrier::new(2)));
    let [a, b] = phases;
    [world.offer(a).await, world.offer(b).await]
}

#[tokio::test]
async fn a_moved_tip_is_merged_and_gated_again() {
    let mut world = World::new();
    let gate = |spec| with_step(spec, StepKind::Check, "true", 10);
    let a = gate(world.patch_phase("P1", &adding("a.txt", "a")));
    let b = gate(world.patch_phase("P2", &adding("b.txt", "b")));
    let [a, b] = side_by_side(&mut world, [a, b]).await;
    let (a, b) = (world.report(a).await, world.report(b).await);
    assert_eq!((a.cause, b.cause), (None, None));
    let tip = world.branch().unwrap();
    let files = world.git(&["ls-tree", "--name-only", &tip]);
    assert!(files.contains("a.txt") && files.contains("b.txt"));
    let merged = [&a, &b]
        .into_iter()
        .filter(|report| report.facts.contains_key("gated_twice"));
    assert_eq!(merged.count(), 1);
    assert_eq!(
        world.git(&["rev-list", "--count", &format!("main..{BRANCH}")]),
        "2"
    );
}

#[tokio::test]
async fn a_commit_made_early_lands_only_on_its_own_base() {
    let mut world = World::new();
    let phases = [
        world.patch_phase("P1", &adding("a.txt", "a")),
        world.patch_phase("P2", &adding("b.txt", "b")),
    ];
    let [a, b] = side_by_side(&mut world, phases).await;
    let (a, b) = (world.report(a).await, world.report(b).await);
    assert_eq!((a.cause, b.cause), (None, None));
    // Both had a commit on the base before either landed; the later one was made anew on the earlier.
    assert_eq!(
        world.git(&["rev-list", "--count", &format!("main..{BRANCH}")]),
        "2"
    );
    assert_eq!(
        world.private_ref("attempt/P1/1"),
        Some(a.commit.clone()),
        "the reference follows to the commit that landed"
    );
    assert_eq!(world.private_ref("attempt/P2/1"), Some(b.commit.clone()));
    let tip = world.branch().unwrap();
    assert!(tip == a.commit || tip == b.commit);
    world.git(&["fsck", "--no-dangling", "--connectivity-only"]);
}

#[tokio::test]
async fn a_red_second_gate_is_told_apart() {
    let mut world = World::new();
    let gate = |spec| {
        with_step(
            spec,
            StepKind::Check,
            "! { test -f a.txt && test -f b.txt; }",
            10,
        )
    };
    let a = gate(world.patch_phase("P1", &adding("a.txt", "a")));
    let b = gate(world.patch_phase("P2", &adding("b.txt", "b")));
    let [a, b] = side_by_side(&mut world, [a, b]).await;
    let causes = [world.report(a).await.cause, world.report(b).await.cause];
    assert!(
        causes.contains(&None) && causes.contains(&Some(Cause::GateFailedAfterMerge)),
        "{causes:?}"
    );
}

#[tokio::test]
async fn a_conflict_names_its_paths_and_the_same_change_is_present() {
    let mut world = World::new();
    let phases = [
        world.patch_phase("P1", &readme("Uno")),
        world.patch_phase("P2", &readme("Eins")),
    ];
    let [a, b] = side_by_side(&mut world, phases).await;
    let reports = [world.report(a).await, world.report(b).await];
    let conflict = reports
        .iter()
        .find(|report| report.cause.is_some())
        .unwrap();
    assert_eq!(conflict.cause, Some(Cause::MergeConflict));
    assert!(conflict.detail.contains("README.md"));
    let phases = [
        world.patch_phase("P3", &adding("c.txt", "c")),
        world.patch_phase("P4", &adding("c.txt", "c")),
    ];
    let [a, b] = side_by_side(&mut world, phases).await;
    let mut outcomes = [world.report(a).await.outcome, world.report(b).await.outcome];
    outcomes.sort_by_key(|outcome| outcome.map(PhaseOutcome::as_str));
    assert_eq!(
        outcomes,
        [
            Some(PhaseOutcome::AlreadyPresent),
            Some(PhaseOutcome::Committed)
        ]
    );
}

#[tokio::test]
async fn a_branch_that_somebody_moved_or_checked_out_is_left_alone() {
    let mut world = World::new();
    let first = world.patch_phase("P1", &adding("a.txt", "a"));
    world.execute(first).await;
    world.git(&["branch", "-f", BRANCH, "main"]);
    let second = world.patch_phase("P2", &adding("b.txt", "b"));
    assert_eq!(world.execute(second).await.cause, Some(Cause::BranchMoved));
    world.git(&["branch", "-f", BRANCH, &world.fake.state().run.tip.clone()]);
    world.git(&["checkout", "-q", BRANCH]);
    let third = world.patch_phase("P3", &adding("c.txt", "c"));
    assert_eq!(
        world.execute(third).await.cause,
        Some(Cause::BranchCheckedOut)
    );
    assert_eq!(world.git(&["status", "--porcelain"]), "");
}

/// Runs a patch phase up to the call in which the worker dies, then lets a cleanup find out.
async fn crash_in(call: &'static str) -> (World, AttemptUid) {
    let mut world = World::new();
    world.fake.state().hang_in = Some(call);
    let spec = world.patch_phase("P1", &adding("a.txt", "a"));
    let uid = AttemptUid(world.offer(spec).await);
    until("the worker hangs", || {
        world.fake.state().calls.contains(&call)
    })
    .await;
    world.crash().await;
    {
        let mut state = world.fake.state();
        state.hang_in = None;
        state.attempts.get_mut(&uid).unwrap().state = AttemptState::Lost;
    }
    world.start();
    world.offer_job(JobKind::Cleanup, None).await;
    until("the cleanup has ended", || {
        !world.fake.state().cleaned.is_empty()
    })
    .await;
    (world, uid)
}

#[tokio::test]
async fn a_crash_between_intent_and_push_is_resolved_as_not_landed() {
    let (world, _) = crash_in("prepare_landing").await;
    assert_eq!(world.fake.state().cleaned, [None]);
    assert_eq!(world.branch(), None);
}

#[tokio::test]
async fn a_crash_between_push_and_settlement_is_adopted() {
    let (world, uid) = crash_in("settle").await;
    assert_eq!(world.fake.state().cleaned, [Some(uid)]);
    let commit = world.fake.state().attempts[&uid]
        .intent
        .clone()
        .unwrap()
        .commit;
    assert_eq!(world.branch(), Some(commit));
}

#[tokio::test]
async fn a_stray_commit_is_removed_and_a_foreign_one_is_not() {
    let (mut world, uid) = crash_in("settle").await;
    {
        let mut state = world.fake.state();
        state
            .attempts
            .get_mut(&uid)
            .unwrap()
            .intent
            .as_mut()
            .unwrap()
            .resolved = true;
        state.cleaned.clear();
    }
    world.offer_job(JobKind::Cleanup, None).await;
    until("the cleanup has ended", || {
        !world.fake.state().cleaned.is_empty()
    })
    .await;
    assert_eq!(world.fake.state().cleaned, [None]);
    assert_eq!(world.branch(), None);
    let theirs = world.git(&["commit-tree", "-m", "theirs", "-p", "main", "main^{tree}"]);
    world.git(&["branch", BRANCH, &theirs]);
    world.offer_job(JobKind::Cleanup, None).await;
    until("the cleanup has failed", || {
        !world.fake.state().failed_jobs.is_empty()
    })
    .await;
    assert_eq!(world.fake.state().failed_jobs[0].0, Cause::BranchMoved);
    assert_eq!(world.branch(), Some(theirs));
}

#[tokio::test]
async fn a_repository_without_commits_gets_a_root_commit() {
    let mut world = World::idle();
    std::fs::remove_dir_all(world.repo()).unwrap();
    std::fs::create_dir_all(world.repo()).unwrap();
    world.git(&["init", "-q"]);
    {
        let mut state = world.fake.state();
        state.run.base_sha.clear();
        state.run.tip.clear();
    }
    world.start();
    let first = world.patch_phase("P1", &adding("a.txt", "a"));
    let report = world.execute(first).await;
    assert_eq!(report.cause, None, "{}", report.detail);
    let second = world.patch_phase("P2", &adding("b.txt", "b"));
    assert_eq!(world.execute(second).await.cause, None);
    assert_eq!(world.git(&["rev-list", "--count", BRANCH]), "2");
}
