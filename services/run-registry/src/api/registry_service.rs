//! `RegistryService`.

use autopack_domain::{TraceContext, plan::Normalised, run::RunAggregate, trace::CONTEXT_FACT};
use autopack_wire::{
    convert::duration_to_proto,
    registry::{self as pb, registry_service_server::RegistryService},
    types,
};
use tonic::{Request, Response, Status};

use super::{Api, dead_letters::dead_letter, decode::refuse, watch::WatchStream};
use crate::app::{create_run::NewRunRequest, reads::Explanation, request_key};

type Reply<T> = Result<Response<T>, Status>;

#[expect(
    clippy::unnecessary_wraps,
    reason = "every handler replies with a result"
)]
fn reply<T>(message: T) -> Reply<T> {
    Ok(Response::new(message))
}

/// A whole run as a message.
pub(super) fn whole(aggregate: &RunAggregate, brief: bool) -> pb::GetRunResponse {
    pb::GetRunResponse {
        run: Some((&aggregate.run).into()),
        tiers: aggregate.tiers.iter().enumerate().map(Into::into).collect(),
        phases: aggregate
            .phases
            .iter()
            .enumerate()
            .map(Into::into)
            .collect(),
        plan: (!brief).then(|| aggregate.plan.as_ref().into()),
        strategy: (!brief).then(|| aggregate.strategy.as_ref().into()),
    }
}

#[tonic::async_trait]
impl RegistryService for Api {
    type WatchRunStream = WatchStream;

    async fn create_run(
        &self,
        request: Request<pb::CreateRunRequest>,
    ) -> Reply<pb::CreateRunResponse> {
        let caller = request.metadata().get(CONTEXT_FACT);
        let caller = caller.and_then(|text| TraceContext::parse(text.to_str().ok()?));
        let r = request.into_inner();
        let new = NewRunRequest {
            request_id: r.request_id,
            document: r.document,
            files: r.files.into_iter().collect(),
            repository: r.repository,
            run_id: r.run_id,
            hold: r.hold,
            validate_only: r.validate_only,
            fresh: r.fresh,
            default_builder_json: r.default_builder_json,
            default_project: r.default_project,
            default_gate_profile: r.default_gate_profile,
            default_max_attempts: r.default_max_attempts,
            facts: r.facts.into_iter().collect(),
            caller,
            backoff_seconds: r.backoff_seconds,
        };
        let created = self.core.create_run(new).await.map_err(refuse)?;
        let Normalised {
            plan,
            warnings,
            provenance,
            ..
        } = &created.normalised;
        reply(pb::CreateRunResponse {
            run: Some((&created.run).into()),
            existing: created.existing,
            plan: Some(plan.into()),
            strategy: Some((&created.strategy).into()),
            warnings: warnings
                .iter()
                .map(|w| pb::PlanWarning {
                    code: w.code.as_str().to_owned(),
                    path: w.path.clone(),
                    text: w.text.clone(),
                    original: w.original.clone(),
                })
                .collect(),
            provenance: provenance
                .iter()
                .map(|(path, source)| (path.clone(), source.code().to_owned()))
                .collect(),
        })
    }

    async fn get_run(&self, request: Request<pb::GetRunRequest>) -> Reply<pb::GetRunResponse> {
        let r = request.into_inner();
        let aggregate = self.core.get_run(&r.run_id).await.map_err(refuse)?;
        reply(whole(&aggregate, r.brief))
    }

    async fn list_runs(
        &self,
        request: Request<pb::ListRunsRequest>,
    ) -> Reply<pb::ListRunsResponse> {
        let r = request.into_inner();
        let (runs, next_page_token) = self
            .core
            .list_runs(r.page_size, &r.page_token, &r.state, &r.project)
            .await
            .map_err(refuse)?;
        reply(pb::ListRunsResponse {
            runs: runs.iter().map(Into::into).collect(),
            next_page_token,
        })
    }

    async fn watch_run(
        &self,
        request: Request<pb::WatchRunRequest>,
    ) -> Reply<Self::WatchRunStream> {
        let r = request.into_inner();
        reply(
            super::watch::watch(self.clone(), &r.run_id, r.after_sequence)
                .await
                .map_err(refuse)?,
        )
    }

    async fn start_run(
        &self,
        request: Request<pb::StartRunRequest>,
    ) -> Reply<pb::StartRunResponse> {
        let r = request.into_inner();
        let uid = self.core.find(&r.run_id).await.map_err(refuse)?;
        let key = request_key(&r.request_id, "StartRun", &uid.to_string()).map_err(refuse)?;
        let run = self
            .core
            .command(uid, key, |a, c, now| a.start(now, c))
            .await
            .map_err(refuse)?;
        reply(pb::StartRunResponse {
            run: Some((&run).into()),
        })
    }

