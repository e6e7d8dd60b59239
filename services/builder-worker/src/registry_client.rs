//! The registry port over the generated clients.
//!
//! Invariant: every call has a deadline here, whatever the transport does; an answer that does not convert is a
//! refusal, never a guess.

mod answers;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use autopack_domain::attempt::Intent;
use autopack_domain::integration::Seen;
use autopack_domain::promotion::{PromotionIntent, PromotionState};
use autopack_domain::run::settle::Report;
use autopack_domain::states::AttemptState;
use autopack_domain::usage::Usage;
use autopack_domain::worker::WorkerProfile;
use autopack_domain::{AttemptUid, Cause, Fault, Fence, RunUid, WorkerUid};
use autopack_wire::client::{Clients, Database};
use autopack_wire::convert::duration_to_proto;
use autopack_wire::r#gen::registry::v1 as proto;
use autopack_wire::r#gen::registry::v1::artifact_service_client::ArtifactServiceClient;
use autopack_wire::r#gen::registry::v1::work_service_client::WorkServiceClient;
use autopack_wire::r#gen::types::v1 as types;
use bytes::Bytes;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codegen::{Body as HttpBody, StdError};
use tonic::{Response, Status};
use uuid::Uuid;

use crate::error::CallError;
use crate::ports::{
    Held, JobHint, Leased, Presence, Pulse, Registry, Settled, Stored, Terms, Turn,
};
use crate::preflight::Findings;

use self::answers::{abilities, answer, convert, moment, parse, span, unreadable};

/// Deadline of an ordinary call.
const CALL: Duration = Duration::from_secs(10);
/// Deadline of a call that carries a whole artifact.
const TRANSFER: Duration = Duration::from_mins(2);
/// How much longer than the asked wait the answer may take.
const SLACK: Duration = Duration::from_secs(5);
/// Size of the pieces of an artifact.
const PIECE: usize = 256 * 1024;

/// The registry behind clients of any transport.
#[derive(Debug, Clone)]
pub struct WireRegistry<T> {
    work: WorkServiceClient<T>,
    artifacts: ArtifactServiceClient<T>,
    database: Database,
}

impl<T> WireRegistry<T> {
    /// A port over these clients, for whatever database they answer from.
    pub fn new(work: WorkServiceClient<T>, artifacts: ArtifactServiceClient<T>) -> Self {
        Self {
            work,
            artifacts,
            database: Database::default(),
        }
    }
}

/// The registry port over the product's clients.
pub fn over(clients: &Clients) -> Arc<dyn Registry> {
    Arc::new(WireRegistry {
        work: clients.work.clone(),
        artifacts: clients.artifacts.clone(),
        database: clients.database(),
    })
}

