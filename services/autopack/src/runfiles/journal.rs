//! A project's debug journal: what failed, what mends it, and what proved it; and every repair of a stored state.
//!
//! Invariant: made anew from the registry, the oldest first, so that it only grows at its end; beyond its bounds the oldest
//! entries are left out, and it says so. Texts of plans and builders cannot become Markdown or HTML.

use std::fmt::Write as _;

use autopack_domain::Cause;
use autopack_wire::{
    client::Clients,
    registry::{ListAttemptsRequest, ListRepairsRequest, ListRunsRequest, RepairRecord},
    types,
};
use tonic::Code;

use super::summary::{id, md};
use crate::{
    error::CliError,
    follow,
    output::text::{moment, named},
    view::{View, attempt_state, micros, phase_state},
};

/// Runs of a project that are looked at: the newest.
const RUNS: i32 = 30;
/// Repairs that are looked at: the newest.
const REPAIRS: u32 = 500;
/// Entries of a journal: the newest.
const ENTRIES: usize = 500;

/// What a journal is made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    /// Runs with their attempts, in any order.
    pub(super) runs: Vec<(View, Vec<types::Attempt>)>,
    /// Repairs of their rows.
    pub(super) repairs: Vec<RepairRecord>,
}

/// Reads a project's journal, if this run has anything to tell.
pub(super) async fn gather(
    clients: &Clients,
    view: &View,
    attempts: &[types::Attempt],
) -> Result<Option<Journal>, CliError> {
    let repairs = repairs(clients).await?;
    let told = view.phases.iter().any(|p| phase_state(p) == "FAILED")
        || attempts.iter().any(has_failed)
        || repairs.iter().any(|r| r.run_uid == view.run.uid);
    if !told {
        return Ok(None);
    }
    let asked = ListRunsRequest {
        page_size: RUNS,
        project: view.run.project.clone(),
        ..ListRunsRequest::default()
    };
    let mut registry = clients.registry.clone();
    let runs = registry.list_runs(asked).await?.into_inner().runs;
    let mut journal = Journal {
        runs: vec![(view.clone(), attempts.to_vec())],
        repairs,
    };
    for run in runs.into_iter().filter(|run| run.uid != view.run.uid) {
        let asked = ListAttemptsRequest {
            run_id: run.uid.clone(),
            phase_id: String::new(),
        };
        let attempts = registry.list_attempts(asked).await?.into_inner().attempts;
        let view = follow::get(clients, &run.uid, false).await?;
        journal.runs.push((view, attempts));
    }
    let known = |r: &RepairRecord| journal.runs.iter().any(|(v, _)| v.run.uid == r.run_uid);
    let repairs = journal.repairs.iter().filter(|r| known(r)).cloned();
    journal.repairs = repairs.collect();
    Ok(Some(journal))
}

/// Repairs, newest first; none of a registry that does not keep them.
async fn repairs(clients: &Clients) -> Result<Vec<RepairRecord>, CliError> {
    let asked = ListRepairsRequest { limit: REPAIRS };
    match clients.doctor().list_repairs(asked).await {
        Ok(found) => Ok(found.into_inner().repairs),
        Err(status) if status.code() == Code::Unimplemented => Ok(Vec::new()),
        Err(status) => Err(status.into()),
    }
}

fn has_failed(attempt: &types::Attempt) -> bool {
    matches!(attempt_state(attempt), "FAILED" | "LOST")
}

/// The journal's page.
pub(super) fn page(journal: &Journal, project: &str) -> String {
    let mut entries: Vec<(i64, String)> = Vec::new();
    for (view, attempts) in &journal.runs {
        for attempt in attempts.iter().filter(|a| has_failed(a)) {
            entries.push(failure(view, attempts, attempt));
        }
        // What failed without an attempt, such as a wait that was over.
        let alone = |p: &&types::Phase| {
            let mut own = attempts.iter().filter(|a| a.phase == p.index);
            phase_state(p) == "FAILED" && !own.any(|a| a.cause == p.cause)
        };
        for phase in view.phases.iter().filter(alone) {
            let mut text = heading(phase.complete_time.as_ref(), &view.run, &phase.id, "");
            cause(
                &mut text,
                (phase.cause.as_str(), phase.detail.as_str()),
                &view.run.id,
                &phase.id,
            );
            text.push_str("- **Verification:** none yet: the phase is FAILED\n");
            entries.push((at(phase.complete_time.as_ref()), text));
        }
    }
    entries.extend(journal.repairs.iter().map(|r| repair(journal, r)));
    entries.sort();
    let mut page = format!(
        "# Debug journal of {}\n\nWhat failed, what mends it and what proved it, and repairs of stored states; the oldest first. \
         Made from the registry: nothing reads this file, and changes of it are lost.\n",
        id(project)
    );
    let older = entries.len().saturating_sub(ENTRIES);
    if older > 0 {
        let _ = write!(page, "\n{older} older entries are left out.\n");
    }
    for (_, text) in &entries[older..] {
        page.push_str(text);
    }
    page
}

fn failure(view: &View, attempts: &[types::Attempt], attempt: &types::Attempt) -> (i64, String) {
    let phase = view.phases.iter().find(|p| p.index == attempt.phase);
    let (name, state) = phase.map_or(("?", ""), |p| (p.id.as_str(), phase_state(p)));
    let which = format!(", attempt {}", attempt.number);
    let time = attempt.finish_time.as_ref();
    let mut text = heading(time, &view.run, name, &which);
    cause(
        &mut text,
        (attempt.cause.as_str(), attempt.detail.as_str()),
        &view.run.id,
        name,
    );
    let proof = attempts.iter().find(|later| {
        later.phase == attempt.phase
            && later.number > attempt.number
            && attempt_state(later) == "SUCCEEDED"
    });
    let _ = match proof {
        Some(later) => writeln!(
            text,
            "- **Verification:** attempt {} succeeded; gate: {}; commit: {}",
            later.number,
            md(or_none(&later.gate)),
            md(or_none(&later.commit))
        ),
        None => writeln!(text, "- **Verification:** none yet: the phase is {state}"),
    };
    (at(time), text)
}

