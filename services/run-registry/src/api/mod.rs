//! The gRPC services: decode, call `app`, encode. No decisions.
//!
//! Invariant: every fault of a request is reported at once, and nothing reaches a caller as a bare INTERNAL.

mod approval_service;
mod artifact_service;
mod changes;
mod dead_letters;
mod decode;
mod dispatch_service;
mod doctor_service;
mod import_service;
mod issue_service;
mod promotion_service;
mod registry_service;
mod report_service;
mod schema;
mod server_service;
mod submission_service;
mod switch;
mod watch;
mod work_fields;
mod work_service;
mod workers;

use std::sync::Arc;

use autopack_bus::{EventEnvelope, JobEnvelope};
use autopack_domain::{EventKind, TraceContext, run::JobKind, trace::CONTEXT_FACT};
use autopack_store::rows::event::StoredEvent;
use autopack_store_write::Encoder;
use autopack_wire::{
    bus::JobMessage,
    convert::time_to_proto,
    registry::{
        approval_service_server::ApprovalServiceServer,
        artifact_service_server::ArtifactServiceServer,
        dispatch_service_server::DispatchServiceServer, doctor_service_server::DoctorServiceServer,
        import_service_server::ImportServiceServer, issue_service_server::IssueServiceServer,
        promotion_service_server::PromotionServiceServer,
        registry_service_server::RegistryServiceServer, report_service_server::ReportServiceServer,
        server_service_server::ServerServiceServer,
        submission_service_server::SubmissionServiceServer, work_service_server::WorkServiceServer,
    },
    types,
};
use prost::Message as _;
use tokio::sync::watch::{Receiver, channel};
use tokio_util::sync::CancellationToken;
use tonic::service::{Routes, RoutesBuilder};

use self::switch::Switch;
use crate::{
    Registry, Serving,
    app::Core,
    serving::{Active, Activity},
};

/// Messages of a request at most; plans are 4 MiB at most.
const MAX_MESSAGE: usize = 8 << 20;

impl Registry {
    /// The services as routes; open streams end on the token.
    pub fn routes(&self, streams: CancellationToken) -> Routes {
        let core = Arc::clone(&self.core);
        let active = Activity::Active(Active { core, streams });
        // Nobody changes it: this registry is active for as long as it lives.
        let (_, activity) = channel(active);
        routes(&activity)
    }
}

impl Serving {
    /// The services as routes: they answer while this registry is active, else `NOT_ACTIVE` with the address
    /// of the one that is.
    pub fn routes(&self) -> Routes {
        routes(&self.activity())
    }
}

fn routes(activity: &Receiver<Activity>) -> Routes {
    let mut routes = RoutesBuilder::default();
    routes
        .add_service(Switch::new(activity.clone(), registry))
        .add_service(Switch::new(activity.clone(), dispatch))
        .add_service(Switch::new(activity.clone(), work))
        .add_service(Switch::new(activity.clone(), doctor))
        .add_service(Switch::new(activity.clone(), imports))
        .add_service(Switch::new(activity.clone(), issues))
        .add_service(Switch::new(activity.clone(), reports))
        .add_service(Switch::new(activity.clone(), promotions))
        .add_service(Switch::new(activity.clone(), submissions))
        .add_service(Switch::new(activity.clone(), approvals))
        .add_service(Switch::new(activity.clone(), artifact))
        .add_service(Switch::new(activity.clone(), server));
    routes.routes()
}

fn registry(api: Api) -> RegistryServiceServer<Api> {
    RegistryServiceServer::new(api).max_decoding_message_size(MAX_MESSAGE)
}

fn dispatch(api: Api) -> DispatchServiceServer<Api> {
    DispatchServiceServer::new(api).max_decoding_message_size(MAX_MESSAGE)
}

fn work(api: Api) -> WorkServiceServer<Api> {
    WorkServiceServer::new(api).max_decoding_message_size(MAX_MESSAGE)
}

fn imports(api: Api) -> ImportServiceServer<Api> {
    ImportServiceServer::new(api).max_decoding_message_size(MAX_MESSAGE)
}

fn issues(api: Api) -> IssueServiceServer<Api> {
    IssueServiceServer::new(api).max_decoding_message_size(MAX_MESSAGE)
}

fn reports(api: Api) -> ReportServiceServer<Api> {
    ReportServiceServer::new(api).max_decoding_message_size(MAX_MESSAGE)
}

fn promotions(api: Api) -> PromotionServiceServer<Api> {
    PromotionServiceServer::new(api).max_decoding_message_size(MAX_MESSAGE)
}

fn submissions(api: Api) -> SubmissionServiceServer<Api> {
    SubmissionServiceServer::new(api).max_decoding_message_size(MAX_MESSAGE)
}

