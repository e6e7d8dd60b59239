//! The RPCs: decode, ask, encode.
//!
//! Invariant: what the registry refuses is passed on as it came; an open stream ends on shutdown.

use std::{collections::HashMap, pin::Pin, time::Duration};

use autopack_domain::fault::Fault;
use autopack_wire::{
    convert::time_to_proto,
    registry::{GetRunRequest, ListAttemptsRequest, ListFactsRequest},
    status::invalid_argument,
    telemetry::{
        GetRunUsageRequest, GetRunUsageResponse, StreamMetricsRequest, StreamMetricsResponse,
        telemetry_service_server::{TelemetryService, TelemetryServiceServer},
    },
    types::{attempt, run},
};
use futures::{Stream, stream};
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Response, Status,
    service::{Routes, RoutesBuilder},
};

use crate::{Shared, figures, usage};

/// Between two answers, if the caller does not say.
const INTERVAL: Duration = Duration::from_secs(5);

/// The service.
#[derive(Clone, Debug)]
pub struct Api {
    shared: Shared,
    shutdown: CancellationToken,
}

/// The service's routes; open streams end on the token.
pub fn routes(shared: Shared, shutdown: CancellationToken) -> Routes {
    let mut routes = RoutesBuilder::default();
    routes.add_service(TelemetryServiceServer::new(Api { shared, shutdown }));
    routes.routes()
}

#[tonic::async_trait]
impl TelemetryService for Api {
    async fn get_run_usage(
        &self,
        request: Request<GetRunUsageRequest>,
    ) -> Result<Response<GetRunUsageResponse>, Status> {
        let run_id = request.into_inner().run_id;
        let registry = &self.shared.ports.clients.registry;
        let (mut one, mut two, mut three) = (registry.clone(), registry.clone(), registry.clone());
        let (run, facts, attempts) = tokio::try_join!(
            one.get_run(GetRunRequest {
                run_id: run_id.clone(),
                brief: true,
            }),
            two.list_facts(ListFactsRequest {
                run_id: run_id.clone(),
            }),
            three.list_attempts(ListAttemptsRequest {
                run_id: run_id.clone(),
                phase_id: String::new(),
            }),
        )?;
        let run = run.into_inner().run.unwrap_or_default();
        let state = run::State::try_from(run.state).unwrap_or_default();
        let state = state.as_str_name();
        let usage = usage::sums(&facts.into_inner().usage);
        let mut failures: HashMap<String, u32> = HashMap::new();
        let mut ended = 0;
        for attempt in attempts.into_inner().attempts {
            if attempt.finish_time.is_some() {
                ended += 1;
            }
            if attempt.state == i32::from(attempt::State::Failed) {
                *failures.entry(attempt.cause).or_default() += 1;
            }
        }
        Ok(Response::new(GetRunUsageResponse {
            run_uid: run.uid,
            state: state.strip_prefix("STATE_").unwrap_or(state).to_owned(),
            tokens: usage.iter().map(|sum| sum.total).sum(),
            usage,
            attempts: ended,
            failures,
        }))
    }

    type StreamMetricsStream =
        Pin<Box<dyn Stream<Item = Result<StreamMetricsResponse, Status>> + Send>>;

    async fn stream_metrics(
        &self,
        request: Request<StreamMetricsRequest>,
    ) -> Result<Response<Self::StreamMetricsStream>, Status> {
        let interval = match request.into_inner().interval {
            None => INTERVAL,
            Some(given) => Duration::try_from(given)
                .ok()
                .filter(|span| {
                    (Duration::from_millis(100)..=Duration::from_hours(1)).contains(span)
                })
                .ok_or_else(|| {
                    let fault = Fault::new("interval", "must be from 100 ms to one hour");
                    invalid_argument(vec![fault.example("5s")])
                })?,
        };
        let api = self.clone();
        let answers = stream::unfold((api, Duration::ZERO), move |(api, wait)| async move {
            tokio::select! {
                () = api.shutdown.cancelled() => return None,
                () = tokio::time::sleep(wait) => {}
            }
            let answer = StreamMetricsResponse {
                time: Some(time_to_proto(api.shared.ports.clock.now())),
                points: figures::points(&api.shared),
            };
            Some((Ok(answer), (api, interval)))
        });
        Ok(Response::new(Box::pin(answers)))
    }
}
