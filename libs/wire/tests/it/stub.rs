//! A registry whose answers follow the run id that is asked for.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use autopack_domain::{Fault, Reason, Refusal};
use autopack_wire::{
    registry::{
        registry_service_server::{RegistryService, RegistryServiceServer},
        *,
    },
    server::{Principal, RequestId},
    status,
};
use futures::{StreamExt as _, stream};
use tonic::{Request, Response, Status, service::Routes};

/// One call: principal, request id, `traceparent`.
type Call = (Option<Principal>, Option<String>, Option<String>);

/// What the handlers saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) calls: AtomicU32,
    pub(crate) abandoned: AtomicU32,
    pub(crate) last: Mutex<Vec<Call>>,
}

#[derive(Clone, Default)]
pub(crate) struct Stub {
    pub(crate) seen: Arc<Seen>,
    /// A standby, which says that the active registry is there.
    pub(crate) standby: Arc<Mutex<Option<String>>>,
}

impl Stub {
    pub(crate) fn routes(&self) -> Routes {
        Routes::new(RegistryServiceServer::new(self.clone()))
    }

    pub(crate) fn calls(&self) -> u32 {
        self.seen.calls.load(Ordering::SeqCst)
    }

    /// Makes it a standby that names this address, or the active one.
    pub(crate) fn stand_by(&self, active: Option<&str>) {
        *self.standby.lock().unwrap() = active.map(str::to_owned);
    }

    fn serving(&self) -> Result<(), Status> {
        match &*self.standby.lock().unwrap() {
            None => Ok(()),
            Some(active) => {
                let refusal = Refusal::new(Reason::NotActive, "a standby").with("active", active);
                Err(status::to_status(&refusal))
            }
        }
    }
}

/// Counts a handler that was dropped before its end.
struct Abandoned(Arc<Seen>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.abandoned.fetch_add(1, Ordering::SeqCst);
    }
}

type Answers = stream::BoxStream<'static, Result<WatchRunResponse, Status>>;

macro_rules! unimplemented_rpcs {
    ($($name:ident($request:ident) -> $response:ident),+ $(,)?) => {
        #[tonic::async_trait]
        impl RegistryService for Stub {
            type WatchRunStream = Answers;

            async fn get_run(&self, request: Request<GetRunRequest>) -> Result<Response<GetRunResponse>, Status> {
                self.answer(request).await
            }

            async fn create_run(&self, _: Request<CreateRunRequest>) -> Result<Response<CreateRunResponse>, Status> {
                let call = self.seen.calls.fetch_add(1, Ordering::SeqCst);
                if call == 0 {
                    return Err(status::to_status_after(
                        &Refusal::new(Reason::RegistryUnavailable, "starting"),
                        Duration::from_millis(1),
                    ));
                }
                Ok(Response::new(CreateRunResponse { existing: true, ..Default::default() }))
            }

            async fn watch_run(&self, request: Request<WatchRunRequest>) -> Result<Response<Answers>, Status> {
                let first = WatchRunResponse { message: Some(watch_run_response::Message::Heartbeat(1)) };
                let first = stream::iter([Ok(first)]);
                Ok(Response::new(match request.get_ref().run_id.as_str() {
                    "panic" => first
.chain(stream::once(async {
// Else the panic would meet the first message in one frame.
tokio::task::yield_now().await;
panic!("in a stream")
}))
.boxed(),
                    "open" => first.chain(stream::pending()).boxed(),
                    _ => first.boxed(),
                }))
            }

            async fn pause_run(&self, _: Request<PauseRunRequest>) -> Result<Response<PauseRunResponse>, Status> {
                self.seen.calls.fetch_add(1, Ordering::SeqCst);
                self.serving()?;
                Ok(Response::new(PauseRunResponse::default()))
            }

            $(async fn $name(&self, _: Request<$request>) -> Result<Response<$response>, Status> {
                Err(Status::unimplemented("stub"))
            })+
        }
    };
}

unimplemented_rpcs!(
    list_runs(ListRunsRequest) -> ListRunsResponse,
    set_project_limits(SetProjectLimitsRequest) -> SetProjectLimitsResponse,
    start_run(StartRunRequest) -> StartRunResponse,
    resume_run(ResumeRunRequest) -> ResumeRunResponse,
    cancel_run(CancelRunRequest) -> CancelRunResponse,
    retry_run(RetryRunRequest) -> RetryRunResponse,
    add_phase(AddPhaseRequest) -> AddPhaseResponse,
    explain_run(ExplainRunRequest) -> ExplainRunResponse,
    list_attempts(ListAttemptsRequest) -> ListAttemptsResponse,
    list_facts(ListFactsRequest) -> ListFactsResponse,
    list_changes(ListChangesRequest) -> ListChangesResponse,
    import_ruleset(ImportRulesetRequest) -> ImportRulesetResponse,
    get_project(GetProjectRequest) -> GetProjectResponse,
    list_dead_letters(ListDeadLettersRequest) -> ListDeadLettersResponse,
    requeue_dead_letter(RequeueDeadLetterRequest) -> RequeueDeadLetterResponse,
    discard_dead_letter(DiscardDeadLetterRequest) -> DiscardDeadLetterResponse,
    list_workers(ListWorkersRequest) -> ListWorkersResponse,
    get_info(GetInfoRequest) -> GetInfoResponse,
);

impl Stub {
    async fn answer(
        &self,
        request: Request<GetRunRequest>,
    ) -> Result<Response<GetRunResponse>, Status> {
        let call = self.seen.calls.fetch_add(1, Ordering::SeqCst);
        self.serving()?;
        let header = |name: &str| {
            request
                .metadata()
                .get(name)
                .and_then(|v| v.to_str().ok())
                .map(str::to_owned)
        };
        self.seen.last.lock().unwrap().push((
            request.extensions().get::<Principal>().copied(),
            request
                .extensions()
                .get::<RequestId>()
                .map(|id| id.0.to_string()),
            header("traceparent"),
        ));
        match request.get_ref().run_id.as_str() {
            "ok" => Ok(Response::new(GetRunResponse::default())),
            "flaky" if call >= 2 => Ok(Response::new(GetRunResponse::default())),
            "flaky" | "down" => Err(Status::unavailable("not yet")),
            "slow" => {
                let _abandoned = Abandoned(self.seen.clone());
                tokio::time::sleep(Duration::from_secs(20)).await;
                Ok(Response::new(GetRunResponse::default()))
            }
            "panic" => panic!("a defect"),
            "faulty" => Err(status::invalid_argument(vec![
                Fault::new("run_id", "is wrong")
                    .allowed(["ok"])
                    .example("ok"),
            ])),
            "many" => Err(status::invalid_argument(
                (0..300)
                    .map(|i| Fault::new(format!("f[{i}]"), "is wrong"))
                    .collect(),
            )),
            other => Err(status::to_status(
                &Refusal::new(Reason::RunNotFound, format!("no run `{other}`")).with("run", other),
            )),
        }
    }
}

/// A request for a run.
pub(crate) fn get(run_id: &str) -> GetRunRequest {
    GetRunRequest {
        run_id: run_id.into(),
        brief: false,
    }
}
