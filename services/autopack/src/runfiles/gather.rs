//! What the registry knows of one run, in one value.
//!
//! Invariant: read from the registry alone, so that any process that reaches it can write the same files.

use autopack_wire::{
    client::Clients,
    registry::{ExplainRunRequest, ListAttemptsRequest, PhaseExplanation},
    types,
};

use crate::{error::CliError, follow, view::View};

/// A run with its history.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Run, tiers, phases, plan.
    pub(crate) view: View,
    /// All attempts, oldest first.
    pub(crate) attempts: Vec<types::Attempt>,
    /// Why phases are not running.
    pub(crate) holds: Vec<PhaseExplanation>,
    /// The events, but for the first.
    pub(crate) events: Vec<types::Event>,
    /// When this was read, in microseconds.
    pub(crate) now_us: i64,
}

/// Reads everything about a run.
pub(super) async fn gather(clients: &Clients, run: &str, now_us: i64) -> Result<Facts, CliError> {
    let view = follow::get(clients, run, false).await?;
    let mut registry = clients.registry.clone();
    let asked = ListAttemptsRequest {
        run_id: run.to_owned(),
        phase_id: String::new(),
    };
    let attempts = registry.list_attempts(asked).await?.into_inner().attempts;
    let asked = ExplainRunRequest {
        run_id: run.to_owned(),
        phase_id: String::new(),
    };
    let holds = registry.explain_run(asked).await?.into_inner().phases;
    let events = follow::history(clients, run, view.run.last_event).await?;
    Ok(Facts {
        view,
        attempts,
        holds,
        events,
        now_us,
    })
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
}
