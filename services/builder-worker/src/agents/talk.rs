//! The way back to an agent that asks: a named pipe that is its standard input.
//!
//! Invariant: writing never waits; what the agent does not take at once is kept and offered again, within a bound.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};

/// The most that waits for the agent.
const MOST: usize = 64 * 1024 * 1024;

/// Starts a program with a named pipe as its standard input.
const WITH_PIPE: &str = "pipe=$1; shift; exec \"$@\" < \"$pipe\"";

/// Our end of the pipe.
pub(super) struct Talk {
    pipe: Option<File>,
    waiting: Vec<u8>,
}

impl Talk {
    /// No pipe: the agent is asked once.
    pub(super) const fn none() -> Self {
        Self {
            pipe: None,
            waiting: Vec::new(),
        }
    }

    /// Makes the pipe, and the command line that reads it.
    pub(super) fn open(path: &Path, argv: &mut Vec<String>) -> io::Result<Self> {
        mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        // Also for reading, so that opening does not wait for the agent.
        let pipe = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags.bits() as i32)
            .open(path)?;
        let shell = ["/bin/sh", "-c", WITH_PIPE, "sh"].map(str::to_owned);
        let path = PathBuf::from(path).to_string_lossy().into_owned();
        argv.splice(0..0, shell.into_iter().chain([path]));
        Ok(Self {
            pipe: Some(pipe),
            waiting: Vec::new(),
        })
    }

    /// Whether somebody listens, or will.
    pub(super) fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// Sends as much as is taken.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        let Some(pipe) = &mut self.pipe else { return };
        self.waiting.extend_from_slice(bytes);
        while !self.waiting.is_empty() {
            match pipe.write(&self.waiting) {
                Ok(0) => break,
                Ok(taken) => drop(self.waiting.drain(..taken)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        if self.waiting.len() > MOST {
            self.close();
        }
    }

    /// The agent sees the end of its input.
    pub(super) fn close(&mut self) {
        self.pipe = None;
        self.waiting = Vec::new();
    }
}
