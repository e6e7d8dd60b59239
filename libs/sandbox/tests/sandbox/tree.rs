//! Nothing outlives the command, however it tries.

use std::time::Duration;

use autopack_sandbox::End;

use crate::{alive, pid_in, run, shell};

/// Waits, in the shell, for a file that a background process writes.
const WAIT: &str = "while [ ! -s pid ]; do sleep 0.01; done";

#[tokio::test]
async fn a_process_in_its_own_session_is_left_behind_and_killed() {
    let folder = tempfile::tempdir().unwrap();
    let line = format!("setsid sh -c 'echo $$ > pid; exec sleep 1000' & {WAIT}");
    let outcome = run(shell(&line, folder.path())).await;
    assert_eq!(
        (outcome.end, outcome.left_behind, outcome.survivors),
        (End::Exited(0), 1, 0)
    );
    assert!(!alive(pid_in(&folder.path().join("pid")).unwrap()));
}

#[tokio::test]
async fn a_daemon_that_forked_twice_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("daemon"),
        "trap '' TERM HUP INT; echo $$ > pid; exec sleep 1000",
    )
    .unwrap();
    // The middle processes are gone before the end, so that nothing leads from the command to the daemon.
    let line = format!(
        "(setsid sh -c '(setsid sh daemon </dev/null >/dev/null 2>&1 &)' &); {WAIT}; exit 4"
    );
    let outcome = run(shell(&line, folder.path())).await;
    assert_eq!(outcome.end, End::Exited(4));
    assert_eq!(outcome.left_behind, 1);
    assert!(!alive(pid_in(&folder.path().join("pid")).unwrap()));
}

#[tokio::test]
async fn a_time_out_ends_the_tree() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = shell(
        "trap '' TERM; setsid sh -c 'echo $$ > pid; exec sleep 1000' & sleep 1000",
        folder.path(),
    );
    // Long enough for the command to have written its file, even on a busy machine.
    spec.limits.wall = Duration::from_secs(3);
    let outcome = run(spec).await;
    assert_eq!((outcome.end, outcome.left_behind), (End::TimedOut, 0));
    assert!(outcome.wall >= Duration::from_secs(3));
    assert!(!alive(pid_in(&folder.path().join("pid")).unwrap()));
}

#[tokio::test]
async fn a_stopped_tree_is_ended_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = shell(
        "sh -c 'echo $$ > pid; kill -STOP $$' & sleep 1000",
        folder.path(),
    );
    spec.limits.wall = Duration::from_secs(3);
    assert_eq!(run(spec).await.end, End::TimedOut);
    assert!(!alive(pid_in(&folder.path().join("pid")).unwrap()));
}

#[tokio::test]
async fn a_background_process_that_is_about_to_end_may_do_so() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = run(shell("(sleep 0.02; echo late) & echo early", folder.path())).await;
    assert_eq!((outcome.end, outcome.left_behind), (End::Exited(0), 0));
    assert_eq!(outcome.output.text(), "early\nlate\n");
}

#[tokio::test]
async fn a_command_that_kills_its_supervisor_dies_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let line =
        format!("sh -c 'echo $$ > pid; exec sleep 1000' & {WAIT}; kill -KILL $PPID; sleep 1000");
    let outcome = run(shell(&line, folder.path())).await;
    assert_eq!(outcome.end, End::SupervisorLost);
    assert!(!alive(pid_in(&folder.path().join("pid")).unwrap()));
}

#[tokio::test]
async fn a_fork_bomb_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    // Each doubles; the depth is there so that a defect here does not take the machine down.
    let bomb = "[ $1 = 0 ] || { $2 sh bomb $(($1 - 1)) $2 & $2 sh bomb $(($1 - 1)) $2 & }; wait; sleep 1000";
    std::fs::write(folder.path().join("bomb"), bomb).unwrap();
    // In one group, and each process in a session of its own.
    for wrapper in ["", " setsid"] {
        let mut spec = shell(&format!("sh bomb 11{wrapper}"), folder.path());
        spec.limits.processes = Some(64);
        let outcome = run(spec).await;
        assert_eq!((outcome.end, outcome.survivors), (End::ProcessLimit, 0));
    }
}
