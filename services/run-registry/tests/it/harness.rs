//! A registry on a database of its own, and shorthand for what scheduler and worker ask of it.

use std::{path::Path, sync::Arc, time::Duration};

use autopack_artifacts::Artifacts;
use autopack_bus::{Bus, BusConfig};
use autopack_domain::{Reason, Timestamp};
use autopack_runtime::{
    clock::{Clock, FakeClock},
    ids::V7Ids,
    supervise::Supervisor,
};
use autopack_testkit::{Postgres, TestDatabase};
use autopack_wire::{client::Clients, registry as pb, server::Principal, status::from_status};
use run_registry::{Ports, Registry, RegistryConfig, Serving};
use sea_orm::ConnectionTrait as _;

pub(crate) const PLAN: &str = r"
schema: autopack/plan/v1
run: { id: demo, goal: Prove the registry, project: demo }
tiers:
  - id: T1
    name: One
    phases:
      - { id: A, name: a, goal: a, builder: { kind: noop }, gate: { steps: [] } }
      - { id: B, name: b, goal: b, builder: { kind: noop }, gate: { steps: [] } }
";

/// Where a test's registries keep their truth; it goes with the value.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    pub(crate) base: Option<TestDatabase<'static>>,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let base = None;
        Self { folder, base }
    }

    pub(crate) fn postgres() -> Self {
        Self {
            base: Some(Postgres::shared().database()),
            ..Self::sqlite()
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// SQL beneath the product, with constraints off; the registry has stopped.
    pub(crate) async fn damage(&self, table: &str, sql: &str) {
        let url = match &self.base {
            Some(base) => base.url(),
            None => format!("sqlite://{}", self.file().display()),
        };
        let db = sea_orm::Database::connect(url).await.unwrap();
        let unchecked = match &self.base {
            Some(_) => format!(
                "ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {table}_state_check, DROP CONSTRAINT IF EXISTS {table}_run_uid_fkey"
            ),
            None => "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF".to_owned(),
        };
        db.execute_unprepared(&format!("{unchecked}; {sql}"))
            .await
            .unwrap();
        db.close().await.unwrap();
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder().join("db").join("registry.db")
    }

    /// The distributed form at this address, or the embedded one.
    pub(crate) fn config(&self, address: &str) -> RegistryConfig {
        match &self.base {
            Some(base) => RegistryConfig::distributed(Some(&base.url()), address).unwrap(),
            None => RegistryConfig::embedded(self.file()),
        }
    }
}

fn ports(folder: &Path, clock: &Arc<FakeClock>, bus: Arc<dyn Bus>) -> Ports {
    Ports {
        clock: Arc::clone(clock) as _,
        ids: Arc::new(V7Ids),
        bus,
        artifacts: Arc::new(Artifacts::open_local(&folder.join("artifacts")).unwrap()),
        traces: None,
        failpoint: |_| {},
    }
}

/// Runs each of these tests on both databases.
macro_rules! both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(crate::harness::Place::sqlite()).await; })*
        }
        mod postgres {
            $(#[tokio::test] async fn $name() { super::$name(crate::harness::Place::postgres()).await; })*
        }
    };
}
pub(crate) use both;

/// A serving registry.
pub(crate) struct Harness {
    pub(crate) clients: Clients,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) supervisor: Supervisor,
    pub(crate) worker: String,
    /// What it serves.
    pub(crate) routes: tonic::service::Routes,
    /// The distributed form.
    pub(crate) serving: Option<Serving>,
}

impl Harness {
    /// Starts it and waits until it is active.
    pub(crate) async fn start(place: &Place) -> Self {
        let mut h = Self::stand_by(place, place.config("http://one:1")).await;
        if let Some(serving) = &h.serving {
            assert!(serving.until_active().await, "{:?}", h.supervisor.running());
        }
        h.worker = h.register().await;
        h
    }

    /// The embedded form below a folder, on a bus that the test holds.
    pub(crate) async fn with_bus(folder: &Path, bus: Arc<dyn Bus>) -> Self {
        let config = RegistryConfig::embedded(folder.join("db").join("registry.db"));
        let clock = Arc::new(FakeClock::at(Timestamp(1_700_000_000_000_000)));
        let ports = ports(folder, &clock, bus);
        let mut h = Self::serving(config, ports, clock).await;
        h.worker = h.register().await;
        h
    }

