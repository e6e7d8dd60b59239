//! SIGKILL of each process at seeded moments of a run of 40 phases; it comes back a moment later.

use std::time::Duration;

use autopack_testkit::Cluster;

use crate::plan::{chains, full};
use crate::scene::Scene;
use crate::seed::{Chance, moments};

/// Kills of one run: a phase may lose its worker twice, and is quarantined at the third time.
const A_RUN: usize = 2;
/// How long the victim is away at most, in milliseconds.
const AWAY: usize = 700;

/// Who is killed.
#[derive(Debug, Clone, Copy)]
enum Victim {
    Registry,
    Scheduler,
    Worker,
    Nats,
    Postgres,
}

impl Victim {
    fn kill(self, cluster: &mut Cluster, which: usize) {
        match self {
            Self::Registry => cluster.registry.kill(),
            Self::Scheduler => cluster.schedulers[0].kill(),
            Self::Worker => cluster.workers[which].kill(),
            Self::Nats => cluster.nats.kill(),
            Self::Postgres => cluster.database.server().kill(),
        }
    }

    fn start(self, cluster: &mut Cluster, which: usize) {
        match self {
            Self::Registry => cluster.registry.start(),
            Self::Scheduler => cluster.schedulers[0].start(),
            Self::Worker => cluster.workers[which].start(),
            Self::Nats => cluster.nats.start_again(),
            Self::Postgres => cluster.database.server().resume(),
        }
    }
}

/// Runs until every moment was used, two a run.
#[track_caller]
fn killed(victim: Victim) {
    let mut chance = Chance::of(&format!("{victim:?} is killed"));
    let mut left = moments();
    while left > 0 {
        let now = left.min(A_RUN);
        left -= now;
        let steps = full();
        // The last phases are left out: a moment must come before the end.
        let mut places: Vec<usize> = (0..now).map(|_| chance.below(steps.len() - 4)).collect();
        places.sort_unstable();
        let mut scene = match victim {
            Victim::Postgres => Scene::on_own_database(steps).up(),
            _ => Scene::running(steps),
        };
        for place in places {
            scene.await_landed(place);
            let (jitter, away) = (chance.millis(400), chance.millis(AWAY));
            let which = chance.below(scene.cluster.workers.len());
            std::thread::sleep(jitter);
            eprintln!(
                "chaos: {victim:?} {which} ends {jitter:?} after {place} landings, for {away:?}"
            );
            victim.kill(&mut scene.cluster, which);
            std::thread::sleep(away + Duration::from_millis(50));
            victim.start(&mut scene.cluster, which);
        }
        scene.verdict();
    }
}

#[test]
fn a_killed_registry_is_not_missed() {
    killed(Victim::Registry);
}

#[test]
fn a_killed_scheduler_is_not_missed() {
    killed(Victim::Scheduler);
}

#[test]
fn a_killed_worker_is_not_missed() {
    killed(Victim::Worker);
}

#[test]
fn a_killed_bus_is_not_missed() {
    killed(Victim::Nats);
}

#[test]
fn a_killed_database_is_not_missed() {
    killed(Victim::Postgres);
}

/// Two schedulers decide the same at the same time; one of them dies.
#[test]
fn two_schedulers_offer_nothing_twice() {
    let mut chance = Chance::of("two schedulers");
    let mut scene = Scene::running(chains(4, 5));
    scene.cluster.add_scheduler().ready();
    scene.await_landed(4 + chance.below(8));
    scene.cluster.schedulers[chance.below(2)].kill();
    scene.verdict();
}
