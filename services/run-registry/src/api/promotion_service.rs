//! `PromotionService`.

use autopack_domain::{
    Fault, PromotionUid,
    promotion::{PromotionStrategy, Wanted},
};
use autopack_wire::{
    convert::integration_to_proto,
    registry::{self as pb, promotion_service_server::PromotionService},
};
use tonic::{Request, Response, Status};

use super::{
    Api,
    decode::{faults, refuse, uid, word},
};
use crate::app::promotions::Asked;

type Reply<T> = Result<Response<T>, Status>;

/// Bytes of a text from a caller at most.
const MAX_TEXT: usize = 8 << 10;

fn bounded(field: &str, text: String) -> Result<String, Status> {
    if text.len() > MAX_TEXT {
        let problem = format!("has {} bytes, and {MAX_TEXT} are allowed", text.len());
        return Err(faults(vec![Fault::new(field, problem)]));
    }
    Ok(text)
}

/// A commit's full name, or nothing.
fn commit(field: &str, text: String) -> Result<String, Status> {
    let hex = matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
    if text.is_empty() || hex {
        return Ok(text.to_ascii_lowercase());
    }
    let fault = Fault::new(field, "is not the full name of a commit")
        .example("2fd4e1c67a2d28fced849ee1bb76e7391b93eb12");
    Err(faults(vec![fault]))
}

#[tonic::async_trait]
impl PromotionService for Api {
    async fn promote_run(
        &self,
        request: Request<pb::PromoteRunRequest>,
    ) -> Reply<pb::PromoteRunResponse> {
        let r = request.into_inner();
        let strategy = match r.strategy.as_str() {
            "" => PromotionStrategy::FastForward,
            text => word(
                "strategy",
                text,
                PromotionStrategy::parse(text),
                PromotionStrategy::spellings(),
            )?,
        };
        let asked = Asked {
            wanted: Wanted {
                strategy,
                target: bounded("target_branch", r.target_branch)?,
                expected: commit("expected_tip", r.expected_tip)?,
                pull_request: r.pull_request,
            },
            by: bounded("requested_by", r.requested_by)?,
            request: r.request_id,
        };
        let done = self.core.promote(&r.run_id, asked).await;
        let (promotion, run) = done.map_err(refuse)?;
        Ok(Response::new(pb::PromoteRunResponse {
            promotion: Some((&promotion).into()),
            run: Some((&run).into()),
        }))
    }

    async fn get_promotion(
        &self,
        request: Request<pb::GetPromotionRequest>,
    ) -> Reply<pb::GetPromotionResponse> {
        let wanted: PromotionUid = uid("promotion_uid", &request.into_inner().promotion_uid)?;
        let (_, found) = self.core.promotion(wanted).await.map_err(refuse)?;
        Ok(Response::new(pb::GetPromotionResponse {
            promotion: Some((&found).into()),
        }))
    }

    async fn list_promotions(
        &self,
        request: Request<pb::ListPromotionsRequest>,
    ) -> Reply<pb::ListPromotionsResponse> {
        let id = request.into_inner().run_id;
        let run = self.core.find(&id).await.map_err(refuse)?;
        let found = self.core.promotions_of(run).await.map_err(refuse)?;
        Ok(Response::new(pb::ListPromotionsResponse {
            promotions: found.iter().map(Into::into).collect(),
        }))
    }

    async fn record_pull_request(
        &self,
        request: Request<pb::RecordPullRequestRequest>,
    ) -> Reply<pb::RecordPullRequestResponse> {
        let r = request.into_inner();
        let wanted: PromotionUid = uid("promotion_uid", &r.promotion_uid)?;
        let url = bounded("url", r.url)?;
        if url.is_empty() && r.detail.is_empty() {
            let fault = Fault::new("url", "is missing, and so is the detail that says why");
            return Err(faults(vec![fault]));
        }
        let detail = bounded("detail", r.detail)?;
        let found = self.core.record_pull_request(wanted, url, detail).await;
        let found = found.map_err(refuse)?;
        Ok(Response::new(pb::RecordPullRequestResponse {
            promotion: Some((&found).into()),
        }))
    }

    async fn abandon_promotion(
        &self,
        request: Request<pb::AbandonPromotionRequest>,
    ) -> Reply<pb::AbandonPromotionResponse> {
        let r = request.into_inner();
        let said = (
            bounded("requested_by", r.requested_by)?,
            bounded("why", r.why)?,
        );
        let ended = self
            .core
            .abandon_promotion(&r.run_id, &r.request_id, said)
            .await;
        let ended = ended.map_err(refuse)?;
        Ok(Response::new(pb::AbandonPromotionResponse {
            promotion: Some((&ended).into()),
        }))
    }

    async fn get_integration_status(
        &self,
        request: Request<pb::GetIntegrationStatusRequest>,
    ) -> Reply<pb::GetIntegrationStatusResponse> {
        let id = request.into_inner().run_id;
        let found = self.core.integration_status(&id).await;
        let (run, status, looks) = found.map_err(refuse)?;
        Ok(Response::new(pb::GetIntegrationStatusResponse {
            status: Some(integration_to_proto(&run, status.as_ref(), looks)),
        }))
    }

    async fn refresh_integration_status(
        &self,
        request: Request<pb::RefreshIntegrationStatusRequest>,
    ) -> Reply<pb::RefreshIntegrationStatusResponse> {
        let r = request.into_inner();
        let target = bounded("target_branch", r.target_branch)?;
        let asked = self.core.refresh_integration(&r.run_id, target).await;
        let (run, status) = asked.map_err(refuse)?;
        Ok(Response::new(pb::RefreshIntegrationStatusResponse {
            status: Some(integration_to_proto(&run, Some(&status), true)),
        }))
    }
}
