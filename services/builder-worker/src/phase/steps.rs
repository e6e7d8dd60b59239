//! The steps of a gate, run on a checkout of one tree.
//!
//! Invariant: a set-up that failed ends the run; a red step does too, unless known failures are allowed, where every
//! step has to be seen.

use std::path::PathBuf;

use autopack_domain::gate::Verdict;
use autopack_domain::plan::{KnownFailures, StepKind, StepSpec};
use autopack_git::Oid;
use autopack_policy::gate::order::affected_first;
use autopack_policy::gate::{StepEnd, StepResult, verdict};
use autopack_policy::report::Reading;

use super::cache::{self, Cache};
use super::command::Line;
use super::reports::Expected;
use super::{Job, ends};
use crate::confinement::Who;
use crate::error::Stop;
use crate::pool::Pooled;
use crate::repo::Opened;
use crate::repo::bench::Bench;

/// A step that was run, or could not be.
pub(super) struct Done {
    /// Its place among the gate's steps; `None`: it belongs to the set-up.
    pub(super) index: Option<usize>,
    pub(super) kind: StepKind,
    pub(super) run: String,
    pub(super) end: StepEnd,
    pub(super) output: String,
    pub(super) report: Option<Reading>,
}

impl Done {
    pub(super) fn timed_out(done: &[Self]) -> bool {
        done.iter().any(|done| done.end == StepEnd::TimedOut)
    }

    /// It ran to its end, and is a red test step.
    fn is_red_test(&self) -> bool {
        self.kind == StepKind::Test && matches!(self.end, StepEnd::Exited(code) if code != 0)
    }
}

pub(super) fn judge(done: &[Done]) -> Verdict {
    let results: Vec<StepResult<'_>> = done
        .iter()
        .map(|done| StepResult {
            kind: done.kind,
            run: &done.run,
            end: done.end,
            output: &done.output,
            report: done.report.as_ref(),
        })
        .collect();
    verdict(&results)
}

/// Checks the tree out and runs set-up and steps, up to the first that did not end well.
pub(super) async fn run_on(
    job: &mut Job<'_>,
    opened: &Opened,
    bench: &mut Pooled<Bench>,
    tree: &Oid,
    mark: &str,
) -> Result<Vec<Done>, Stop> {
    let lease = job.lease;
    let cache = lease
        .guard(cache::prepare(job, opened, bench, tree))
        .await?;
    let mut done = Vec::new();
    if !cache.set_up_done {
        for step in &job.spec.gate.setup {
            let mark = format!("{mark} (set-up)");
            let result = run_step(job, bench, &cache, step, Who::SetUp, &mark).await?;
            if result.end != StepEnd::Exited(0) {
                done.push(Done {
                    end: StepEnd::SetupFailed,
                    ..result
                });
                return Ok(done);
            }
        }
        cache.mark_set_up(bench).await;
    }
    let steps = job.steps().to_vec();
    let order = if cache.is_inferred() {
        affected_first(&steps, &job.evidence.changed_paths())
    } else {
        (0..steps.len()).collect()
    };
    let goes_on = job.spec.gate.tests.known_failures == KnownFailures::Allow;
    for index in order {
        let result = run_step(job, bench, &cache, &steps[index], Who::Gate, mark).await?;
        let well = result.end == StepEnd::Exited(0) || (goes_on && result.is_red_test());
        done.push(Done {
            index: Some(index),
            ..result
        });
        if !well {
            break;
        }
    }
    Ok(done)
}

async fn run_step(
    job: &mut Job<'_>,
    bench: &mut Pooled<Bench>,
    cache: &Cache,
    step: &StepSpec,
    who: Who,
    mark: &str,
) -> Result<Done, Stop> {
    let heading = format!("{}{mark}", step.run);
    let done = |end, output: String, report| Done {
        index: None,
        kind: step.kind,
        run: step.run.clone(),
        end,
        output,
        report,
    };
    let Some(cwd) = folder(bench, &step.dir) else {
        let output = format!("the folder `{}` does not exist in the tree\n", step.dir);
        job.print(&heading, &output);
        return Ok(done(StepEnd::NotFound, output, None));
    };
    let mut extra = cache.env(&step.env);
    let expected = Expected::before(bench, step, &mut extra);
    let line = Line {
        run: &step.run,
        cwd,
        env: job
            .cx
            .env(&bench.home(), &bench.tmp(), &cache.passthrough, &extra),
        timeout_seconds: step.timeout_seconds,
        confine: job
            .cx
            .config
            .confinement
            .of(&job.cx.host, bench, who, cache.folder(), &[]),
        bytes_before: cache.bytes_before,
    };
    let spec = line.within(&job.spec.limits, bench);
    let outcome = job.cx.sandbox.run(spec, job.lease.cancel.clone()).await?;
    if outcome.survivors > 0 {
        bench.retire();
    }
    let output = outcome.output.text();
    let end = ends::step_end(&outcome.end)?;
    job.print(&heading, &output);
    if end != StepEnd::Exited(0) {
        job.print("", &format!("[{}]\n", ends::end_text(end)));
    }
    job.fact("gate_layers", outcome.layers);
    let report = match (step.kind, end) {
        (StepKind::Test, StepEnd::Exited(_)) => expected.after(step, output.clone()).await,
        _ => None,
    };
    Ok(done(end, output, report))
}

/// A step's folder; `None` if it is not one, or lies outside of the checkout.
fn folder(bench: &Bench, dir: &str) -> Option<PathBuf> {
    let root = bench.tree().canonicalize().ok()?;
    let folder = root.join(dir).canonicalize().ok()?;
    (folder.starts_with(&root) && folder.is_dir()).then_some(folder)
}
