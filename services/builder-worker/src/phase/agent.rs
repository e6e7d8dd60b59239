//! The command builder: a program in a plain folder with a throwaway repository.
//!
//! Invariant: the program sees the tip's files, a scrubbed environment and files of its own; what it leaves is read by
//! our git alone, after everything it started has ended.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use autopack_domain::Cause;
use autopack_git::{Oid, OwnClone, SnapshotError, Throwaway, ThrowawayObjects, utf8_path};
use autopack_policy::govern::missing_deliverables;
use autopack_policy::scope::has_glob;
use autopack_sandbox::{CancellationToken, Confine, End, Outcome, Spec};
use tokio::time::sleep;

use super::build::Candidate;
use super::command::Line;
use super::usage::{self, Book};
use super::{Job, ends, goal, issues};
use crate::confinement::Who;
use crate::error::{Failure, Stop};
use crate::pool::Pooled;
use crate::repo::Opened;
use crate::repo::bench::{Bench, blocking};
use crate::{text, tools};

/// The plan's command.
pub(crate) struct Command<'a> {
    pub(crate) run: &'a str,
    pub(crate) env: &'a BTreeMap<String, String>,
    pub(crate) timeout_seconds: u32,
}

/// How much of the output's end stands in the detail of a failure.
const TAIL: usize = 6 * 1024;

/// Runs the program and takes its change set.
pub(crate) async fn build(
    job: &mut Job<'_>,
    opened: &Opened,
    base: &Oid,
    command: Command<'_>,
) -> Result<Candidate, Stop> {
    let repo = &opened.repo;
    let mut bench = repo
        .builds
        .take(|bench| bench.work.holds() == Some(base))
        .await;
    prepare(job, &repo.own, &mut bench, base).await?;
    let files = Files::write(job, &bench).await?;
    let spec = spec(job, &bench, &repo.own, &files, &command).await;
    let (outcome, book) = run(job, spec, &files.usage).await;
    read_usage(job, &files.usage, book).await;
    read_issues(job, &files.issues).await;
    let outcome = outcome?;
    if outcome.survivors > 0 {
        bench.retire();
        job.warn(format!(
            "{} processes of the builder could not be killed; its folder is not used again",
            outcome.survivors
        ));
    }
    note(job, &command, &outcome);
    let failure = failure(job, &command, &outcome, &bench);
    // Whatever the program left is kept by the attempt's own reference, also after a failure or a cancel.
    let taken = snapshot(job, &repo.own, &mut bench, base).await;
    if outcome.end == End::Cancelled || job.lease.cancel.is_cancelled() {
        return Err(Stop::Interrupted);
    }
    match failure {
        Some(failure) => Err(failure.into()),
        None => taken,
    }
}

pub(super) async fn prepare(
    job: &Job<'_>,
    own: &OwnClone,
    bench: &mut Pooled<Bench>,
    base: &Oid,
) -> Result<(), Stop> {
    let message = format!("Base of {}\n", job.spec.id);
    let work = async {
        bench.reset().await.map_err(worker_error)?;
        own.checkout(base, &mut bench.work, &[]).await?;
        let how = Throwaway {
            message: &message,
            time: job.cx.seconds(),
            objects: ThrowawayObjects::Shared,
        };
        own.init_throwaway(&bench.work, how).await?;
        Ok::<_, Stop>(())
    };
    job.lease.guard(work).await
}

/// Files between host and program, outside of the checkout.
pub(super) struct Files {
    goal: PathBuf,
    previous: PathBuf,
    usage: PathBuf,
    pub(super) issues: PathBuf,
    /// What the phase must achieve, for the builder.
    pub(super) goal_text: String,
}

impl Files {
    pub(super) async fn write(job: &Job<'_>, bench: &Bench) -> Result<Self, Stop> {
        let folder = bench.exchange();
        let previous = goal::previous_failure(&job.leased.previous);
        let goal = goal::goal(&job.run.goal, job.spec, job.attempt.number, &previous);
        let files = Self {
            goal: folder.join("goal.md"),
            previous: folder.join("previous-failure.txt"),
            usage: folder.join("usage.json"),
            issues: folder.join("issues.jsonl"),
            goal_text: goal.clone(),
        };
        let (goal_file, previous_file) = (files.goal.clone(), files.previous.clone());
        let write = move || {
            std::fs::write(goal_file, goal)?;
            std::fs::write(previous_file, previous)
        };
        blocking(write).await.map_err(worker_error)?;
        Ok(files)
    }

