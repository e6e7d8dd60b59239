//! What a gate's tests are worth: flaky ones run again, the others compared with those of the base.
//!
//! Invariant: a step turns green only by a run of the same tree that ends well, or, where the plan allows known
//! failures, by a run of the base that shows each of them. What cannot be read is compared with nothing.

use autopack_domain::Cause;
use autopack_domain::gate::Verdict;
use autopack_domain::issue::{MAX_KEY, NewIssue, Severity};
use autopack_domain::plan::KnownFailures;
use autopack_domain::quarantine;
use autopack_git::ChangeKind;
use autopack_policy::integrity::bodies::MAX_FILE;
use autopack_policy::integrity::compare::MAX_LISTED;
use autopack_policy::integrity::{Compared, Weakened, What, any_matches, compare, emptied, flaky};
use autopack_policy::report::{Outcome, Reading};
use serde_json::json;

use super::gate::Trees;
use super::steps::{Done, judge, run_on};
use super::{Job, promise, settle};
use crate::error::{Failure, Stop};
use crate::pool::Pooled;
use crate::repo::Opened;
use crate::repo::baselines::{Baseline, Key};
use crate::repo::bench::Bench;
use crate::text;

/// Changed files whose tests are compared by their text.
const MAX_TEXTS: usize = 50;
/// Flaky tests that are told as issues.
const MAX_ISSUES: usize = 5;
/// Longest artifact with the results of tests, in bytes.
const MAX_RESULTS: usize = 1024 * 1024;

/// What was found out beside the verdict.
#[derive(Default)]
pub(super) struct Known {
    /// Tests that are red on the base as well, as a run of it has shown.
    pub(super) failures: Vec<String>,
    /// Lines for whoever builds next.
    pub(super) notes: Vec<String>,
}

/// A red gate: flaky tests get another run, and failures that the base has are told.
pub(super) async fn look_again(
    job: &mut Job<'_>,
    opened: &Opened,
    bench: &mut Pooled<Bench>,
    trees: Trees<'_>,
    (mut done, mut judged): (Vec<Done>, Verdict),
    known: &mut Known,
) -> Result<(Vec<Done>, Verdict), Stop> {
    let rules = job.spec.gate.tests.clone();
    let Some(at) = done.iter().position(has_red_tests) else {
        return Ok((done, judged));
    };
    let red: Vec<String> = red_ids(&done[at]);
    let base = if rules.integrity && trees.base != trees.tree {
        baseline(job, opened, bench, trees).await?
    } else {
        None
    };
    let of_base = |step: &Done| {
        base.as_ref()
            .and_then(|base| base.of_done(step.index))
            .cloned()
    };
    let now = job.cx.now();
    let seen = quarantine::of_facts(&job.run.facts);
    let reruns = flaky::reruns(&red, of_base(&done[at]).as_ref(), &rules, &seen, now);
    for _ in 0..reruns {
        let again = run_on(job, opened, bench, trees.tree, " (again)").await?;
        let second = judge(&again);
        if second.lands() {
            note_flaky(job, &done, &again);
            return Ok((again, second));
        }
        let is_red = matches!(second, Verdict::Failed { .. });
        if !is_red {
            break;
        }
        (done, judged) = (again, second);
    }
    for entry in flaky::ended(&red, &rules.quarantine, now) {
        let note = format!("the quarantine of {} ended with {}", entry.id, entry.until);
        known.notes.push(note);
    }
    let mut broken = Vec::new();
    for step in done.iter().filter(|step| has_red_tests(step)) {
        let (Some(result), Some(base)) = (&step.report, of_base(step)) else {
            broken.extend(red_ids(step));
            continue;
        };
        let compared = compare(&base, result, &rules);
        known.failures.extend(compared.known_failures);
        broken.extend(compared.broken);
    }
    if !known.failures.is_empty() {
        job.fact("known_failures", known.failures.clone());
    }
    let only_known = rules.known_failures == KnownFailures::Allow
        && broken.is_empty()
        && !known.failures.is_empty()
        && excused(&done);
    if only_known {
        judged = Verdict::Passed { tests: ran(&done) };
    }
    Ok((done, judged))
}

