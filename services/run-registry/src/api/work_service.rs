//! `WorkService`.

use std::time::Duration;

use autopack_domain::{
    AttemptUid, Fence, JobUid,
    attempt::Intent,
    integration::Seen,
    phase::PhaseOutcome,
    plan::GateSpec,
    run::{JobKind, settle::Report},
    states::AttemptState,
    worker::WorkerProfile,
};
use autopack_wire::{
    convert::{duration_to_proto, time_to_proto, tool_versions},
    registry::{self as pb, work_service_server::WorkService},
    types,
};
use tonic::{Request, Response, Status};

use super::workers::abilities;
use super::{
    Api,
    decode::{faults, present, refuse, uid, word},
    work_fields::{
        MAX_DETAIL, bounded, cause_of, held, intent_of, issue_list, promoted, request_of,
        usage_list,
    },
};
use crate::app::{jobs::Findings, workers::Presence};

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl WorkService for Api {
    async fn register_worker(
        &self,
        request: Request<pb::RegisterWorkerRequest>,
    ) -> Reply<pb::RegisterWorkerResponse> {
        let profile = WorkerProfile::try_from(request.into_inner()).map_err(faults)?;
        let worker = self.core.register_worker(profile).map_err(refuse)?;
        Ok(Response::new(pb::RegisterWorkerResponse {
            worker_uid: worker.to_string(),
            lease: Some(duration_to_proto(self.core.config.lease)),
            heartbeat: Some(duration_to_proto(self.core.config.heartbeat)),
            time: Some(time_to_proto(self.core.now())),
        }))
    }

    async fn lease_job(
        &self,
        request: Request<pb::LeaseJobRequest>,
    ) -> Reply<pb::LeaseJobResponse> {
        let r = request.into_inner();
        let kind = word(
            "kind",
            &r.kind,
            JobKind::parse(&r.kind),
            JobKind::spellings(),
        )?;
        let (run, job, worker) = (
            uid("run_uid", &r.run_uid)?,
            uid("job_uid", &r.job_uid)?,
            uid("worker_uid", &r.worker_uid)?,
        );
        if kind == JobKind::Phase {
            let attempt = uid("attempt_uid", &r.attempt_uid)?;
            let leased = self
                .core
                .lease_phase(run, attempt, job, worker)
                .await
                .map_err(refuse)?;
            let (previous_cause, previous_detail) = leased.previous.unwrap_or_default();
            return Ok(Response::new(pb::LeaseJobResponse {
                fence: leased.fence.0,
                tokens_reserved: leased.attempt.tokens_reserved,
                run: Some((&leased.run).into()),
                attempt: Some((&leased.attempt).into()),
                phase: Some((&leased.spec).into()),
                strategy: Some((&leased.strategy).into()),
                previous_cause,
                previous_detail,
                tier_id: leased.tier,
                intents: leased.strays.iter().map(Into::into).collect(),
                submission: leased.submission.as_ref().map(Into::into),
                attempts_charged: leased.charged,
                approval: leased.approval.as_ref().map(Into::into),
                ..pb::LeaseJobResponse::default()
            }));
        }
        let leased = self
            .core
            .lease_job(run, job, worker)
            .await
            .map_err(refuse)?;
        Ok(Response::new(pb::LeaseJobResponse {
            fence: leased.fence.0,
            run: Some((&leased.run).into()),
            plan: Some(leased.plan.as_ref().into()),
            intents: leased.intents.iter().map(Into::into).collect(),
            fleet: if kind == JobKind::Bootstrap {
                leased.fleet.iter().map(|w| abilities(w)).collect()
            } else {
                Vec::new()
            },
            promotion: match kind {
                JobKind::Promote => leased.promotion.as_ref().map(Into::into),
                _ => None,
            },
            compare_with: leased.compare_with,
            ..pb::LeaseJobResponse::default()
        }))
    }

    async fn heartbeat(
        &self,
        request: Request<pb::HeartbeatRequest>,
    ) -> Reply<pb::HeartbeatResponse> {
        let r = request.into_inner();
        let worker = uid("worker_uid", &r.worker_uid)?;
        let leases = r
            .leases
            .iter()
            .map(|l| Ok((uid::<uuid::Uuid>("leases.uid", &l.uid)?, Fence(l.fence))))
            .collect::<Result<Vec<_>, Status>>()?;
        let presence = Presence {
            draining: r.draining,
            leaving: r.leaving,
            tool_versions: tool_versions(r.tool_versions).map_err(faults)?,
        };
        let (stop, unknown_worker) = self.core.heartbeat(worker, &leases, presence);
        Ok(Response::new(pb::HeartbeatResponse {
            stop: stop.iter().map(ToString::to_string).collect(),
            unknown_worker,
            time: Some(time_to_proto(self.core.now())),
        }))
    }

    async fn report_stage(
        &self,
        request: Request<pb::ReportStageRequest>,
    ) -> Reply<pb::ReportStageResponse> {
        let r = request.into_inner();
        let stage = match r.stage() {
            types::attempt::State::Building => AttemptState::Building,
            types::attempt::State::Governing => AttemptState::Governing,
            types::attempt::State::Gating => AttemptState::Gating,
            types::attempt::State::Landing => AttemptState::Landing,
            _ => {
                return word(
                    "stage",
                    "that",
                    None,
                    vec![
                        "STATE_BUILDING",
                        "STATE_GOVERNING",
                        "STATE_GATING",
                        "STATE_LANDING",
                    ],
                );
            }
        };
        self.core
            .stage(
                uid("run_uid", &r.run_uid)?,
                uid("attempt_uid", &r.attempt_uid)?,
                Fence(r.fence),
                stage,
            )
            .await
            .map_err(refuse)?;
        Ok(Response::new(pb::ReportStageResponse {}))
    }

    async fn record_usage(
        &self,
        request: Request<pb::RecordUsageRequest>,
    ) -> Reply<pb::RecordUsageResponse> {
        let r = request.into_inner();
        let usage = usage_list(r.usage)?;
        self.core
            .record_usage(
                uid("run_uid", &r.run_uid)?,
                uid("attempt_uid", &r.attempt_uid)?,
                Fence(r.fence),
                usage,
            )
            .await
            .map_err(refuse)?;
        Ok(Response::new(pb::RecordUsageResponse {}))
    }

    async fn await_landing_turn(
        &self,
        request: Request<pb::AwaitLandingTurnRequest>,
    ) -> Reply<pb::AwaitLandingTurnResponse> {
        let r = request.into_inner();
        let wait = r.wait.map_or(Duration::ZERO, |d| {
            Duration::new(
                u64::try_from(d.seconds).unwrap_or(0),
                u32::try_from(d.nanos).unwrap_or(0),
            )
        });
        let (granted, tip) = self
            .core
            .await_turn(
                uid("run_uid", &r.run_uid)?,
                uid("attempt_uid", &r.attempt_uid)?,
                Fence(r.fence),
                wait,
            )
            .await
            .map_err(refuse)?;
        Ok(Response::new(pb::AwaitLandingTurnResponse { granted, tip }))
    }

    async fn prepare_landing(
        &self,
        request: Request<pb::PrepareLandingRequest>,
    ) -> Reply<pb::PrepareLandingResponse> {
        let r = request.into_inner();
        let intent = Intent {
            resolved: false,
            ..present("intent", r.intent)?.into()
        };
        self.core
            .prepare_landing(
                uid("run_uid", &r.run_uid)?,
                uid("attempt_uid", &r.attempt_uid)?,
                Fence(r.fence),
                intent,
            )
            .await
            .map_err(refuse)?;
        Ok(Response::new(pb::PrepareLandingResponse {}))
    }

    async fn settle_attempt(
        &self,
        request: Request<pb::SettleAttemptRequest>,
    ) -> Reply<pb::SettleAttemptResponse> {
        let r = request.into_inner();
        let cause = if r.cause.is_empty() {
            None
        } else {
            Some(cause_of(&r.cause)?)
        };
        let outcome = if r.outcome.is_empty() {
            None
        } else {
            Some(word(
                "outcome",
                &r.outcome,
                PhaseOutcome::parse(&r.outcome),
                PhaseOutcome::spellings(),
            )?)
        };
        let facts = if r.facts_json.is_empty() {
            serde_json::Map::new()
        } else {
            serde_json::from_str(&r.facts_json).unwrap_or_default()
        };
        let failure = cause.is_some().then_some((
            bounded(r.failure_raw, MAX_DETAIL),
            r.failure_class,
            r.failure_signature,
        ));
        let report = Report {
            cause,
            detail: bounded(r.detail, MAX_DETAIL),
            outcome,
            commit: r.commit,
            tree: r.tree,
            gate: bounded(r.gate, MAX_DETAIL),
            tests: r.tests,
            usage: usage_list(r.usage)?,
            usage_unknown: r.usage_unknown,
            artifacts: r.artifacts.into_iter().map(Into::into).collect(),
            facts,
            failure,
            issues: issue_list(r.issues)?,
            pause: r.pause.and_then(|span| Duration::try_from(span).ok()),
            approval: request_of(r.approval)?,
        };
        let settled = self
            .core
            .settle(
                uid("run_uid", &r.run_uid)?,
                uid("attempt_uid", &r.attempt_uid)?,
                Fence(r.fence),
                report,
            )
            .await
            .map_err(refuse)?;
        let (index, tier) = settled.completed_tier.unwrap_or_default();
        Ok(Response::new(pb::SettleAttemptResponse {
            completed_tier: tier,
            tip: settled.tip,
            completed_tier_index: index as u32,
        }))
    }

    async fn release_lease(
        &self,
        request: Request<pb::ReleaseLeaseRequest>,
    ) -> Reply<pb::ReleaseLeaseResponse> {
        let r = request.into_inner();
        self.core
            .release(
                uid("run_uid", &r.run_uid)?,
                uid("uid", &r.uid)?,
                Fence(r.fence),
            )
            .await
            .map_err(refuse)?;
        Ok(Response::new(pb::ReleaseLeaseResponse {}))
    }

    async fn finish_bootstrap(
        &self,
        request: Request<pb::FinishBootstrapRequest>,
    ) -> Reply<pb::FinishBootstrapResponse> {
        let r = request.into_inner();
        let gates = r
            .gates
            .into_iter()
            .map(|(phase, gate)| {
                GateSpec::try_from(gate)
                    .map(|g| (phase as usize, g))
                    .map_err(faults)
            })
            .collect::<Result<_, Status>>()?;
        let found = Findings {
            base_sha: r.base_sha,
            tip: r.tip,
            gates,
            facts: r.facts.into_iter().collect(),
        };
        let job: JobUid = uid("job_uid", &r.job_uid)?;
        self.core
            .finish_bootstrap(uid("run_uid", &r.run_uid)?, job, Fence(r.fence), found)
            .await
            .map_err(refuse)?;
        Ok(Response::new(pb::FinishBootstrapResponse {}))
    }

    async fn finish_cleanup(
        &self,
        request: Request<pb::FinishCleanupRequest>,
    ) -> Reply<pb::FinishCleanupResponse> {
        let r = request.into_inner();
        let landed: Option<AttemptUid> = if r.landed_attempt_uid.is_empty() {
            None
        } else {
            Some(uid("landed_attempt_uid", &r.landed_attempt_uid)?)
        };
        self.core
            .finish_cleanup(
                uid("run_uid", &r.run_uid)?,
                uid("job_uid", &r.job_uid)?,
                Fence(r.fence),
                landed,
            )
            .await
            .map_err(refuse)?;
        Ok(Response::new(pb::FinishCleanupResponse {}))
    }

    async fn prepare_promotion(
        &self,
        request: Request<pb::PreparePromotionRequest>,
    ) -> Reply<pb::PreparePromotionResponse> {
        let r = request.into_inner();
        let held = held(&r.run_uid, &r.job_uid, r.fence)?;
        let stored = self
            .core
            .prepare_promotion(held, intent_of(r.from, r.commit)?)
            .await;
        let ended = stored.map_err(refuse)?;
        Ok(Response::new(pb::PreparePromotionResponse { ended }))
    }

    async fn finish_promotion(
        &self,
        request: Request<pb::FinishPromotionRequest>,
    ) -> Reply<pb::FinishPromotionResponse> {
        let r = request.into_inner();
        let state = promoted(r.state())?;
        let held = held(&r.run_uid, &r.job_uid, r.fence)?;
        let ended = self.core.finish_promotion(held, state, r.commit).await;
        ended.map_err(refuse)?;
        Ok(Response::new(pb::FinishPromotionResponse {}))
    }

    async fn finish_integration_status(
        &self,
        request: Request<pb::FinishIntegrationStatusRequest>,
    ) -> Reply<pb::FinishIntegrationStatusResponse> {
        let r = request.into_inner();
        let seen = Seen::try_from(present("seen", r.seen)?).map_err(faults)?;
        let held = held(&r.run_uid, &r.job_uid, r.fence)?;
        let ended = self.core.finish_integration_status(held, seen).await;
        ended.map_err(refuse)?;
        Ok(Response::new(pb::FinishIntegrationStatusResponse {}))
    }

    async fn fail_job(&self, request: Request<pb::FailJobRequest>) -> Reply<pb::FailJobResponse> {
        let r = request.into_inner();
        let cause = cause_of(&r.cause)?;
        self.core
            .fail_job(
                uid("run_uid", &r.run_uid)?,
                uid("job_uid", &r.job_uid)?,
                Fence(r.fence),
                cause,
                bounded(r.detail, MAX_DETAIL),
            )
            .await
            .map_err(refuse)?;
        Ok(Response::new(pb::FailJobResponse {}))
    }

    async fn record_snapshot(
        &self,
        request: Request<pb::RecordSnapshotRequest>,
    ) -> Reply<pb::RecordSnapshotResponse> {
        let r = request.into_inner();
        self.core
            .record_snapshot(uid("run_uid", &r.run_uid)?, r.tier as usize, r.commit)
            .await
            .map_err(refuse)?;
        Ok(Response::new(pb::RecordSnapshotResponse {}))
    }
}
