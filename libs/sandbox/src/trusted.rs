//! Runs a trusted helper program, such as git, at little more than the cost of fork and exec.
//!
//! Invariant: the program has the given environment and nothing else, its output is bounded, and it dies with its
//! group when its time is over, when the future is dropped and when the worker dies. It is trusted not to leave
//! that group; whatever is not runs in the [`Sandbox`](crate::Sandbox). A command that [finishes](Command::finishes) is
//! ended by its time-out alone.

mod child;
mod exec;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use self::child::{Child, Pipes};
use crate::SandboxError;

/// What to run.
#[derive(Debug, Clone)]
pub struct Command {
    /// The program; looked up in the `PATH` of `env` unless it contains a slash.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// The whole environment.
    pub env: BTreeMap<OsString, OsString>,
    /// The working folder.
    pub cwd: PathBuf,
    /// Standard input; `None` is `/dev/null`.
    pub stdin: Option<Vec<u8>>,
    /// How long it may run.
    pub timeout: Duration,
    /// The most it may write to standard output; more is an error.
    pub stdout_limit: usize,
    /// How much of standard error is kept; the rest is dropped.
    pub stderr_limit: usize,
    /// Once started it goes on to its end, although nobody waits any more or the worker died: for a short command that
    /// holds a lock where only people may remove it. Even a signal that git heeds leaves the lock if it arrives while
    /// the file is being made.
    pub finishes: bool,
}

impl Command {
    /// A program with an empty environment, no input, 60 s, 64 MiB of output and 64 KiB of error text.
    pub fn new(program: impl Into<OsString>, cwd: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            cwd: cwd.into(),
            stdin: None,
            timeout: Duration::from_mins(1),
            stdout_limit: 64 * 1024 * 1024,
            stderr_limit: 64 * 1024,
            finishes: false,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Sets standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Sets the time-out.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    fn name(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }
}

/// What a trusted program left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// All of standard output.
    pub stdout: Vec<u8>,
    /// The start of standard error, as text.
    pub stderr: String,
    /// The exit code; 128 + n if signal n ended it.
    pub status: i32,
}

impl Output {
    /// Whether the exit code is 0.
    pub fn success(&self) -> bool {
        self.status == 0
    }
}

/// Runs a program to its end.
pub async fn run(command: Command) -> Result<Output, SandboxError> {
    let program = command.name();
    let failed = |source| SandboxError::Spawn {
        program: program.clone(),
        source,
    };
    // Dropping it kills the group, whatever the reason.
    let mut child = Child::start(&command).await.map_err(failed)?;
    let Pipes {
        stdin,
        stdout,
        stderr,
    } = child.pipes().map_err(failed)?;
    let feed = async {
        // A program that does not read all of its input is not at fault.
        if let (Some(mut stdin), Some(bytes)) = (stdin, &command.stdin) {
            let _ = stdin.write_all(bytes).await;
        }
        Ok(())
    };
    let output = async {
        let (bytes, over) = read(stdout, command.stdout_limit, false).await?;
        if over {
            return Err(SandboxError::OutputTooLarge {
                program: program.clone(),
                limit: command.stdout_limit,
            });
        }
        Ok(bytes)
    };
    let all = async {
        let ((), stdout, (stderr, _)) =
            tokio::try_join!(feed, output, read(stderr, command.stderr_limit, true))?;
        let waited = child.wait().await;
        let status = waited.map_err(|source| SandboxError::Io {
            doing: "waiting for a program",
            source,
        })?;
        Ok(Output {
            stdout,
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
            status,
        })
    };
    if let Ok(result) = tokio::time::timeout(command.timeout, all).await {
        return result;
    }
    child.must_end();
    Err(SandboxError::TimedOut {
        program,
        after: command.timeout,
    })
}

/// Runs programs one after the other. Ends with the first that does not return 0, whose output is then the last.
pub async fn run_all(
    commands: impl IntoIterator<Item = Command>,
) -> Result<Vec<Output>, SandboxError> {
    let mut outputs = Vec::new();
    for command in commands {
        let output = run(command).await?;
        let failed = !output.success();
        outputs.push(output);
        if failed {
            break;
        }
    }
    Ok(outputs)
}

/// Reads to the end. Beyond the limit it stops, or goes on and forgets what it reads; the flag tells that there was more.
async fn read(
    mut from: impl AsyncRead + Unpin,
    limit: usize,
    go_on: bool,
) -> Result<(Vec<u8>, bool), SandboxError> {
    let failed = |source: io::Error| SandboxError::Io {
        doing: "reading a program's output",
        source,
    };
    let mut bytes = Vec::new();
    (&mut from)
        .take(limit as u64)
        .read_to_end(&mut bytes)
        .await
        .map_err(failed)?;
    let mut more = vec![0; 8192];
    let mut over = false;
    while bytes.len() >= limit && from.read(&mut more).await.map_err(failed)? > 0 {
        over = true;
        if !go_on {
            break;
        }
    }
    Ok((bytes, over))
}