    /// Tells the builder by its environment where they are, and what it builds.
    pub(super) fn tell(&self, job: &Job<'_>, env: &mut BTreeMap<String, String>) {
        let shown = |path: &Path| path.to_string_lossy().into_owned();
        for (name, value) in [
            ("AUTOPACK_RUN_ID", job.run.id.to_string()),
            ("AUTOPACK_PHASE_ID", job.spec.id.to_string()),
            ("AUTOPACK_ATTEMPT", job.attempt.number.to_string()),
            ("AUTOPACK_GOAL_FILE", shown(&self.goal)),
            ("AUTOPACK_PREVIOUS_FAILURE_FILE", shown(&self.previous)),
            ("AUTOPACK_USAGE_FILE", shown(&self.usage)),
            ("AUTOPACK_ISSUES_FILE", shown(&self.issues)),
        ] {
            env.insert(name.to_owned(), value);
        }
    }
}

/// What a builder may touch: it needs the objects of our clone for its own history.
pub(super) fn confine(job: &Job<'_>, bench: &Bench, own: &OwnClone) -> Confine {
    let confinement = &job.cx.config.confinement;
    confinement.of(
        &job.cx.host,
        bench,
        Who::Builder,
        &[],
        &[own.dir().join("objects")],
    )
}

async fn spec(
    job: &Job<'_>,
    bench: &Bench,
    own: &OwnClone,
    files: &Files,
    command: &Command<'_>,
) -> Spec {
    let mut env = command.env.clone();
    files.tell(job, &mut env);
    let line = Line {
        run: command.run,
        cwd: bench.tree(),
        env: job.cx.env(&bench.home(), &bench.tmp(), &[], &env),
        timeout_seconds: command.timeout_seconds,
        confine: confine(job, bench, own),
        bytes_before: bench.checkout_bytes().await,
    };
    line.within(&job.spec.limits, bench)
}

/// Runs the program while its usage is booked; ends when both are done.
async fn run(job: &Job<'_>, spec: Spec, usage_file: &Path) -> (Result<Outcome, Stop>, Book) {
    let ended = CancellationToken::new();
    let program = async {
        let outcome = job.cx.sandbox.run(spec, job.lease.cancel.clone()).await;
        ended.cancel();
        outcome
    };
    let booking = async {
        let mut book = Book::default();
        loop {
            tokio::select! {
                () = ended.cancelled() => return book,
                () = sleep(job.cx.config.usage_poll) => {}
            }
            let path = usage_file.to_owned();
            let text = blocking(move || Ok(usage::read_file(&path)))
                .await
                .unwrap_or_default();
            let grown = book.increments(&usage::parse(&text, false).entries);
            if grown.is_empty() {
                continue;
            }
            // What was sent counts as booked even if no answer came: it must never be booked twice.
            let call = job.cx.ports.registry.record_usage(job.lease.held, &grown);
            if let Err(error) = call.await {
                tracing::warn!(%error, "usage may not have been booked");
            }
        }
    };
    let (outcome, book) = tokio::join!(program, booking);
    (outcome.map_err(Into::into), book)
}

/// Takes what the file says in the end; also after a failure.
async fn read_usage(job: &mut Job<'_>, usage_file: &Path, mut book: Book) {
    let path = usage_file.to_owned();
    let text = blocking(move || Ok(usage::read_file(&path)))
        .await
        .unwrap_or_default();
    let parsed = usage::parse(&text, true);
    job.evidence.usage = book.increments(&parsed.entries);
    if parsed.malformed > 0 {
        job.warn(format!(
            "{} parts of the usage file are not usage and were left out",
            parsed.malformed
        ));
        // Something was used, and nobody can say how much.
        job.evidence.usage_unknown = parsed.entries.is_empty() && book.is_empty();
    }
    if text.len() >= usage::MAX_BYTES {
        job.warn("the usage file is longer than 1 MiB; the rest was left out");
    }
    if book.shrunk {
        job.warn("the usage file was rewritten with smaller figures; the larger ones count");
    }
}

