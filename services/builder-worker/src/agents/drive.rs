//! One agent from its start to the end of all that it started.
//!
//! Invariant: after the agent has said that it has ended it gets a grace, then SIGTERM, then SIGKILL; its whole tree is
//! gone when this returns. Dropping the future ends the tree as well.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use autopack_adapters::manifest::{Prompt, Source};
use autopack_adapters::usage::Metered;
use autopack_adapters::{Anomaly, Claim, Manifest, Parser, Report, invoke};
use autopack_sandbox::{CancellationToken, End, Outcome, Sandbox, SandboxError, Spec};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::stream::Stream;
use super::talk::Talk;

/// How often the output of an agent that is talked to is looked at.
const TALK_POLL: Duration = Duration::from_millis(20);
/// The size at which a stream stops growing.
const STREAM_BYTES: u64 = 1 << 30;

/// What is to be driven.
pub struct Drive<'a> {
    /// The adapter.
    pub manifest: &'static Manifest,
    /// Program, arguments, environment, folder, limits.
    pub spec: Spec,
    /// What the agent is to do.
    pub prompt: &'a str,
    /// A folder for the stream, outside of the one it works in.
    pub exchange: &'a Path,
    /// The file that it writes its events to, where its adapter says so.
    pub events: &'a Path,
    /// How often its output is looked at.
    pub poll: Duration,
    /// How long it may stay after its end.
    pub grace: Duration,
    /// Its version is beyond those whose events are known.
    pub newer: bool,
}

/// What is known while it runs.
#[derive(Clone, Debug)]
pub struct Told {
    /// The model that answers; empty: not told.
    pub model: String,
    /// Tokens so far.
    pub usage: Metered,
}

/// An agent that has ended.
#[derive(Debug)]
pub struct Driven {
    /// How, as the sandbox saw it.
    pub outcome: Outcome,
    /// What it said.
    pub report: Report,
    /// The raw stream.
    pub stream: PathBuf,
    /// It was asked to end after its last event.
    pub stopped: bool,
}

/// Runs the agent; `told` hears what it used so far. A pipe or file that cannot be made is an error of the sandbox.
pub async fn drive(
    sandbox: &Sandbox,
    mut this: Drive<'_>,
    cancel: CancellationToken,
    told: &watch::Sender<Option<Told>>,
) -> Result<Driven, SandboxError> {
    let manifest = this.manifest;
    let out = this.exchange.join("agent.out");
    let source = match manifest.output.source {
        Source::Stdout => out.clone(),
        Source::File => this.events.to_owned(),
    };
    this.spec.stdin = invoke::stdin(manifest, this.prompt);
    this.spec.stdout_file = Some(out);
    this.spec.limits.log_bytes = STREAM_BYTES;
    this.spec.limits.stop_grace = this.grace;
    let talk = if manifest.prompt == Prompt::Dialogue {
        let pipe = this.exchange.join("agent.in");
        Talk::open(&pipe, &mut this.spec.argv).map_err(pipe_error)?
    } else {
        Talk::none()
    };
    let folder = this.spec.cwd.to_string_lossy().into_owned();
    let parser = Parser::new(manifest, this.prompt, &folder);
    let reader = Reader {
        stream: Stream::new(source.clone(), parser),
        talk,
        poll: this.poll,
        grace: this.grace,
    };
    let (spec, newer) = (this.spec, this.newer);
    let (over, stop) = (CancellationToken::new(), CancellationToken::new());
    let program = async {
        let outcome = sandbox.run_until(spec, cancel, stop.clone()).await;
        over.cancel();
        outcome
    };
    let (outcome, report) = tokio::join!(program, reader.read(&over, &stop, told));
    let (outcome, mut report) = (outcome?, report.map_err(pipe_error)?);
    let stopped = stop.is_cancelled();
    for (seen, anomaly) in [
        (stopped, Anomaly::HungAfterEnd),
        (outcome.left_behind > 0, Anomaly::LeftProcesses),
        (newer, Anomaly::NewerVersion),
        (
            says(&report, false) && outcome.end == End::Exited(0) && !stopped,
            Anomaly::ExitSaysSuccess,
        ),
        (
            says(&report, true)
                && matches!(outcome.end, End::Exited(code) if code != 0)
                && !stopped,
            Anomaly::ExitSaysFailure,
        ),
    ] {
        if seen {
            report.note(anomaly);
        }
    }
    Ok(Driven {
        outcome,
        report,
        stream: source,
        stopped,
    })
}

fn says(report: &Report, success: bool) -> bool {
    let claim = report.claim.as_ref();
    claim.is_some_and(|claim| (*claim == Claim::Success) == success)
}

fn pipe_error(error: io::Error) -> SandboxError {
    SandboxError::InvalidSpec(format!(
        "the agent's stream cannot be made or read: {error}"
    ))
}

struct Reader {
    stream: Stream,
    talk: Talk,
    poll: Duration,
    grace: Duration,
}

impl Reader {
    /// Reads until the agent is over and nothing more is there.
    async fn read(
        mut self,
        over: &CancellationToken,
        stop: &CancellationToken,
        told: &watch::Sender<Option<Told>>,
    ) -> io::Result<Report> {
        let mut ended_at: Option<Instant> = None;
        loop {
            // Asked before the last look, so that nothing is written after it.
            let last = over.is_cancelled();
            loop {
                let mut stream = self.stream;
                let step = move || {
                    let more = stream.step();
                    (stream, more)
                };
                let (stream, more) = tokio::task::spawn_blocking(step)
                    .await
                    .map_err(io::Error::other)?;
                self.stream = stream;
                self.talk.send(&self.stream.parser.replies());
                if !more {
                    break;
                }
            }
            let so_far = self.stream.parser.so_far();
            told.send_replace(Some(Told {
                model: so_far.model,
                usage: so_far.usage,
            }));
            if last {
                return Ok(self.stream.parser.finish());
            }
            if self.stream.parser.has_ended() {
                self.talk.close();
                let since = *ended_at.get_or_insert_with(Instant::now);
                if since.elapsed() >= self.grace {
                    stop.cancel();
                }
            } else {
                ended_at = None;
            }
            let pause = if self.talk.is_open() {
                self.poll.min(TALK_POLL)
            } else {
                self.poll.min(self.grace)
            };
            tokio::select! {
                () = over.cancelled() => {}
                () = sleep(pause) => {}
            }
        }
    }
}
