//! `SubmissionService`.

use autopack_domain::states::PhaseState;
use autopack_wire::{
    convert::{Decode as _, read},
    registry::{self as pb, submission_service_server::SubmissionService},
};
use tonic::{Request, Response, Status};

use super::{
    Api,
    decode::{faults, refuse},
};

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl SubmissionService for Api {
    async fn submit_builder_result(
        &self,
        request: Request<pb::SubmitBuilderResultRequest>,
    ) -> Reply<pb::SubmitBuilderResultResponse> {
        let r = request.into_inner();
        let run = self.core.find(&r.run_id).await.map_err(refuse)?;
        let (run, (index, phase)) = self
            .core
            .submit_result(run, &r.request_id, &r.phase_id, &r.document)
            .await
            .map_err(refuse)?;
        Ok(Response::new(pb::SubmitBuilderResultResponse {
            run: Some((&run).into()),
            phase: Some((index, &phase).into()),
        }))
    }

    async fn request_audit(
        &self,
        request: Request<pb::RequestAuditRequest>,
    ) -> Reply<pb::RequestAuditResponse> {
        let r = request.into_inner();
        let run = self.core.find(&r.run_id).await.map_err(refuse)?;
        let ((run, (index, phase)), auditor_profile) = self
            .core
            .request_audit(run, &r.phase_id)
            .await
            .map_err(refuse)?;
        Ok(Response::new(pb::RequestAuditResponse {
            run: Some((&run).into()),
            phase: Some((index, &phase).into()),
            auditor_profile,
        }))
    }

    async fn submit_auditor_result(
        &self,
        request: Request<pb::SubmitAuditorResultRequest>,
    ) -> Reply<pb::SubmitAuditorResultResponse> {
        let r = request.into_inner();
        let run = self.core.find(&r.run_id).await.map_err(refuse)?;
        let (run, (index, phase)) = self
            .core
            .submit_audit(run, &r.request_id, &r.phase_id, &r.document)
            .await
            .map_err(refuse)?;
        Ok(Response::new(pb::SubmitAuditorResultResponse {
            run: Some((&run).into()),
            phase: Some((index, &phase).into()),
        }))
    }

    async fn update_phase_status(
        &self,
        request: Request<pb::UpdatePhaseStatusRequest>,
    ) -> Reply<pb::UpdatePhaseStatusResponse> {
        let r = request.into_inner();
        let state = read(|at| PhaseState::decode(r.state, &at.field("state"))).map_err(faults)?;
        let run = self.core.find(&r.run_id).await.map_err(refuse)?;
        let (run, (index, phase)) = self
            .core
            .update_phase(run, &r.request_id, &r.phase_id, state, &r.why)
            .await
            .map_err(refuse)?;
        Ok(Response::new(pb::UpdatePhaseStatusResponse {
            run: Some((&run).into()),
            phase: Some((index, &phase).into()),
        }))
    }
}