/// Takes what the builder says is wrong with its work; also after a failure.
pub(super) async fn read_issues(job: &mut Job<'_>, issues_file: &Path) {
    let path = issues_file.to_owned();
    let text = blocking(move || Ok(usage::read_file(&path)))
        .await
        .unwrap_or_default();
    let redactor = &job.cx.redactor;
    let parsed = issues::parse(&text, |text| redactor.redact(text));
    if parsed.left_out > 0 {
        job.warn(format!(
            "{} lines of the issues file are not issues, or too many, and were left out",
            parsed.left_out
        ));
    }
    job.evidence.issues.extend(parsed.issues);
}

fn note(job: &mut Job<'_>, command: &Command<'_>, outcome: &Outcome) {
    job.print(command.run, &outcome.output.text());
    job.fact("layers", outcome.layers.clone());
    job.fact("left_behind", outcome.left_behind);
    job.fact("builder_cpu_ms", super::millis(outcome.cpu));
    job.fact("builder_peak_memory", outcome.peak_memory_bytes);
}

fn failure(
    job: &Job<'_>,
    command: &Command<'_>,
    outcome: &Outcome,
    bench: &Bench,
) -> Option<Failure> {
    let in_tree = |path: &str| bench.tree().join(path).exists();
    let missing = tools::missing(command.run, "", job.cx.host.path(), in_tree);
    let (cause, words) = ends::builder_failure(&outcome.end, command.timeout_seconds, missing)?;
    let printed = outcome.output.text();
    let detail = if printed.trim().is_empty() {
        format!("{words}\nit printed nothing")
    } else {
        format!(
            "{words}\nthe end of its output:\n{}",
            text::tail(&printed, TAIL)
        )
    };
    Some(Failure::new(cause, detail).with_raw(text::tail(&printed, TAIL)))
}

/// The folder as a tree, with what has to be known about the folder itself.
pub(super) async fn snapshot(
    job: &mut Job<'_>,
    own: &OwnClone,
    bench: &mut Pooled<Bench>,
    base: &Oid,
) -> Result<Candidate, Stop> {
    let taken = match own.take_snapshot(&mut bench.work, base).await {
        Ok(taken) => taken,
        Err(SnapshotError::NestedRepository { paths }) => {
            let mut candidate = Candidate::of(base.clone());
            candidate.nested = paths
                .iter()
                .map(|path| String::from_utf8_lossy(path).into_owned())
                .collect();
            return Ok(candidate);
        }
        Err(SnapshotError::Git(error)) => return Err(error.into()),
        Err(error @ SnapshotError::ForbiddenPath { .. }) => {
            return Err(Stop::failed(Cause::PathEscape, error.to_string()));
        }
        Err(error @ SnapshotError::Unreadable { .. }) => {
            return Err(Stop::failed(Cause::BuilderFailed, error.to_string()));
        }
    };
    job.evidence.candidate = Some(taken.tree.clone());
    if !taken.populated_submodules.is_empty() {
        job.warn("the builder wrote into a submodule's folder; that is not part of the change");
    }
    let mut candidate = Candidate::of(taken.tree);
    candidate.ignored = ignored(job, own, bench, &candidate.tree).await?;
    Ok(candidate)
}

/// Deliverables that are missing in the tree because git ignores them.
async fn ignored(
    job: &Job<'_>,
    own: &OwnClone,
    bench: &Bench,
    tree: &Oid,
) -> Result<Vec<String>, Stop> {
    let declared = &job.spec.scope.deliverables;
    if declared.is_empty() {
        return Ok(Vec::new());
    }
    let paths: Vec<String> = own
        .list_paths(tree)
        .await?
        .iter()
        .filter_map(|(_, path)| utf8_path(path).ok().map(str::to_owned))
        .collect();
    let missing: Vec<PathBuf> = missing_deliverables(declared, &paths)
        .iter()
        .filter(|path| !has_glob(path))
        .map(|path| PathBuf::from(path.trim_end_matches('/')))
        .collect();
    let found = own.ignored_present(&bench.work, &missing).await?;
    Ok(found
        .into_iter()
        .map(|path| path.to_string_lossy().into_owned())
        .collect())
}

pub(super) fn worker_error(error: std::io::Error) -> Stop {
    let cause = if error.kind() == std::io::ErrorKind::StorageFull {
        Cause::DiskFull
    } else {
        Cause::WorkerError
    };
    Stop::failed(cause, format!("preparing the builder's folder: {error}"))
}
