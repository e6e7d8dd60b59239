//! Probes: a run of the doctor's own on the live system, driven and read back through the same calls as anybody's.
//!
//! Invariant: each probe makes one run in a project of its own, and leaves none that goes on: whatever happens, it is
//! cancelled, and what an earlier probe left is, too. What differs, or does not answer, is a finding and never an error.
//!
//! - [`steps`]: what each probe does and compares; [`repository`]: one that any worker of this machine reaches

pub(crate) mod repository;
mod steps;

use std::{fmt::Display, time::Duration};

use autopack_domain::{Finding, FindingCode, finding::Place};
use autopack_runtime::{Clock as _, IdSource as _, SystemClock, V7Ids};
use autopack_wire::{
    client::Clients,
    registry::{CancelRunRequest, CreateRunRequest, ListRunsRequest},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::ProbeKind,
    error::CliError,
    follow,
    view::{View, has_ended, micros, run_state},
};

/// The project of probes: no figure of another project counts them.
pub(crate) const PROJECT: &str = "autopack-probe";
/// How long a cancelled run may take to end.
const END: Duration = Duration::from_secs(30);
/// Pause between two looks at a run.
const LOOK: Duration = Duration::from_millis(100);
/// A probe's run that is older than this is nobody's any more, in microseconds.
const LEFT: i64 = 900_000_000;

/// What to probe.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// Which probe.
    pub(crate) kind: ProbeKind,
    /// The repository, as the workers reach it.
    pub(crate) repository: String,
    /// How long the run may take.
    pub(crate) within: Duration,
    /// Whether a process works on runs.
    pub(crate) served: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    /// Id of the run; empty: it was not made.
    pub(crate) run: String,
    /// State of the run at the end.
    pub(crate) state: String,
    /// What was compared, in order.
    pub(crate) checks: Vec<&'static str>,
    /// What was not as written.
    pub(crate) findings: Vec<Finding>,
    name: &'static str,
}

impl Probe {
    fn new(kind: ProbeKind) -> Self {
        Self {
            run: String::new(),
            state: String::new(),
            checks: Vec::new(),
            findings: Vec::new(),
            name: kind.name(),
        }
    }

    /// Compares what was written with what was read.
    fn same<T: Display + PartialEq>(&mut self, check: &'static str, written: T, read: T) {
        self.checks.push(check);
        if written != read {
            let problem = format!("{check}: `{written}` was written and `{read}` is read");
            let finding = self.finding(check, problem).value(&read.to_string());
            self.findings.push(finding.valid([written.to_string()]));
        }
    }

    /// A call was refused, or got no answer.
    fn failed(&mut self, check: &'static str, error: &CliError) {
        let problem = format!("{check}: {} {}", error.code, error.message);
        let mut finding = self.finding(check, problem);
        if !error.hints.is_empty() {
            finding = finding.fix(error.hints.join("; "));
        }
        self.findings.push(finding);
    }

    fn finding(&self, check: &str, problem: String) -> Finding {
        let place = Place::new(format!("probe {}", self.name), &self.run, check);
        Finding::new(FindingCode::ProbeFailed, place, problem).run(&self.run)
    }
}

/// Probes. Ends early when the token is cancelled, and cleans up all the same.
pub(crate) async fn run(clients: &Clients, ask: &Ask, end: &CancellationToken) -> Probe {
    let mut probe = Probe::new(ask.kind);
    if let Err(error) = clear(clients).await {
        probe.failed("what earlier probes left", &error);
    }
    let id = format!(
        "probe-{}-{}",
        ask.kind.name(),
        tail(&V7Ids.uuid().simple().to_string())
    );
    match create(clients, ask, &id).await {
        Ok(()) => probe.run = id,
        Err(error) => {
            probe.failed("a run is stored", &error);
            return probe;
        }
    }
    let result = tokio::select! {
        result = Box::pin(steps::run(clients, ask, &mut probe)) => result,
        () = end.cancelled() => Err(CliError::new("it was interrupted")),
    };
    if let Err(error) = result {
        probe.failed("the probe goes on", &error);
    }
    match finish(clients, &probe.run).await {
        Ok(state) => probe.state = state,
        Err(error) => {
            let hint = format!("autopack cancel {}", probe.run);
            probe.failed("no run goes on", &error.hint(hint));
        }
    }
    probe
}

