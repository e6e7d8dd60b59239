//! What each probe does, and what it compares.
//!
//! Invariant: whatever is compared was read back by a call of its own, never taken from the answer to the write.

use std::collections::BTreeMap;

use autopack_domain::{Finding, Reason, states::PhaseState};
use autopack_runtime::{IdSource as _, V7Ids};
use autopack_wire::{client::Clients, registry as pb, types};

use super::{Ask, PROJECT, Probe, cancel, wait};
use crate::{
    cli::ProbeKind,
    error::CliError,
    follow,
    view::{View, attempt_state, phase_state, run_state},
};

/// The goal of a probe's run.
pub(super) const GOAL: &str = "A probe of the live system by autopack doctor";
/// States that a held run may have before it is started.
const HELD: [&str; 3] = ["QUEUED", "PLAN_BOOTSTRAP", "RUN_CREATED"];
/// Keys of issues that a probe records: the backlog of its project holds no more.
const KEYS: [(&str, &str); 2] = [
    ("probe__doctor__minor", "minor"),
    ("probe__doctor__major", "major"),
];

/// Runs one probe on its run.
pub(super) async fn run(clients: &Clients, ask: &Ask, probe: &mut Probe) -> Result<(), CliError> {
    stored(clients, probe).await?;
    match ask.kind {
        ProbeKind::RunState => states(clients, probe).await,
        ProbeKind::Issues => issues(clients, probe).await,
        ProbeKind::Complete => complete(clients, ask, probe).await,
    }
}

/// The run is there as it was written.
async fn stored(clients: &Clients, probe: &mut Probe) -> Result<(), CliError> {
    let view = follow::get(clients, &probe.run, false).await?;
    let id = probe.run.clone();
    probe.same("id of the run", id.as_str(), &view.run.id);
    probe.same("project of the run", PROJECT, &view.run.project);
    probe.same("goal of the run", GOAL, &view.run.goal);
    probe.same("tiers of the run", 2, view.tiers.len());
    probe.same("phases of the run", 3, view.phases.len());
    let asked = pb::ListRunsRequest {
        project: PROJECT.to_owned(),
        page_size: 100,
        ..pb::ListRunsRequest::default()
    };
    let listed = clients
        .registry
        .clone()
        .list_runs(asked)
        .await?
        .into_inner();
    let listed = listed.runs.iter().any(|run| run.id == id);
    probe.same("the list of runs names it", true, listed);
    Ok(())
}

/// Held, paused, resumed, cancelled; and what an ended run refuses.
async fn states(clients: &Clients, probe: &mut Probe) -> Result<(), CliError> {
    let run = probe.run.clone();
    let look = async || follow::get(clients, &run, true).await;
    let view = look().await?;
    let state = run_state(&view.run);
    let held = HELD
        .iter()
        .find(|known| **known == state)
        .unwrap_or(&HELD[0]);
    probe.same("state of a held run", *held, state);
    probe.same("a held run is held", true, view.run.held);
    pause(clients, &run).await?;
    probe.same("a paused run is paused", true, look().await?.run.paused);
    let request = pb::ResumeRunRequest {
        run_id: run.clone(),
        request_id: V7Ids.uuid().to_string(),
    };
    clients.registry.clone().resume_run(request).await?;
    probe.same("a resumed run is paused", false, look().await?.run.paused);
    cancel(clients, &run).await?;
    let view = wait(clients, &run, super::END, View::has_ended).await?;
    probe.same(
        "state of a cancelled run",
        "DONE_CANCELLED",
        run_state(&view.run),
    );
    let skipped = view
        .phases
        .iter()
        .filter(|phase| phase_state(phase) == PhaseState::Skipped.as_str());
    probe.same(
        "phases of a cancelled run that are SKIPPED",
        3,
        skipped.count(),
    );
    let refused = match pause(clients, &run).await {
        Ok(()) => String::new(),
        Err(error) => error.code,
    };
    probe.same(
        "an ended run refuses a pause with",
        Reason::RunState.code(),
        refused.as_str(),
    );
    Ok(())
}

async fn pause(clients: &Clients, run: &str) -> Result<(), CliError> {
    let request = pb::PauseRunRequest {
        run_id: run.to_owned(),
        request_id: V7Ids.uuid().to_string(),
    };
    clients.registry.clone().pause_run(request).await?;
    Ok(())
}