    /// Starts it; of the distributed form it may be a standby.
    pub(crate) async fn stand_by(place: &Place, config: RegistryConfig) -> Self {
        let bus = autopack_bus::connect(BusConfig::default()).await.unwrap();
        Self::stand_by_on(place, config, bus).await
    }

    /// The same on a bus that the test holds.
    pub(crate) async fn stand_by_on(
        place: &Place,
        config: RegistryConfig,
        bus: Arc<dyn Bus>,
    ) -> Self {
        let clock = Arc::new(FakeClock::at(Timestamp(1_700_000_000_000_000)));
        let ports = ports(place.folder(), &clock, bus);
        Self::serving(config, ports, clock).await
    }

    /// The same by this clock.
    pub(crate) async fn by_clock(place: &Place, clock: Arc<dyn Clock>) -> Self {
        let bus = autopack_bus::connect(BusConfig::default()).await.unwrap();
        let fake = Arc::new(FakeClock::default());
        let mut ports = ports(place.folder(), &fake, bus);
        ports.clock = clock;
        let h = Self::serving(place.config("http://one:1"), ports, fake).await;
        if let Some(serving) = &h.serving {
            assert!(serving.until_active().await, "{:?}", h.supervisor.running());
        }
        h
    }

    async fn serving(config: RegistryConfig, ports: Ports, clock: Arc<FakeClock>) -> Self {
        let supervisor = Supervisor::new();
        let token = supervisor.token();
        let (routes, serving) = if config.embedded {
            let registry = Registry::start(config, ports, &supervisor).await.unwrap();
            (registry.routes(token), None)
        } else {
            let serving = Serving::start(config, ports, &supervisor, token)
                .await
                .unwrap();
            (serving.routes(), Some(serving))
        };
        let clients = Clients::in_process(routes.clone(), Principal::User);
        let mut all = clients.clone();
        all.dispatch = Clients::in_process(routes.clone(), Principal::Scheduler).dispatch;
        all.work = Clients::in_process(routes.clone(), Principal::Worker).work;
        Self {
            clients: all,
            clock,
            supervisor,
            worker: String::new(),
            serving,
            routes,
        }
    }

    /// Clients of somebody else.
    pub(crate) fn as_principal(&self, principal: Principal) -> Clients {
        Clients::in_process(self.routes.clone(), principal)
    }

    /// Announces a worker; returns its uid.
    pub(crate) async fn register(&self) -> String {
        let request = pb::RegisterWorkerRequest {
            name: "w".into(),
            slots: 4,
            ..Default::default()
        };
        let answer = self.clients.work.clone().register_worker(request).await;
        answer.unwrap().into_inner().worker_uid
    }

    pub(crate) async fn stop(self) {
        let report = self.supervisor.shutdown(Duration::from_secs(5)).await;
        assert!(report.is_clean(), "{report:?}");
    }

    pub(crate) async fn create(
        &self,
        request: pb::CreateRunRequest,
    ) -> Result<pb::CreateRunResponse, tonic::Status> {
        self.clients
            .registry
            .clone()
            .create_run(request)
            .await
            .map(tonic::Response::into_inner)
    }

    pub(crate) async fn run(&self, id: &str) -> pb::GetRunResponse {
        let request = pb::GetRunRequest {
            run_id: id.into(),
            brief: true,
        };
        self.clients
            .registry
            .clone()
            .get_run(request)
            .await
            .unwrap()
            .into_inner()
    }

    pub(crate) async fn state(&self, id: &str) -> String {
        self.run(id)
            .await
            .run
            .unwrap()
            .state()
            .as_str_name()
            .to_owned()
    }

