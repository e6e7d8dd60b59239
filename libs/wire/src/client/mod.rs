//! The typed clients of registry and scheduler, over a channel and in process.
//!
//! Invariant: both forms go through the same client layers, and the in-process form through the server's own
//! layers too, so that there is one code path; only the socket is missing.

mod breaker;
mod call;
mod connect;
mod database;
mod gaps;
mod health;
mod offer;
mod replay;
mod several;
pub(crate) mod timeout;
mod transport;

use std::{sync::Arc, time::Duration};

use tonic::{Status, service::Routes};
use tower::{Layer as _, ServiceExt as _, util::BoxCloneSyncService};

pub use call::ClientService;
pub use connect::{BadAddress, ClientTls, channel, channel_http, channel_uds};
pub use database::{DATABASE_HEADER, Database};
pub use gaps::Gaps;
pub use health::check_health;
pub use offer::{Offer, Told};
pub use several::split as split_addresses;

use crate::{
    registry::{
        approval_service_client::ApprovalServiceClient,
        artifact_service_client::ArtifactServiceClient,
        dispatch_service_client::DispatchServiceClient, doctor_service_client::DoctorServiceClient,
        import_service_client::ImportServiceClient, issue_service_client::IssueServiceClient,
        promotion_service_client::PromotionServiceClient,
        registry_service_client::RegistryServiceClient, report_service_client::ReportServiceClient,
        server_service_client::ServerServiceClient,
        submission_service_client::SubmissionServiceClient, work_service_client::WorkServiceClient,
    },
    scheduler::scheduler_service_client::SchedulerServiceClient,
    server::{Peer, Principal, ServerLayer},
    worker::worker_service_client::WorkerServiceClient,
};

/// The transport that all generated clients here use. Its error is a status already, so calls can be spawned
/// without naming lifetimes.
pub type GrpcService = BoxCloneSyncService<
    http::Request<tonic::body::Body>,
    http::Response<tonic::body::Body>,
    Status,
>;

/// Writes trace context into the headers of a call.
pub type Inject = Arc<dyn Fn(&mut http::HeaderMap) + Send + Sync>;

/// Bytes of one answer that a client decodes: a snapshot of the largest run fits.
pub const MAX_DECODE: usize = 16 * 1024 * 1024;

/// How calls are made.
#[derive(Clone)]
pub struct ClientOptions {
    /// Deadline of a unary call that sets none.
    pub deadline: Duration,
    /// Tries of an idempotent call, the first included.
    pub tries: u32,
    /// Pause before the second try; doubles, with jitter.
    pub backoff: Duration,
    /// The longest pause.
    pub max_backoff: Duration,
    /// Calls at a time; more wait.
    pub concurrency: usize,
    /// Sent as `authorization: Bearer`.
    pub token: Option<String>,
    /// Writes `traceparent` and its kin.
    pub inject: Option<Inject>,
    /// Identity of the database to work on; `None`: that of the first answer.
    pub database: Option<String>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(30),
            tries: 5,
            backoff: Duration::from_millis(50),
            max_backoff: Duration::from_secs(2),
            concurrency: 256,
            token: None,
            inject: None,
            database: None,
        }
    }
}

impl ClientOptions {
    /// With a bearer token.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// With trace context.
    pub fn inject(mut self, inject: Inject) -> Self {
        self.inject = Some(inject);
        self
    }
}

impl std::fmt::Debug for ClientOptions {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientOptions")
            .field("deadline", &self.deadline)
            .field("tries", &self.tries)
            .field("concurrency", &self.concurrency)
            .field("token", &self.token.is_some())
            .finish_non_exhaustive()
    }
}

/// The clients; cheap to clone.
#[derive(Clone, Debug)]
pub struct Clients {
    /// For users.
    pub registry: RegistryServiceClient<GrpcService>,
    /// For schedulers.
    pub dispatch: DispatchServiceClient<GrpcService>,
    /// For workers.
    pub work: WorkServiceClient<GrpcService>,
    /// For everybody with files.
    pub artifacts: ArtifactServiceClient<GrpcService>,
    /// The scheduler's own service, where it is served at the same address.
    pub scheduler: SchedulerServiceClient<GrpcService>,
    /// For operators: a worker's own service, where the address is a worker's or the all-in-one's.
    pub worker: WorkerServiceClient<GrpcService>,
    transport: GrpcService,
    database: Database,
    gaps: Gaps,
}

impl Clients {
    /// Clients over any transport.
    pub fn new(transport: GrpcService, options: &ClientOptions) -> Self {
        let layered = ClientService::new(transport, options);
        let (database, gaps) = (layered.database(), layered.gaps());
        let service = BoxCloneSyncService::new(layered);
        Self {
            registry: RegistryServiceClient::new(service.clone())
                .max_decoding_message_size(MAX_DECODE),
            dispatch: DispatchServiceClient::new(service.clone())
                .max_decoding_message_size(MAX_DECODE),
            work: WorkServiceClient::new(service.clone()).max_decoding_message_size(MAX_DECODE),
            artifacts: ArtifactServiceClient::new(service.clone())
                .max_decoding_message_size(MAX_DECODE),
            scheduler: SchedulerServiceClient::new(service.clone())
                .max_decoding_message_size(MAX_DECODE),
            worker: WorkerServiceClient::new(service.clone()),
            transport: service,
            database,
            gaps,
        }
    }

