//! The agent builder: a coding agent in a plain folder with a throwaway repository, driven by its adapter.
//!
//! Invariant: what the agent says about its end is recorded as its claim. A claimed failure fails the attempt; a claimed
//! success only lets its work be judged.

mod prompt;
mod settle;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use autopack_adapters::probe::{Probe, Verdict};
use autopack_adapters::{Claim, Manifest, invoke};
use autopack_domain::Cause;
use autopack_domain::plan::AgentSpec;
use autopack_git::{Oid, OwnClone};
use autopack_sandbox::{End, Spec};
use tokio::sync::watch;

use super::agent::{Files, confine, prepare, read_issues, snapshot, worker_error};
use super::build::Candidate;
use super::command::within;
use super::usage::Book;
use super::{Job, millis};
use crate::agents::{self, Drive, Driven, Told, drive};
use crate::error::{Failure, Stop};
use crate::repo::Opened;
use crate::repo::bench::{Bench, blocking};
use crate::tools;

/// Runs the agent and takes its change set.
pub(super) async fn build(
    job: &mut Job<'_>,
    opened: &Opened,
    base: &Oid,
    agent: &AgentSpec,
) -> Result<Candidate, Stop> {
    let repo = &opened.repo;
    let mut bench = repo
        .builds
        .take(|bench| bench.work.holds() == Some(base))
        .await;
    prepare(job, &repo.own, &mut bench, base).await?;
    let files = Files::write(job, &bench).await?;
    let prompt = prompt::write(job, &bench, &files, agent).await?;
    let start = start(job, &bench, &repo.own, &files, agent, &prompt).await?;
    let started = format!("{} ({})", start.spec.argv.join(" "), start.manifest.title);
    let (told, hear) = watch::channel(None);
    let this = Drive {
        manifest: start.manifest,
        spec: start.spec,
        prompt: &prompt.text,
        exchange: &bench.exchange(),
        events: &prompt.events,
        poll: job.cx.config.usage_poll,
        grace: job.cx.config.agent_grace,
        newer: start.newer,
    };
    let driving = async {
        let driven = drive(&job.cx.sandbox, this, job.lease.cancel.clone(), &told).await;
        drop(told);
        driven
    };
    let (driven, book) = tokio::join!(driving, booking(job, start.manifest, agent, hear));
    read_issues(job, &files.issues).await;
    let driven = driven?;
    if driven.outcome.survivors > 0 {
        bench.retire();
        let text = "processes of the agent could not be killed; its folder is not used again";
        job.warn(format!("{} {text}", driven.outcome.survivors));
    }
    note(job, &started, &driven);
    settle::stream(job, &driven).await;
    let refused = settle::usage(
        job,
        start.manifest,
        agent,
        &driven.report,
        &prompt.text,
        book,
    );
    let failure = failure(job, agent, start.manifest, &driven, &bench).or(refused);
    // Whatever the agent left is kept by the attempt's own reference, also after a failure or a cancel.
    let taken = snapshot(job, &repo.own, &mut bench, base).await;
    if job.lease.cancel.is_cancelled() {
        return Err(Stop::Interrupted);
    }
    match failure {
        Some(failure) => Err(failure.into()),
        None => taken,
    }
}

/// What is to be started.
struct Start {
    manifest: &'static Manifest,
    spec: Spec,
    newer: bool,
}

async fn start(
    job: &mut Job<'_>,
    bench: &Bench,
    own_clone: &OwnClone,
    files: &Files,
    agent: &AgentSpec,
    prompt: &prompt::Prompt,
) -> Result<Start, Stop> {
    let manifest = Manifest::of(agent.adapter);
    let program = agents::program(agent);
    let in_tree = |path: &str| bench.tree().join(path).exists();
    if let Some(missing) = tools::missing(program, "", job.cx.host.path(), in_tree) {
        let text = format!("`{missing}` is neither on the worker's PATH nor in the repository");
        return Err(Stop::failed(Cause::BuilderNotFound, text));
    }
    let probe = probe(job, bench, manifest, program).await;
    let newer = match probe.judge(manifest) {
        Verdict::Usable { newer, .. } => newer,
        Verdict::Refused(why) => {
            let text = format!("{why}; install another version, or name one by `builder.program`");
            return Err(Stop::failed(Cause::BuilderNotFound, text));
        }
    };
    let shown = |path: &Path| path.to_string_lossy().into_owned();
    let (prompt_file, events) = (shown(&prompt.file), shown(&prompt.events));
    let (home, folder) = (shown(&bench.home()), shown(&bench.tree()));
    let session = job.attempt.uid.to_string();
    let request = invoke::Request {
        program: &agent.program,
        model: &agent.model,
        max_turns: agent.max_turns,
        args: &agent.args,
        prompt_file: &prompt_file,
        events_file: &events,
        home: &home,
        folder: &folder,
        session: &session,
    };
    let made = invoke::invocation(manifest, &request, &probe);
    job.fact("agent", manifest.name.clone());
    if let Some(version) = &probe.version {
        job.fact("agent_version", version.to_string());
    }
    if !made.degraded.is_empty() {
        job.fact("agent_degraded", made.degraded.clone());
    }
    // Some agents do not start unless the folder that a variable names is there.
    let own: Vec<PathBuf> = made.env.values().map(PathBuf::from).collect();
    let own = own
        .into_iter()
        .filter(|path| path.starts_with(bench.home()));
    let folders: Vec<PathBuf> = own.collect();
    blocking(move || folders.iter().try_for_each(std::fs::create_dir_all))
        .await
        .map_err(worker_error)?;
    let mut extra = made.env;
    extra.extend(agent.env.clone());
    files.tell(job, &mut extra);
    let mut spec = Spec::new(made.argv, bench.tree());
    let allowed = &manifest.env.allow;
    spec.env = job.cx.env(&bench.home(), &bench.tmp(), allowed, &extra);
    spec.confine = confine(job, bench, own_clone);
    let before = bench.checkout_bytes().await;
    within(
        &mut spec,
        &job.spec.limits,
        bench,
        agent.timeout_seconds,
        before,
    );
    Ok(Start {
        manifest,
        spec,
        newer,
    })
}

