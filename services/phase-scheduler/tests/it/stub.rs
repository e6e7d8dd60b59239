//! A registry for one test: runs in memory, every call counted, faults on demand.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use autopack_bus::{Bus, BusConfig};
use autopack_domain::{
    AttemptUid, JobUid, Reason, Refusal, RunUid, Timestamp, WorkerUid,
    plan::{ReadOptions, read_plan},
    run::{Changes, JobKind, RunAggregate, bootstrap::Frozen, create::NewRun},
};
use autopack_policy::{
    fair::Policy,
    strategy::{Backlog, Overrides, Ruleset, compile},
};
use autopack_runtime::{Clock, Supervisor, V7Ids, ids::IdSource as _, supervise::Kind};
use autopack_wire::{
    client::Clients,
    convert::snapshot_to_proto,
    registry::{
        self as pb,
        dispatch_service_server::{DispatchService, DispatchServiceServer},
    },
    server::Principal,
    status::to_status,
};
use phase_scheduler::{Ports, SchedulerConfig};
use tokio::sync::Notify;
use tonic::{Request, Response, Status, service::Routes};
use uuid::Uuid;

pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

/// Wall time that follows the runtime's own, so that waits of either kind agree.
struct TestClock(tokio::time::Instant);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        NOW.plus(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) runs: BTreeMap<RunUid, RunAggregate>,
    /// Offers of these runs are refused.
    pub(crate) refused: BTreeSet<RunUid>,
    /// A limit holds all offers of these runs.
    pub(crate) held: BTreeSet<RunUid>,
    /// Offers of these runs are not answered.
    pub(crate) away: BTreeSet<RunUid>,
    /// Answers with copies of these runs, taken when they are asked for, come after this.
    pub(crate) slow: BTreeMap<RunUid, Arc<Notify>>,
    /// These runs are missing on the list.
    pub(crate) unlisted: BTreeSet<RunUid>,
    /// These runs cannot be read.
    pub(crate) unreadable: BTreeSet<RunUid>,
    /// Nothing is answered.
    pub(crate) down: bool,
    /// It does not know `OfferBatch`.
    pub(crate) old: bool,
    pub(crate) policy: Policy,
    pub(crate) version: u64,
    /// Calls by method and run.
    pub(crate) calls: BTreeMap<(&'static str, String), u32>,
    /// Offered phases, in order.
    pub(crate) offered: Vec<(RunUid, usize)>,
}

#[derive(Clone)]
pub(crate) struct Stub(pub(crate) Arc<Mutex<Inner>>);

type Reply<T> = Result<Response<T>, Status>;

impl Stub {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Inner {
            version: 1,
            ..Inner::default()
        })))
    }

    /// A started run with this many independent phases.
    pub(crate) fn add(&self, n: u128, phases: usize, extra: &str) -> RunUid {
        let run = started(n, phases, extra);
        let uid = run.run.uid;
        self.0.lock().unwrap().runs.insert(uid, run);
        uid
    }

    pub(crate) fn calls(&self, method: &'static str, run: &str) -> u32 {
        let inner = self.0.lock().unwrap();
        inner
            .calls
            .get(&(method, run.to_owned()))
            .copied()
            .unwrap_or(0)
    }

    pub(crate) fn offered(&self, run: RunUid) -> usize {
        let inner = self.0.lock().unwrap();
        inner.offered.iter().filter(|(r, _)| *r == run).count()
    }

    fn called(
        &self,
        method: &'static str,
        run: &str,
    ) -> Result<std::sync::MutexGuard<'_, Inner>, Status> {
        let mut inner = self.0.lock().unwrap();
        *inner.calls.entry((method, run.to_owned())).or_default() += 1;
        if inner.down {
            return Err(to_status(&Refusal::new(
                Reason::RegistryUnavailable,
                "away",
            )));
        }
        Ok(inner)
    }

    fn copy(&self, uid: &str) -> Result<(pb::GetSnapshotResponse, Option<Arc<Notify>>), Status> {
        let inner = self.called("read", uid)?;
        let uid: RunUid = uid.parse().unwrap();
        if inner.unreadable.contains(&uid) {
            let refusal = Refusal::new(Reason::DataCorrupt, "a row does not parse");
            return Err(to_status(&refusal));
        }
        let slow = inner.slow.get(&uid).map(Arc::clone);
        Ok((snapshot_to_proto(&inner.runs[&uid]), slow))
    }

    /// A scheduler on this registry, and clients of its own service.
    pub(crate) async fn scheduler(&self) -> (Supervisor, Clients) {
        self.scheduler_on(autopack_bus::connect(BusConfig::default()).await.unwrap())
    }

    /// The same on a bus of the test's.
    pub(crate) fn scheduler_on(&self, bus: Arc<dyn Bus>) -> (Supervisor, Clients) {
        let supervisor = Supervisor::new();
        let routes = Routes::new(DispatchServiceServer::new(self.clone()));
        let ports = Ports {
            clients: Clients::in_process(routes, Principal::Scheduler),
            bus,
            clock: Arc::new(TestClock(tokio::time::Instant::now())),
        };
        let scheduler = phase_scheduler::build(SchedulerConfig::default(), ports);
        let clients = Clients::in_process(scheduler.routes(), Principal::User);
        let token = supervisor.token();
        supervisor.spawn("scheduler", Kind::Critical, scheduler.run(token));
        (supervisor, clients)
    }
}

