//! All services in this process on a folder of their own, without sockets; and runs of `noop` phases to load them.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use autopack_artifacts::Artifacts;
use autopack_bus::BusConfig;
use autopack_domain::states::RunState;
use autopack_runtime::{
    clock::SystemClock,
    ids::V7Ids,
    supervise::{Kind, Supervisor},
};
use autopack_wire::{
    client::{ClientOptions, Clients},
    registry as pb,
    server::{Principal, ServerLayer, ServerOptions},
    types,
};
use run_registry::{Registry, RegistryConfig};

/// The services of one scenario.
pub(crate) struct Stack {
    pub(crate) clients: Clients,
    pub(crate) registry: Registry,
    pub(crate) folder: PathBuf,
    pub(crate) calls: Arc<AtomicU64>,
    repository: PathBuf,
    supervisor: Supervisor,
}

impl Stack {
    /// Starts everything with this many worker slots.
    pub(crate) async fn start(folder: &Path, slots: usize) -> Result<Self, String> {
        let text = |e: &dyn std::fmt::Display| e.to_string();
        std::fs::create_dir_all(folder).map_err(|e| text(&e))?;
        let repository = folder.join("repository");
        super::patch::make_repository(&repository, 1).await?;
        let supervisor = Supervisor::new();
        let clock = Arc::new(SystemClock::new());
        let bus = autopack_bus::connect(BusConfig::default())
            .await
            .map_err(|e| text(&e))?;
        let ports = run_registry::Ports {
            clock: Arc::clone(&clock) as _,
            ids: Arc::new(V7Ids),
            bus: Arc::clone(&bus),
            artifacts: Arc::new(
                Artifacts::open_local(&folder.join("artifacts")).map_err(|e| text(&e))?,
            ),
            traces: autopack_runtime::telemetry::recorder(),
            failpoint: |_| {},
        };
        let config = RegistryConfig::embedded(folder.join("registry.db"));
        let registry = Registry::start(config, ports, &supervisor)
            .await
            .map_err(|e| text(&e))?;
        let calls = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&calls);
        let layer = ServerLayer::new(ServerOptions {
            extract: Some(Arc::new(move |_, _| {
                counter.fetch_add(1, Ordering::Relaxed);
            })),
            ..ServerOptions::default()
        });
        let routes = registry.routes(supervisor.token());
        let clients = |principal| {
            Clients::in_process_with(routes.clone(), principal, &layer, &ClientOptions::default())
        };
        let scheduler = phase_scheduler::build(
            phase_scheduler::SchedulerConfig::default(),
            phase_scheduler::Ports {
                clients: clients(Principal::Scheduler),
                bus: Arc::clone(&bus),
                clock: Arc::clone(&clock) as _,
            },
        );
        supervisor.spawn(
            "scheduler",
            Kind::Critical,
            scheduler.run(supervisor.token()),
        );
        let wall = Arc::clone(&clock);
        let calls_of_worker = clients(Principal::Worker);
        let worker = builder_worker::build(
            builder_worker::WorkerConfig::new(folder.join("work"), slots),
            builder_worker::Ports {
                registry: Arc::new(builder_worker::registry_client::WireRegistry::new(
                    calls_of_worker.work,
                    calls_of_worker.artifacts,
                )),
                bus,
                clock: Arc::new(move || autopack_runtime::clock::Clock::now(&*wall)),
                failpoint: |_| {},
            },
        );
        let token = supervisor.token();
        supervisor.spawn("worker", Kind::Critical, async move {
            worker.run(token).await.map_err(|e| e.to_string())
        });
        Ok(Self {
            clients: clients(Principal::User),
            registry,
            folder: folder.to_owned(),
            calls,
            repository,
            supervisor,
        })
    }

    /// Ends everything.
    pub(crate) async fn stop(self) {
        let _ = self.supervisor.shutdown(Duration::from_secs(10)).await;
    }

    /// Stores a run of `noop` phases, held, and waits until it is frozen.
    pub(crate) async fn prepare(
        &self,
        id: &str,
        phases: usize,
        chained: bool,
    ) -> Result<types::Run, String> {
        let list: Vec<String> = (0..phases)
            .map(|n| {
                let depends = if chained { String::new() } else { ", \"depends_on\": []".to_owned() };
                format!(r#"{{"id": "P{n}", "name": "p", "goal": "g", "builder": {{"kind": "noop"}}, "gate": {{"steps": []}}{depends}}}"#)
            })
            .collect();
        let document = format!(
            r#"{{"schema": "autopack/plan/v1", "run": {{"id": "{id}", "goal": "bench", "project": "bench", "budgets": {{"minutes": 1000}}}},
                "tiers": [{{"id": "T1", "name": "t", "phases": [{}]}}]}}"#,
            list.join(",")
        );
        let request = pb::CreateRunRequest {
            document,
            repository: self.repository.display().to_string(),
            hold: true,
            ..pb::CreateRunRequest::default()
        };
        self.clients
            .registry
            .clone()
            .create_run(request)
            .await
            .map_err(|e| e.to_string())?;
        self.wait(id, |run| run.frozen).await
    }

    /// Starts a prepared run.
    pub(crate) async fn begin(&self, id: &str) -> Result<(), String> {
        let request = pb::StartRunRequest {
            run_id: id.to_owned(),
            ..pb::StartRunRequest::default()
        };
        self.clients
            .registry
            .clone()
            .start_run(request)
            .await
            .map(drop)
            .map_err(|e| e.to_string())
    }

    /// Waits until a run is as asked; an ended run that is not is an error.
    pub(crate) async fn wait(
        &self,
        id: &str,
        ready: impl Fn(&types::Run) -> bool,
    ) -> Result<types::Run, String> {
        let request = pb::WatchRunRequest {
            run_id: id.to_owned(),
            after_sequence: 0,
        };
        let mut watch = self
            .clients
            .registry
            .clone()
            .watch_run(request)
            .await
            .map_err(|e| e.to_string())?
            .into_inner();
        while let Some(message) = watch.message().await.map_err(|e| e.to_string())? {
            let run = match message.message {
                Some(pb::watch_run_response::Message::Snapshot(s)) => s.run,
                Some(pb::watch_run_response::Message::Event(e)) => e.run,
                _ => None,
            };
            if let Some(run) = run {
                if ready(&run) {
                    return Ok(run);
                }
                if run.complete_time.is_some()
                    && run.state().as_str_name() != format!("STATE_{}", RunState::DoneSuccess)
                {
                    return Err(format!(
                        "run {id} ended as {}: {} {}",
                        run.state().as_str_name(),
                        run.cause,
                        run.detail
                    ));
                }
            }
        }
        Err(format!("the watch of {id} ended early"))
    }

    /// Waits for the end of a run.
    pub(crate) async fn finish(&self, id: &str) -> Result<types::Run, String> {
        self.wait(id, |run| {
            run.complete_time.is_some() && run.state() == types::run::State::DoneSuccess
        })
        .await
    }
}
