//! A worker that stands still past its lease: SIGSTOP while its builder runs, SIGCONT once another worker has finished.

use std::time::Duration;

use autopack_testkit::within;

use crate::plan::{Step, small};
use crate::scene::{LEASE, RUN, Scene};
use crate::stored;

/// What a frozen worker may take once it wakes: a second by its promise, and what a busy machine adds.
const WAKING: Duration = Duration::from_secs(3);
/// How long something may take that does not depend on a fault.
const BOUND: Duration = Duration::from_secs(30);

/// Whether a process runs: not ended, and not waiting for its parent to ask.
pub(crate) fn runs(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .any(|line| line.starts_with("State:") && !line.contains('Z'))
}

/// The parent of a process.
fn parent(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}

impl Scene {
    /// The place of the worker that a process belongs to.
    #[track_caller]
    pub(crate) fn worker_of(&self, builder: u32) -> usize {
        let workers: Vec<u32> = self.cluster.workers.iter().map(|node| node.id()).collect();
        let mut pid = builder;
        loop {
            if let Some(found) = workers.iter().position(|worker| *worker == pid) {
                return found;
            }
            let what = format!("{builder} belongs to a worker");
            pid = parent(pid)
                .filter(|pid| *pid > 1)
                .unwrap_or_else(|| panic!("{what}"));
        }
    }

    /// A column of the first attempt of `a1`.
    pub(crate) fn first_attempt(&self, column: &str) -> String {
        self.cluster.database.sql(&format!(
            "SELECT a.{column} FROM attempt a JOIN phase p ON p.run_uid = a.run_uid AND p.idx = a.phase \
             WHERE p.id = 'a1' AND a.number = 1"
        ))
    }
}

/// The first attempt of `a1` takes so long, each other one no time.
fn slow_at_first(seconds: u32) -> Scene {
    Scene::running(first_attempt_takes(seconds))
}

/// The same as a plan.
pub(crate) fn first_attempt_takes(seconds: u32) -> Vec<Step> {
    let mut steps = small();
    steps[0].first = format!("[ \"$AUTOPACK_ATTEMPT\" != 1 ] || sleep {seconds}");
    steps
}

/// Freezes the worker of `a1` until the phase has landed by another one; its builder's process.
#[track_caller]
fn overtaken(scene: &mut Scene) -> (usize, u32) {
    let builder = scene.await_builder("a1");
    let frozen = scene.worker_of(builder);
    scene.cluster.workers[frozen].signal("STOP");
    within(
        LEASE * 3 + WAKING,
        "the lease of the frozen worker ends",
        || (scene.first_attempt("state") == "LOST").then_some(()),
    );
    within(BOUND, "another worker lands the phase", || {
        let landed = "SELECT commit_sha <> '' FROM phase WHERE id = 'a1'";
        (scene.cluster.database.sql(landed) == "t").then_some(())
    });
    (frozen, builder)
}

#[test]
fn a_frozen_worker_is_overtaken_and_what_it_started_is_ended() {
    let mut scene = slow_at_first(60);
    let (frozen, builder) = overtaken(&mut scene);
    assert!(
        runs(builder),
        "nobody else ends what a frozen worker started"
    );
    scene.cluster.workers[frozen].signal("CONT");
    within(WAKING, "the builder of the frozen worker is gone", || {
        (!runs(builder)).then_some(())
    });
    assert_eq!(scene.first_attempt("commit_sha"), "");
    scene.verdict();
}

/// The builder ends well while its worker is frozen: on waking it would have something to say.
#[test]
fn what_a_frozen_worker_has_to_say_is_refused() {
    let mut scene = slow_at_first(1);
    let (frozen, builder) = overtaken(&mut scene);
    within(BOUND, "its builder ends", || (!runs(builder)).then_some(()));
    let before = scene
        .cluster
        .database
        .sql("SELECT * FROM phase WHERE id = 'a1'");
    scene.cluster.workers[frozen].signal("CONT");
    within(BOUND, "the frozen worker is heard again", || {
        let workers = scene.cluster.registry.metric("autopack_registry_workers")?;
        (workers >= 4.0).then_some(())
    });
    scene.settle();
    let after = scene
        .cluster
        .database
        .sql("SELECT * FROM phase WHERE id = 'a1'");
    assert_eq!(before, after, "nothing of the phase has changed");
    assert_eq!(scene.first_attempt("state"), "LOST");
    scene.verdict();
}

/// A cancel that was answered is final, whatever a frozen worker had under way.
#[test]
fn a_cancelled_run_stays_so_when_a_frozen_worker_wakes() {
    let mut steps = small();
    steps[0].first = "sleep 1".to_owned();
    let mut scene = Scene::running(steps);
    let builder = scene.await_builder("a1");
    let frozen = scene.worker_of(builder);
    scene.cluster.workers[frozen].signal("STOP");
    let cli = scene.cluster.cli("operator");
    cli.call(&["cancel", RUN]).expect_code(0);
    within(LEASE * 3 + BOUND, "the run ends", || {
        (scene.state() == "DONE_CANCELLED").then_some(())
    });
    let (landed, phases) = (scene.commits(), states(&scene));
    within(BOUND, "its builder ends", || (!runs(builder)).then_some(()));
    scene.cluster.workers[frozen].signal("CONT");
    within(BOUND, "the frozen worker is heard again", || {
        let workers = scene.cluster.registry.metric("autopack_registry_workers")?;
        (workers >= 4.0).then_some(())
    });
    scene.cluster.workers[frozen].stop();
    assert_eq!((scene.commits(), states(&scene)), (landed, phases));
    assert_eq!(scene.state(), "DONE_CANCELLED");
    stored::check(&scene.cluster.database);
}

fn states(scene: &Scene) -> String {
    let all = "SELECT id, state, commit_sha FROM phase ORDER BY idx";
    scene.cluster.database.sql(all)
}
