//! `ApprovalService`.

use autopack_domain::{Fault, run::approve::Word};
use autopack_wire::registry::{
    self as pb, approval_service_server::ApprovalService, decide_approval_request::Decision,
};
use tonic::{Request, Response, Status};

use super::{
    Api,
    decode::{faults, refuse},
};

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl ApprovalService for Api {
    async fn list_approvals(
        &self,
        request: Request<pb::ListApprovalsRequest>,
    ) -> Reply<pb::ListApprovalsResponse> {
        let r = request.into_inner();
        let (found, next_page_token) = self
            .core
            .list_approvals(&r.run_id, r.with_decided, r.page_size, &r.page_token)
            .await
            .map_err(refuse)?;
        let approvals = found.iter().map(|pending| pb::PendingApproval {
            run_uid: pending.run.uid.to_string(),
            run_id: pending.run.id.to_string(),
            phase: Some((pending.index, &pending.phase).into()),
        });
        Ok(Response::new(pb::ListApprovalsResponse {
            approvals: approvals.collect(),
            next_page_token,
        }))
    }

    async fn decide_approval(
        &self,
        request: Request<pb::DecideApprovalRequest>,
    ) -> Reply<pb::DecideApprovalResponse> {
        let r = request.into_inner();
        let approved = match r.decision() {
            Decision::Approve => true,
            Decision::Reject => false,
            Decision::Unspecified => {
                let fault = Fault::new("decision", "is missing or unknown");
                let allowed = ["DECISION_APPROVE", "DECISION_REJECT"];
                return Err(faults(vec![fault.allowed(allowed)]));
            }
        };
        let run = self.core.find(&r.run_id).await.map_err(refuse)?;
        let word = Word {
            tree: r.tree,
            approved,
            by: r.decided_by,
            note: r.note,
        };
        let (run, (index, phase)) = self
            .core
            .decide_approval(run, &r.request_id, &r.phase_id, word)
            .await
            .map_err(refuse)?;
        Ok(Response::new(pb::DecideApprovalResponse {
            run: Some((&run).into()),
            phase: Some((index, &phase).into()),
        }))
    }
}
