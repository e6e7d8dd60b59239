//! `DispatchService`.

use autopack_domain::{Cause, Reason, Refusal, run::JobKind};
use autopack_wire::{
    convert::snapshot_to_proto,
    registry::{self as pb, dispatch_service_server::DispatchService},
};
use futures::future::join_all;
use tonic::{Request, Response, Status};

use super::{
    Api,
    decode::{refuse, uid, word},
};

type Reply<T> = Result<Response<T>, Status>;

/// Runs of one call at most.
const MAX_BATCH: usize = 64;

impl Api {
    async fn offer(&self, r: pb::OfferPhasesRequest) -> Result<pb::OfferPhasesResponse, Status> {
        let phases = r.phases.iter().map(|p| *p as usize).collect();
        let done = self
            .core
            .offer_phases(uid("run_uid", &r.run_uid)?, r.expected_version, phases)
            .await
            .map_err(refuse)?;
        Ok(pb::OfferPhasesResponse {
            version: done.version,
            offered: done.offered,
            held: done.held,
            policy_version: done.policy,
        })
    }
}

fn outcome(done: Result<pb::OfferPhasesResponse, Status>) -> pb::OfferOutcome {
    use pb::offer_outcome::Outcome;
    let outcome = match done {
        Ok(offered) => Outcome::Offered(offered),
        Err(status) => Outcome::Refused(pb::OfferRefusal {
            code: status.code().into(),
            message: status.message().to_owned(),
            details: status.details().to_vec().into(),
        }),
    };
    pb::OfferOutcome {
        outcome: Some(outcome),
    }
}

#[tonic::async_trait]
impl DispatchService for Api {
    async fn list_active_runs(
        &self,
        _: Request<pb::ListActiveRunsRequest>,
    ) -> Reply<pb::ListActiveRunsResponse> {
        let (runs, slots) = self.core.active_runs().await.map_err(refuse)?;
        Ok(Response::new(pb::ListActiveRunsResponse {
            run_uids: runs.iter().map(ToString::to_string).collect(),
            slots,
        }))
    }

    async fn get_snapshot(
        &self,
        request: Request<pb::GetSnapshotRequest>,
    ) -> Reply<pb::GetSnapshotResponse> {
        let run = uid("run_uid", &request.into_inner().run_uid)?;
        let aggregate = self.core.snapshot(run).await.map_err(refuse)?;
        Ok(Response::new(snapshot_to_proto(&aggregate)))
    }

    async fn offer_job(
        &self,
        request: Request<pb::OfferJobRequest>,
    ) -> Reply<pb::OfferJobResponse> {
        let r = request.into_inner();
        let kind = word(
            "kind",
            &r.kind,
            JobKind::parse(&r.kind),
            JobKind::spellings(),
        )?;
        let (job, version) = self
            .core
            .offer_job(uid("run_uid", &r.run_uid)?, r.expected_version, kind)
            .await
            .map_err(refuse)?;
        Ok(Response::new(pb::OfferJobResponse {
            job_uid: job.to_string(),
            version,
        }))
    }

    async fn offer_phases(
        &self,
        request: Request<pb::OfferPhasesRequest>,
    ) -> Reply<pb::OfferPhasesResponse> {
        let done = self.offer(request.into_inner()).await;
        Ok(Response::new(done?))
    }

    async fn offer_batch(
        &self,
        request: Request<pb::OfferBatchRequest>,
    ) -> Reply<pb::OfferBatchResponse> {
        let offers = request.into_inner().offers;
        if offers.len() > MAX_BATCH {
            let text = format!("at most {MAX_BATCH} runs a call");
            let refusal = Refusal::new(Reason::LimitExceeded, text).with("max", MAX_BATCH);
            return Err(refuse(refusal));
        }
        // Side by side, so that they share a commit.
        let outcomes = join_all(offers.into_iter().map(|offer| self.offer(offer))).await;
        Ok(Response::new(pb::OfferBatchResponse {
            outcomes: outcomes.into_iter().map(outcome).collect(),
        }))
    }

    async fn expire_waits(
        &self,
        request: Request<pb::ExpireWaitsRequest>,
    ) -> Reply<pb::ExpireWaitsResponse> {
        let r = request.into_inner();
        let phases = r.phases.iter().map(|p| *p as usize).collect();
        let (version, expired) = self
            .core
            .expire_waits(uid("run_uid", &r.run_uid)?, r.expected_version, phases)
            .await
            .map_err(refuse)?;
        Ok(Response::new(pb::ExpireWaitsResponse { version, expired }))
    }

    async fn get_policy(
        &self,
        request: Request<pb::GetPolicyRequest>,
    ) -> Reply<pb::GetPolicyResponse> {
        let (policy, version) = self.core.policy();
        if request.into_inner().known_version == version {
            return Ok(Response::new(pb::GetPolicyResponse {
                version,
                ..Default::default()
            }));
        }
        Ok(Response::new(pb::GetPolicyResponse {
            version,
            projects: policy.projects().map(Into::into).collect(),
            paused_lanes: policy.paused().map(str::to_owned).collect(),
        }))
    }

    async fn pause_lane(
        &self,
        request: Request<pb::PauseLaneRequest>,
    ) -> Reply<pb::PauseLaneResponse> {
        let r = request.into_inner();
        let paused = self.core.pause_lane(&r.lane, r.paused).await;
        let (policy, version) = paused.map_err(refuse)?;
        Ok(Response::new(pb::PauseLaneResponse {
            version,
            paused_lanes: policy.paused().map(str::to_owned).collect(),
        }))
    }

    async fn exhaust_budget(
        &self,
        request: Request<pb::ExhaustBudgetRequest>,
    ) -> Reply<pb::ExhaustBudgetResponse> {
        let r = request.into_inner();
        let cause = word(
            "cause",
            &r.cause,
            Cause::parse(&r.cause),
            Cause::ALL.iter().map(|c| c.code()).collect(),
        )?;
        let phases = r.phases.iter().map(|p| *p as usize).collect();
        let version = self
            .core
            .exhaust(
                uid("run_uid", &r.run_uid)?,
                r.expected_version,
                phases,
                cause,
                r.detail,
            )
            .await
            .map_err(refuse)?;
        Ok(Response::new(pb::ExhaustBudgetResponse { version }))
    }
}