    /// As a scheduler and a worker would: the bootstrap.
    pub(crate) async fn bootstrap(&self, run: &autopack_wire::types::Run) {
        let version = self.run(&run.id).await.run.unwrap().version;
        let offer = pb::OfferJobRequest {
            run_uid: run.uid.clone(),
            expected_version: version,
            kind: "bootstrap".into(),
        };
        let mut dispatch = self.clients.dispatch.clone();
        let offered = dispatch.offer_job(offer).await.unwrap();
        let mut job = offered.into_inner().job_uid;
        let asked = pb::GetSnapshotRequest {
            run_uid: run.uid.clone(),
        };
        let fence = loop {
            match self.take(run, "bootstrap", &job, "").await {
                Ok(fence) => break fence,
                // What was on offer while the registry started is offered once more.
                Err(status) if from_status(&status).is(Reason::JobGone) => {
                    let snapshot = dispatch.get_snapshot(asked.clone()).await.unwrap();
                    job.clone_from(&snapshot.into_inner().jobs[0].uid);
                }
                Err(status) => panic!("{status:?}"),
            }
        };
        let found = pb::FinishBootstrapRequest {
            run_uid: run.uid.clone(),
            job_uid: job,
            fence,
            base_sha: "base".into(),
            tip: "base".into(),
            ..Default::default()
        };
        self.clients
            .work
            .clone()
            .finish_bootstrap(found)
            .await
            .unwrap();
    }

    /// Offers phases, as a scheduler would.
    pub(crate) async fn offer(&self, run: &autopack_wire::types::Run, phases: &[u32]) {
        let version = self.run(&run.id).await.run.unwrap().version;
        let offer = pb::OfferPhasesRequest {
            run_uid: run.uid.clone(),
            expected_version: version,
            phases: phases.to_vec(),
        };
        self.clients
            .dispatch
            .clone()
            .offer_phases(offer)
            .await
            .unwrap();
    }

    /// Offers and leases one phase; the answer has the fence and the attempt.
    pub(crate) async fn lease(&self, run: &autopack_wire::types::Run, phase: u32) -> (String, u64) {
        self.offer(run, &[phase]).await;
        let asked = pb::GetSnapshotRequest {
            run_uid: run.uid.clone(),
        };
        loop {
            let mut dispatch = self.clients.dispatch.clone();
            let snapshot = dispatch.get_snapshot(asked.clone()).await.unwrap();
            let attempts = snapshot.into_inner().attempts;
            let attempt = attempts.iter().find(|a| a.phase == phase).unwrap();
            match self.take(run, "phase", &attempt.job, &attempt.uid).await {
                Ok(fence) => return (attempt.uid.clone(), fence),
                Err(status) if from_status(&status).is(Reason::JobGone) => {}
                Err(status) => panic!("{status:?}"),
            }
        }
    }

    /// As a worker: leases a job that is on offer.
    async fn take(
        &self,
        run: &autopack_wire::types::Run,
        kind: &str,
        job: &str,
        attempt: &str,
    ) -> Result<u64, tonic::Status> {
        let lease = pb::LeaseJobRequest {
            job_uid: job.into(),
            kind: kind.into(),
            run_uid: run.uid.clone(),
            attempt_uid: attempt.into(),
            worker_uid: self.worker.clone(),
        };
        let mut work = self.clients.work.clone();
        work.lease_job(lease).await.map(|a| a.into_inner().fence)
    }

    pub(crate) async fn settle(
        &self,
        run: &autopack_wire::types::Run,
        lease: &(String, u64),
        cause: &str,
    ) -> Result<(), tonic::Status> {
        let request = pb::SettleAttemptRequest {
            run_uid: run.uid.clone(),
            attempt_uid: lease.0.clone(),
            fence: lease.1,
            cause: cause.into(),
            outcome: if cause.is_empty() {
                "no_change".into()
            } else {
                String::new()
            },
            ..Default::default()
        };
        self.clients
            .work
            .clone()
            .settle_attempt(request)
            .await
            .map(drop)
    }
}

/// A request for the plan.
pub(crate) fn request(document: &str) -> pb::CreateRunRequest {
    pb::CreateRunRequest {
        document: document.into(),
        repository: "/repo".into(),
        ..Default::default()
    }
}

/// Waits for a condition with an upper bound.
pub(crate) async fn until<F: AsyncFnMut() -> bool>(what: &str, mut condition: F) {
    let since = tokio::time::Instant::now();
    while !condition().await {
        assert!(
            since.elapsed() < BOUND,
            "{what} did not happen within {BOUND:?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A server that recovers from a kill on a busy machine takes seconds.
const BOUND: Duration = Duration::from_secs(20);