    async fn pause_run(
        &self,
        request: Request<pb::PauseRunRequest>,
    ) -> Reply<pb::PauseRunResponse> {
        let r = request.into_inner();
        let uid = self.core.find(&r.run_id).await.map_err(refuse)?;
        let key = request_key(&r.request_id, "PauseRun", &uid.to_string()).map_err(refuse)?;
        let run = self
            .core
            .command(uid, key, |a, c, now| a.pause(now, c))
            .await
            .map_err(refuse)?;
        reply(pb::PauseRunResponse {
            run: Some((&run).into()),
        })
    }

    async fn resume_run(
        &self,
        request: Request<pb::ResumeRunRequest>,
    ) -> Reply<pb::ResumeRunResponse> {
        let r = request.into_inner();
        let uid = self.core.find(&r.run_id).await.map_err(refuse)?;
        let key = request_key(&r.request_id, "ResumeRun", &uid.to_string()).map_err(refuse)?;
        let run = self
            .core
            .command(uid, key, |a, c, now| a.resume(now, c))
            .await
            .map_err(refuse)?;
        reply(pb::ResumeRunResponse {
            run: Some((&run).into()),
        })
    }

    async fn cancel_run(
        &self,
        request: Request<pb::CancelRunRequest>,
    ) -> Reply<pb::CancelRunResponse> {
        let r = request.into_inner();
        let uid = self.core.find(&r.run_id).await.map_err(refuse)?;
        let key = request_key(&r.request_id, "CancelRun", &uid.to_string()).map_err(refuse)?;
        let why: String = r.why.chars().take(1000).collect();
        let run = self
            .core
            .command_on_leases(uid, key, move |a, c, now| a.cancel(&why, now, c).map(drop))
            .await
            .map_err(refuse)?;
        reply(pb::CancelRunResponse {
            run: Some((&run).into()),
        })
    }

    async fn retry_run(
        &self,
        request: Request<pb::RetryRunRequest>,
    ) -> Reply<pb::RetryRunResponse> {
        let r = request.into_inner();
        let uid = self.core.find(&r.run_id).await.map_err(refuse)?;
        let key = request_key(&r.request_id, "RetryRun", &format!("{uid}\n{}", r.phase_id))
            .map_err(refuse)?;
        let command = move |a: &mut RunAggregate, c: &mut autopack_domain::run::Changes, now| {
            let phase = if r.phase_id.is_empty() {
                None
            } else {
                Some(a.find_phase(&r.phase_id)?)
            };
            a.retry(phase, now, c)
        };
        let run = self.core.command(uid, key, command).await.map_err(refuse)?;
        reply(pb::RetryRunResponse {
            run: Some((&run).into()),
        })
    }

    async fn add_phase(
        &self,
        request: Request<pb::AddPhaseRequest>,
    ) -> Reply<pb::AddPhaseResponse> {
        let r = request.into_inner();
        let uid = self.core.find(&r.run_id).await.map_err(refuse)?;
        let files = r.files.into_iter().collect();
        let (run, phase) = self
            .core
            .add_phase(uid, &r.request_id, &r.tier_id, &r.document, files)
            .await
            .map_err(refuse)?;
        let whole = self.core.get_run(&uid.to_string()).await.map_err(refuse)?;
        let index = whole
            .phases
            .iter()
            .position(|p| p.id == phase.id)
            .unwrap_or(0);
        reply(pb::AddPhaseResponse {
            run: Some((&run).into()),
            phase: Some((index, &phase).into()),
        })
    }

    async fn explain_run(
        &self,
        request: Request<pb::ExplainRunRequest>,
    ) -> Reply<pb::ExplainRunResponse> {
        let r = request.into_inner();
        let found = self
            .core
            .explain_run(&r.run_id, &r.phase_id)
            .await
            .map_err(refuse)?;
        reply(pb::ExplainRunResponse {
            phases: found.into_iter().map(explanation).collect(),
        })
    }

    async fn list_attempts(
        &self,
        request: Request<pb::ListAttemptsRequest>,
    ) -> Reply<pb::ListAttemptsResponse> {
        let r = request.into_inner();
        let attempts = self
            .core
            .list_attempts(&r.run_id, &r.phase_id)
            .await
            .map_err(refuse)?;
        reply(pb::ListAttemptsResponse {
            attempts: attempts.iter().map(Into::into).collect(),
        })
    }

