//! The all-in-one: registry, scheduler and worker over one data directory in this process.
//!
//! Invariant: the data directory's lock is held from before the first service starts until after the last one has
//! ended; at the end workers hand their leases back while the registry still answers.
//!
//! - `parts`: scheduler, worker and sockets around a registry

mod parts;
#[cfg(test)]
mod several;
#[cfg(test)]
mod several_rig;

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use autopack_artifacts::Artifacts;
use autopack_bus::{Bus, BusConfig};
use autopack_domain::Reason;
use autopack_runtime::{
    Clock, DataDir, RegistryFile, Supervisor, SystemClock, V7Ids, failpoint, telemetry,
};
use autopack_wire::{
    client::Clients,
    serve::with_probes,
    server::{Principal, ServerLayer},
};
use run_registry::{Registry, RegistryConfig};

use self::parts::{Parts, server_options};
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
    "autopack.registry.v1.DoctorService",
    "autopack.registry.v1.ImportService",
    "autopack.registry.v1.IssueService",
    "autopack.registry.v1.ReportService",
    "autopack.registry.v1.PromotionService",
    "autopack.registry.v1.ServerService",
];
/// Services of the scheduler and the worker at the same address.
const BESIDE: &[&str] = &[
    "autopack.scheduler.v1.SchedulerService",
    "autopack.worker.v1.WorkerService",
];
/// What to start.
#[derive(Clone, Debug)]
pub(crate) enum Scope {
    /// The registry, for this process alone.
    Registry,
    /// The registry and one worker, for this process alone; without a scheduler no phase is offered.
    Worker,
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
        f.debug_struct("Engine")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts the services; a failure leaves nothing running.
    pub(crate) async fn start(
        settings: &Settings,
        data: DataDir,
        scope: Scope,
    ) -> Result<Self, CliError> {
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
        data.remove_registry()
            .map_err(|error| CliError::io("cannot write in", data.path(), &error))?;
        let url = match &scope {
            Scope::Registry | Scope::Worker => None,
            Scope::All { bus, .. } => Some(bus.clone()),
        };
        let bus = autopack_bus::connect(BusConfig {
            url,
            name: format!("autopack/{}", std::process::id()),
            ..BusConfig::default()
        })
        .await
        .map_err(|error| {
            CliError::new(format!("the bus cannot be used: {error}"))
                .hint("check --bus, or leave it out for the in-process bus")
        })?;
        let artifacts = Artifacts::open_local(&data.artifacts())
            .map_err(|error| CliError::new(error.to_string()))?;
        if let Err(error) = artifacts.remove_unfinished().await {
            tracing::warn!(%error, "unfinished artifacts were not removed");
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let ports = run_registry::Ports {
            clock: Arc::clone(&clock),
            ids: Arc::new(V7Ids),
            bus: Arc::clone(&bus),
            artifacts: Arc::new(artifacts),
            traces: telemetry::recorder(),
            failpoint: failpoint::hit,
        };
        let database_masked = settings.database_shown();
        tracing::info!(database = %database_masked, "the database is opened");
        let config = RegistryConfig {
            database_masked,
            switches: settings.switches.on().map(ToOwned::to_owned).collect(),
            beside: match &scope {
                Scope::Registry | Scope::Worker => Vec::new(),
                Scope::All { .. } => BESIDE.iter().map(|name| (*name).to_owned()).collect(),
            },
            self_repair: settings.self_repair,
            ..RegistryConfig::embedded(settings.database_file())
        };
        let started = Registry::start(config, ports, &registry).await?;
        expect(settings, started.core.database_identity())?;
        let layer = ServerLayer::new(server_options(&data)?);
        let control = builder_worker::Control::new();
        let mut routes = started.routes(services.token());
        let mut served = SERVICES.to_vec();
        let scheduler = matches!(scope, Scope::All { .. })
            .then(|| parts::scheduler(&routes, &layer, Arc::clone(&bus), Arc::clone(&clock)));
        if let Some(scheduler) = &scheduler {
            routes = routes
                .add_service(scheduler.service())
                .add_service(control.service());
            served.extend(BESIDE);
        }
        let (routes, probes) = with_probes(routes, &served)
            .await
            .map_err(|error| CliError::reason(Reason::InternalFault, error.to_string()))?;
        let parts = Parts {
            routes,
            layer,
            bus: Arc::clone(&bus),
            clock,
            services: &services,
            confinement: settings.confinement.clone(),
        };
        let clients = parts.clients(Principal::User);
        let files = RunFiles::new(
            settings.runs_dir.clone(),
            clients.clone(),
            settings.run_files,
        );
        let mut addresses = RegistryFile {
            pid: std::process::id(),
            socket: None,
            tcp: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        if matches!(scope, Scope::Worker) {
            clear(&data.tmp());
            parts.work(data.path(), 1, None, control);
        } else if let Scope::All { slots, listen, .. } = scope {
            clear(&data.tmp());
            parts.work(data.path(), slots, scheduler, control);
            parts.watch_ends(files.clone().with_probes(probes.clone()));
            addresses = parts.listen(&data, listen, addresses).await?;
            probes.set_ready(true).await;
            data.write_registry(&addresses)
                .map_err(|error| CliError::io("cannot write in", data.path(), &error))?;
        }
        Ok(Self {
            clients,
            data,
            files,
            services: services.clone(),
            registry,
            bus,
            addresses,
        })
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
        let Self {
            clients,
            data,
            files,
            services,
            registry,
            bus,
            addresses,
        } = self;
        let report = services.shutdown(DRAIN).await;
        if addresses.socket.is_some() {
            // What the drained services did last; the registry still answers.
            // Boxed: every command ends with this one, and few serve.
            Box::pin(files.finish()).await;
        }
        bus.close(GRACE).await;
        drop((clients, files, bus));
        registry.cancel();
        let waited = async {
            // The writer ends with the last of its handles, and has committed all it has answered.
            while registry
                .running()
                .iter()
                .any(|task| task != "registry.writer")
            {
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

/// The data directory's database is the one that the command line asks for, if it asks for one.
fn expect(settings: &Settings, ours: &str) -> Result<(), CliError> {
    match &settings.database_identity {
        Some(asked) if asked != ours => {
            let folder = settings.data_dir.display();
            let text = format!("{folder} holds the database {ours}, and {asked} is asked for");
            Err(CliError::reason(Reason::DatabaseMismatch, text))
        }
        Some(_) | None => Ok(()),
    }
}

/// Half the processors, 2 at least and 8 at most.
pub(crate) fn default_slots() -> usize {
    std::thread::available_parallelism()
        .map_or(2, |n| n.get() / 2)
        .clamp(2, 8)
}

/// Removes what an earlier process left in the scratch folder.
fn clear(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed = if is_folder {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        if let Err(error) = removed {
            tracing::warn!(path = %path.display(), %error, "a scratch file was not removed");
        }
    }
}
