//! A schema that is brought up to date by a process that dies on the way.

use std::process::Command;
use std::time::Duration;

use autopack_testkit::program::{self, Done};
use autopack_testkit::within;

use crate::plan::chains;
use crate::scene::Scene;

const BOUND: Duration = Duration::from_secs(30);
/// Where a process ends itself: within a migration, all of which is done and nothing of which holds yet.
const IN_MIGRATION: &str = "registry.in_migration";

/// `run-registry migrate` of a scene, with more arguments.
fn migrate(scene: &Scene, more: &[&str], failpoint: Option<usize>) -> Done {
    let mut command: Command = scene.cluster.registry.command();
    command.arg("migrate").args(more);
    if let Some(hit) = failpoint {
        command.env("AUTOPACK_FAILPOINT", format!("{IN_MIGRATION}={hit}"));
    }
    program::run(&mut command, BOUND)
}

/// Killed within each migration in turn, by `migrate` and at a start: each time what was finished stays, nothing is half
/// there, and the next one goes on. At the end the schema is complete, and a run goes through it.
#[test]
fn a_migration_that_is_killed_is_finished_by_whoever_comes_next() {
    let mut scene = Scene::new(chains(2, 2));
    let fresh = migrate(&scene, &["--check"], None);
    assert_eq!(fresh.code, Some(1), "{fresh:?}");
    let all = fresh.stdout.lines().count();
    assert!(all >= 5, "{fresh:?}");
    let applied = |scene: &Scene| {
        let count = "SELECT count(*) FROM schema_migration";
        scene.cluster.database.try_sql(count).unwrap_or_default()
    };
    // The first dies within the first, so nothing is there; each later one finishes one and dies within the next.
    for done in 0..all {
        let hit = if done == 0 { 1 } else { 2 };
        if done % 2 == 0 {
            let killed = migrate(&scene, &[], Some(hit));
            assert_eq!(killed.code, None, "it ended by itself: {killed:?}");
        } else {
            let mut command = scene.cluster.registry.command();
            command.env("AUTOPACK_FAILPOINT", format!("{IN_MIGRATION}={hit}"));
            let killed = program::run(&mut command, BOUND);
            assert_eq!(killed.code, None, "it ended by itself: {killed:?}");
        }
        let expected = if done == 0 {
            String::new()
        } else {
            done.to_string()
        };
        within(
            BOUND,
            "the server has taken back what was not committed",
            || (applied(&scene) == expected).then_some(()),
        );
        let left = migrate(&scene, &["--check"], None);
        assert_eq!(
            (left.code, left.stdout.lines().count()),
            (Some(1), all - done),
            "{left:?}"
        );
    }
    scene.cluster.registry.start();
    let complete = within(BOUND, "the schema is complete", || {
        let check = migrate(&scene, &["--check"], None);
        (check.code == Some(0)).then_some(check)
    });
    assert_eq!(complete.stdout, "the schema is up to date\n");
    assert_eq!(applied(&scene), all.to_string());
    scene.cluster.add_scheduler();
    scene.cluster.add_worker();
    scene.cluster.add_worker();
    scene.submit();
    scene.settle();
    scene.verdict();
}