fn repair(journal: &Journal, r: &RepairRecord) -> (i64, String) {
    let run = journal.runs.iter().find(|(v, _)| v.run.uid == r.run_uid);
    let run = run.map(|(v, _)| v.run.clone()).unwrap_or_default();
    let mut text = heading(r.time.as_ref(), &run, "", " repaired");
    let _ = writeln!(
        text,
        "- **Cause:** {}: {} {} has a {} that is not known",
        id(&r.rule),
        id(&r.table),
        md(&r.row),
        id(&r.column)
    );
    let _ = writeln!(text, "- **Before:** {}", md(&r.before));
    let _ = writeln!(text, "- **After:** {}", md(&r.after));
    (at(r.time.as_ref()), text)
}

fn heading(
    time: Option<&prost_types::Timestamp>,
    run: &types::Run,
    phase: &str,
    more: &str,
) -> String {
    let space = if phase.is_empty() { "" } else { " " };
    let (run, phase) = (
        id(&run.id),
        if phase.is_empty() {
            String::new()
        } else {
            id(phase)
        },
    );
    format!("\n## {} {run}{space}{phase}{more}\n\n", moment(time))
}

fn cause(text: &mut String, (code, detail): (&str, &str), run: &str, phase: &str) {
    let _ = writeln!(text, "- **Cause:** {}: {}", id(code), md(detail));
    let fix = Cause::parse(code).map(|cause| named(cause.remedy(), run, phase));
    let _ = writeln!(text, "- **Fix:** {}", fix.as_deref().unwrap_or("N/A"));
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

fn at(time: Option<&prost_types::Timestamp>) -> i64 {
    time.map_or(0, micros)
}

#[cfg(test)]
mod tests {
    use super::{super::tests::facts, *};

    fn time(seconds: i64) -> prost_types::Timestamp {
        prost_types::Timestamp { seconds, nanos: 0 }
    }

    fn attempt(phase: u32, number: u32, cause: &str, seconds: i64) -> types::Attempt {
        let state = if cause.is_empty() {
            types::attempt::State::Succeeded
        } else {
            types::attempt::State::Failed
        };
        types::Attempt {
            phase,
            number,
            state: state.into(),
            cause: cause.to_owned(),
            detail: "2 tests failed\n<b>of</b> 7".to_owned(),
            gate: "passed; cargo test".to_owned(),
            commit: "c0ffee".to_owned(),
            finish_time: Some(time(seconds)),
            ..types::Attempt::default()
        }
    }

    fn journal() -> Journal {
        let view = facts().view;
        let mut other = view.clone();
        other.run.id = "run-002".to_owned();
        other.run.uid = "2".to_owned();
        other.phases[1].state = types::phase::State::Failed.into();
        other.phases[1].cause = "SUBMISSION_OVERDUE".to_owned();
        other.phases[1].complete_time = Some(time(30));
        let repair = RepairRecord {
            table: "phase".to_owned(),
            row: "2/1".to_owned(),
            column: "state".to_owned(),
            run_uid: "2".to_owned(),
            before: "READY`".to_owned(),
            after: "QUEUED".to_owned(),
            rule: "STATE_ALIAS".to_owned(),
            time: Some(time(5)),
            ..RepairRecord::default()
        };
        let attempts = vec![attempt(0, 1, "GATE_FAILED", 10), attempt(0, 2, "", 20)];
        Journal {
            runs: vec![(view, attempts), (other, Vec::new())],
            repairs: vec![repair],
        }
    }

    #[test]
    fn failures_have_cause_fix_and_verification_and_repairs_before_and_after() {
        let page = page(&journal(), "Autopack");
        let headings: Vec<&str> = page.lines().filter(|l| l.starts_with("## ")).collect();
        assert_eq!(
            headings,
            [
                "## 1970-01-01T00:00:05Z run-002 repaired",
                "## 1970-01-01T00:00:10Z run-001 P1.1, attempt 1",
                "## 1970-01-01T00:00:30Z run-002 P1.2",
            ]
        );
        for line in [
            "- **Before:** READY\\`",
            "- **After:** QUEUED",
            "- **Cause:** GATE_FAILED: 2 tests failed",
            "- **Verification:** attempt 2 succeeded; gate: passed; cargo test; commit: c0ffee",
            "- **Verification:** none yet: the phase is FAILED",
        ] {
            assert!(page.contains(line), "{line}: {page}");
        }
        assert!(!page.contains("<b>"), "{page}");
        let fix = page.lines().find(|l| l.starts_with("- **Fix:**"));
        assert!(fix.is_some_and(|l| l.len() > 20), "{page}");
    }

    #[test]
    fn more_than_it_holds_leaves_the_oldest_out() {
        let mut journal = journal();
        let many = (0..600).map(|n| attempt(2, n, "GATE_FAILED", 100 + i64::from(n)));
        journal.runs[0].1.extend(many);
        let page = page(&journal, "Autopack");
        assert!(
            page.contains("\n103 older entries are left out.\n"),
            "{page}"
        );
        assert_eq!(page.matches("\n## ").count(), ENTRIES);
        assert!(page.contains("attempt 599") && !page.contains("READY"));
    }
}
