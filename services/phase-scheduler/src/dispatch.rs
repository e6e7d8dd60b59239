//! Decisions as requests to the registry.

use autopack_domain::{Reason, RunUid, run::Run};
use autopack_policy::dispatch::Action;
use autopack_runtime::{attributes, telemetry::set_record};
use autopack_wire::{
    client::Clients,
    registry::{ExhaustBudgetRequest, ExpireWaitsRequest, OfferJobRequest, OfferPhasesRequest},
    status::from_status,
};
use tracing::Span;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Carried out; the run has this version now.
    Done(u64),
    /// A limit or a paused lane holds all of it: this version of them is in force.
    Held(u64),
    /// The run is not as the view shows it: read it anew.
    Stale,
    /// The registry cannot answer now: look again later.
    Later,
}

/// The span of a request, below the run's; none where the run is not traced.
pub(crate) fn span(run: &Run, action: &Action) -> Span {
    let Some(trace) = run.trace() else {
        return Span::none();
    };
    let (name, phases) = match action {
        Action::OfferJob(_) => ("offer_job", 0),
        Action::OfferPhases(phases) => ("offer", phases.len()),
        Action::ExhaustPhases { phases, .. } => ("exhaust", phases.len()),
        Action::ExpireWaits(phases) => ("expire", phases.len()),
        Action::ExhaustMinutes { .. } => ("exhaust", 0),
    };
    let span = tracing::info_span!(
        parent: None,
        "decide",
        otel.name = name,
        { attributes::RUN_ID } = run.id.as_str(),
        { attributes::RUN_UID } = %run.uid,
        { attributes::OFFERED_PHASES } = phases,
    );
    set_record(&span, &trace.to_string());
    span
}

/// Asks for one action that was decided on `version`.
pub(crate) async fn ask(clients: &Clients, run: RunUid, version: u64, action: Action) -> Asked {
    let mut dispatch = clients.dispatch.clone();
    let run_uid = run.to_string();
    let indexes = |phases: &[usize]| phases.iter().map(|p| *p as u32).collect();
    let exhaust = |phases, cause: autopack_domain::Cause, detail| ExhaustBudgetRequest {
        run_uid: run.to_string(),
        expected_version: version,
        phases,
        cause: cause.code().to_owned(),
        detail,
    };
    let answer = match action {
        Action::OfferJob(kind) => dispatch
            .offer_job(OfferJobRequest {
                run_uid,
                expected_version: version,
                kind: kind.as_str().to_owned(),
            })
            .await
            .map(|r| Asked::Done(r.into_inner().version)),
        Action::OfferPhases(phases) => dispatch
            .offer_phases(OfferPhasesRequest {
                run_uid,
                expected_version: version,
                phases: indexes(&phases),
            })
            .await
            .map(|r| {
                let r = r.into_inner();
                if r.offered == 0 && r.held > 0 {
                    Asked::Held(r.policy_version)
                } else if r.offered == 0 {
                    Asked::Stale
                } else {
                    Asked::Done(r.version)
                }
            }),
        Action::ExhaustPhases {
            phases,
            cause,
            detail,
        } => dispatch
            .exhaust_budget(exhaust(indexes(&phases), cause, detail))
            .await
            .map(|r| Asked::Done(r.into_inner().version)),
        Action::ExpireWaits(phases) => dispatch
            .expire_waits(ExpireWaitsRequest {
                run_uid,
                expected_version: version,
                phases: indexes(&phases),
            })
            .await
            .map(|r| match r.into_inner() {
                // The registry's clock is behind ours: look again in a moment.
                r if r.expired == 0 => Asked::Stale,
                r => Asked::Done(r.version),
            }),
        Action::ExhaustMinutes { detail } => dispatch
            .exhaust_budget(exhaust(
                Vec::new(),
                autopack_domain::Cause::BudgetMinutes,
                detail,
            ))
            .await
            .map(|r| Asked::Done(r.into_inner().version)),
    };
    answer.unwrap_or_else(|status| {
        let error = from_status(&status);
        if error.kind.is_transient() {
            tracing::warn!(%run, error = %error.message, "the registry cannot answer; looking again later");
            return Asked::Later;
        }
        if !error.is(Reason::VersionConflict) {
            tracing::debug!(%run, error = %error.message, "the registry refused; reading the run anew");
        }
        Asked::Stale
    })
}
