//! Clones of target repositories as a bounded cache.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use autopack_domain::Timestamp;
use builder_worker::MirrorLimits;

use crate::world::{World, adding, command, until};

/// What the registry's clock shows.
const NOW: i64 = 1_700_000_000_000_000;

fn clones(world: &World) -> Vec<PathBuf> {
    let folder = fs::read_dir(world.path("data/repos")).into_iter().flatten();
    folder.flatten().map(|entry| entry.path()).collect()
}

/// A clone that an earlier process left: of this many bytes, and used so long ago.
fn left_behind(world: &World, name: &str, bytes: usize, age: Duration) -> PathBuf {
    let folder = world.path("data/repos").join(name);
    fs::create_dir_all(folder.join("objects")).unwrap();
    fs::create_dir_all(world.path("data/workspaces").join(name)).unwrap();
    fs::write(folder.join("objects/pack"), vec![b'x'; bytes]).unwrap();
    let used = NOW - i64::try_from(age.as_micros()).unwrap();
    fs::write(folder.join("autopack-used"), used.to_string()).unwrap();
    folder
}

fn start(world: &mut World, limits: MirrorLimits) {
    world.fake.state().time = Some(Timestamp(NOW));
    let mut config = world.config();
    config.mirrors = MirrorLimits {
        every: Duration::from_millis(10),
        ..limits
    };
    world.start_on(config, |_| {});
}

#[tokio::test]
async fn an_unused_clone_goes_and_is_made_anew_and_one_in_use_stays() {
    let mut world = World::idle();
    let limits = MirrorLimits {
        age: Some(Duration::ZERO),
        ..MirrorLimits::default()
    };
    start(&mut world, limits);
    let first = world.patch_phase("P1", &adding("a.txt", "a"));
    assert_eq!(world.execute(first).await.cause, None);
    until("the clone is gone", || clones(&world).is_empty()).await;
    until("its work folders are gone", || {
        let left = fs::read_dir(world.path("data/workspaces")).unwrap();
        left.count() == 0
    })
    .await;
    // It is needed again, and used while others are removed.
    let (began, go) = (world.path("began"), world.path("go"));
    let script = format!(
        "echo b > b.txt; : > {}; while ! [ -e {} ]; do sleep 0.02; done",
        began.display(),
        go.display()
    );
    let second = world.offer(command("P2", &script)).await;
    until("the builder runs", || began.exists()).await;
    let other = left_behind(&world, "other", 1, Duration::from_mins(1));
    until("an unused clone is removed", || !other.exists()).await;
    assert_eq!(clones(&world).len(), 1, "the clone in use stays");
    fs::write(go, "").unwrap();
    assert_eq!(world.report(second).await.cause, None);
    let landed = world.git(&["log", "--format=%s", "main..autonomous/demo"]);
    assert_eq!(landed.lines().count(), 2, "{landed}");
    until("the clone is gone again", || clones(&world).is_empty()).await;
}

#[tokio::test]
async fn the_longest_unused_go_until_the_rest_is_small_enough() {
    let mut world = World::idle();
    let minutes = |n: u64| Duration::from_mins(n);
    let oldest = left_behind(&world, "oldest", 1 << 20, minutes(30));
    let newer = left_behind(&world, "newer", 1 << 20, minutes(10));
    let newest = left_behind(&world, "newest", 1 << 20, minutes(1));
    let limits = MirrorLimits {
        bytes: Some(5 << 19),
        ..MirrorLimits::default()
    };
    start(&mut world, limits);
    until("the oldest is gone", || !oldest.exists()).await;
    let spec = world.patch_phase("P1", &adding("a.txt", "a"));
    assert_eq!(world.execute(spec).await.cause, None);
    assert!(newer.exists() && newest.exists());
    assert!(!world.path("data/workspaces/oldest").exists());
}