#[async_trait]
impl<T> Registry for WireRegistry<T>
where
    T: GrpcService<Body> + Clone + Send + Sync + 'static,
    T::Future: Send,
    T::Error: Into<StdError>,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    fn database(&self) -> Option<String> {
        self.database.identity().map(ToOwned::to_owned)
    }

    async fn register(&self, profile: &WorkerProfile) -> Result<Terms, CallError> {
        let request = proto::RegisterWorkerRequest::from(profile);
        let found = answer(CALL, self.work.clone().register_worker(request)).await?;
        Ok(Terms {
            worker: parse("worker_uid", &found.worker_uid)?,
            lease: span(found.lease),
            heartbeat: span(found.heartbeat),
            time: moment(found.time),
        })
    }

    async fn lease_job(&self, job: &JobHint, worker: WorkerUid) -> Result<Leased, CallError> {
        let request = proto::LeaseJobRequest {
            job_uid: job.job.to_string(),
            kind: job.kind.as_str().to_owned(),
            run_uid: job.run.to_string(),
            attempt_uid: job.attempt.map_or_else(String::new, |uid| uid.to_string()),
            worker_uid: worker.to_string(),
        };
        let found = answer(CALL, self.work.clone().lease_job(request)).await?;
        let run = convert(found.run)?;
        let Some(run) = run else {
            return Err(unreadable(&[Fault::new("run", "is missing")]));
        };
        let intents = found
            .intents
            .into_iter()
            .map(|attempt| convert(Some(attempt)));
        let intents = intents.collect::<Result<Vec<_>, _>>()?;
        Ok(Leased {
            fence: Fence(found.fence),
            run,
            attempt: convert(found.attempt)?,
            phase: convert(found.phase)?,
            strategy: convert(found.strategy)?,
            previous: (found.previous_cause, found.previous_detail),
            charged: found.attempts_charged,
            plan: convert(found.plan)?,
            intents: intents.into_iter().flatten().collect(),
            tier_id: found.tier_id,
            submission: convert(found.submission)?,
            approval: convert(found.approval)?,
            fleet: found.fleet.into_iter().map(abilities).collect(),
            promotion: convert(found.promotion)?,
            compare_with: found.compare_with,
        })
    }

    async fn heartbeat(
        &self,
        worker: WorkerUid,
        leases: &[(Uuid, Fence)],
        presence: &Presence,
    ) -> Result<Pulse, CallError> {
        let lease = |(uid, fence): &(Uuid, Fence)| proto::LeaseRef {
            uid: uid.to_string(),
            fence: fence.0,
        };
        let request = proto::HeartbeatRequest {
            worker_uid: worker.to_string(),
            leases: leases.iter().map(lease).collect(),
            draining: presence.draining,
            leaving: presence.leaving,
            tool_versions: presence.tool_versions.clone().into_iter().collect(),
        };
        let found = answer(CALL, self.work.clone().heartbeat(request)).await?;
        Ok(Pulse {
            stop: found
                .stop
                .iter()
                .filter_map(|uid| uid.parse().ok())
                .collect(),
            unknown_worker: found.unknown_worker,
            time: moment(found.time),
        })
    }

    async fn report_stage(&self, of: Held, stage: AttemptState) -> Result<(), CallError> {
        let request = proto::ReportStageRequest {
            run_uid: of.run.to_string(),
            attempt_uid: of.uid.to_string(),
            fence: of.fence.0,
            stage: types::attempt::State::from(stage).into(),
        };
        answer(CALL, self.work.clone().report_stage(request))
            .await
            .map(drop)
    }

    async fn record_usage(&self, of: Held, usage: &[Usage]) -> Result<(), CallError> {
        let request = proto::RecordUsageRequest {
            run_uid: of.run.to_string(),
            attempt_uid: of.uid.to_string(),
            fence: of.fence.0,
            usage: usage.iter().map(Into::into).collect(),
        };
        answer(CALL, self.work.clone().record_usage(request))
            .await
            .map(drop)
    }

    async fn await_turn(&self, of: Held, wait: Duration) -> Result<Turn, CallError> {
        let request = proto::AwaitLandingTurnRequest {
            run_uid: of.run.to_string(),
            attempt_uid: of.uid.to_string(),
            fence: of.fence.0,
            wait: Some(duration_to_proto(wait)),
        };
        let found = answer(wait + SLACK, self.work.clone().await_landing_turn(request)).await?;
        Ok(Turn {
            granted: found.granted,
            tip: found.tip,
        })
    }

    async fn prepare_landing(&self, of: Held, intent: &Intent) -> Result<(), CallError> {
        let request = proto::PrepareLandingRequest {
            run_uid: of.run.to_string(),
            attempt_uid: of.uid.to_string(),
            fence: of.fence.0,
            intent: Some(intent.into()),
        };
        answer(CALL, self.work.clone().prepare_landing(request))
            .await
            .map(drop)
    }

    async fn settle(&self, of: Held, report: &Report) -> Result<Settled, CallError> {
        let (raw, class, signature) = report.failure.clone().unwrap_or_default();
        let request = proto::SettleAttemptRequest {
            run_uid: of.run.to_string(),
            attempt_uid: of.uid.to_string(),
            fence: of.fence.0,
            cause: report
                .cause
                .map_or_else(String::new, |cause| cause.code().to_owned()),
            detail: report.detail.clone(),
            outcome: report
                .outcome
                .map_or_else(String::new, |o| o.as_str().to_owned()),
            commit: report.commit.clone(),
            tree: report.tree.clone(),
            gate: report.gate.clone(),
            tests: report.tests,
            usage: report.usage.iter().map(Into::into).collect(),
            usage_unknown: report.usage_unknown,
            artifacts: report.artifacts.iter().map(Into::into).collect(),
            facts_json: if report.facts.is_empty() {
                String::new()
            } else {
                serde_json::to_string(&report.facts).unwrap_or_default()
            },
            failure_class: class,
            failure_signature: signature,
            failure_raw: raw,
            issues: report.issues.iter().map(Into::into).collect(),
            pause: report.pause.map(duration_to_proto),
            approval: report.approval.as_ref().map(Into::into),
        };
        let found = answer(CALL, self.work.clone().settle_attempt(request)).await?;
        let tier = Some((found.completed_tier, found.completed_tier_index));
        Ok(Settled {
            completed_tier: tier.filter(|(id, _)| !id.is_empty()),
            tip: found.tip,
        })
    }

    async fn release(&self, of: Held) -> Result<(), CallError> {
        let request = proto::ReleaseLeaseRequest {
            run_uid: of.run.to_string(),
            uid: of.uid.to_string(),
            fence: of.fence.0,
        };
        answer(CALL, self.work.clone().release_lease(request))
            .await
            .map(drop)
    }

    async fn finish_bootstrap(&self, of: Held, findings: &Findings) -> Result<(), CallError> {
        let gates = findings.gates.iter().map(|(index, gate)| {
            let index = u32::try_from(*index).unwrap_or(u32::MAX);
            (index, types::Gate::from(gate))
        });
        let request = proto::FinishBootstrapRequest {
            run_uid: of.run.to_string(),
            job_uid: of.uid.to_string(),
            fence: of.fence.0,
            base_sha: findings.base_sha.clone(),
            tip: findings.tip.clone(),
            gates: gates.collect(),
            facts: findings.facts.clone().into_iter().collect(),
        };
        answer(CALL, self.work.clone().finish_bootstrap(request))
            .await
            .map(drop)
    }

    async fn finish_cleanup(&self, of: Held, landed: Option<AttemptUid>) -> Result<(), CallError> {
        let request = proto::FinishCleanupRequest {
            run_uid: of.run.to_string(),
            job_uid: of.uid.to_string(),
            fence: of.fence.0,
            landed_attempt_uid: landed.map_or_else(String::new, |uid| uid.to_string()),
        };
        answer(CALL, self.work.clone().finish_cleanup(request))
            .await
            .map(drop)
    }

    async fn prepare_promotion(&self, of: Held, intent: &PromotionIntent) -> Result<(), CallError> {
        let request = proto::PreparePromotionRequest {
            run_uid: of.run.to_string(),
            job_uid: of.uid.to_string(),
            fence: of.fence.0,
            from: intent.from.clone(),
            commit: intent.commit.clone(),
        };
        answer(CALL, self.work.clone().prepare_promotion(request))
            .await
            .map(drop)
    }

    async fn withdraw_promotion(&self, of: Held) -> Result<bool, CallError> {
        let request = proto::PreparePromotionRequest {
            run_uid: of.run.to_string(),
            job_uid: of.uid.to_string(),
            fence: of.fence.0,
            from: String::new(),
            commit: String::new(),
        };
        let answer = answer(CALL, self.work.clone().prepare_promotion(request)).await?;
        Ok(answer.ended)
    }

    async fn finish_promotion(
        &self,
        of: Held,
        state: PromotionState,
        commit: &str,
    ) -> Result<(), CallError> {
        let request = proto::FinishPromotionRequest {
            run_uid: of.run.to_string(),
            job_uid: of.uid.to_string(),
            fence: of.fence.0,
            state: types::promotion::State::from(state).into(),
            commit: commit.to_owned(),
        };
        answer(CALL, self.work.clone().finish_promotion(request))
            .await
            .map(drop)
    }

    async fn finish_look(&self, of: Held, seen: &Seen) -> Result<(), CallError> {
        let request = proto::FinishIntegrationStatusRequest {
            run_uid: of.run.to_string(),
            job_uid: of.uid.to_string(),
            fence: of.fence.0,
            seen: Some(seen.into()),
        };
        answer(CALL, self.work.clone().finish_integration_status(request))
            .await
            .map(drop)
    }

    async fn fail_job(&self, of: Held, cause: Cause, detail: &str) -> Result<(), CallError> {
        let request = proto::FailJobRequest {
            run_uid: of.run.to_string(),
            job_uid: of.uid.to_string(),
            fence: of.fence.0,
            cause: cause.code().to_owned(),
            detail: detail.to_owned(),
        };
        answer(CALL, self.work.clone().fail_job(request))
            .await
            .map(drop)
    }

    async fn record_snapshot(&self, run: RunUid, tier: u32, commit: &str) -> Result<(), CallError> {
        let request = proto::RecordSnapshotRequest {
            run_uid: run.to_string(),
            tier,
            commit: commit.to_owned(),
        };
        answer(CALL, self.work.clone().record_snapshot(request))
            .await
            .map(drop)
    }

    async fn put_artifact(&self, bytes: Vec<u8>) -> Result<Stored, CallError> {
        let bytes = Bytes::from(bytes);
        let pieces: Vec<proto::PutArtifactRequest> = (0..bytes.len())
            .step_by(PIECE)
            .map(|from| proto::PutArtifactRequest {
                data: bytes.slice(from..(from + PIECE).min(bytes.len())),
            })
            .collect();
        let stream = futures::stream::iter(pieces);
        let found = answer(TRANSFER, self.artifacts.clone().put_artifact(stream)).await?;
        Ok(Stored {
            digest: found.digest,
            size: found.size,
        })
    }

    async fn get_artifact(&self, digest: &str, max: usize) -> Result<Vec<u8>, CallError> {
        let request = proto::GetArtifactRequest {
            digest: digest.to_owned(),
        };
        let mut client = self.artifacts.clone();
        let whole = async {
            let mut stream = client.get_artifact(request).await?.into_inner();
            let mut bytes = Vec::new();
            while let Some(piece) = stream.message().await? {
                if bytes.len() + piece.data.len() > max {
                    return Err(Status::out_of_range(format!(
                        "artifact {digest} is larger than {max} bytes"
                    )));
                }
                bytes.extend_from_slice(&piece.data);
            }
            Ok(Response::new(bytes))
        };
        answer(TRANSFER, whole).await
    }
}
