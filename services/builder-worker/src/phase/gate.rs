//! The gate: the phase's steps on a checkout of one tree.
//!
//! Invariant: what is judged is the tree object; whatever the steps write stays in the folder and cannot land. Only a
//! verdict that lands comes back as a proof.

use std::path::PathBuf;

use autopack_domain::Cause;
use autopack_domain::gate::Verdict;
use autopack_domain::plan::{StepKind, StepSpec};
use autopack_git::Oid;
use autopack_policy::gate::{StepEnd, StepResult, gate_word, timeout_verdict, verdict};

use super::cache::{self, Cache};
use super::command::Line;
use super::{Job, ends};
use crate::confinement::Who;
use crate::error::{Failure, Stop};
use crate::pool::Pooled;
use crate::repo::Opened;
use crate::repo::bench::Bench;
use crate::text;

/// How much of the red step's output stands in the detail.
const TAIL: usize = 8 * 1024;

/// A verdict that lets a tree land.
#[derive(Debug, Clone)]
pub(crate) struct Proof {
    /// Verdict and steps, as in the trailer.
    pub(crate) word: String,
}

impl Proof {
    pub(crate) fn not_required() -> Self {
        Self {
            word: Verdict::NotRequired.word().to_owned(),
        }
    }
}

/// A step that was run, or could not be.
struct Done {
    kind: StepKind,
    run: String,
    end: StepEnd,
    output: String,
}

impl Done {
    fn timed_out(done: &[Self]) -> bool {
        done.iter().any(|done| done.end == StepEnd::TimedOut)
    }
}

/// Runs the gate on `tree`; where it times out, `base` tells whether the change or the worker is slow.
pub(crate) async fn prove(
    job: &mut Job<'_>,
    opened: &Opened,
    tree: &Oid,
    base: &Oid,
) -> Result<Proof, Stop> {
    let mut bench = opened
        .repo
        .gates
        .take(|bench| bench.work.holds().is_some())
        .await;
    let mut done = run_on(job, opened, &mut bench, tree, "").await?;
    let mut judged = judge(&done);
    if Done::timed_out(&done) && !matches!(judged, Verdict::Failed { .. }) {
        let on_base = run_on(job, opened, &mut bench, base, " (on the base)").await?;
        if Done::timed_out(&on_base) || base == tree {
            judged = timeout_verdict(false, true);
        } else {
            done = run_on(job, opened, &mut bench, tree, " (again)").await?;
            judged = judge(&done);
            if Done::timed_out(&done) && !matches!(judged, Verdict::Failed { .. }) {
                judged = timeout_verdict(true, true);
            }
        }
    }
    let word = gate_word(&judged, job.steps());
    job.evidence.gate.clone_from(&word);
    if let Verdict::Passed { tests } = &judged {
        job.evidence.tests = *tests;
        if let Some(tests) = tests {
            job.fact("tests", *tests);
        }
    }
    match failure(&judged, &done) {
        Some(failure) => Err(failure.into()),
        None => Ok(Proof { word }),
    }
}

fn judge(done: &[Done]) -> Verdict {
    let results: Vec<StepResult<'_>> = done
        .iter()
        .map(|done| StepResult {
            kind: done.kind,
            run: &done.run,
            end: done.end,
            output: &done.output,
        })
        .collect();
    verdict(&results)
}

/// Why a verdict does not let the tree land.
fn failure(verdict: &Verdict, done: &[Done]) -> Option<Failure> {
    let cause = match verdict {
        Verdict::Passed { .. } | Verdict::NotRequired => return None,
        Verdict::Failed { .. } => Cause::GateFailed,
        Verdict::Inconclusive { cause } => *cause,
    };
    let mut detail = String::new();
    let mut raw = String::new();
    if let Some(last) = done.last() {
        detail = format!(
            "`{}`: {}\n",
            text::head(&last.run, 500),
            ends::end_text(last.end)
        );
        raw = text::tail(&last.output, TAIL);
    }
    match verdict {
        Verdict::Failed { ids } if !ids.is_empty() => {
            detail.push_str("failing tests:\n");
            detail.push_str(&text::lines(ids.iter().map(|id| format!("  {id}")), 50));
            detail.push('\n');
        }
        Verdict::Inconclusive { .. } => {
            detail.push_str(cause.text());
            detail.push('\n');
        }
        Verdict::Failed { .. } | Verdict::Passed { .. } | Verdict::NotRequired => {}
    }
    if !raw.trim().is_empty() {
        detail.push_str("the end of its output:\n");
        detail.push_str(&raw);
    }
    Some(Failure::new(cause, detail).with_raw(raw))
}

/// Checks the tree out and runs set-up and steps, up to the first that did not end well.
async fn run_on(
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
    for step in job.steps().to_vec() {
        let result = run_step(job, bench, &cache, &step, Who::Gate, mark).await?;
        let well = result.end == StepEnd::Exited(0);
        done.push(result);
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
    let Some(cwd) = folder(bench, &step.dir) else {
        let output = format!("the folder `{}` does not exist in the tree\n", step.dir);
        job.print(&heading, &output);
        return Ok(Done {
            kind: step.kind,
            run: step.run.clone(),
            end: StepEnd::NotFound,
            output,
        });
    };
    let extra = cache.env(&step.env);
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
    Ok(Done {
        kind: step.kind,
        run: step.run.clone(),
        end,
        output,
    })
}

/// A step's folder; `None` if it is not one, or lies outside of the checkout.
fn folder(bench: &Bench, dir: &str) -> Option<PathBuf> {
    let root = bench.tree().canonicalize().ok()?;
    let folder = root.join(dir).canonicalize().ok()?;
    (folder.starts_with(&root) && folder.is_dir()).then_some(folder)
}
