//! The port through which git commands are run.
//!
//! Invariant: a [`GitCommand`] is complete. A runner adds nothing to its environment and inherits nothing.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// One git command; the program is `git`, found on the `PATH` of [`GitCommand::env`].
#[derive(Debug, Clone)]
pub struct GitCommand {
    /// Arguments after the program's name.
    pub args: Vec<OsString>,
    /// The complete environment: the runner clears its own.
    pub env: Vec<(OsString, OsString)>,
    /// The working directory.
    pub cwd: PathBuf,
    /// What the command reads on its standard input, closed afterwards.
    pub stdin: Vec<u8>,
    /// After this time the runner ends the command with its children, and returns [`RunnerError::TimedOut`].
    pub timeout: Duration,
    /// The runner keeps this many bytes of standard output, reads and drops the rest, and sets
    /// [`GitOutput::truncated`].
    pub max_stdout: usize,
    /// The runner never ends the command before its time-out, not even by dying: it holds a lock in a repository that
    /// is not ours.
    pub finishes: bool,
}

/// What a finished command left behind.
#[derive(Debug, Clone, Default)]
pub struct GitOutput {
    /// The exit status; for a command ended by a signal, 128 plus its number.
    pub status: i32,
    /// Standard output, at most [`GitCommand::max_stdout`] bytes.
    pub stdout: Vec<u8>,
    /// Whether standard output was longer than that.
    pub truncated: bool,
    /// The beginning of standard error, invalid UTF-8 replaced.
    pub stderr: String,
}

/// Why a command has no output.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RunnerError {
    /// The process could not be started.
    #[error("git could not be started: {detail}. Check that git is installed and on PATH")]
    Start {
        /// The operating system's words.
        detail: String,
    },
    /// The process was ended at its deadline.
    #[error("git did not finish within {} s and was ended; look for a slow disk or a remote that hangs", after.as_secs())]
    TimedOut {
        /// The deadline.
        after: Duration,
    },
    /// The caller gave up: shutdown, cancel, lease lost.
    #[error("the git command was cancelled; nothing needs mending")]
    Cancelled,
    /// Reading from or writing to the process failed.
    #[error("talking to the git process failed: {detail}; try again")]
    Io {
        /// The operating system's words.
        detail: String,
    },
}

/// Runs git commands. The product's implementation is the sandbox; tests bring their own.
#[async_trait::async_trait]
pub trait Runner: Send + Sync {
    /// Runs one command to its end. A non-zero status is an output, not an error.
    async fn run(&self, command: GitCommand) -> Result<GitOutput, RunnerError>;
}
