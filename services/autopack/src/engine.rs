//! The all-in-one: registry, scheduler and worker over one data directory in this process.
//!
//! Invariant: the data directory's lock is held from before the first service starts until after the last one has
//! ended; at the end workers hand their leases back while the registry still answers.

use std::{ffi::OsString, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use autopack_artifacts::Artifacts;
use autopack_bus::{Bus, BusConfig};
use autopack_domain::Reason;
use autopack_runtime::{
    Clock, DataDir, Kind, RegistryFile, Supervisor, SystemClock, V7Ids,
    config::environment,
    telemetry::propagation::{extract, inject, set_parent_context},
};
use autopack_wire::{
    client::{ClientOptions, Clients},
    serve::{ServeOptions, bind_uds, serve_tcp, serve_uds_socket, with_probes},
    server::{Principal, ServerLayer, ServerOptions, TokenTable},
};
use builder_worker::{WorkerConfig, registry_client::WireRegistry};
use phase_scheduler::SchedulerConfig;
use run_registry::{Registry, RegistryConfig};
use tonic::service::Routes;

use crate::{aliases::Settings, error::CliError, runfiles::RunFiles};

/// How long everything but the registry may take to end; a worker drains for 20 s.
const DRAIN: Duration = Duration::from_secs(25);
/// How long the registry's own tasks may take to end.
const REGISTRY_END: Duration = Duration::from_secs(3);
/// How long open connections may take to end.
const GRACE: Duration = Duration::from_secs(2);
/// Services that health checks know by name.
const SERVICES: &[&str] = &[
    "autopack.registry.v1.RegistryService",
    "autopack.registry.v1.DispatchService",
    "autopack.registry.v1.WorkService",
    "autopack.registry.v1.ArtifactService",
];
/// Variables that git needs to reach a remote repository.
const GIT_REMOTE: &[&str] = &[
    "SSH_AUTH_SOCK", "SSH_ASKPASS", "GIT_ASKPASS", "GIT_SSH_COMMAND", "GIT_SSH", "GIT_TERMINAL_PROMPT",
    "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR",
];

/// What to start.
#[derive(Clone, Debug)]
pub(crate) enum Scope {
    /// The registry, for this process alone.
    Registry,
    /// Everything, for other processes too.
    All {
        /// Phases at a time.
        slots: usize,
        /// `in-process`, or an address of NATS.
        bus: String,
        /// TCP beside the Unix socket.
        listen: Option<SocketAddr>,
    },
}

/// Services of this process.
pub(crate) struct Engine {
    clients: Clients,
    data: DataDir,
    files: RunFiles,
    /// Scheduler, worker, sockets, files of runs.
    services: Supervisor,
    /// The registry's own tasks, which end last.
    registry: Supervisor,
    bus: Arc<dyn Bus>,
    addresses: RegistryFile,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// What the parts of an engine are made from.
struct Parts<'a> {
    routes: Routes,
    layer: ServerLayer,
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    services: &'a Supervisor,
}

impl Parts<'_> {
    fn clients(&self, principal: Principal) -> Clients {
        let options = ClientOptions::default().inject(Arc::new(inject));
        Clients::in_process_with(self.routes.clone(), principal, &self.layer, &options)
    }
}

impl Engine {
    /// Starts the services; a failure leaves nothing running.
    pub(crate) async fn start(settings: &Settings, data: DataDir, scope: Scope) -> Result<Self, CliError> {
        let services = Supervisor::new();
        let registry = Supervisor::new();
        match Self::assemble(settings, data, scope, services.clone(), registry.clone()).await {
            Ok(engine) => Ok(engine),
            Err(error) => {
                services.shutdown(GRACE).await;
                registry.cancel();
                Err(error)
            }
        }
    }

