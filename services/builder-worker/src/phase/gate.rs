//! The gate: the phase's steps on a checkout of one tree.
//!
//! Invariant: what is judged is the tree object; whatever the steps write stays in the folder and cannot land. Only a
//! verdict that lands, of tests that the change has not weakened, comes back as a proof.

use autopack_domain::Cause;
use autopack_domain::gate::Verdict;
use autopack_git::Oid;
use autopack_policy::gate::packet::{Packet, RedTest, render};
use autopack_policy::gate::{StepEnd, gate_word, timeout_verdict};
use autopack_policy::report::Outcome;

use super::integrity::{self, Known};
use super::steps::{Done, judge, run_on};
use super::{Job, ends};
use crate::error::{Failure, Stop};
use crate::repo::Opened;
use crate::text;

/// How much of the red step's output is kept for its class.
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

/// Which trees a gate is about.
#[derive(Clone, Copy)]
pub(super) struct Trees<'a> {
    /// The one that is judged.
    pub(super) tree: &'a Oid,
    /// The one that it was made from, or is to be merged into.
    pub(super) base: &'a Oid,
    /// The gate before this one has compared the tests with those of the base already.
    pub(super) is_second: bool,
}

/// Runs the gate on a tree; where it times out, the base tells whether the change or the worker is slow.
pub(super) async fn prove(
    job: &mut Job<'_>,
    opened: &Opened,
    trees: Trees<'_>,
) -> Result<Proof, Stop> {
    let Trees { tree, base, .. } = trees;
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
    let mut known = Known::default();
    if matches!(judged, Verdict::Failed { .. }) {
        let red = (done, judged);
        (done, judged) =
            integrity::look_again(job, opened, &mut bench, trees, red, &mut known).await?;
    }
    let mut word = gate_word(&judged, job.steps());
    if judged.lands() && !known.failures.is_empty() {
        word = format!("{word}; {} known failures", known.failures.len());
    }
    job.evidence.gate.clone_from(&word);
    if let Verdict::Passed { tests } = &judged {
        job.evidence.tests = *tests;
        if let Some(tests) = tests {
            job.fact("tests", *tests);
        }
        integrity::check(job, opened, &mut bench, trees, &done, &mut known).await?;
    }
    integrity::keep(job, &done).await;
    match failure(job, &judged, &done, &known) {
        Some(failure) => Err(failure.into()),
        None => Ok(Proof { word }),
    }
}

/// Why a verdict does not let the tree land.
fn failure(job: &Job<'_>, verdict: &Verdict, done: &[Done], known: &Known) -> Option<Failure> {
    let cause = match verdict {
        Verdict::Passed { .. } | Verdict::NotRequired => return None,
        Verdict::Failed { .. } => Cause::GateFailed,
        Verdict::Inconclusive { cause } => *cause,
    };
    let red = done.iter().find(|done| done.end != StepEnd::Exited(0));
    let Some(step) = red.or(done.last()) else {
        return Some(Failure::new(cause, cause.text()));
    };
    let spec = step.index.and_then(|index| job.steps().get(index));
    let mut packet = Packet {
        run: &step.run,
        end: ends::end_text(step.end),
        changed: job.evidence.changed.clone(),
        output: &step.output,
        notes: known.notes.clone(),
        ..Packet::default()
    };
    if let Some(spec) = spec {
        packet.dir = &spec.dir;
        packet.env = spec
            .env
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
    }
    match verdict {
        Verdict::Failed { ids } => {
            packet.red = ids.iter().map(|id| known.red_test(done, id)).collect();
        }
        Verdict::Inconclusive { .. } => {
            packet.notes.insert(0, cause.text().to_owned());
            let problem = step.report.as_ref().and_then(|read| read.problem.clone());
            packet.notes.extend(problem);
        }
        Verdict::Passed { .. } | Verdict::NotRequired => {}
    }
    let raw = text::tail(&step.output, TAIL);
    Some(Failure::new(cause, render(&packet)).with_raw(raw))
}

impl Known {
    fn red_test(&self, done: &[Done], id: &str) -> RedTest {
        let mut tests = done
            .iter()
            .filter_map(|done| done.report.as_ref())
            .flat_map(|reading| &reading.tests);
        let found = tests.find(|test| test.outcome == Outcome::Failed && test.id == id);
        let is_known = self.failures.iter().any(|known| known == id);
        RedTest {
            id: id.to_owned(),
            message: found.map_or_else(String::new, |test| test.message.clone()),
            note: if is_known {
                "red on the base as well".to_owned()
            } else {
                String::new()
            },
        }
    }
}
