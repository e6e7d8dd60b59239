//! Several workers on one run: turns, fences, clocks.
//!
//! Invariant: whatever a worker does late, the branch holds one commit a phase and the registry one end.

use std::{
    collections::BTreeSet,
    sync::{Mutex, mpsc},
};

use autopack_runtime::{Clock as _, SystemClock};
use autopack_testkit::git;
use autopack_wire::{types, worker};
use builder_worker::failpoints;

use super::several_rig::{Machine, Rig, until};

/// The branch holds one commit for each phase, and exactly these files beside the base's.
fn expect_branch(rig: &Rig, phases: usize) {
    let repo = rig.repo.path();
    let landed = git::log(repo, "HEAD..autonomous/demo");
    let mut of: Vec<&str> = landed
        .iter()
        .map(|commit| commit.trailer("Autopack-Phase"))
        .collect();
    of.sort_unstable();
    let expected: Vec<String> = (0..phases).map(|n| format!("P{n}")).collect();
    assert_eq!(of, expected, "one commit a phase");
    let merges = git::git(repo, &["rev-list", "--merges", "HEAD..autonomous/demo"]);
    assert_eq!(merges, "", "in turn, each on the one before");
    let changed = git::git(repo, &["diff", "--name-status", "HEAD", "autonomous/demo"]);
    let expected: Vec<String> = (0..phases).map(|n| format!("A\tf{n}.txt")).collect();
    assert_eq!(changed.lines().collect::<Vec<_>>(), expected);
    for n in 0..phases {
        let text = git::show(repo, "autonomous/demo", &format!("f{n}.txt"));
        assert_eq!(text.as_deref(), Some(format!("{n}\n").as_str()));
    }
}

#[tokio::test]
async fn phases_of_one_run_land_in_turn_whatever_the_workers_clocks_say() {
    let rig = Rig::start().await;
    let machines = [rig.worker("fast", 1, 10), rig.worker("slow", 1, -10)];
    // The first two wait for each other, so both workers have a part; the rest goes to whoever is free.
    let meet = |own: usize, other: usize| {
        let (own_file, other_file) = (rig.path(&own.to_string()), rig.path(&other.to_string()));
        format!(
            ": > {}; while ! [ -e {} ]; do sleep 0.02; done; echo {own} > f{own}.txt",
            own_file.display(),
            other_file.display()
        )
    };
    let mut scripts = vec![meet(0, 1), meet(1, 0)];
    scripts.extend((2..8).map(|n| format!("echo {n} > f{n}.txt")));
    let began = SystemClock::new().now().0 / 1_000_000;
    rig.submit(&scripts).await;
    rig.succeeded().await;
    expect_branch(&rig, 8);
    let attempts = rig.attempts().await;
    assert_eq!(attempts.len(), 8, "no attempt was lost: {attempts:#?}");
    let workers: BTreeSet<&str> = attempts.iter().map(|a| a.worker.as_str()).collect();
    assert_eq!(workers.len(), 2);
    let ended = SystemClock::new().now().0 / 1_000_000;
    let times = git::git(
        rig.repo.path(),
        &["log", "--format=%ct", "HEAD..autonomous/demo"],
    );
    for time in times.lines() {
        let time: i64 = time.parse().unwrap();
        assert!((began - 1..=ended + 1).contains(&time), "{time}");
    }
    for machine in machines {
        machine.stop().await;
    }
    rig.stop().await;
}

/// Waits until the late worker has nothing in hand, and checks that it changed nothing.
async fn expect_fenced(rig: &Rig, late: &Machine, before: (String, u64)) {
    until("the late worker has dropped its job", async || {
        late.slot().await.state() == worker::slot::State::Idle
    })
    .await;
    assert_eq!(standing(rig).await, before, "branch, or events of the run");
    expect_branch(rig, 2);
    let attempts = rig.attempts().await;
    let of = |state: types::attempt::State| attempts.iter().filter(|a| a.state() == state).count();
    assert_eq!(of(types::attempt::State::Succeeded), 2, "{attempts:#?}");
    assert_eq!(attempts.len(), 3, "{attempts:#?}");
    let lost = attempts
        .iter()
        .find(|a| a.state() != types::attempt::State::Succeeded)
        .unwrap();
    assert_eq!(lost.cause, "LEASE_EXPIRED");
    let phases = rig.run().await.phases;
    assert!(phases.iter().all(|p| p.attempts_charged <= 1));
}

/// The branch's tip, and the run's last event.
async fn standing(rig: &Rig) -> (String, u64) {
    let tip = git::git(rig.repo.path(), &["rev-parse", "autonomous/demo"]);
    (tip, rig.run().await.run.unwrap().last_event)
}

/// The failpoint at which the next worker stops, who is told of it, and what lets it go on.
static STOP: Mutex<Option<Stop>> = Mutex::new(None);

type Stop = (&'static str, mpsc::Sender<()>, mpsc::Receiver<()>);

fn stop_there(name: &str) {
    let stop = STOP.lock().unwrap().take_if(|(wanted, ..)| *wanted == name);
    if let Some((_, tell, wait)) = stop {
        tell.send(()).unwrap();
        let _ = wait.recv();
    }
}

#[tokio::test]
async fn a_worker_that_stood_still_anywhere_before_its_push_is_fenced() {
    for at in [
        failpoints::AFTER_LEASE,
        failpoints::AFTER_BUILD,
        failpoints::BEFORE_PREPARE,
        failpoints::AFTER_PREPARE,
    ] {
        let rig = Rig::start().await;
        let scripts = [0, 1].map(|n| format!("echo {n} > f{n}.txt"));
        // The bootstrap is not to be the one that stops.
        let helper = rig.worker("helper", 1, 0);
        let run = rig.submit_held(&scripts).await;
        until("the run is frozen", async || {
            rig.run().await.run.unwrap().state().as_str_name() == "STATE_RUN_CREATED"
        })
        .await;
        helper.stop().await;
        let (tell, told) = mpsc::channel();
        let (thaw, wait) = mpsc::channel::<()>();
        *STOP.lock().unwrap() = Some((at, tell, wait));
        let late = rig.worker_with("late", 1, 0, stop_there);
        rig.begin(&run).await;
        until("the worker stands still", async || told.try_recv().is_ok()).await;
        // A slot for the look at the branch, beside the one that waits for it.
        let other = rig.worker("other", 2, 0);
        rig.succeeded().await;
        let before = standing(&rig).await;
        drop(thaw);
        expect_fenced(&rig, &late, before).await;
        late.stop().await;
        other.stop().await;
        rig.stop().await;
    }
}
