//! A real registry and scheduler, and workers that can be stopped and let go on.
//!
//! Invariant: a stopped worker does nothing at all: no timer, no heartbeat, no call; what it started outside goes on.

use std::{
    path::PathBuf,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use autopack_artifacts::Artifacts;
use autopack_bus::{Bus, BusConfig};
use autopack_domain::Timestamp;
use autopack_runtime::{Clock as _, Kind, Supervisor, SystemClock, V7Ids};
use autopack_testkit::TempRepo;
use autopack_wire::{
    client::Clients,
    registry as pb,
    serve::{ServeOptions, bind_uds, serve_uds_socket},
    server::Principal,
    types, worker,
};
use builder_worker::{Confinement, Control, WorkerConfig, registry_client::over};
use run_registry::{Registry, RegistryConfig};
use tokio_util::sync::CancellationToken;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Everything but the workers.
pub(super) struct Rig {
    temp: tempfile::TempDir,
    pub(super) repo: TempRepo,
    pub(super) clients: Clients,
    bus: Arc<dyn Bus>,
    supervisor: Supervisor,
}

impl Rig {
    /// Leases of one second.
    pub(super) async fn start() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let supervisor = Supervisor::new();
        let clock = Arc::new(SystemClock::new());
        let bus = autopack_bus::connect(BusConfig::default()).await.unwrap();
        let ports = run_registry::Ports {
            clock: Arc::clone(&clock) as _,
            ids: Arc::new(V7Ids),
            bus: Arc::clone(&bus),
            artifacts: Arc::new(Artifacts::open_local(&temp.path().join("artifacts")).unwrap()),
            traces: None,
            failpoint: |_| {},
        };
        let config = RegistryConfig {
            lease: Duration::from_secs(1),
            heartbeat: Duration::from_millis(200),
            embedded: false,
            ..RegistryConfig::embedded(temp.path().join("registry.db"))
        };
        let registry = Registry::start(config, ports, &supervisor).await.unwrap();
        let routes = registry.routes(supervisor.token());
        let socket = bind_uds(&temp.path().join("socket")).await.unwrap();
        let options = ServeOptions {
            uds_principal: Principal::Worker,
            grace: Duration::from_millis(100),
            ..ServeOptions::default()
        };
        let end = supervisor.token().cancelled_owned();
        let serving = serve_uds_socket(socket, routes.clone(), options, end);
        supervisor.spawn("socket", Kind::BestEffort, serving);
        let scheduler = phase_scheduler::build(
            phase_scheduler::SchedulerConfig::default(),
            phase_scheduler::Ports {
                clients: Clients::in_process(routes.clone(), Principal::Scheduler),
                bus: Arc::clone(&bus),
                clock,
            },
        );
        let token = supervisor.token();
        supervisor.spawn("scheduler", Kind::Critical, scheduler.run(token));
        Self {
            temp,
            repo: TempRepo::small(),
            clients: Clients::in_process(routes, Principal::User),
            bus,
            supervisor,
        }
    }

    /// A path that builders may use among themselves.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    /// A worker whose clock is off by so many minutes.
    pub(super) fn worker(&self, name: &str, slots: usize, off: i64) -> Machine {
        self.worker_with(name, slots, off, |_| {})
    }

    /// The same with something that happens at its failpoints.
    pub(super) fn worker_with(
        &self,
        name: &str,
        slots: usize,
        off: i64,
        failpoint: fn(&str),
    ) -> Machine {
        let socket = self.path("socket");
        let bus = Arc::clone(&self.bus);
        let off = off * 60 * 1_000_000;
        let clock = SystemClock::new();
        // Made on the worker's own thread: its connection stands still with it.
        let ports = move || builder_worker::Ports {
            registry: over(&Clients::connect_uds(&socket).unwrap()),
            bus,
            clock: Arc::new(move || Timestamp(clock.now().0 + off)),
            failpoint,
        };
        let config = WorkerConfig {
            name: name.to_owned(),
            ack_wait: Duration::from_secs(2),
            retry_delay: Duration::from_millis(50),
            versions_after: None,
            // Builders meet by files beside the data directories.
            confinement: Confinement {
                write: vec![self.temp.path().to_owned()],
                ..Confinement::default()
            },
            ..WorkerConfig::new(self.temp.path().join(name), slots)
        };
        Machine::start(config, ports)
    }

    /// Stores a plan with these builders as independent phases `P0`, `P1`, ..., and starts it.
    pub(super) async fn submit(&self, scripts: &[String]) {
        let run = self.submit_held(scripts).await;
        self.begin(&run).await;
    }

    /// Lets phases of a stored plan run.
    pub(super) async fn begin(&self, run: &types::Run) {
        let request = pb::StartRunRequest {
            run_id: run.id.clone(),
            ..Default::default()
        };
        let answer = self.clients.registry.clone().start_run(request).await;
        answer.unwrap();
    }

    /// Stores the plan, and waits for [`Self::begin`].
    pub(super) async fn submit_held(&self, scripts: &[String]) -> types::Run {
        let phases: Vec<serde_json::Value> = scripts
            .iter()
            .enumerate()
            .map(|(n, run)| {
                serde_json::json!({
                    "id": format!("P{n}"), "name": "p", "goal": "g", "depends_on": [],
                    "builder": { "kind": "command", "run": run }, "gate": { "steps": [] },
                })
            })
            .collect();
        let document = serde_json::json!({
            "schema": "autopack/plan/v1",
            "run": { "id": "demo", "goal": "g", "project": "demo" },
            "tiers": [{ "id": "T1", "name": "t", "phases": phases }],
        });
        let request = pb::CreateRunRequest {
            document: document.to_string(),
            repository: self.repo.path().to_str().unwrap().to_owned(),
            backoff_seconds: Some(0),
            hold: true,
            ..Default::default()
        };
        let answer = self.clients.registry.clone().create_run(request).await;
        answer.unwrap().into_inner().run.unwrap()
    }

    /// The run with its phases.
    pub(super) async fn run(&self) -> pb::GetRunResponse {
        let request = pb::GetRunRequest {
            run_id: "demo".into(),
            brief: true,
        };
        let answer = self.clients.registry.clone().get_run(request).await;
        answer.unwrap().into_inner()
    }

    /// All attempts.
    pub(super) async fn attempts(&self) -> Vec<types::Attempt> {
        let request = pb::ListAttemptsRequest {
            run_id: "demo".into(),
            phase_id: String::new(),
        };
        let answer = self.clients.registry.clone().list_attempts(request).await;
        answer.unwrap().into_inner().attempts
    }

    /// Waits until the run has succeeded.
    pub(super) async fn succeeded(&self) {
        let began = Instant::now();
        loop {
            let found = self.run().await;
            let run = found.run.unwrap();
            let state = run.state().as_str_name();
            assert!(!state.contains("FAILED"), "{state}: {}", run.detail);
            if state == "STATE_DONE_SUCCESS" {
                return;
            }
            if began.elapsed() > PATIENCE {
                let attempts = self.attempts().await;
                panic!("the run did not end: {:#?} {attempts:#?}", found.phases);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(super) async fn stop(self) {
        let report = self.supervisor.shutdown(Duration::from_secs(5)).await;
        assert!(report.is_clean(), "{report:?}");
    }
}

/// A worker on a thread of its own, which nothing else uses.
pub(super) struct Machine {
    control: Control,
    shutdown: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Machine {
    fn start(
        config: WorkerConfig,
        ports: impl FnOnce() -> builder_worker::Ports + Send + 'static,
    ) -> Self {
        let (control, shutdown) = (Control::new(), CancellationToken::new());
        let steering = control.clone();
        let token = shutdown.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let work = async {
                let worker = builder_worker::build_with(config, ports(), steering);
                worker.run(token).await
            };
            runtime.block_on(work).unwrap();
        });
        Self {
            control,
            shutdown,
            thread: Some(thread),
        }
    }

    /// What its slot does, as its own service says.
    pub(super) async fn slot(&self) -> worker::Slot {
        let mut client = Clients::in_process(self.control.routes(), Principal::User).worker;
        let answer = client.list_slots(worker::ListSlotsRequest {}).await;
        answer.unwrap().into_inner().slots.remove(0)
    }

    /// Ends the worker as an operator does.
    pub(super) async fn stop(mut self) {
        self.shutdown.cancel();
        let thread = self.thread.take().unwrap();
        until("the worker ends", async || thread.is_finished()).await;
        thread.join().unwrap();
    }
}

/// Waits for a condition.
pub(super) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < PATIENCE, "waited too long: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
