//! A database whose disk is full, or slow. The right to mount file systems is needed for the former.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::PathBuf;
use std::time::Duration;

use autopack_testkit::within;

use crate::disks::Disk;
use crate::plan::chains;
use crate::scene::{Scene, slow};
use crate::seed::Chance;

/// How long the database may take to meet the end of its disk, and to come back.
const BOUND: Duration = Duration::from_mins(1);
/// Room for the tables and the log of a scene, and little more.
const ROOM_MIB: u32 = 120;

/// The disk of PostgreSQL is full in the middle of a run: what it cannot write is not done, and nothing is half done.
/// There is room again, the server is started if it gave up, and the run goes on.
#[test]
fn a_database_without_room_stops_the_run_until_there_is_room() {
    let mut chance = Chance::of("the database's disk is full");
    let mut disk = None;
    let scene = Scene::on_own_database_in(chains(4, 5), |folder| {
        let owner = std::fs::metadata(folder).unwrap();
        let mounted = Disk::mount(PathBuf::from(folder), ROOM_MIB);
        chown(folder, Some(owner.uid()), Some(owner.gid())).unwrap();
        disk = Some(mounted);
    });
    let disk = disk.unwrap();
    let scene = scene.up();
    scene.await_landed(1 + chance.below(6));
    disk.fill();
    let server = scene.cluster.database.server();
    let before = scene.landed();
    within(BOUND, "the database meets the end of its disk", || {
        // Its log lies on the same disk and may end in the middle of a word; the registry's does not.
        let told = scene.cluster.registry.log_text();
        let met = told.contains("No space left on device")
            || told.contains("the connection to the database was lost");
        (met || !server.answers()).then_some(())
    });
    assert!(
        scene.landed() < scene.steps.len(),
        "it came too late: {before}"
    );
    disk.empty();
    if !server.answers() {
        server.resume();
    }
    scene.settle();
    scene.verdict();
    drop(disk);
}

/// Each commit takes a quarter of a second and more, for longer than a lease: the run is slow and that is all.
#[test]
fn a_slow_database_costs_time_and_nothing_else() {
    let mut chance = Chance::of("the database is slow");
    let mut scene = Scene::on_own_database(chains(4, 4));
    scene.cluster.registry.set("AUTOPACK_LEASE_MS", "4000");
    let scene = scene.up();
    scene.await_landed(1 + chance.below(3));
    let server = scene.cluster.database.server();
    slow(|| server.freeze(), || server.thaw());
    scene.settle();
    scene.nobody_is_charged();
    scene.verdict();
}