/// A key of two phases, twice in one of them, and another key: counted once per phase, tier and run.
async fn issues(clients: &Clients, probe: &mut Probe) -> Result<(), CliError> {
    let run = probe.run.clone();
    let phase = |number: usize| format!("{run}-phase{number}");
    let [minor, major] = KEYS;
    for (place, (key, severity)) in [(1, minor), (1, minor), (3, minor), (1, major)] {
        record(clients, &run, &phase(place), key, severity).await?;
    }
    let view = follow::get(clients, &run, false).await?;
    let asked = pb::ListIssuesRequest {
        run_id: run.clone(),
        page_size: 100,
        ..pb::ListIssuesRequest::default()
    };
    let found = clients.issues().list_issues(asked).await?.into_inner();
    let all = &found.issues;
    let reports = |key: &str| -> u32 {
        let of = all.iter().filter(|issue| issue.key == key);
        of.map(|issue| issue.occurrences).sum()
    };
    probe.same("reports of the first key", 3, reports(minor.0));
    probe.same("reports of the second key", 1, reports(major.0));
    probe.same("places of the issues", 3, all.len());
    let severities = all
        .iter()
        .filter(|i| i.severity == if i.key == minor.0 { minor.1 } else { major.1 });
    probe.same(
        "issues with the severity of their report",
        3,
        severities.count(),
    );
    probe.same(
        "distinct keys of the run",
        of(all, |_| true),
        counted(view.run.issues),
    );
    probe.same(
        "distinct keys in the list of issues",
        of(all, |_| true),
        counted(found.counts),
    );
    for tier in &view.tiers {
        let keys = of(all, |issue| issue.tier_id == tier.id);
        probe.same(
            "distinct keys of a tier",
            format!("{} {keys}", tier.id),
            format!("{} {}", tier.id, counted(tier.issues)),
        );
    }
    for phase in &view.phases {
        let keys = of(all, |issue| issue.phase_id == phase.id);
        probe.same(
            "distinct keys of a phase",
            format!("{} {keys}", phase.id),
            format!("{} {}", phase.id, counted(phase.issues)),
        );
    }
    Ok(())
}

async fn record(
    clients: &Clients,
    run: &str,
    phase: &str,
    key: &str,
    severity: &str,
) -> Result<(), CliError> {
    let issue = types::NewIssue {
        key: key.to_owned(),
        severity: severity.to_owned(),
        source: "probe".to_owned(),
        category: "docs".to_owned(),
        description: "Recorded by autopack doctor to see that it is counted.".to_owned(),
        ..types::NewIssue::default()
    };
    let request = pb::RecordIssueRequest {
        request_id: V7Ids.uuid().to_string(),
        run_id: run.to_owned(),
        phase_id: phase.to_owned(),
        issue: Some(issue),
        ..pb::RecordIssueRequest::default()
    };
    clients.issues().record_issue(request).await?;
    Ok(())
}

/// Distinct keys of some issues, each as grave as its gravest: a key that aged counts as major.
fn of(issues: &[types::Issue], wanted: impl Fn(&types::Issue) -> bool) -> String {
    let mut keys: BTreeMap<&str, bool> = BTreeMap::new();
    for issue in issues.iter().filter(|issue| wanted(issue)) {
        *keys.entry(&issue.key).or_default() |= issue.effective_severity == "major";
    }
    let major = keys.values().filter(|major| **major).count();
    format!("{} minor, {major} major", keys.len() - major)
}

fn counted(counts: Option<types::IssueCounts>) -> String {
    let counts = counts.unwrap_or_default();
    format!("{} minor, {} major", counts.minor, counts.major)
}

/// To the end, by whoever works on the live system.
async fn complete(clients: &Clients, ask: &Ask, probe: &mut Probe) -> Result<(), CliError> {
    let run = probe.run.clone();
    if !ask.served {
        let text = "no process works on runs";
        return Err(
            CliError::new(text).hint("start `autopack up`, or name the live one with --registry")
        );
    }
    let view = match wait(clients, &run, ask.within, View::has_ended).await {
        Ok(view) => view,
        Err(error) => {
            let held = holds(clients, &run).await;
            return Err(error.hint(held.unwrap_or_else(|| "autopack workers".to_owned())));
        }
    };
    let end = format!("{} {}", run_state(&view.run), view.run.cause);
    probe.same("end of the run", "DONE_SUCCESS", end.trim());
    let complete = view
        .phases
        .iter()
        .filter(|phase| phase_state(phase) == PhaseState::Complete.as_str());
    probe.same("phases that are COMPLETE", 3, complete.count());
    let counts = view.run.counts.unwrap_or_default();
    probe.same("phases that the run counts as complete", 3, counts.complete);
    let asked = pb::ListAttemptsRequest {
        run_id: run.clone(),
        phase_id: String::new(),
    };
    let attempts = clients
        .registry
        .clone()
        .list_attempts(asked)
        .await?
        .into_inner()
        .attempts;
    let succeeded = attempts.iter().filter(|a| attempt_state(a) == "SUCCEEDED");
    probe.same("attempts that succeeded", 3, succeeded.clone().count());
    let by_workers = succeeded.filter(|attempt| !attempt.worker.is_empty());
    probe.same("attempts with a worker's name", 3, by_workers.count());
    let asked = pb::DiagnoseRequest {
        run_id: run,
        ..Default::default()
    };
    let stored = clients.doctor().diagnose(asked).await?.into_inner();
    probe.checks.push("the self-check of the run");
    for finding in stored.findings {
        probe.findings.extend(
            Finding::try_from(finding)
                .ok()
                .filter(|f| f.code.is_error()),
        );
    }
    Ok(())
}

/// Why the phases are not running.
async fn holds(clients: &Clients, run: &str) -> Option<String> {
    let asked = pb::ExplainRunRequest {
        run_id: run.to_owned(),
        phase_id: String::new(),
    };
    let answer = clients.registry.clone().explain_run(asked).await.ok()?;
    let phases = answer.into_inner().phases;
    let held = phases.iter().flat_map(|phase| &phase.holds).next()?;
    Some(format!("{}: {}; {}", held.rule, held.facts, held.remedy))
}
