//! The tree ends with whoever waits for it.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use autopack_sandbox::{CancellationToken, trusted};

use crate::{alive, pid_in, sandbox, shell, until};

/// Names the folder in which the helper below works.
const HELPER: &str = "AUTOPACK_SANDBOX_TEST_WORKER";

/// Keeps three processes in three sessions alive.
const LINE: &str = "echo $$ > one; setsid sh -c 'echo $$ > two; exec sleep 1000' & \
                    (setsid sh -c '(setsid sh daemon </dev/null >/dev/null 2>&1 &)' &); \
                    sleep 1000";

/// Writes what the line starts third.
fn prepare(folder: &Path) {
    std::fs::write(
        folder.join("daemon"),
        "trap '' TERM HUP INT; echo $$ > three; exec sleep 1000",
    )
    .unwrap();
}

fn pids(folder: &Path) -> Option<Vec<i32>> {
    ["one", "two", "three"]
        .iter()
        .map(|name| pid_in(&folder.join(name)))
        .collect()
}

/// Not a test of its own: the worker that the tests below kill.
#[tokio::test]
async fn worker() {
    let Some(folder) = std::env::var_os(HELPER).map(PathBuf::from) else {
        return;
    };
    let sandbox = sandbox();
    let untrusted = sandbox.run(shell(LINE, &folder), CancellationToken::new());
    let helper = trusted::Command::new("/bin/sh", &folder)
        .arg("-c")
        .arg("echo $$ > helper; exec sleep 1000")
        .env("PATH", "/usr/bin:/bin");
    let mut finishes = trusted::Command::new("/bin/sh", &folder)
        .arg("-c")
        .arg("echo $$ > finishes; while [ ! -e go ]; do sleep 0.01; done; echo $$ > finished")
        .env("PATH", "/usr/bin:/bin");
    finishes.finishes = true;
    let _ = tokio::join!(untrusted, trusted::run(helper), trusted::run(finishes));
}

#[tokio::test]
async fn the_death_of_the_worker_ends_everything_but_what_finishes() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    #[expect(
        clippy::disallowed_methods,
        reason = "the test is what starts the worker that it kills"
    )]
    let mut worker = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lifeline::worker"])
        .env(HELPER, folder.path())
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let helper = folder.path().join("helper");
    let finishes = folder.path().join("finishes");
    until("all run", || {
        pids(folder.path()).is_some() && pid_in(&helper).is_some() && pid_in(&finishes).is_some()
    })
    .await;
    let mut started = pids(folder.path()).unwrap();
    started.push(pid_in(&helper).unwrap());
    assert!(started.iter().all(|pid| alive(*pid)));
    worker.kill().unwrap();
    worker.wait().unwrap();
    until("all are gone", || !started.iter().any(|pid| alive(*pid))).await;
    let finished = folder.path().join("finished");
    std::fs::write(folder.path().join("go"), "").unwrap();
    until("it went on to its end", || pid_in(&finished).is_some()).await;
    assert_eq!(pid_in(&finished), pid_in(&finishes));
}

#[tokio::test]
async fn dropping_the_future_ends_the_tree() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let sandbox = sandbox();
    let running = sandbox.run(shell(LINE, folder.path()), CancellationToken::new());
    tokio::select! {
        outcome = running => panic!("ended by itself: {outcome:?}"),
        () = until("all run", || pids(folder.path()).is_some()) => {}
    }
    let started = pids(folder.path()).unwrap();
    until("all are gone", || !started.iter().any(|pid| alive(*pid))).await;
}
