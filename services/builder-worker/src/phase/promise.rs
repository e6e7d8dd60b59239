//! Tests that a phase promises: seen red without the change before it counts that they are green with it.
//!
//! Invariant: "without the change" is the base with the result's test files; where the change has none of its own,
//! the base itself.

use autopack_domain::Cause;
use autopack_git::{ChangeKind, Replaced};
use autopack_policy::integrity::is_test_file;
use autopack_policy::integrity::promise::{Broken, on_result, without_change};

use super::Job;
use super::gate::Trees;
use super::integrity::baseline;
use super::steps::run_on;
use crate::error::Stop;
use crate::pool::Pooled;
use crate::repo::Opened;
use crate::repo::baselines::Baseline;
use crate::repo::bench::Bench;
use crate::text;

/// Broken promises that are told.
const LINES: usize = 100;

/// A promise that is not kept is a failure.
pub(super) async fn check(
    job: &mut Job<'_>,
    opened: &Opened,
    bench: &mut Pooled<Bench>,
    trees: Trees<'_>,
    result: &Baseline,
) -> Result<(), Stop> {
    let promised = job.spec.gate.tests.promised.clone();
    let result = result.whole();
    let mut broken = on_result(&promised, &result);
    if broken.is_empty() {
        let before = without(job, opened, bench, trees).await?;
        broken = without_change(
            &promised,
            &result,
            before.as_ref().map(Baseline::whole).as_ref(),
        );
    }
    job.fact("promised_tests", promised.len());
    if broken.is_empty() {
        return Ok(());
    }
    let lines = text::lines(broken.iter().map(Broken::text), LINES);
    let detail = format!("the phase promises tests in `gate.tests.promised`:\n{lines}");
    Err(Stop::failed(Cause::TestPromiseBroken, detail))
}

/// The results without the change; `None`: nothing could be read, as when the tests do not build.
async fn without(
    job: &mut Job<'_>,
    opened: &Opened,
    bench: &mut Pooled<Bench>,
    trees: Trees<'_>,
) -> Result<Option<Baseline>, Stop> {
    let repo = &opened.repo;
    let changes = repo.own.list_changes(trees.base, trees.tree).await?;
    let tests = changes.iter().filter(|change| {
        std::str::from_utf8(&change.path).is_ok_and(is_test_file) && !change.new_mode.is_gitlink()
    });
    let files: Vec<Replaced> = tests
        .map(|change| Replaced {
            path: change.path.clone(),
            file: match (&change.new_oid, change.kind) {
                (_, ChangeKind::Deleted) | (None, _) => None,
                (Some(oid), _) => Some((change.new_mode, oid.clone())),
            },
        })
        .collect();
    if files.is_empty() {
        return baseline(job, opened, bench, trees).await;
    }
    let mut index = repo
        .indexes
        .take(|index| index.holds() == Some(trees.base))
        .await;
    let overlaid = repo.own.overlay(trees.base, &files, &mut index).await?;
    drop(index);
    let mark = " (the tests without the change)";
    let done = run_on(job, opened, bench, &overlaid, mark).await?;
    let reports = done.iter().map(|done| (done.index, done.report.clone()));
    let found = Baseline::of(reports, job.steps().len());
    Ok(found.has_tests().then_some(found))
}
