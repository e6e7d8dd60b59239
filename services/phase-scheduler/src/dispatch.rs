//! Decisions as requests to the registry.

use autopack_domain::{Reason, RunUid};
use autopack_policy::dispatch::Action;
use autopack_wire::{
    client::Clients,
    registry::{ExhaustBudgetRequest, OfferJobRequest, OfferPhasesRequest},
    status::from_status,
};

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Carried out; the run has this version now.
    Done(u64),
    /// The run is not as the view shows it: read it anew.
    Stale,
    /// The registry cannot answer now: look again later.
    Later,
}

/// Asks for one action that was decided on `version`.
pub(crate) async fn ask(clients: &Clients, run: RunUid, version: u64, action: Action) -> Asked {
    let mut dispatch = clients.dispatch.clone();
    let run_uid = run.to_string();
    let answer = match action {
        Action::OfferJob(kind) => dispatch
            .offer_job(OfferJobRequest {
                run_uid,
                expected_version: version,
                kind: kind.as_str().to_owned(),
            })
            .await
            .map(|r| r.into_inner().version),
        Action::OfferPhases(phases) => dispatch
            .offer_phases(OfferPhasesRequest {
                run_uid,
                expected_version: version,
                phases: phases.iter().map(|p| *p as u32).collect(),
            })
            .await
            .map(|r| r.into_inner().version),
        Action::ExhaustPhases {
            phases,
            cause,
            detail,
        } => dispatch
            .exhaust_budget(ExhaustBudgetRequest {
                run_uid,
                expected_version: version,
                phases: phases.iter().map(|p| *p as u32).collect(),
                cause: cause.code().to_owned(),
                detail,
            })
            .await
            .map(|r| r.into_inner().version),
        Action::ExhaustMinutes { detail } => dispatch
            .exhaust_budget(ExhaustBudgetRequest {
                run_uid,
                expected_version: version,
                phases: Vec::new(),
                cause: autopack_domain::Cause::BudgetMinutes.code().to_owned(),
                detail,
            })
            .await
            .map(|r| r.into_inner().version),
    };
    match answer {
        Ok(version) => Asked::Done(version),
        Err(status) => {
            let error = from_status(&status);
            if error.kind.is_transient() {
                tracing::warn!(%run, error = %error.message, "the registry cannot answer; looking again later");
                return Asked::Later;
            }
            if !error.is(Reason::VersionConflict) {
                tracing::debug!(%run, error = %error.message, "the registry refused; reading the run anew");
            }
            Asked::Stale
        }
    }
}