/// The last digits, which differ between two probes of the same moment.
fn tail(digits: &str) -> &str {
    &digits[digits.len().saturating_sub(10)..]
}

/// Two tiers of phases that do nothing.
async fn create(clients: &Clients, ask: &Ask, id: &str) -> Result<(), CliError> {
    let phase = |number: usize| {
        serde_json::json!({
            "id": format!("{id}-phase{number}"),
            "name": format!("Phase {number}"),
            "goal": "Nothing is changed",
            "builder": { "kind": "noop" },
            "scope": { "paths": [] },
            "gate": { "steps": [] },
        })
    };
    let document = serde_json::json!({
        "schema": "autopack/plan/v1",
        "run": { "id": id, "project": PROJECT, "goal": steps::GOAL, "run_scope": "multi_tier" },
        "tiers": [
            { "id": "T1", "name": "First", "phases": [phase(1), phase(2)] },
            { "id": "T2", "name": "Second", "phases": [phase(3)] },
        ],
    });
    let request = CreateRunRequest {
        request_id: V7Ids.uuid().to_string(),
        document: document.to_string(),
        repository: ask.repository.clone(),
        hold: ask.kind != ProbeKind::Complete,
        ..CreateRunRequest::default()
    };
    clients.registry.clone().create_run(request).await?;
    Ok(())
}

/// Cancels a run that has not ended, and waits for its end; its state.
async fn finish(clients: &Clients, run: &str) -> Result<String, CliError> {
    let view = follow::get(clients, run, true).await?;
    if !view.has_ended() {
        cancel(clients, run).await?;
    }
    let view = wait(clients, run, END, View::has_ended).await?;
    Ok(run_state(&view.run).to_owned())
}

async fn cancel(clients: &Clients, run: &str) -> Result<(), CliError> {
    let request = CancelRunRequest {
        run_id: run.to_owned(),
        request_id: V7Ids.uuid().to_string(),
        why: "the probe has ended".to_owned(),
    };
    clients.registry.clone().cancel_run(request).await?;
    Ok(())
}

/// Looks at a run until it is as wanted.
async fn wait(
    clients: &Clients,
    run: &str,
    within: Duration,
    wanted: impl Fn(&View) -> bool,
) -> Result<View, CliError> {
    let start = Instant::now();
    loop {
        let view = follow::get(clients, run, false).await?;
        if wanted(&view) {
            return Ok(view);
        }
        if start.elapsed() >= within {
            let (state, seconds) = (run_state(&view.run), within.as_secs());
            return Err(CliError::new(format!(
                "the run is {state} after {seconds} s"
            )));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Cancels what a probe left that was killed.
async fn clear(clients: &Clients) -> Result<(), CliError> {
    let request = ListRunsRequest {
        project: PROJECT.to_owned(),
        page_size: 100,
        ..ListRunsRequest::default()
    };
    let now = SystemClock::new().now().0;
    let runs = clients
        .registry
        .clone()
        .list_runs(request)
        .await?
        .into_inner()
        .runs;
    for run in runs {
        let made = run.create_time.as_ref().map_or(0, micros);
        if !has_ended(&run) && now.saturating_sub(made) > LEFT {
            cancel(clients, &run.uid).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_an_error_with_what_was_written_and_read() {
        let mut probe = Probe::new(ProbeKind::Issues);
        probe.run = "probe-issues-1".to_owned();
        probe.same("distinct keys of the run", 2, 2);
        assert!(probe.findings.is_empty());
        probe.same("distinct keys of a tier", 2, 3);
        let refused = CliError::new("no").hint("autopack workers");
        probe.failed("an issue is recorded", &refused);
        assert_eq!(probe.checks.len(), 2);
        let [differs, failed] = probe.findings.as_slice() else {
            panic!("{:?}", probe.findings)
        };
        assert!(differs.code.is_error() && differs.run == "probe-issues-1");
        assert_eq!(
            (differs.value.as_deref(), differs.valid.as_slice()),
            (Some("3"), &["2".to_owned()][..])
        );
        assert!(
            differs
                .place
                .to_string()
                .starts_with("probe issues probe-issues-1")
        );
        assert_eq!(failed.fix, "autopack workers");
    }
}
