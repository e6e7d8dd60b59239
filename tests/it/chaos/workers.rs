//! Jobs that kill their workers, workers that are asked to end, crash windows of a worker.

use std::time::Duration;

use autopack_testkit::within;

use crate::frozen::first_attempt_takes;
use crate::plan::chains;
use crate::scene::{RUN, Scene};
use crate::seed::{Chance, moments};
use crate::stored;

const BOUND: Duration = Duration::from_mins(1);

/// Kills the worker above it.
const POISON: &str = "pid=$$\n\
    while [ \"$pid\" -gt 1 ] && [ \"$(cat /proc/$pid/comm)\" != builder-worker ]; do\n\
    pid=$(sed -n 's/^PPid:[[:space:]]*//p' /proc/$pid/status); done\n\
    kill -KILL \"$pid\"; sleep 30";

/// A phase that kills whoever runs it is set aside after three workers; the others go on, and are charged nothing.
#[test]
fn a_job_that_kills_its_worker_is_quarantined() {
    let mut steps = chains(4, 3);
    // Nothing waits for it.
    steps.retain(|step| !["a2", "a3"].contains(&step.id.as_str()));
    steps[0].first = POISON.to_owned();
    let mut scene = Scene::new(steps);
    // A builder in its sandbox cannot signal its worker.
    scene.cluster.set_all("AUTOPACK_SANDBOX_FILES", "off");
    let mut scene = scene.up();
    within(BOUND, "the run ends", || {
        for node in &mut scene.cluster.workers {
            if !node.is_running() {
                node.kill();
                node.start();
            }
        }
        scene.state().starts_with("DONE_").then_some(())
    });
    let poison = scene.cluster.database.sql(
        "SELECT state, crashes, attempts_made, attempts_charged, cause FROM phase WHERE id = 'a1'",
    );
    assert_eq!(poison, "FAILED|3|3|0|QUARANTINED", "{}", scene.why());
    let others = scene
        .cluster
        .database
        .sql("SELECT DISTINCT state, attempts_charged, crashes < 3 FROM phase WHERE id <> 'a1'");
    assert_eq!(others, "COMPLETE|0|t");
    assert_eq!(scene.landed(), scene.steps.len() - 1);
    stored::check(&scene.cluster.database);
    scene.nothing_is_left();
    let cli = scene.cluster.cli("operator");
    let said = cli.call(&["why", RUN]).stdout;
    assert!(said.contains("a1"), "{said}");
    cli.call(&["doctor", "--verify"]).expect_code(0);
}

/// SIGTERM: ready no more at once, what runs is handed back after the grace, nothing is charged, exit code 0.
#[test]
fn a_worker_that_is_asked_to_end_hands_its_work_over() {
    let mut scene = Scene::new(first_attempt_takes(60));
    scene.cluster.set_all("AUTOPACK_DRAIN_SECONDS", "3");
    // What is handed back must not have been lost before.
    scene.cluster.registry.set("AUTOPACK_LEASE_MS", "10000");
    let mut scene = scene.up();
    let builder = scene.await_builder("a1");
    let ending = scene.worker_of(builder);
    let node = &mut scene.cluster.workers[ending];
    node.signal("TERM");
    within(Duration::from_secs(3), "it is not ready any more", || {
        let (code, _) = node.page("/readyz")?;
        (code == 503).then_some(())
    });
    assert_eq!(node.wait(), Some(0));
    assert_eq!(scene.first_attempt("state"), "HANDED_OVER");
    let charged = "SELECT attempts_charged + infra_charged + crashes FROM phase WHERE id = 'a1'";
    assert_eq!(scene.cluster.database.sql(charged), "0");
    scene.cluster.workers[ending].start();
    scene.verdict();
}

/// A worker dies at its crash windows, two of them in a run.
#[test]
fn a_worker_that_dies_at_its_crash_windows_is_not_missed() {
    const WINDOWS: [&str; 9] = [
        "worker.after_prepare",
        "worker.after_settle",
        "worker.after_push",
        "worker.after_lease",
        "worker.before_ack",
        "worker.after_build",
        "worker.before_settle",
        "worker.before_prepare",
        "worker.after_gate",
    ];
    let mut chance = Chance::of("a worker dies at its crash windows");
    let count = moments().min(WINDOWS.len());
    let first = chance.below(WINDOWS.len());
    let mut windows: Vec<&str> = WINDOWS
        .iter()
        .cycle()
        .skip(first)
        .take(count)
        .copied()
        .collect();
    while !windows.is_empty() {
        let pair: Vec<&str> = windows.drain(..windows.len().min(2)).collect();
        eprintln!("chaos: {pair:?}");
        let mut scene = Scene::new(chains(4, 4));
        let cluster = &mut scene.cluster;
        cluster.registry.start();
        cluster.add_scheduler();
        for window in &pair {
            cluster.add_worker_with(&[("AUTOPACK_FAILPOINT", window)]);
        }
        scene.submit();
        for (node, window) in scene.cluster.workers.iter_mut().zip(&pair) {
            within(BOUND, &format!("the worker dies at {window}"), || {
                (!node.is_running()).then_some(())
            });
            node.kill();
            node.set("AUTOPACK_FAILPOINT", "");
            node.start();
        }
        for _ in 0..2 {
            scene.cluster.add_worker();
        }
        scene.verdict();
    }
}
