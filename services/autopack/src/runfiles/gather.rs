//! What the registry knows of one run, in one value.
//!
//! Invariant: read from the registry alone, so that any process that reaches it can write the same files; no clock
//! is asked, so that the same run always gives the same value.

use std::collections::BTreeMap;

use autopack_domain::Reason;
use autopack_wire::{
    client::Clients,
    registry::{
        ExplainRunRequest, GetBacklogRequest, GetProjectRequest, ListAttemptsRequest,
        ListIssuesRequest, PhaseExplanation,
    },
    types,
};

use super::journal::Journal;
use crate::{
    error::CliError,
    follow,
    submit::get_artifact,
    view::{View, has_ended, micros, run_state},
};

/// Rows of one page.
const PAGE: i32 = 500;
/// Entries of a backlog that its file holds.
const MAX_BACKLOG: usize = 20_000;
/// Issues of a run that its files hold.
const MAX_ISSUES: usize = 50_000;
/// Bytes of one artifact in the incident pack.
pub(super) const MAX_ARTIFACT: usize = 4 * 1024 * 1024;

/// A run with its history.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Run, tiers, phases, plan.
    pub(crate) view: View,
    /// All attempts, by phase and number.
    pub(crate) attempts: Vec<types::Attempt>,
    /// Its issues, cleaned ones too.
    pub(crate) issues: Vec<types::Issue>,
    /// What its project knows of them.
    pub(crate) backlog: Vec<types::BacklogEntry>,
    /// The project's ruleset, JSON; empty: none was imported.
    pub(crate) ruleset: String,
    /// What only a failed run has.
    pub(crate) failure: Option<Failure>,
    /// Failures and repairs of its project; `None`: this run adds none, or nobody asked.
    pub(crate) journal: Option<Journal>,
    /// When something last happened to it, in microseconds.
    pub(crate) now_us: i64,
}

/// What is needed to look into a failure.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failure {
    /// Why phases are not running.
    pub(crate) holds: Vec<PhaseExplanation>,
    /// The events, but for the first.
    pub(crate) events: Vec<types::Event>,
    /// Artifacts of failed phases by digest, each at most [`MAX_ARTIFACT`] bytes, or why it could not be read.
    pub(crate) artifacts: BTreeMap<String, Result<Vec<u8>, String>>,
}

/// Reads everything about a run.
pub(crate) async fn gather(clients: &Clients, run: &str) -> Result<Facts, CliError> {
    let view = follow::get(clients, run, false).await?;
    let asked = ListAttemptsRequest {
        run_id: run.to_owned(),
        phase_id: String::new(),
    };
    let mut registry = clients.registry.clone();
    let attempts = registry.list_attempts(asked).await?.into_inner().attempts;
    let counts = view.run.issues.unwrap_or_default();
    let issues = if counts.minor + counts.major + counts.resolved > 0 {
        issues(clients, run).await?
    } else {
        Vec::new()
    };
    let mut facts = Facts {
        now_us: last_moment(&view, &attempts),
        backlog: backlog(clients, &view.run.project).await?,
        ruleset: ruleset(clients, &view.run.project).await?,
        journal: None,
        view,
        attempts,
        issues,
        failure: None,
    };
    if run_state(&facts.view.run).starts_with("DONE_FAILED") {
        facts.failure = Some(failure(clients, &facts).await?);
    }
    Ok(facts)
}

async fn failure(clients: &Clients, facts: &Facts) -> Result<Failure, CliError> {
    let run = &facts.view.run;
    let asked = ExplainRunRequest {
        run_id: run.uid.clone(),
        phase_id: String::new(),
    };
    let holds = clients.registry.clone().explain_run(asked).await?;
    let mut failure = Failure {
        holds: holds.into_inner().phases,
        events: follow::history(clients, &run.uid, run.last_event).await?,
        artifacts: BTreeMap::new(),
    };
    for (artifact, _, _) in super::incident::wanted(facts) {
        let found = get_artifact(clients, &artifact.digest, MAX_ARTIFACT).await;
        let found = found.map_err(|error| error.message);
        failure.artifacts.insert(artifact.digest.clone(), found);
    }
    Ok(failure)
}

async fn issues(clients: &Clients, run: &str) -> Result<Vec<types::Issue>, CliError> {
    let mut request = ListIssuesRequest {
        run_id: run.to_owned(),
        include_resolved: true,
        page_size: PAGE,
        ..ListIssuesRequest::default()
    };
    let mut all = Vec::new();
    loop {
        let page = clients.issues().list_issues(request.clone()).await?;
        let mut page = page.into_inner();
        all.append(&mut page.issues);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() || all.len() >= MAX_ISSUES {
            return Ok(all);
        }
    }
}

async fn backlog(clients: &Clients, project: &str) -> Result<Vec<types::BacklogEntry>, CliError> {
    let mut request = GetBacklogRequest {
        project: project.to_owned(),
        page_size: PAGE,
        ..GetBacklogRequest::default()
    };
    let mut all = Vec::new();
    loop {
        let page = clients.issues().get_backlog(request.clone()).await?;
        let mut page = page.into_inner();
        all.append(&mut page.entries);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() || all.len() >= MAX_BACKLOG {
            return Ok(all);
        }
    }
}

async fn ruleset(clients: &Clients, project: &str) -> Result<String, CliError> {
    let asked = GetProjectRequest {
        project: project.to_owned(),
    };
    match clients.registry.clone().get_project(asked).await {
        Ok(found) => Ok(found.into_inner().ruleset_json),
        Err(status) => {
            let error = CliError::from(status);
            if error.code == Reason::ProjectNotFound.code() {
                return Ok(String::new());
            }
            Err(error)
        }
    }
}

/// The latest time on record: an end counts until then, and a run that goes on until it did something.
fn last_moment(view: &View, attempts: &[types::Attempt]) -> i64 {
    let run = &view.run;
    let mut times = vec![&run.create_time, &run.start_time, &run.complete_time];
    times.push(&run.pause_time);
    if !has_ended(run) {
        for phase in &view.phases {
            times.extend([&phase.start_time, &phase.complete_time]);
        }
        for a in attempts {
            times.extend([&a.offer_time, &a.lease_time, &a.finish_time]);
        }
    }
    let known = times.into_iter().flatten().map(micros);
    known.max().unwrap_or(0)
}

impl Facts {
    /// The attempts of a phase, oldest first.
    pub(crate) fn attempts_of(
        &self,
        phase: &types::Phase,
    ) -> impl Iterator<Item = &types::Attempt> {
        let index = phase.index;
        self.attempts
            .iter()
            .filter(move |attempt| attempt.phase == index)
    }

    /// Tests that the last attempt of a phase counted.
    pub(crate) fn tests_of(&self, phase: &types::Phase) -> Option<u64> {
        self.attempts_of(phase)
            .filter_map(|attempt| attempt.tests)
            .last()
    }

    /// The id of the phase with an index.
    pub(crate) fn phase_id(&self, index: u32) -> &str {
        self.view
            .phases
            .iter()
            .find(|phase| phase.index == index)
            .map_or("?", |phase| phase.id.as_str())
    }

    /// What the plan calls a tier; empty: nothing.
    pub(crate) fn tier_name(&self, tier: &types::Tier) -> &str {
        let plan = self.view.plan.as_ref();
        let spec = plan.and_then(|plan| plan.tiers.get(tier.index as usize));
        spec.map_or("", |spec| spec.name.as_str())
    }
}