fn approvals(api: Api) -> ApprovalServiceServer<Api> {
    ApprovalServiceServer::new(api).max_decoding_message_size(MAX_MESSAGE)
}

fn doctor(api: Api) -> DoctorServiceServer<Api> {
    DoctorServiceServer::new(api).max_decoding_message_size(MAX_MESSAGE)
}

fn artifact(api: Api) -> ArtifactServiceServer<Api> {
    ArtifactServiceServer::new(api).max_decoding_message_size(MAX_MESSAGE)
}

fn server(api: Api) -> ServerServiceServer<Api> {
    ServerServiceServer::new(api)
}

/// One value serves all services.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    core: Arc<Core>,
    shutdown: CancellationToken,
}

/// How events are stored, relayed and watched: as the protobuf message.
pub(crate) fn event_encoder() -> Encoder {
    Arc::new(|header, event| {
        types::Event {
            sequence: header.sequence,
            run_sequence: header.run_sequence,
            kind: event.kind.code().to_owned(),
            time: Some(time_to_proto(header.at)),
            run: Some((&event.run).into()),
            tier: event.tier.as_ref().map(|(i, t)| (*i, t).into()),
            phase: event.phase.as_ref().map(|(i, p)| (*i, p).into()),
            attempt: event.attempt.as_ref().map(Into::into),
            job: event.job.as_ref().map(Into::into),
            text: event.text.clone(),
        }
        .encode_to_vec()
    })
}

/// What the relay publishes for a page of the log: every event, and a job for each offer, which names the database.
pub(crate) fn bus_messages(
    stored: &[StoredEvent],
    database: &str,
) -> (Vec<EventEnvelope>, Vec<JobEnvelope>) {
    let mut events = Vec::with_capacity(stored.len());
    let mut jobs = Vec::new();
    for row in stored {
        let Ok(event) = types::Event::decode(row.body.as_slice()) else {
            tracing::error!(
                sequence = row.sequence,
                "an event of the log does not decode; it is left out"
            );
            continue;
        };
        let run = event.run.as_ref();
        let trace = run.and_then(|r| TraceContext::parse(r.facts.get(CONTEXT_FACT)?));
        jobs.extend(job_of(&event, trace, database).map(|job| JobEnvelope {
            id: row.uid.to_string(),
            traceparent: Some(job.traceparent.clone()).filter(|text| !text.is_empty()),
            job,
        }));
        events.push(EventEnvelope {
            id: row.uid.to_string(),
            project: run.map_or_else(String::new, |r| r.project.clone()),
            run_uid: row.run.to_string(),
            event,
            traceparent: trace.map(|trace| trace.to_string()),
        });
    }
    (events, jobs)
}

/// The job that an event offers; an attempt's work belongs below the attempt's span, any other below the run's.
fn job_of(event: &types::Event, trace: Option<TraceContext>, database: &str) -> Option<JobMessage> {
    let shown = |trace: Option<TraceContext>| trace.map_or_else(String::new, |t| t.to_string());
    let run = event.run.as_ref()?;
    let base = JobMessage {
        run_uid: run.uid.clone(),
        priority: run.priority,
        lane: autopack_bus::subject::DEFAULT_LANE.to_owned(),
        traceparent: shown(trace),
        database_identity: database.to_owned(),
        ..JobMessage::default()
    };
    match EventKind::parse(&event.kind)? {
        EventKind::AttemptOffered => {
            let attempt = event.attempt.as_ref()?;
            let (lane, priority) = place(&attempt.facts_json);
            Some(JobMessage {
                lane: lane.unwrap_or(base.lane),
                priority: priority.unwrap_or(base.priority),
                job_uid: attempt.job.clone(),
                kind: JobKind::Phase.as_str().to_owned(),
                traceparent: shown(
                    trace.and_then(|run| Some(run.of_attempt(attempt.uid.parse().ok()?))),
                ),
                attempt_uid: attempt.uid.clone(),
                phase: attempt.phase,
                offer: attempt.number,
                ..base
            })
        }
        EventKind::JobOffered => {
            let job = event.job.as_ref()?;
            Some(JobMessage {
                job_uid: job.uid.clone(),
                kind: job.kind.clone(),
                not_before_time: job.not_before_time,
                ..base
            })
        }
        _ => None,
    }
}

/// Lane and priority that an attempt was offered with, where they are not its run's.
fn place(facts: &str) -> (Option<String>, Option<u32>) {
    let Ok(facts) = serde_json::from_str::<serde_json::Value>(facts) else {
        return (None, None);
    };
    let lane = facts["lane"].as_str().map(str::to_owned);
    let priority = facts["priority"]
        .as_u64()
        .and_then(|p| u32::try_from(p).ok());
    (lane, priority)
}
