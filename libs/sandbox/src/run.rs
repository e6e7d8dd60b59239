//! The worker's side of a supervised command.
//!
//! Invariant: as long as the future of [`Sandbox::run`] exists it holds the lifeline of its supervisor; dropping the
//! future, like the death of the worker, ends the tree. Only a completed future proves that the tree is gone.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::outcome::layer;
use crate::wire::{self, Report, Started};
use crate::{CapturedOutput, End, Outcome, SUPERVISOR_ARG, SandboxError, Spec, tree};

/// How much longer than the command its supervisor may take: to kill the tree, to measure, to report.
const OVERDUE: Duration = Duration::from_mins(1);
/// How often a session without a supervisor is killed before giving up.
const SESSION_ROUNDS: u32 = 400;

/// How supervisors are started.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// A program whose `main` calls [`supervisor_main_if_requested`](crate::supervisor_main_if_requested) first.
    pub supervisor: PathBuf,
}

impl Default for SandboxConfig {
    /// This very program.
    fn default() -> Self {
        Self {
            supervisor: PathBuf::from("/proc/self/exe"),
        }
    }
}

/// Runs untrusted commands.
#[derive(Debug, Clone)]
pub struct Sandbox {
    config: SandboxConfig,
    overdue: Duration,
}

impl Default for Sandbox {
    /// A sandbox whose supervisor is this very program.
    fn default() -> Self {
        Self::new(SandboxConfig::default())
    }
}

impl Sandbox {
    /// A sandbox; it holds nothing open.
    pub fn new(config: SandboxConfig) -> Self {
        Self {
            config,
            overdue: OVERDUE,
        }
    }

    /// Runs a command to its end and ends everything it started. Cancelling ends the tree and is reported as
    /// [`End::Cancelled`]; to know that the tree is gone, cancel and await instead of dropping the future.
    pub async fn run(
        &self,
        spec: Spec,
        cancel: CancellationToken,
    ) -> Result<Outcome, SandboxError> {
        self.run_until(spec, cancel, CancellationToken::new()).await
    }

    /// Like [`Sandbox::run`], and `stop` asks the command to end: its process group gets SIGTERM, and what is left
    /// after [`Limits::stop_grace`](crate::Limits::stop_grace) is killed and reported as [`End::Cancelled`]. A command
    /// that heeds the signal is reported as it ended.
    pub async fn run_until(
        &self,
        spec: Spec,
        cancel: CancellationToken,
        stop: CancellationToken,
    ) -> Result<Outcome, SandboxError> {
        spec.check()?;
        let header = wire::header(&spec)?;
        let began = Instant::now();
        let mut child = self.start()?;
        let (Some(mut lifeline), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(SandboxError::InvalidSpec(
                "the supervisor has no pipes".into(),
            ));
        };
        let stdin = spec.stdin.as_deref().unwrap_or_default();

        // Holds the lifeline until the caller cancels. A supervisor that dies while it is told is found by reading.
        let mut cancelling = std::pin::pin!(async move {
            let told = async {
                let _ = lifeline.write_all(&header).await;
                let _ = lifeline.write_all(stdin).await;
                stop.cancelled().await;
                let _ = lifeline.write_all(wire::STOP).await;
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = told => {}
                () = cancel.cancelled() => {}
            }
            drop(lifeline);
        });
        let mut reading = std::pin::pin!(async {
            let mut answer = Vec::new();
            let read = answers
                .take(wire::max_answer(&spec.limits))
                .read_to_end(&mut answer)
                .await;
            if let Err(error) = read {
                tracing::warn!(%error, "reading a supervisor's report failed");
            }
            answer
        });
        let mut overdue = std::pin::pin!(sleep_until(began + spec.limits.wall + self.overdue));
        let mut cancelled = false;
        let mut rescued = false;
        let answer = loop {
            tokio::select! {
                answer = &mut reading => break answer,
                () = &mut cancelling, if !cancelled => {
                    cancelled = true;
                    overdue.as_mut().reset(Instant::now() + self.overdue);
                }
                () = &mut overdue, if !rescued => {
                    rescued = true;
                    rescue(&mut child).await;
                }
            }
        };
        // The answer ends with the supervisor's life.
        if let Err(error) = child.wait().await {
            tracing::warn!(%error, "waiting for a supervisor failed");
        }
        Ok(match wire::parse_answer(&answer) {
            (_, Some(report)) => outcome(report),
            (started, None) => lost(started, began).await,
        })
    }

    /// Starts a supervisor that has nothing of the worker but two pipes and standard error.
    fn start(&self) -> Result<Child, SandboxError> {
        #[expect(clippy::disallowed_methods, reason = "this is where supervisors start")]
        let mut command = Command::new(&self.config.supervisor);
        command
            .arg(SUPERVISOR_ARG)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|source| SandboxError::Supervisor {
                path: self.config.supervisor.clone(),
                source,
            })
    }
}

/// Ends a tree whose supervisor does not answer, for instance because the command stopped it: first what is below
/// it, while the tree still hangs together, then itself.
async fn rescue(supervisor: &mut Child) {
    let Some(pid) = supervisor.id() else { return };
    tracing::warn!(
        pid,
        "a supervisor does not answer; its tree is killed from outside"
    );
    let kill = move || {
        for _ in 0..3 {
            let below = tree::descendants(pid as i32, &tree::scan());
            tree::kill_all(&below, pid as i32);
        }
    };
    let _ = tokio::task::spawn_blocking(kill).await;
    let _ = supervisor.start_kill();
}

/// What is left to say about a command whose supervisor gave no report.
async fn lost(started: Option<Started>, began: Instant) -> Outcome {
    tracing::warn!("a supervisor ended without a report");
    if let Some(Started { pid }) = started {
        let _ = tokio::task::spawn_blocking(move || tree::kill_session(pid, SESSION_ROUNDS)).await;
    }
    Outcome {
        end: End::SupervisorLost,
        output: CapturedOutput::default(),
        log_truncated: true,
        wall: began.elapsed(),
        cpu: Duration::ZERO,
        peak_memory_bytes: 0,
        left_behind: 0,
        survivors: 0,
        layers: Vec::new(),
    }
}

fn outcome(report: Report) -> Outcome {
    let named = |name: &String| layer::ALL.into_iter().find(|layer| layer == name);
    Outcome {
        layers: report.layers.iter().filter_map(named).collect(),
        end: report.end,
        output: report.output,
        log_truncated: report.log_truncated,
        wall: report.wall,
        cpu: report.cpu,
        peak_memory_bytes: report.peak_memory_bytes,
        left_behind: report.left_behind,
        survivors: report.survivors,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_supervisor_that_was_stopped_is_ended_from_outside() {
        let folder = tempfile::tempdir().unwrap();
        let line = "setsid sh -c 'echo $$ > pid; exec sleep 1000' & \
                    while [ ! -s pid ]; do sleep 0.01; done; kill -STOP $PPID; sleep 1000";
        let mut spec = Spec::shell(line, folder.path().into());
        spec.env.insert("PATH".into(), "/usr/bin:/bin".into());
        spec.limits.wall = Duration::from_millis(500);
        let sandbox = Sandbox {
            overdue: Duration::from_millis(500),
            ..Sandbox::default()
        };
        let outcome = sandbox.run(spec, CancellationToken::new()).await.unwrap();
        assert_eq!(outcome.end, End::SupervisorLost);
        let pid: i32 = std::fs::read_to_string(folder.path().join("pid"))
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        assert!(
            !tree::scan()
                .iter()
                .any(|process| process.pid == pid && !process.zombie)
        );
    }
}
