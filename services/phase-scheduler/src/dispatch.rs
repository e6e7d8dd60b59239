//! Decisions as requests to the registry.

use autopack_domain::{Reason, RunUid, run::Run};
use autopack_policy::dispatch::Action;
use autopack_runtime::{attributes, telemetry::set_record};
use autopack_wire::{
    client::Clients,
    registry::{
        ExhaustBudgetRequest, ExpireWaitsRequest, OfferBatchRequest, OfferJobRequest, OfferOutcome,
        OfferPhasesRequest, OfferPhasesResponse, offer_outcome::Outcome,
    },
    status::from_status,
};
use futures::future::join_all;
use tonic::{Code, Status};
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

/// An offer among several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) run: RunUid,
    /// The version decided on.
    pub(crate) version: u64,
    pub(crate) phases: Vec<usize>,
}

impl Offer {
    fn request(&self) -> OfferPhasesRequest {
        OfferPhasesRequest {
            run_uid: self.run.to_string(),
            expected_version: self.version,
            phases: indexes(&self.phases),
        }
    }
}

fn indexes(phases: &[usize]) -> Vec<u32> {
    phases.iter().map(|p| *p as u32).collect()
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
            .map(|r| offered(&r.into_inner())),
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
    answer.unwrap_or_else(|status| refused(run, &status))
}

/// Asks for the offers of several runs in one call; their answers in order.
pub(crate) async fn offer_together(clients: &Clients, offers: Vec<Offer>) -> Vec<Asked> {
    let request = OfferBatchRequest {
        offers: offers.iter().map(Offer::request).collect(),
    };
    match clients.dispatch.clone().offer_batch(request).await {
        Ok(answer) => {
            let outcomes = answer.into_inner().outcomes;
            let told = offers.iter().zip(outcomes);
            let mut asked: Vec<Asked> = told.map(|(o, outcome)| judged(o.run, outcome)).collect();
            // An answer that is too short says nothing about the rest.
            asked.resize(offers.len(), Asked::Stale);
            asked
        }
        // An older registry.
        Err(status) if status.code() == Code::Unimplemented => {
            let singly = offers.into_iter().map(|offer| {
                let action = Action::OfferPhases(offer.phases);
                ask(clients, offer.run, offer.version, action)
            });
            join_all(singly).await
        }
        Err(status) => offers.iter().map(|o| refused(o.run, &status)).collect(),
    }
}

fn judged(run: RunUid, outcome: OfferOutcome) -> Asked {
    match outcome.outcome {
        Some(Outcome::Offered(answer)) => offered(&answer),
        Some(Outcome::Refused(refusal)) => {
            let code = Code::from_i32(refusal.code);
            let status = Status::with_details(code, refusal.message, refusal.details);
            refused(run, &status)
        }
        None => Asked::Stale,
    }
}

fn offered(answer: &OfferPhasesResponse) -> Asked {
    if answer.offered == 0 && answer.held > 0 {
        Asked::Held(answer.policy_version)
    } else if answer.offered == 0 {
        Asked::Stale
    } else {
        Asked::Done(answer.version)
    }
}

fn refused(run: RunUid, status: &Status) -> Asked {
    let error = from_status(status);
    if error.kind.is_transient() {
        tracing::warn!(%run, error = %error.message, "the registry cannot answer; looking again later");
        return Asked::Later;
    }
    if !error.is(Reason::VersionConflict) {
        tracing::debug!(%run, error = %error.message, "the registry refused; reading the run anew");
    }
    Asked::Stale
}
