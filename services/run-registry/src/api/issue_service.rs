//! `IssueService`.

use autopack_domain::{AttemptUid, Fault, Fence, issue::NewIssue};
use autopack_wire::{
    convert::{Decode as _, entry_to_proto, issue_to_proto, read},
    registry::{self as pb, issue_service_server::IssueService},
    server::Principal,
};
use tonic::{Request, Response, Status};

use super::{
    Api,
    decode::{faults, refuse, uid},
};

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl IssueService for Api {
    async fn record_issue(
        &self,
        request: Request<pb::RecordIssueRequest>,
    ) -> Reply<pb::RecordIssueResponse> {
        let worker = request.extensions().get() == Some(&Principal::Worker);
        let r = request.into_inner();
        if worker && r.attempt_uid.is_empty() {
            let fault = Fault::new(
                "attempt_uid",
                "a worker names the attempt that found the issue",
            );
            return Err(faults(vec![fault]));
        }
        let issue = read(|at| {
            let at = at.field("issue");
            match r.issue {
                Some(issue) => NewIssue::decode(issue, &at),
                None => at.fault("is missing"),
            }
        });
        let issue = issue.map_err(faults)?;
        let by = if r.attempt_uid.is_empty() {
            None
        } else {
            let attempt: AttemptUid = uid("attempt_uid", &r.attempt_uid)?;
            Some((attempt, Fence(r.fence)))
        };
        let run = self.core.find(&r.run_id).await.map_err(refuse)?;
        let recorded = self
            .core
            .record_issue(run, &r.request_id, &r.phase_id, issue, by)
            .await
            .map_err(refuse)?;
        let (issue, ids) = recorded.issue;
        let (tier, phase) = recorded.place.unzip();
        Ok(Response::new(pb::RecordIssueResponse {
            issue: Some(issue_to_proto(&issue, ids)),
            run: Some((&recorded.run).into()),
            tier: tier.map(|(index, tier)| (index, &tier).into()),
            phase: phase.map(|(index, phase)| (index, &phase).into()),
            backlog_entry: recorded.entry.map(|(e, status)| entry_to_proto(&e, status)),
        }))
    }

    async fn list_issues(
        &self,
        request: Request<pb::ListIssuesRequest>,
    ) -> Reply<pb::ListIssuesResponse> {
        let r = request.into_inner();
        let page = (r.page_size, r.page_token.as_str());
        let found = self
            .core
            .list_issues(
                &r.run_id,
                &r.phase_id,
                &r.severity,
                r.include_resolved,
                page,
            )
            .await
            .map_err(refuse)?;
        Ok(Response::new(pb::ListIssuesResponse {
            counts: Some((&found.counts).into()),
            debt_status: found.debt.as_str().to_owned(),
            issues: found
                .issues
                .into_iter()
                .map(|(issue, ids)| issue_to_proto(&issue, ids))
                .collect(),
            next_page_token: found.next,
        }))
    }

    async fn get_backlog(
        &self,
        request: Request<pb::GetBacklogRequest>,
    ) -> Reply<pb::GetBacklogResponse> {
        let r = request.into_inner();
        let page = (r.page_size, r.page_token.as_str());
        let found = self
            .core
            .backlog_page(&r.project, &r.safety_profile, page)
            .await
            .map_err(refuse)?;
        Ok(Response::new(pb::GetBacklogResponse {
            entries: found
                .entries
                .iter()
                .map(|(entry, status)| entry_to_proto(entry, *status))
                .collect(),
            next_page_token: found.next,
            aging_runs: found.thresholds.runs,
            aging_tiers: found.thresholds.tiers,
            cleanup_phases_json: found.proposals.iter().map(ToString::to_string).collect(),
            set_aside: found.set_aside,
        }))
    }

    async fn resolve_issue(
        &self,
        request: Request<pb::ResolveIssueRequest>,
    ) -> Reply<pb::ResolveIssueResponse> {
        let r = request.into_inner();
        let close = (r.project.as_str(), r.key.as_str(), r.note.as_str());
        let closed = self.core.resolve_issue(close, &r.request_id).await;
        let (entry, status) = closed.map_err(refuse)?;
        Ok(Response::new(pb::ResolveIssueResponse {
            entry: Some(entry_to_proto(&entry, status)),
        }))
    }
}
