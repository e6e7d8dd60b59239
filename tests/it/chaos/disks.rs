//! Disks without room: of workers, and of the bus. The right to mount file systems is needed.

use std::process::Command;

use std::time::Duration;

use autopack_testkit::within;

use crate::plan::chains;
use crate::scene::{Scene, slow};
use crate::seed::Chance;

/// A file system of its own for a process's data; gone with the value.
pub(crate) struct Disk(std::path::PathBuf);

impl Disk {
    /// Of so many MiB. Needs the right to mount.
    #[track_caller]
    pub(crate) fn mount(path: std::path::PathBuf, mib: u32) -> Self {
        std::fs::create_dir_all(&path).unwrap();
        let size = format!("size={mib}m,mode=0700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path);
        let done = mount.output().unwrap();
        assert!(
            done.status.success(),
            "a file system for a worker cannot be mounted; run this test as root: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        Self(path)
    }

    /// Fills it to the last page, at once: the run goes on meanwhile.
    #[track_caller]
    pub(crate) fn fill(&self) {
        let mut df = Command::new("df");
        let df = df.args(["--block-size=1", "--output=avail"]).arg(&self.0);
        let text = String::from_utf8(df.output().unwrap().stdout).unwrap();
        let mut left: u64 = text.lines().nth(1).unwrap().trim().parse().unwrap();
        // The worker may have taken some of it in between.
        while left > 0 && !self.take(left) {
            left -= left.min(1 << 16);
        }
        assert!(left > 0, "no room to fill: {text}");
    }

    /// A file of so many bytes, if there is room for it.
    fn take(&self, bytes: u64) -> bool {
        let mut fallocate = Command::new("fallocate");
        let fallocate = fallocate.arg("--length").arg(bytes.to_string());
        let done = fallocate.arg(self.0.join("full")).output().unwrap();
        done.status.success()
    }

    pub(crate) fn empty(&self) {
        std::fs::remove_file(self.0.join("full")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let mut umount = Command::new("umount");
        let _ = umount.arg("-l").arg(&self.0).status();
    }
}

/// Two of four workers run out of room while they build: the others do the work, and no builder is charged.
#[test]
fn workers_with_a_full_disk_leave_the_work_to_others() {
    let signs = tempfile::tempdir().unwrap();
    let room_is_gone = signs.path().join("room-is-gone");
    // As many chains as the workers have slots.
    let mut steps = chains(8, 3);
    for step in steps.iter_mut().filter(|step| step.after.is_none()) {
        step.first = format!(
            "until [ -e '{}' ]; do sleep 0.02; done",
            room_is_gone.display()
        );
    }
    let scene = Scene::new(steps);
    let disks: Vec<Disk> = (0..2)
        .map(|n| {
            Disk::mount(
                scene.cluster.folder(&format!("worker-{n}")).join("data"),
                400,
            )
        })
        .collect();
    let scene = scene.up();
    // Every slot has a chain's first builder in hand, and nothing written yet.
    for phase in ["a1", "b1", "c1", "d1", "e1", "f1", "g1", "h1"] {
        scene.await_builder(phase);
    }
    disks.iter().for_each(Disk::fill);
    std::fs::write(&room_is_gone, "").unwrap();
    scene.settle();
    let told = |what: &str| {
        let workers = scene.cluster.workers.iter().take(2);
        workers
            .filter(|worker| worker.log_text().contains(what))
            .count()
    };
    assert_eq!(told("DISK_FULL"), 2, "a builder met a full disk");
    assert!(told("too little free space; the job is left to others") > 0);
    disks.iter().for_each(Disk::empty);
    scene.verdict();
    drop(disks);
}

/// The disk of nats-server is full in the middle of a run: what cannot be published waits in the registry's log, and
/// the registry says that it does. There is room again, the server is started again, and the run goes on.
#[test]
fn a_bus_without_room_loses_nothing() {
    let mut chance = Chance::of("the bus's disk is full");
    let mut scene = Scene::new(chains(4, 5));
    scene.cluster.nats.kill();
    let disk = Disk::mount(scene.cluster.nats.store(), 64);
    // The server believes in more room than there is, or it would refuse streams of their size.
    let more = "jetstream { max_file_store: 16GB }";
    scene.cluster.nats.configure(more);
    scene.cluster.nats.start_again();
    let mut scene = scene.up();
    scene.await_landed(1 + chance.below(6));
    disk.fill();
    within(
        Duration::from_mins(1),
        "the registry keeps what the bus refuses",
        || {
            let waiting = scene
                .cluster
                .registry
                .metric("autopack_registry_outbox_depth")?;
            let log = scene.cluster.nats.log_text();
            (waiting > 0.0 && log.contains("no space left")).then_some(())
        },
    );
    disk.empty();
    scene.cluster.nats.restart();
    scene.settle();
    scene.verdict();
    drop(disk);
}

/// nats-server stands still for a quarter of a second again and again, as with a slow disk, for longer than a lease: the
/// run is slow and that is all.
#[test]
fn a_slow_bus_costs_time_and_nothing_else() {
    let mut chance = Chance::of("the bus is slow");
    let mut scene = Scene::new(chains(4, 4));
    scene.cluster.registry.set("AUTOPACK_LEASE_MS", "4000");
    let scene = scene.up();
    scene.await_landed(1 + chance.below(3));
    slow(|| scene.cluster.nats.freeze(), || scene.cluster.nats.thaw());
    scene.settle();
    scene.nobody_is_charged();
    scene.verdict();
}
