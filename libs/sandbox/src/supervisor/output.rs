//! Takes the command's output from its pipes.
//!
//! Invariant: the pipes are always drained, so that a command is never held up by what it writes; what is kept is
//! bounded.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Stdio;

use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

use crate::capture::{Capture, Log};
use crate::{CapturedOutput, End, Spec};

/// How much is read before the supervisor looks at anything else.
const ROUND: usize = 4 * 1024 * 1024;

/// The pipes and what came through them.
pub(super) struct Output {
    pipes: Vec<(OwnedFd, Stream)>,
    capture: Capture,
    log: Option<Log>,
    stdout_log: Option<Log>,
    buffer: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq)]
enum Stream {
    /// Both streams, or standard error alone.
    Any,
    /// Standard output alone.
    Stdout,
}

impl Output {
    /// Opens the log files.
    pub(super) fn new(spec: &Spec) -> Result<Self, End> {
        let open = |path: &Option<std::path::PathBuf>| {
            let Some(path) = path else { return Ok(None) };
            Log::create(path, spec.limits.log_bytes)
                .map(Some)
                .map_err(|error| {
                    End::SpawnFailed(format!("cannot write the log {}: {error}", path.display()))
                })
        };
        Ok(Self {
            pipes: Vec::new(),
            capture: Capture::new(spec.limits.output_keep_head, spec.limits.output_keep_tail),
            log: open(&spec.log_file)?,
            stdout_log: open(&spec.stdout_file)?,
            buffer: vec![0; 256 * 1024],
        })
    }

    /// The ends that the command writes to: one pipe for both streams, so that their order is kept, or two.
    pub(super) fn writers(&mut self) -> io::Result<(Stdio, Stdio)> {
        if self.stdout_log.is_some() {
            let stdout = self.pipe(Stream::Stdout)?;
            return Ok((stdout.into(), self.pipe(Stream::Any)?.into()));
        }
        let both = self.pipe(Stream::Any)?;
        Ok((both.try_clone()?.into(), both.into()))
    }

    fn pipe(&mut self, stream: Stream) -> io::Result<OwnedFd> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        // Fewer wake-ups; a user over its pipe budget goes on with the default.
        let _ = fcntl_setpipe_size(&reader, 1024 * 1024);
        rustix::io::ioctl_fionbio(&reader, true)?;
        self.pipes.push((reader, stream));
        Ok(writer)
    }

    /// The ends to wait for.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.pipes.iter().map(|(fd, _)| fd.as_fd())
    }

    /// Bytes written so far.
    pub(super) fn total(&self) -> u64 {
        self.capture.total()
    }

    /// Whether a log file lacks something.
    pub(super) fn log_truncated(&self) -> bool {
        self.log.iter().chain(&self.stdout_log).any(Log::truncated)
    }

    /// Reads what is there, up to a bounded amount; a pipe that has ended is closed.
    pub(super) fn drain(&mut self) {
        let Self {
            pipes,
            capture,
            log,
            stdout_log,
            buffer,
        } = self;
        pipes.retain(|(fd, stream)| {
            let mut taken = 0;
            while taken < ROUND {
                let length = match rustix::io::read(fd, &mut *buffer) {
                    Ok(0) => return false,
                    Ok(length) => length,
                    Err(rustix::io::Errno::INTR) => continue,
                    Err(rustix::io::Errno::AGAIN) => return true,
                    Err(_) => return false,
                };
                taken += length;
                let bytes = &buffer[..length];
                capture.push(bytes);
                for log in log.iter_mut() {
                    log.push(bytes);
                }
                if *stream == Stream::Stdout {
                    for log in stdout_log.iter_mut() {
                        log.push(bytes);
                    }
                }
            }
            true
        });
    }

    /// What was kept.
    pub(super) fn finish(self) -> CapturedOutput {
        self.capture.finish()
    }
}