/// Whether nothing is red but test steps whose failing tests all have names.
fn excused(done: &[Done]) -> bool {
    done.iter().all(|step| {
        let alone = judge(std::slice::from_ref(step));
        let named = step.report.as_ref().is_some_and(|read| {
            read.problem.is_none() && read.ids(Outcome::Failed).count() < MAX_LISTED
        });
        alone.lands() || (has_red_tests(step) && named)
    })
}

/// A green gate: nothing that proved the base may be missing, and what the phase promises must be kept.
pub(super) async fn check(
    job: &mut Job<'_>,
    opened: &Opened,
    bench: &mut Pooled<Bench>,
    trees: Trees<'_>,
    done: &[Done],
    known: &mut Known,
) -> Result<(), Stop> {
    let rules = job.spec.gate.tests.clone();
    let mine = Baseline::of(
        done.iter().map(|d| (d.index, d.report.clone())),
        job.steps().len(),
    );
    if rules.integrity && trees.base != trees.tree && mine.has_tests() {
        let base = baseline(job, opened, bench, trees).await?;
        if let Some(base) = base {
            let mut all = Compared::default();
            for (before, after) in base.pairs(&mine) {
                let compared = compare(before, after, &rules);
                all.weakened.extend(compared.weakened);
                all.mended.extend(compared.mended);
                all.added += compared.added;
                all.declared += compared.declared;
            }
            all.weakened
                .extend(emptied_tests(job, opened, trees, &base, &mine).await?);
            job.fact("tests_added", all.added);
            job.fact("tests_mended", all.mended.len());
            job.fact("tests_weakened_by_leave", all.declared);
            if !all.weakened.is_empty() {
                keep(job, done).await;
                job.fact("tests_weakened", all.weakened.len());
                return Err(weakened(&all.weakened).into());
            }
        }
    }
    if !rules.promised.is_empty() && !trees.is_second {
        promise::check(job, opened, bench, trees, &mine).await?;
    }
    if known.failures.is_empty() && mine.has_tests() {
        let key = Key::of(trees.tree, &job.spec.gate);
        opened.repo.baselines.remember(key, mine);
    }
    Ok(())
}

/// The base's own results: remembered, or made by a run; `None`: the second gate does not run for them.
pub(super) async fn baseline(
    job: &mut Job<'_>,
    opened: &Opened,
    bench: &mut Pooled<Bench>,
    trees: Trees<'_>,
) -> Result<Option<Baseline>, Stop> {
    let key = Key::of(trees.base, &job.spec.gate);
    if let Some(found) = opened.repo.baselines.get(&key) {
        job.fact("baseline", "remembered");
        return Ok(Some(found));
    }
    if trees.is_second {
        return Ok(None);
    }
    let done = run_on(job, opened, bench, trees.base, " (on the base)").await?;
    let reports = done.iter().map(|done| (done.index, done.report.clone()));
    let found = Baseline::of(reports, job.steps().len());
    job.fact("baseline", "run");
    // What a time-out or a failed set-up left out may be there the next time.
    if !matches!(judge(&done), Verdict::Inconclusive { .. }) {
        opened.repo.baselines.remember(key, found.clone());
    }
    Ok(Some(found))
}