/// A started run; `extra` is put into each phase.
fn started(n: u128, phases: usize, extra: &str) -> RunAggregate {
    let list: Vec<String> = (0..phases)
        .map(|p| format!(r#"{{"id": "P{p}", "name": "n", "goal": "g", "depends_on": [], "builder": {{"kind": "noop"}}, "gate": {{"steps": []}}{extra}}}"#))
        .collect();
    let text = format!(
        r#"{{"schema": "autopack/plan/v1", "run": {{"id": "r{n}", "goal": "g", "project": "p{n}", "budgets": {{"minutes": 1000}}}},
            "tiers": [{{"id": "T1", "name": "t", "phases": [{}]}}]}}"#,
        list.join(",")
    );
    let plan = Arc::new(read_plan(&text, &ReadOptions::default()).unwrap().plan);
    let overrides = Overrides {
        backoff_seconds: None,
    };
    let strategy = Arc::new(compile(
        &Ruleset::default(),
        &Backlog::default(),
        &plan,
        overrides,
    ));
    let uid = |k: u128| Uuid::from_u128(n * 1_000_000 + k);
    let new = NewRun {
        uid: RunUid(uid(1)),
        id: format!("r{n}").parse().unwrap(),
        project: format!("p{n}"),
        repository: "/r".into(),
        digest: String::new(),
        hold: false,
        facts: BTreeMap::new(),
    };
    let (mut run, _) = RunAggregate::create(new, Arc::clone(&plan), Arc::clone(&strategy), NOW);
    let mut c = Changes::default();
    let job = JobUid(uid(2));
    run.offer_job(job, JobKind::Bootstrap, NOW, &mut c).unwrap();
    let fence = run.lease_job(job, WorkerUid(uid(3)), NOW, &mut c).unwrap();
    let frozen = Frozen {
        base_sha: "b".into(),
        tip: "b".into(),
        plan,
        strategy,
        facts: vec![],
    };
    run.finish_bootstrap(job, fence, frozen, NOW, &mut c)
        .unwrap();
    run
}

#[tonic::async_trait]
impl DispatchService for Stub {
    async fn list_active_runs(
        &self,
        _: Request<pb::ListActiveRunsRequest>,
    ) -> Reply<pb::ListActiveRunsResponse> {
        let inner = self.called("list", "")?;
        Ok(Response::new(pb::ListActiveRunsResponse {
            run_uids: inner
                .runs
                .iter()
                .filter(|(uid, run)| !run.run.paused && !inner.unlisted.contains(uid))
                .map(|(uid, _)| uid.to_string())
                .collect(),
            slots: 8,
        }))
    }

    async fn get_snapshot(
        &self,
        request: Request<pb::GetSnapshotRequest>,
    ) -> Reply<pb::GetSnapshotResponse> {
        let uid = request.into_inner().run_uid;
        let (copy, slow) = self.copy(&uid)?;
        if let Some(slow) = slow {
            slow.notified().await;
        }
        Ok(Response::new(copy))
    }