/// What the program says about itself; one of the repository's own is not asked, nor is one without a question.
async fn probe(job: &Job<'_>, bench: &Bench, manifest: &Manifest, program: &str) -> Probe {
    let found: Option<PathBuf> =
        tools::find(program, job.cx.host.path()).filter(|p| p.is_absolute());
    let Some(found) = found.filter(|_| !manifest.probe.version.is_empty()) else {
        return Probe::default();
    };
    let host = &job.cx.host;
    if let Some(known) = host.known_probe(&manifest.name, &found) {
        return known;
    }
    let env = job
        .cx
        .env(&bench.home(), &bench.tmp(), &[], &BTreeMap::new());
    let asked = agents::ask(&job.cx.sandbox, manifest, &found, env, &bench.tmp()).await;
    host.keep_probe(&manifest.name, &found, asked.clone());
    asked
}

/// Books what the agent tells while it runs; ends when it has ended.
async fn booking(
    job: &Job<'_>,
    manifest: &Manifest,
    agent: &AgentSpec,
    mut hear: watch::Receiver<Option<Told>>,
) -> settle::Booked {
    let mut booked = settle::Booked {
        book: Book::default(),
        model: agent.model.clone(),
    };
    loop {
        if hear.changed().await.is_err() {
            return booked;
        }
        let told = hear.borrow_and_update().clone();
        let Some(told) = told.filter(|told| told.usage.is_known() && told.usage.total > 0) else {
            continue;
        };
        if booked.model.is_empty() {
            booked.model = told.model;
        }
        let usage = told.usage.usage(&manifest.provider, &booked.model);
        let grown = booked.book.increments(&[usage]);
        if grown.is_empty() {
            continue;
        }
        // What was sent counts as booked even if no answer came: it must never be booked twice.
        let call = job.cx.ports.registry.record_usage(job.lease.held, &grown);
        if let Err(error) = call.await {
            tracing::warn!(%error, "usage may not have been booked");
        }
    }
}

fn note(job: &mut Job<'_>, started: &str, driven: &Driven) {
    let outcome = &driven.outcome;
    job.print(started, &outcome.output.text());
    job.fact("layers", outcome.layers.clone());
    job.fact("left_behind", outcome.left_behind);
    job.fact("builder_cpu_ms", millis(outcome.cpu));
    job.fact("builder_peak_memory", outcome.peak_memory_bytes);
    let claim = driven.report.claim.as_ref();
    job.fact("agent_claim", claim.map_or("none", Claim::name));
    if !driven.report.anomalies.is_empty() {
        let names = driven
            .report
            .anomalies
            .iter()
            .map(|anomaly| anomaly.as_str());
        job.fact("agent_anomalies", names.collect::<Vec<_>>());
    }
    if !driven.report.session.is_empty() {
        job.fact("agent_session", driven.report.session.clone());
    }
}

/// Why the attempt fails whatever the agent left; `None`: its work is judged.
fn failure(
    job: &Job<'_>,
    agent: &AgentSpec,
    manifest: &Manifest,
    driven: &Driven,
    bench: &Bench,
) -> Option<Failure> {
    let (outcome, report) = (&driven.outcome, &driven.report);
    let natural = matches!(outcome.end, End::Exited(_) | End::Signalled(_));
    if manifest.skips_permissions
        && natural
        && !["supervisor", "no-new-privs"]
            .iter()
            .all(|layer| outcome.layers.contains(layer))
    {
        let text = "the agent skips its own permission prompts, and the sandbox was not on";
        return Some(Failure::new(Cause::WorkerError, text.to_owned()));
    }
    let in_tree = |path: &str| bench.tree().join(path).exists();
    let missing = tools::missing(agents::program(agent), "", job.cx.host.path(), in_tree);
    let failure = settle::failure(manifest, driven, agent.timeout_seconds, missing)
        .map(|(cause, words)| settle::with_output(cause, &words, report, &outcome.output.text()));
    settle::paused(job, manifest, failure)
}