/// Tests whose text asserted something on the base and does not any more.
async fn emptied_tests(
    job: &Job<'_>,
    opened: &Opened,
    trees: Trees<'_>,
    base: &Baseline,
    mine: &Baseline,
) -> Result<Vec<Weakened>, Stop> {
    let own = &opened.repo.own;
    let changes = own.list_changes(trees.base, trees.tree).await?;
    let mut found = Vec::new();
    let texts = changes
        .iter()
        .filter(|change| change.kind == ChangeKind::Modified)
        .filter_map(|change| Some((std::str::from_utf8(&change.path).ok()?, change)));
    for (path, change) in texts.take(MAX_TEXTS) {
        let (Some(old), Some(new)) = (&change.old_oid, &change.new_oid) else {
            continue;
        };
        if !change.new_mode.is_file() {
            continue;
        }
        let old = own.read_blob(old, MAX_FILE + 1).await?.bytes;
        let new = own.read_blob(new, MAX_FILE + 1).await?.bytes;
        let (Ok(old), Ok(new)) = (String::from_utf8(old), String::from_utf8(new)) else {
            continue;
        };
        for name in emptied(path, &old, &new) {
            let ids = base.ids_named(&name).filter(|id| mine.has(id));
            found.extend(ids.map(str::to_owned));
        }
    }
    found.sort();
    found.dedup();
    let allowed = &job.spec.gate.tests.may_empty;
    let bad = found.into_iter().filter(|id| !any_matches(allowed, id));
    Ok(bad
        .map(|id| Weakened {
            id,
            what: What::Emptied,
        })
        .collect())
}

fn weakened(tests: &[Weakened]) -> Failure {
    let line = |test: &Weakened| {
        format!(
            "{}: {} (`gate.tests.{}` would allow it)",
            test.id,
            test.what.text(),
            test.what.rule()
        )
    };
    let lines = text::lines(tests.iter().map(line), MAX_LISTED);
    let detail =
        format!("the gate is green, and its tests prove less than those of the base:\n{lines}");
    Failure::new(Cause::TestsWeakened, detail)
}

/// Two outcomes on one tree: the tests are flaky, which the run remembers and people are told.
fn note_flaky(job: &mut Job<'_>, red: &[Done], green: &[Done]) {
    let mut ids = Vec::new();
    for red in red {
        let again = green.iter().find(|done| done.index == red.index);
        if let (Some(red), Some(green)) = (&red.report, again.and_then(|a| a.report.as_ref())) {
            ids.extend(flaky::evidence(red, green));
        }
    }
    ids.truncate(quarantine::MAX_QUARANTINED);
    let names = text::lines(ids.iter().cloned(), MAX_ISSUES);
    job.warn(format!("red and then green on the same tree: {names}"));
    for id in ids.iter().take(MAX_ISSUES) {
        let key: String = format!("flaky__{id}").chars().take(MAX_KEY).collect();
        job.evidence.issues.push(NewIssue {
            key: key.trim().to_owned(),
            severity: Severity::Minor,
            source: "gate".to_owned(),
            category: "flaky_test".to_owned(),
            description: format!("{id} was red and then green on the same tree"),
            evidence: Vec::new(),
            paths: Vec::new(),
        });
    }
    if !ids.is_empty() {
        job.fact(quarantine::ATTEMPT_FACT, ids);
    }
}

/// Keeps the results of all tests as an artifact.
pub(super) async fn keep(job: &mut Job<'_>, done: &[Done]) {
    let read = done.iter().filter(|step| step.report.is_some());
    let steps: Vec<serde_json::Value> = read
        .map(|step| json!({ "run": step.run, "report": step.report }))
        .collect();
    if steps.is_empty() {
        return;
    }
    let whole = json!({ "schema": "autopack/tests/v1", "steps": steps }).to_string();
    let text = job.cx.redactor.redact(&whole);
    if text.len() > MAX_RESULTS {
        job.warn("the results of the tests are too long to be kept");
        return;
    }
    if let Some(kept) = settle::put(job, "tests", text.into_bytes()).await {
        job.evidence
            .kept
            .retain(|artifact| artifact.name != kept.name);
        job.evidence.kept.push(kept);
    }
}

fn has_red_tests(step: &Done) -> bool {
    step.report
        .as_ref()
        .is_some_and(|read| read.ids(Outcome::Failed).next().is_some())
}

fn red_ids(step: &Done) -> Vec<String> {
    let reports = step.report.iter();
    let ids = reports.flat_map(|read| read.ids(Outcome::Failed));
    ids.map(str::to_owned).collect()
}

fn ran(done: &[Done]) -> Option<u64> {
    let counts = done
        .iter()
        .filter_map(|step| step.report.as_ref().map(Reading::counts));
    counts
        .map(|counts| counts.passed.saturating_add(counts.failed))
        .reduce(u64::saturating_add)
}
