//! Whether what is stored is sound, and registry and repositories agree.
//!
//! Invariant: nothing is changed in a repository, and without `--fix` nothing at all; a run that moves while it is looked at
//! is looked at again.
//!
//! - [`records`]: a run against its own phases and attempts
//! - [`refs`]: a run against its branch
//! - [`files`], [`parked`]: runs against their folders; [`folders`], [`import`]: runs that only a folder knows
//! - [`findings`]: findings for people, for programs, and as a plan; [`host`]: this machine
//! - [`pages`]: the self-check of a registry to its last page
//! - [`journal`]: repairs as a file for people; [`probe`]: a run of our own on the live system

pub(crate) mod files;
pub(crate) mod findings;
mod folders;
pub(crate) mod host;
mod import;
pub(crate) mod journal;
pub(crate) mod pages;
mod parked;
pub(crate) mod probe;
mod records;
mod refs;

use autopack_domain::import::ORIGIN_FACT;
use autopack_wire::{
    client::Clients,
    registry::{GetSnapshotResponse, ListAttemptsRequest},
    types,
};
use serde_json::{Value, json};

use crate::{error::CliError, follow, view::View};

/// Looks at a run that keeps moving this many times.
const LOOKS: u32 = 5;

/// Two things that should be the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The run.
    pub(crate) run: String,
    /// What was compared.
    pub(crate) check: &'static str,
    /// What should be there.
    pub(crate) expected: String,
    /// What is there.
    pub(crate) found: String,
}

impl Difference {
    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({ "run": self.run, "check": self.check, "expected": self.expected, "found": self.found })
    }
}

/// Collects differences of one run.
#[derive(Debug)]
struct Found<'a> {
    run: &'a str,
    list: Vec<Difference>,
}

impl Found<'_> {
    fn same<T: std::fmt::Display + PartialEq>(
        &mut self,
        check: &'static str,
        expected: T,
        found: T,
    ) {
        if expected != found {
            self.add(check, expected, found);
        }
    }

    fn add(&mut self, check: &'static str, expected: impl ToString, found: impl ToString) {
        self.list.push(Difference {
            run: self.run.to_owned(),
            check,
            expected: expected.to_string(),
            found: found.to_string(),
        });
    }
}

/// A run at one moment.
#[derive(Debug, Default)]
struct Subject {
    view: View,
    strategy: Option<types::Strategy>,
    attempts: Vec<types::Attempt>,
}

impl Subject {
    async fn read(clients: &Clients, run: &str) -> Result<Self, CliError> {
        let mut registry = clients.registry.clone();
        let request = autopack_wire::registry::GetRunRequest {
            run_id: run.to_owned(),
            brief: false,
        };
        let answer = registry.get_run(request).await?.into_inner();
        let request = ListAttemptsRequest {
            run_id: run.to_owned(),
            phase_id: String::new(),
        };
        let attempts = registry.list_attempts(request).await?.into_inner().attempts;
        let strategy = answer.strategy.clone();
        Ok(Self {
            view: answer.into(),
            strategy,
            attempts,
        })
    }

    /// For the domain's own functions; ended attempts are not part of it.
    fn snapshot(&self) -> GetSnapshotResponse {
        GetSnapshotResponse {
            run: Some(self.view.run.clone()),
            tiers: self.view.tiers.clone(),
            phases: self.view.phases.clone(),
            attempts: self
                .attempts
                .iter()
                .filter(|a| records::is_live(a) || records::has_open_intent(a))
                .cloned()
                .collect(),
            jobs: Vec::new(),
            plan: self.view.plan.clone(),
            strategy: self.strategy.clone(),
        }
    }
}

/// Looks at runs, one after the other.
pub(crate) struct Doctor {
    clients: Clients,
    repositories: refs::Repositories,
}

impl Doctor {
    /// A doctor with a scratch folder for clones, removed at the end.
    pub(crate) fn new(clients: Clients) -> Self {
        Self {
            clients,
            repositories: refs::Repositories::new(),
        }
    }

    /// Every difference of one run.
    pub(crate) async fn examine(&mut self, run: &str) -> Result<Vec<Difference>, CliError> {
        let mut look = 1;
        loop {
            let subject = Subject::read(&self.clients, run).await?;
            let mut found = Found {
                run: &subject.view.run.id,
                list: Vec::new(),
            };
            records::compare(&subject, &mut found);
            // An imported run has no repository and no branch.
            if !subject.view.run.facts.contains_key(ORIGIN_FACT) {
                self.repositories.compare(&subject, &mut found).await;
            }
            if found.list.is_empty() || look == LOOKS {
                return Ok(found.list);
            }
            // It may have moved between the registry's answer and the look at the branch.
            let now = follow::get(&self.clients, run, true).await?;
            if now.run.version == subject.view.run.version && !records::moves(&subject) {
                return Ok(found.list);
            }
            look += 1;
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }
}