    async fn assemble(
        settings: &Settings,
        data: DataDir,
        scope: Scope,
        services: Supervisor,
        registry: Supervisor,
    ) -> Result<Self, CliError> {
        // What an earlier process wrote about itself no longer holds.
        data.remove_registry().map_err(|error| CliError::io("cannot write in", data.path(), &error))?;
        let url = match &scope {
            Scope::Registry => None,
            Scope::All { bus, .. } => Some(bus.clone()),
        };
        let bus = autopack_bus::connect(BusConfig { url, name: format!("autopack/{}", std::process::id()), ..BusConfig::default() })
            .await
            .map_err(|error| CliError::new(format!("the bus cannot be used: {error}")).hint("check --bus, or leave it out for the in-process bus"))?;
        let artifacts = Artifacts::open_local(&data.artifacts()).map_err(|error| CliError::new(error.to_string()))?;
        if let Err(error) = artifacts.remove_unfinished().await {
            tracing::warn!(%error, "unfinished artifacts were not removed");
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let ports = run_registry::Ports {
            clock: Arc::clone(&clock),
            ids: Arc::new(V7Ids),
            bus: Arc::clone(&bus),
            artifacts: Arc::new(artifacts),
            failpoint,
        };
        let (database_masked, database_identity) = settings.database_shown();
        tracing::info!(database = %database_masked, identity = %database_identity, "the database is opened");
        let config = RegistryConfig { database_masked, database_identity, ..RegistryConfig::embedded(settings.database_file()) };
        let started = Registry::start(config, ports, &registry).await?;
        let (routes, probes) = with_probes(started.routes(services.token()), SERVICES)
            .await
            .map_err(|error| CliError::reason(Reason::InternalFault, error.to_string()))?;
        let layer = ServerLayer::new(server_options(&data)?);
        let parts = Parts { routes, layer, bus: Arc::clone(&bus), clock, services: &services };
        let clients = parts.clients(Principal::User);
        let files = RunFiles::new(data.runs(), clients.clone(), Arc::clone(&parts.clock));
        let mut addresses = RegistryFile {
            pid: std::process::id(),
            socket: None,
            tcp: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        if let Scope::All { slots, listen, .. } = scope {
            clear(&data.tmp());
            parts.work(data.path(), slots);
            parts.watch_ends(files.clone());
            addresses = parts.listen(&data, listen, addresses).await?;
            probes.set_ready(true).await;
            data.write_registry(&addresses).map_err(|error| CliError::io("cannot write in", data.path(), &error))?;
        }
        Ok(Self { clients, data, files, services: services.clone(), registry, bus, addresses })
    }

    /// Clients without a socket.
    pub(crate) fn clients(&self) -> Clients {
        self.clients.clone()
    }

    /// Where others reach this process.
    pub(crate) fn addresses(&self) -> &RegistryFile {
        &self.addresses
    }

    /// The files of ended runs.
    pub(crate) fn files(&self) -> &RunFiles {
        &self.files
    }

    /// Waits until a service ended that must not end.
    pub(crate) async fn broken(&self) {
        tokio::select! {
            () = self.services.cancelled() => {}
            () = self.registry.cancelled() => {}
        }
    }

    /// Ends everything: workers hand back what they cannot finish, the registry goes last.
    pub(crate) async fn stop(self) -> Option<String> {
        let Self { clients, data, files, services, registry, bus, .. } = self;
        let report = services.shutdown(DRAIN).await;
        bus.close(GRACE).await;
        drop((clients, files, bus));
        registry.cancel();
        let waited = async {
            // The writer ends with the last of its handles, and has committed all it has answered.
            while registry.running().iter().any(|task| task != "registry.writer") {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let late = tokio::time::timeout(REGISTRY_END, waited).await.is_err();
        if late {
            tracing::warn!(tasks = ?registry.running(), "tasks of the registry did not end in time");
        }
        if let Err(error) = data.remove_registry() {
            tracing::warn!(%error, "registry.json was not removed");
        }
        report.failure
    }
}

impl Parts<'_> {
    /// Starts scheduler and worker.
    fn work(&self, data: &Path, slots: usize) {
        let ports = phase_scheduler::Ports {
            clients: self.clients(Principal::Scheduler),
            bus: Arc::clone(&self.bus),
            clock: Arc::clone(&self.clock),
        };
        let scheduler = phase_scheduler::build(SchedulerConfig::default(), ports);
        self.services.spawn("scheduler", Kind::Critical, scheduler.run(self.services.token()));
        let clients = self.clients(Principal::Worker);
        let clock = Arc::clone(&self.clock);
        let ports = builder_worker::Ports {
            registry: Arc::new(WireRegistry::new(clients.work, clients.artifacts)),
            bus: Arc::clone(&self.bus),
            clock: Arc::new(move || clock.now()),
            failpoint,
        };
        let worker = builder_worker::build(worker_config(data, slots), ports);
        self.services.spawn("worker", Kind::Critical, worker.run(self.services.token()));
    }

    /// Writes the files of runs that end.
    fn watch_ends(&self, files: RunFiles) {
        let (bus, token) = (Arc::clone(&self.bus), self.services.token());
        self.services.spawn("run_files", Kind::BestEffort, files.keep_up(bus, token));
    }

    /// Binds the sockets and starts to serve on them.
    async fn listen(&self, data: &DataDir, listen: Option<SocketAddr>, mut addresses: RegistryFile) -> Result<RegistryFile, CliError> {
        let options = ServeOptions { layer: self.layer.clone(), grace: GRACE, ..ServeOptions::default() };
        let path = data.socket(&environment).map_err(|error| CliError::io("no socket can be made for", data.path(), &error))?;
        let socket = bind_uds(&path).await.map_err(|error| CliError::io("cannot listen on", &path, &error))?;
        let end = self.services.token().cancelled_owned();
        self.services.spawn("serve.unix", Kind::Critical, serve_uds_socket(socket, self.routes.clone(), options.clone(), end));
        addresses.socket = Some(path);
        if let Some(address) = listen {
            let failed = |error: std::io::Error| CliError::new(format!("cannot listen on {address}: {error}")).hint("choose another port with --listen; port 0 takes any");
            let listener = tokio::net::TcpListener::bind(address).await.map_err(failed)?;
            addresses.tcp = Some(listener.local_addr().map_err(failed)?.to_string());
            let end = self.services.token().cancelled_owned();
            self.services.spawn("serve.tcp", Kind::Critical, serve_tcp(listener, self.routes.clone(), options, end));
        }
        Ok(addresses)
    }
}

/// The token of the data directory is a user's.
fn server_options(data: &DataDir) -> Result<ServerOptions, CliError> {
    let token = data.token().map_err(|error| CliError::io("cannot make a token in", data.path(), &error))?;
    let tokens = TokenTable::default()
        .with(&token, Principal::User)
        .map_err(|error| CliError::new(error.to_string()))?;
    Ok(ServerOptions {
        tokens,
        extract: Some(Arc::new(|headers, span| set_parent_context(span, extract(headers)))),
        ..ServerOptions::default()
    })
}

fn worker_config(data: &Path, slots: usize) -> WorkerConfig {
    let remote = GIT_REMOTE.iter().filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
    WorkerConfig {
        name: format!("embedded/{}", std::process::id()),
        git_remote_env: remote.collect(),
        ..WorkerConfig::new(data, slots)
    }
}

/// Half the processors, 2 at least and 8 at most.
pub(crate) fn default_slots() -> usize {
    std::thread::available_parallelism().map_or(2, |n| n.get() / 2).clamp(2, 8)
}

/// Removes what an earlier process left in the scratch folder.
fn clear(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed = if is_folder { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        if let Err(error) = removed {
            tracing::warn!(path = %path.display(), %error, "a scratch file was not removed");
        }
    }
}

/// Ends the process at the place that `AUTOPACK_FAILPOINT` names; in builds for crash tests only.
fn failpoint(name: &str) {
    #[cfg(feature = "failpoints")]
    crash_at(name);
    #[cfg(not(feature = "failpoints"))]
    let _ = name;
}

/// `AUTOPACK_FAILPOINT=registry.after_commit=3`: at the third time.
#[cfg(feature = "failpoints")]
fn crash_at(name: &str) {
    use std::sync::atomic::{AtomicU32, Ordering};
    static LEFT: std::sync::LazyLock<Option<(String, AtomicU32)>> = std::sync::LazyLock::new(|| {
        let text = environment("AUTOPACK_FAILPOINT")?;
        let (name, times) = text.split_once('=').unwrap_or((&text, "1"));
        Some((name.to_owned(), AtomicU32::new(times.parse().unwrap_or(1))))
    });
    if let Some((at, left)) = &*LEFT
        && at == name
        && left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        std::process::abort();
    }
}
