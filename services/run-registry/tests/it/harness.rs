//! A registry in a temporary folder, and shorthand for what scheduler and worker ask of it.

use std::{path::Path, sync::Arc, time::Duration};

use autopack_artifacts::Artifacts;
use autopack_bus::BusConfig;
use autopack_domain::Timestamp;
use autopack_runtime::{clock::FakeClock, ids::V7Ids, supervise::Supervisor};
use autopack_wire::{client::Clients, registry as pb, server::Principal};
use run_registry::{Ports, Registry, RegistryConfig};

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

/// A serving registry.
pub(crate) struct Harness {
    pub(crate) clients: Clients,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) supervisor: Supervisor,
    pub(crate) worker: String,
}

impl Harness {
    pub(crate) async fn start(folder: &Path) -> Self {
        let clock = Arc::new(FakeClock::at(Timestamp(1_700_000_000_000_000)));
        let supervisor = Supervisor::new();
        let ports = Ports {
            clock: Arc::clone(&clock) as _,
            ids: Arc::new(V7Ids),
            bus: autopack_bus::connect(BusConfig::default()).await.unwrap(),
            artifacts: Arc::new(Artifacts::open_local(&folder.join("artifacts")).unwrap()),
            failpoint: |_| {},
        };
        let config = RegistryConfig::embedded(folder.join("db").join("registry.db"));
        let registry = Registry::start(config, ports, &supervisor).await.unwrap();
        let routes = registry.routes(supervisor.token());
        let clients = Clients::in_process(routes.clone(), Principal::User);
        let mut all = clients.clone();
        all.dispatch = Clients::in_process(routes.clone(), Principal::Scheduler).dispatch;
        all.work = Clients::in_process(routes, Principal::Worker).work;
        let worker = all
            .work
            .register_worker(pb::RegisterWorkerRequest {
                name: "w".into(),
                slots: 4,
                ..Default::default()
            })
            .await
            .unwrap()
            .into_inner()
            .worker_uid;
        Self {
            clients: all,
            clock,
            supervisor,
            worker,
        }
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
        let job = self
            .clients
            .dispatch
            .clone()
            .offer_job(offer)
            .await
            .unwrap()
            .into_inner()
            .job_uid;
        let lease = pb::LeaseJobRequest {
            job_uid: job.clone(),
            kind: "bootstrap".into(),
            run_uid: run.uid.clone(),
            attempt_uid: String::new(),
            worker_uid: self.worker.clone(),
        };
        let fence = self
            .clients
            .work
            .clone()
            .lease_job(lease)
            .await
            .unwrap()
            .into_inner()
            .fence;
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

    /// Offers and leases one phase; the answer has the fence and the attempt.
    pub(crate) async fn lease(&self, run: &autopack_wire::types::Run, phase: u32) -> (String, u64) {
        let version = self.run(&run.id).await.run.unwrap().version;
        let offer = pb::OfferPhasesRequest {
            run_uid: run.uid.clone(),
            expected_version: version,
            phases: vec![phase],
        };
        self.clients
            .dispatch
            .clone()
            .offer_phases(offer)
            .await
            .unwrap();
        let snapshot = pb::GetSnapshotRequest {
            run_uid: run.uid.clone(),
        };
        let snapshot = self
            .clients
            .dispatch
            .clone()
            .get_snapshot(snapshot)
            .await
            .unwrap()
            .into_inner();
        let attempt = snapshot
            .attempts
            .iter()
            .find(|a| a.phase == phase)
            .unwrap()
            .clone();
        let lease = pb::LeaseJobRequest {
            job_uid: attempt.job.clone(),
            kind: "phase".into(),
            run_uid: run.uid.clone(),
            attempt_uid: attempt.uid.clone(),
            worker_uid: self.worker.clone(),
        };
        let fence = self
            .clients
            .work
            .clone()
            .lease_job(lease)
            .await
            .unwrap()
            .into_inner()
            .fence;
        (attempt.uid, fence)
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
    for _ in 0..500 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not happen within 5 s");
}
