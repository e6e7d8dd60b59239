//! What a fault that repeats costs: ten minutes of it, in calls to the registry.

use std::time::Duration;

use autopack_bus::{DeadLetters as _, DeadReason};

use crate::world::{World, adding, command, until};

const LONG: Duration = Duration::from_mins(10);

/// The registry refuses the lease of one job, again and again, for no reason that the job could mend. It is put off and
/// given up after a bounded number of tries; the other job runs, and so does everything after.
#[tokio::test]
async fn a_job_that_is_refused_for_ever_is_given_up_and_others_go_on() {
    let mut world = World::idle();
    let refused = world.offer(command("P1", "echo a > a.txt")).await;
    let job = world.fake.state().offers.keys().next().copied().unwrap();
    world.fake.state().faulty.insert(job, 0);
    world.start();
    let good = world.patch_phase("P2", &adding("b.txt", "b"));
    assert_eq!(world.execute(good).await.cause, None);
    until("the job was refused", || {
        world.fake.state().faulty[&job] > 0
    })
    .await;
    // Nothing but timers is left to wait for.
    tokio::time::pause();
    tokio::time::sleep(LONG).await;
    let calls = world.fake.state().faulty[&job];
    assert!((2..=64).contains(&calls), "{calls} calls in ten minutes");
    tokio::time::resume();
    world.bus.bury(1).await.unwrap();
    let letters = world.bus.dead_letters(None, 10).await.unwrap().letters;
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0].reason, DeadReason::MaxDeliveries);
    assert!(!world.fake.state().settled.contains_key(&refused));
    let after = world.patch_phase("P3", &adding("c.txt", "c"));
    assert_eq!(world.execute(after).await.cause, None);
}