    async fn list_facts(
        &self,
        request: Request<pb::ListFactsRequest>,
    ) -> Reply<pb::ListFactsResponse> {
        let (usage, failures) = self
            .core
            .list_facts(&request.into_inner().run_id)
            .await
            .map_err(refuse)?;
        let count = |n: i64| u64::try_from(n).unwrap_or(0);
        reply(pb::ListFactsResponse {
            usage: usage
                .into_iter()
                .map(|u| pb::UsageEvent {
                    phase: u32::try_from(u.phase).unwrap_or(0),
                    attempt_uid: u.attempt_uid,
                    usage: Some(types::Usage {
                        provider: u.provider,
                        model: u.model,
                        role: u.role,
                        purpose: u.purpose,
                        total: count(u.total),
                        prompt: u.prompt.map(count),
                        completion: u.completion.map(count),
                        provenance: u.provenance,
                    }),
                })
                .collect(),
            failures: failures
                .into_iter()
                .map(|f| pb::Failure {
                    phase: u32::try_from(f.phase).unwrap_or(0),
                    attempt_uid: f.attempt_uid,
                    cause: f.cause,
                    class: f.class,
                    signature: f.signature,
                    raw: f.raw,
                })
                .collect(),
        })
    }

    async fn list_changes(
        &self,
        request: Request<pb::ListChangesRequest>,
    ) -> Reply<pb::ListChangesResponse> {
        super::changes::list(self, request.into_inner()).await
    }

    async fn import_ruleset(
        &self,
        request: Request<pb::ImportRulesetRequest>,
    ) -> Reply<pb::ImportRulesetResponse> {
        let r = request.into_inner();
        let ruleset_json = self
            .core
            .import_ruleset(&r.project, &r.document)
            .await
            .map_err(refuse)?;
        reply(pb::ImportRulesetResponse { ruleset_json })
    }

    async fn set_project_limits(
        &self,
        request: Request<pb::SetProjectLimitsRequest>,
    ) -> Reply<pb::SetProjectLimitsResponse> {
        let r = request.into_inner();
        let project = r.project.clone();
        let limits = self.core.set_limits(&project, &r.into()).await;
        let limits = limits.map_err(refuse)?;
        reply(pb::SetProjectLimitsResponse {
            limits: Some((project.as_str(), &limits).into()),
        })
    }

    async fn get_project(
        &self,
        request: Request<pb::GetProjectRequest>,
    ) -> Reply<pb::GetProjectResponse> {
        let project = request.into_inner().project;
        let ruleset_json = self.core.project(&project).await.map_err(refuse)?;
        let (limits, running) = self.core.limits(&project);
        reply(pb::GetProjectResponse {
            limits: Some((project.as_str(), &limits).into()),
            running,
            ruleset_json,
            project,
        })
    }

    async fn list_dead_letters(
        &self,
        request: Request<pb::ListDeadLettersRequest>,
    ) -> Reply<pb::ListDeadLettersResponse> {
        let r = request.into_inner();
        let found = self
            .core
            .list_dead_letters(r.page_size, &r.page_token, &r.id);
        let (letters, next_page_token) = found.await.map_err(refuse)?;
        reply(pb::ListDeadLettersResponse {
            dead_letters: letters.into_iter().map(dead_letter).collect(),
            next_page_token,
        })
    }

    async fn requeue_dead_letter(
        &self,
        request: Request<pb::RequeueDeadLetterRequest>,
    ) -> Reply<pb::RequeueDeadLetterResponse> {
        let id = request.into_inner().id;
        let requeued = self.core.requeue_dead_letter(&id).await;
        let (run_id, job) = requeued.map_err(refuse)?;
        let job_uid = job.to_string();
        reply(pb::RequeueDeadLetterResponse { run_id, job_uid })
    }

    async fn discard_dead_letter(
        &self,
        request: Request<pb::DiscardDeadLetterRequest>,
    ) -> Reply<pb::DiscardDeadLetterResponse> {
        let id = request.into_inner().id;
        self.core.discard_dead_letter(&id).await.map_err(refuse)?;
        reply(pb::DiscardDeadLetterResponse {})
    }

    async fn list_workers(
        &self,
        request: Request<pb::ListWorkersRequest>,
    ) -> Reply<pb::ListWorkersResponse> {
        let r = request.into_inner();
        let (workers, next_page_token) = self
            .core
            .list_workers(r.page_size, &r.page_token)
            .await
            .map_err(refuse)?;
        reply(pb::ListWorkersResponse {
            workers: workers.into_iter().map(super::workers::listed).collect(),
            next_page_token,
        })
    }

    async fn get_info(&self, _: Request<pb::GetInfoRequest>) -> Reply<pb::GetInfoResponse> {
        let config = &self.core.config;
        reply(pb::GetInfoResponse {
            version: config.version.clone(),
            database_identity: self.core.identity.clone(),
            database: config.database_masked.clone(),
            set_aside: self.core.corrupt_rows(),
            lease: Some(duration_to_proto(config.lease)),
            epoch: self.core.epoch,
            switches: config.switches.clone(),
        })
    }
}

fn explanation(e: Explanation) -> pb::PhaseExplanation {
    pb::PhaseExplanation {
        phase_id: e.phase,
        state: e.state,
        holds: e
            .holds
            .into_iter()
            .map(|h| pb::Hold {
                rule: h.rule.to_owned(),
                facts: h.facts,
                remedy: h.remedy.to_owned(),
            })
            .collect(),
    }
}