    async fn offer_job(&self, _: Request<pb::OfferJobRequest>) -> Reply<pb::OfferJobResponse> {
        Err(Status::unimplemented("no test asks for jobs"))
    }

    async fn offer_phases(
        &self,
        request: Request<pb::OfferPhasesRequest>,
    ) -> Reply<pb::OfferPhasesResponse> {
        let r = request.into_inner();
        let mut inner = self.called("offer", &r.run_uid)?;
        let uid: RunUid = r.run_uid.parse().unwrap();
        if inner.refused.contains(&uid) {
            let refusal = Refusal::new(Reason::PhaseState, "a fault of this run");
            return Err(to_status(&refusal));
        }
        if inner.away.contains(&uid) {
            let refusal = Refusal::new(Reason::RegistryUnavailable, "away");
            return Err(to_status(&refusal));
        }
        let policy_version = inner.version;
        if inner.held.contains(&uid) {
            return Ok(Response::new(pb::OfferPhasesResponse {
                version: inner.runs[&uid].run.version,
                offered: 0,
                held: r.phases.len() as u32,
                policy_version,
            }));
        }
        let run = inner.runs.get_mut(&uid).unwrap();
        let mut c = Changes::default();
        for phase in r.phases.iter().map(|p| *p as usize) {
            let attempt = AttemptUid(V7Ids.uuid());
            run.offer(phase, attempt, JobUid(V7Ids.uuid()), 0, NOW, &mut c)
                .unwrap();
        }
        run.close_offers(NOW, &mut c);
        let version = run.run.version;
        let offers = r.phases.iter().map(|p| (uid, *p as usize));
        inner.offered.extend(offers);
        Ok(Response::new(pb::OfferPhasesResponse {
            version,
            offered: r.phases.len() as u32,
            held: 0,
            policy_version,
        }))
    }

    async fn offer_batch(
        &self,
        request: Request<pb::OfferBatchRequest>,
    ) -> Reply<pb::OfferBatchResponse> {
        if self.called("batch", "")?.old {
            return Err(Status::unimplemented("an older registry"));
        }
        let mut outcomes = Vec::new();
        for offer in request.into_inner().offers {
            use pb::offer_outcome::Outcome;
            let outcome = match self.offer_phases(Request::new(offer)).await {
                Ok(answer) => Outcome::Offered(answer.into_inner()),
                Err(status) => Outcome::Refused(pb::OfferRefusal {
                    code: status.code().into(),
                    message: status.message().to_owned(),
                    details: status.details().to_vec().into(),
                }),
            };
            outcomes.push(pb::OfferOutcome {
                outcome: Some(outcome),
            });
        }
        Ok(Response::new(pb::OfferBatchResponse { outcomes }))
    }

    async fn exhaust_budget(
        &self,
        _: Request<pb::ExhaustBudgetRequest>,
    ) -> Reply<pb::ExhaustBudgetResponse> {
        Err(Status::unimplemented("no test spends a budget"))
    }

    async fn expire_waits(
        &self,
        _: Request<pb::ExpireWaitsRequest>,
    ) -> Reply<pb::ExpireWaitsResponse> {
        Err(Status::unimplemented("no test waits for a submission"))
    }

    async fn get_policy(&self, _: Request<pb::GetPolicyRequest>) -> Reply<pb::GetPolicyResponse> {
        let inner = self.called("policy", "")?;
        Ok(Response::new(pb::GetPolicyResponse {
            version: inner.version,
            projects: inner.policy.projects().map(Into::into).collect(),
            paused_lanes: inner.policy.paused().map(str::to_owned).collect(),
        }))
    }

    async fn pause_lane(
        &self,
        request: Request<pb::PauseLaneRequest>,
    ) -> Reply<pb::PauseLaneResponse> {
        let r = request.into_inner();
        let mut inner = self.called("pause", "")?;
        inner.policy.pause(&r.lane, r.paused);
        inner.version += 1;
        Ok(Response::new(pb::PauseLaneResponse {
            version: inner.version,
            paused_lanes: inner.policy.paused().map(str::to_owned).collect(),
        }))
    }
}

/// Lets time pass until the condition holds, at most ten minutes of it.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..6000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what} did not happen within ten minutes");
}