    /// For operators: what is stored.
    pub fn doctor(&self) -> DoctorServiceClient<GrpcService> {
        DoctorServiceClient::new(self.transport.clone()).max_decoding_message_size(MAX_DECODE)
    }

    /// For operators: runs of older systems.
    pub fn imports(&self) -> ImportServiceClient<GrpcService> {
        ImportServiceClient::new(self.transport.clone()).max_decoding_message_size(MAX_DECODE)
    }

    /// For everybody: what the registry offers.
    pub fn server(&self) -> ServerServiceClient<GrpcService> {
        ServerServiceClient::new(self.transport.clone())
    }

    /// For everybody who finds something.
    pub fn issues(&self) -> IssueServiceClient<GrpcService> {
        IssueServiceClient::new(self.transport.clone()).max_decoding_message_size(MAX_DECODE)
    }

    /// For everybody who wants figures.
    pub fn reports(&self) -> ReportServiceClient<GrpcService> {
        ReportServiceClient::new(self.transport.clone()).max_decoding_message_size(MAX_DECODE)
    }

    /// For everybody who takes results on.
    pub fn promotions(&self) -> PromotionServiceClient<GrpcService> {
        PromotionServiceClient::new(self.transport.clone()).max_decoding_message_size(MAX_DECODE)
    }

    /// For builders and auditors outside.
    pub fn submissions(&self) -> SubmissionServiceClient<GrpcService> {
        SubmissionServiceClient::new(self.transport.clone()).max_decoding_message_size(MAX_DECODE)
    }

    /// For those who decide on changes.
    pub fn approvals(&self) -> ApprovalServiceClient<GrpcService> {
        ApprovalServiceClient::new(self.transport.clone()).max_decoding_message_size(MAX_DECODE)
    }

    /// The database that these clients work on: that of the first answer, or the expected one.
    pub fn database(&self) -> Database {
        self.database.clone()
    }

    /// Methods that the server turned out to lack.
    pub fn gaps(&self) -> Gaps {
        self.gaps.clone()
    }

    /// Clients of services in this process, with default layers of its own.
    pub fn in_process(routes: Routes, principal: Principal) -> Self {
        Self::in_process_with(
            routes,
            principal,
            &ServerLayer::default(),
            &ClientOptions::default(),
        )
    }

    /// Clients of services in this process, through the layers that its sockets share.
    pub fn in_process_with(
        routes: Routes,
        principal: Principal,
        layer: &ServerLayer,
        options: &ClientOptions,
    ) -> Self {
        Self::new(in_process_transport(routes, principal, layer), options)
    }

    /// Clients over a channel.
    pub fn connect_channel(channel: tonic::transport::Channel, token: Option<&str>) -> Self {
        let options = ClientOptions {
            token: token.map(str::to_owned),
            ..ClientOptions::default()
        };
        Self::over_channel(channel, &options)
    }

    /// Clients of the registry at an address, or of the active one of a list that commas separate; connects with the
    /// first call. On a list, a call goes on to another registry when the one that was asked is a standby or away.
    pub fn at(
        addresses: &str,
        tls: &ClientTls,
        options: &ClientOptions,
    ) -> Result<Self, BadAddress> {
        Ok(Self::new(several::transport(addresses, tls)?, options))
    }

    /// Clients over a channel, with options.
    pub fn over_channel(channel: tonic::transport::Channel, options: &ClientOptions) -> Self {
        Self::new(transport::over_channel(channel), options)
    }

    /// Clients over a Unix socket; connects with the first call, and again whenever the peer went away.
    pub fn connect_uds(path: &std::path::Path) -> Result<Self, BadAddress> {
        Ok(Self::connect_channel(channel_uds(path)?, None))
    }

    /// Clients over TCP to `http://host:port` (or `host:port`); connects with the first call.
    pub fn connect_http(address: &str, token: Option<&str>) -> Result<Self, BadAddress> {
        Ok(Self::connect_channel(channel_http(address)?, token))
    }
}

/// The server's routes with its layers as a transport, for a caller of this process.
pub fn in_process_transport(
    routes: Routes,
    principal: Principal,
    layer: &ServerLayer,
) -> GrpcService {
    let service = layer
        .layer(routes.prepare())
        .map_err(|never: std::convert::Infallible| match never {});
    BoxCloneSyncService::new(service.map_request(
        move |mut request: http::Request<tonic::body::Body>| {
            request.extensions_mut().insert(Peer(Some(principal)));
            request
        },
    ))
}
