//! Git commands as trusted helpers of the sandbox.
//!
//! Invariant: the command's environment is complete, and output beyond its cap is dropped and said to be truncated.

use std::collections::BTreeMap;

use autopack_git::{GitCommand, GitOutput, Runner, RunnerError};
use autopack_sandbox::SandboxError;
use autopack_sandbox::trusted::{self, Command};

/// How much of git's error text is kept.
const STDERR: usize = 64 * 1024;
/// Commands that are asked for a beginning only may still print this much before they are ended.
const READ: usize = 256 * 1024 * 1024;

/// Runs git below this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct TrustedRunner;

#[async_trait::async_trait]
impl Runner for TrustedRunner {
    async fn run(&self, command: GitCommand) -> Result<GitOutput, RunnerError> {
        let keep = command.max_stdout;
        let output = trusted::run(Command {
            args: command.args,
            env: command.env.into_iter().collect::<BTreeMap<_, _>>(),
            stdin: Some(command.stdin),
            timeout: command.timeout,
            stdout_limit: keep.max(READ),
            stderr_limit: STDERR,
            finishes: command.finishes,
            ..Command::new("git", command.cwd)
        })
        .await
        .map_err(runner_error)?;
        let mut stdout = output.stdout;
        let truncated = stdout.len() > keep;
        stdout.truncate(keep);
        Ok(GitOutput {
            status: output.status,
            stdout,
            truncated,
            stderr: output.stderr,
        })
    }
}

fn runner_error(error: SandboxError) -> RunnerError {
    match error {
        SandboxError::TimedOut { after, .. } => RunnerError::TimedOut { after },
        SandboxError::Spawn { source, .. } => RunnerError::Start {
            detail: source.to_string(),
        },
        other => RunnerError::Io {
            detail: other.to_string(),
        },
    }
}
