//! Watches a running command until it ends or has to be ended.
//!
//! Invariant: one loop with one place to wait in; each source of an end is looked at in each round, and a command
//! that has ended by itself is reported as such even if a limit was passed at the same moment.

use std::fs::File;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::launch::Child;
use super::meter::Meter;
use super::output::Output;
use super::sweep;
use crate::size::SizeWalk;
use crate::{End, Limits, Spec};

/// The shortest time between two measurements of the folders.
const SIZE_PAUSE: Duration = Duration::from_millis(500);
/// Entries of the folders looked at in one round.
const SIZE_SLICE: usize = 1000;
/// How long the measurement after the end may take.
const LAST_SIZE: Duration = Duration::from_secs(3);

/// Waits for the end. The tree may still be alive afterwards.
pub(super) fn until_end(
    spec: &Spec,
    child: &Child,
    lifeline: &File,
    began: Instant,
    output: &mut Output,
    meter: &mut Meter,
) -> End {
    let limits = &spec.limits;
    let deadline = began + limits.wall;
    let mut folders = Folders::new(spec, began);
    let mut patience: Option<Instant> = None;
    loop {
        if let Some(status) = sweep::reap(child.pid).status {
            return natural(status);
        }
        let now = Instant::now();
        if now >= deadline {
            return End::TimedOut;
        }
        if patience.is_some_and(|until| now >= until) {
            return End::Cancelled;
        }
        if let Some(end) = over_output(limits, output) {
            return end;
        }
        if meter.due() <= now
            && let Some(end) = meter.check(limits)
        {
            return end;
        }
        if folders.due() <= now && folders.step() {
            return End::DiskLimit;
        }
        let next = deadline.min(meter.due()).min(folders.due());
        match wait(child, lifeline, output, patience.unwrap_or(next).min(next)) {
            Told::Nothing => {}
            Told::Stop if patience.is_none() => {
                patience = Some(Instant::now() + limits.stop_grace);
                // The command leads its session and its group; one that has just ended needs no signal.
                let _ = killpg(Pid::from_raw(child.pid), Signal::SIGTERM);
            }
            Told::Stop => {}
            Told::Gone => return End::Cancelled,
        }
        output.drain();
    }
}

/// Corrects the end by what is known only when all is over.
pub(super) fn after_the_end(spec: &Spec, end: End, cpu: Duration) -> End {
    let limits = &spec.limits;
    match end {
        End::Signalled(libc::SIGXCPU | libc::SIGKILL)
            if limits.cpu.is_some_and(|most| cpu >= most) =>
        {
            End::CpuLimit
        }
        End::Signalled(libc::SIGXFSZ) if limits.disk_bytes.is_some() => End::DiskLimit,
        End::Exited(_) | End::Signalled(_) if Folders::new(spec, Instant::now()).last() => {
            End::DiskLimit
        }
        end => end,
    }
}

fn natural(status: WaitStatus) -> End {
    match status {
        WaitStatus::Exited(_, code) => End::Exited(code),
        WaitStatus::Signaled(_, signal, _) => End::Signalled(signal as i32),
        other => End::SpawnFailed(format!("unexpected end {other:?}")),
    }
}

fn over_output(limits: &Limits, output: &Output) -> Option<End> {
    limits
        .output_bytes
        .filter(|most| output.total() > *most)
        .map(|_| End::OutputLimit)
}

/// What the worker told over the lifeline.
enum Told {
    Nothing,
    /// The command is to be asked to end.
    Stop,
    /// Nobody waits for the command any more.
    Gone,
}

/// Waits until something happens or `next`.
fn wait(child: &Child, lifeline: &File, output: &Output, next: Instant) -> Told {
    let mut fds = vec![
        PollFd::new(lifeline, PollFlags::IN),
        PollFd::new(&child.pidfd, PollFlags::IN),
    ];
    fds.extend(
        output
            .fds()
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)),
    );
    let pause = next.saturating_duration_since(Instant::now());
    let pause = Timespec {
        tv_sec: i64::try_from(pause.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(pause.subsec_nanos()),
    };
    if poll(&mut fds, Some(&pause)).is_err() || fds[0].revents().is_empty() {
        return Told::Nothing;
    }
    // The only thing ever sent after the frame is the wish to stop; else what is readable is the end.
    match rustix::io::read(lifeline.as_fd(), &mut [0_u8; 64][..]) {
        Ok(1..) => Told::Stop,
        Err(rustix::io::Errno::INTR) => Told::Nothing,
        Ok(0) | Err(_) => Told::Gone,
    }
}

/// The measurement of the watched folders.
struct Folders<'a> {
    spec: &'a Spec,
    limit: Option<u64>,
    walk: Option<SizeWalk>,
    walk_began: Instant,
    due: Instant,
}

impl<'a> Folders<'a> {
    fn new(spec: &'a Spec, now: Instant) -> Self {
        let limit = spec
            .limits
            .disk_bytes
            .filter(|_| !spec.watch_dirs.is_empty());
        let first = if limit.is_some() {
            SIZE_PAUSE / 2
        } else {
            spec.limits.wall
        };
        Self {
            spec,
            limit,
            walk: None,
            walk_began: now,
            due: now + first,
        }
    }

    fn due(&self) -> Instant {
        self.due
    }

    /// One slice of a walk; `true` when the limit is passed.
    fn step(&mut self) -> bool {
        let Some(limit) = self.limit else {
            return false;
        };
        let walk = self.walk.get_or_insert_with(|| {
            self.walk_began = Instant::now();
            SizeWalk::new(&self.spec.watch_dirs)
        });
        let complete = walk.step(SIZE_SLICE);
        let over = walk.bytes() >= limit;
        if complete {
            self.walk = None;
            self.due = Instant::now() + SIZE_PAUSE.max(self.walk_began.elapsed() * 10);
        }
        over
    }

    /// A whole walk, for what was written after the last measurement.
    fn last(&mut self) -> bool {
        let began = Instant::now();
        if self.limit.is_none() {
            return false;
        }
        loop {
            if self.step() {
                return true;
            }
            if self.walk.is_none() || began.elapsed() > LAST_SIZE {
                return false;
            }
        }
    }
}
