//! A running trusted program.
//!
//! Invariant: a program that was not waited for is killed with its group when this is dropped, unless it finishes, and
//! is collected later, so that neither a process nor its entry in the process table stays.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe::{Receiver, Sender as PipeSender};
use tokio::sync::oneshot;

use super::Command;
use super::exec::{Prepared, Started, start};
use crate::tree;

/// Where a program is looked for if its environment does not say.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Programs that nobody waits for any more, not yet collected.
static LEFT: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

/// The program.
pub(super) struct Child {
    pid: i32,
    /// Becomes readable when it ends; `None` when it was waited for.
    pidfd: Option<OwnedFd>,
    finishes: bool,
    ends: Option<(Option<OwnedFd>, OwnedFd, OwnedFd)>,
}

/// Our ends of its standard streams.
pub(super) struct Pipes {
    pub(super) stdin: Option<PipeSender>,
    pub(super) stdout: Receiver,
    pub(super) stderr: Receiver,
}

impl Child {
    /// Starts it.
    pub(super) async fn start(command: &Command) -> io::Result<Self> {
        collect();
        let (stdin, our_stdin) = if command.stdin.is_some() {
            let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
            (reader, Some(writer))
        } else {
            (File::open("/dev/null")?.into(), None)
        };
        let (our_stdout, stdout) = pipe_with(PipeFlags::CLOEXEC)?;
        let (our_stderr, stderr) = pipe_with(PipeFlags::CLOEXEC)?;
        let prepared = prepare(command, [stdin, stdout, stderr])?;
        let (done, started) = oneshot::channel();
        let gone = || io::Error::other("the thread that starts programs is gone");
        starter()?.send((prepared, done)).map_err(|_| gone())?;
        let Started { pid, pidfd } = started
            .await
            .map_err(|_| gone())??
            .release()
            .ok_or_else(gone)?;
        Ok(Self {
            pid,
            pidfd: Some(pidfd),
            finishes: command.finishes,
            ends: Some((our_stdin, our_stdout, our_stderr)),
        })
    }

    /// The standard streams; once.
    pub(super) fn pipes(&mut self) -> io::Result<Pipes> {
        let (stdin, stdout, stderr) = self.ends.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Pipes {
            stdin: stdin.map(PipeSender::from_owned_fd).transpose()?,
            stdout: Receiver::from_owned_fd(stdout)?,
            stderr: Receiver::from_owned_fd(stderr)?,
        })
    }

    /// From now on dropping this ends it, whatever was said before.
    pub(super) fn must_end(&mut self) {
        self.finishes = false;
    }

    /// Waits for its end; the exit code, or 128 + n if signal n ended it.
    pub(super) async fn wait(&mut self) -> io::Result<i32> {
        let pidfd = self.pidfd.as_ref().ok_or(io::ErrorKind::NotFound)?;
        // SAFETY: the descriptor is owned by `self`, which stays borrowed for as long as it is watched.
        #[expect(
            unsafe_code,
            reason = "watching a descriptor needs the promise that it stays open"
        )]
        let watched =
            unsafe { AsyncFd::register_with_interest(pidfd.as_fd(), Interest::READABLE) }?;
        loop {
            let mut ready = watched.readable().await?;
            if let Some(code) = collected(pidfd)? {
                drop(ready);
                drop(watched);
                self.pidfd = None;
                return Ok(code);
            }
            ready.clear_ready();
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(pidfd) = self.pidfd.take() {
            leave(self.pid, pidfd, self.finishes);
        }
    }
}

/// Kills a program with its group, unless it finishes by itself, and leaves it to be collected.
fn leave(pid: i32, pidfd: OwnedFd, finishes: bool) {
    if !finishes {
        tree::kill_group(pid);
    }
    LEFT.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(pidfd);
    collect();
}

/// Collects what was left and has ended by now.
fn collect() {
    let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    left.retain(|pidfd| matches!(collected(pidfd), Ok(None)));
}

/// The code of a program that has ended.
fn collected(pidfd: &OwnedFd) -> io::Result<Option<i32>> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    let status = waitid(WaitId::PidFd(pidfd.as_fd()), options)?;
    Ok(status.map(|status| {
        let signal = status.terminating_signal().map(|signal| 128 + signal);
        status.exit_status().or(signal).unwrap_or(-1)
    }))
}

/// A started program on its way to whoever asked, and whether it finishes. If nobody asks any more, it is left.
struct Delivery(Option<Started>, bool);

impl Delivery {
    fn release(mut self) -> Option<Started> {
        self.0.take()
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(Started { pid, pidfd }) = self.0.take() {
            leave(pid, pidfd, self.1);
        }
    }
}

type Order = (Prepared, oneshot::Sender<io::Result<Delivery>>);

/// The thread that starts programs. It never ends: the death signal of a child is sent when the *thread* that
/// started it ends, and the threads of a runtime come and go.
fn starter() -> io::Result<Sender<Order>> {
    static STARTER: OnceLock<Sender<Order>> = OnceLock::new();
    if let Some(orders) = STARTER.get() {
        return Ok(orders.clone());
    }
    let (sender, orders) = channel::<Order>();
    std::thread::Builder::new()
        .name("start".into())
        .spawn(move || {
            for (prepared, done) in orders {
                let started =
                    start(&prepared).map(|started| Delivery(Some(started), prepared.finishes));
                drop(prepared);
                let _ = done.send(started);
            }
        })?;
    // Of two threads that came here at once, the loser's ends with its channel before it starts anything.
    Ok(STARTER.get_or_init(|| sender).clone())
}

/// Everything that allocates, before the process is made.
fn prepare(command: &Command, stdio: [OwnedFd; 3]) -> io::Result<Prepared> {
    if !command.cwd.is_dir() {
        let why = format!(
            "the working folder {} does not exist",
            command.cwd.display()
        );
        return Err(io::Error::new(io::ErrorKind::NotFound, why));
    }
    let text = |text: &OsStr| Ok::<_, io::Error>(CString::new(text.as_bytes())?);
    let mut argv = vec![text(&command.program)?];
    for arg in &command.args {
        argv.push(text(arg)?);
    }
    let mut env = Vec::with_capacity(command.env.len());
    for (name, value) in &command.env {
        env.push(CString::new(
            [name.as_bytes(), b"=", value.as_bytes()].concat(),
        )?);
    }
    let program = text(&find(command))?;
    let cwd = text(command.cwd.as_os_str())?;
    Prepared::new(program, argv, env, cwd, stdio, command.finishes)
}

/// The program's path. What is not found stays as it is, and fails to execute.
fn find(command: &Command) -> std::ffi::OsString {
    let program = &command.program;
    if program.as_bytes().contains(&b'/') {
        return program.clone();
    }
    let path = command
        .env
        .get(OsStr::new("PATH"))
        .map_or(OsStr::new(DEFAULT_PATH), |path| path);
    let executable = |path: &Path| {
        path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
    };
    let found = std::env::split_paths(path)
        .map(|folder| folder.join(program))
        .find(|path| executable(path));
    found.map_or_else(
        || Path::new("/nonexistent").join(program).into(),
        Into::into,
    )
}
