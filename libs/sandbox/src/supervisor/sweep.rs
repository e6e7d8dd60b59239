//! Ends everything below the supervisor.
//!
//! Invariant: "nothing is left" is the kernel's word. All orphans of the tree become children of the supervisor, so
//! when waiting for any child answers that there is none, no descendant exists, however it was started.

use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, poll};

use super::host;
use super::output::Output;
use crate::tree;

/// How long a process may go on after the command itself has ended, to finish what it was writing.
const GRACE: Duration = Duration::from_millis(100);
/// How long killing may take. What outlives it is stuck in the kernel.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the sweep found.
pub(super) struct Swept {
    /// Processes that outlived the command.
    pub(super) left_behind: u32,
    /// Processes that could not be killed.
    pub(super) survivors: u32,
}

/// What waiting for children found.
pub(super) struct Reaped {
    /// Whether any child is left.
    pub(super) any_left: bool,
    /// How the process with the given id ended, if it did.
    pub(super) status: Option<WaitStatus>,
}

/// Collects every child that has ended.
pub(super) fn reap(wanted: i32) -> Reaped {
    let mut status = None;
    loop {
        match waitpid(
            Pid::from_raw(-1),
            Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL),
        ) {
            Ok(WaitStatus::StillAlive) => {
                return Reaped {
                    any_left: true,
                    status,
                };
            }
            Ok(found) if found.pid().is_some_and(|pid| pid.as_raw() == wanted) => {
                status = Some(found);
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => {
                return Reaped {
                    any_left: false,
                    status,
                };
            }
        }
    }
}

/// Ends the tree. After a `natural` end of the command, what is left has a moment to finish by itself, and what
/// does not is counted as left behind.
pub(super) fn end_tree(command: i32, natural: bool, output: &mut Output) -> Swept {
    let me = std::process::id() as i32;
    if !natural {
        // Most trees are one group, and then this is all: at once, however many there are.
        tree::kill_group(command);
    }
    let began = Instant::now();
    let mut pause = Duration::from_millis(1);
    while natural && began.elapsed() < GRACE && reap(0).any_left {
        wait(output, pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
    let mut left_behind = 0;
    let mut first = natural;
    let mut killing_since = None;
    pause = Duration::from_millis(1);
    while reap(0).any_left {
        host::go_first(true);
        let mut live = tree::descendants(me, &tree::scan());
        live.retain(|process| !process.zombie);
        if first {
            left_behind = live.len() as u32;
            first = false;
        }
        if killing_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            return Swept {
                left_behind,
                survivors: live.len() as u32,
            };
        }
        tree::kill_all(&live, me);
        wait(output, pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    Swept {
        left_behind,
        survivors: 0,
    }
}

/// Takes output for a while. A pipe that has ended does not shorten it: its end is dropped by the drain.
fn wait(output: &mut Output, pause: Duration) {
    let mut fds: Vec<PollFd<'_>> = output
        .fds()
        .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
        .collect();
    let pause = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: i64::from(pause.subsec_nanos()),
    };
    let _ = poll(&mut fds, Some(&pause));
    drop(fds);
    output.drain();
}
