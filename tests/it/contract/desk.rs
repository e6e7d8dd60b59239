//! What a scheduler and a worker do to bring a run where a call needs it.
//!
//! Invariant: every step is a call of the book, so each counts as one that was answered.

use std::time::{Duration, Instant};

use autopack_domain::Reason;
use autopack_wire::registry as pb;
use autopack_wire::status::from_status;
use autopack_wire::types;

use crate::book::{Book, Caller};

/// How long a job may take to be on offer.
const BOUND: Duration = Duration::from_secs(30);

/// The project of the runs here.
pub(crate) const PROJECT: &str = "contract";

/// A uid that nothing has.
pub(crate) const ABSENT: &str = "0197a4c2-0000-7000-8000-00000000ffff";

/// A `request_id` that is too long.
pub(crate) const LONG: &str = "a-request-id-of-more-than-thirty-six-characters";

/// What a worker holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    /// The attempt or the job.
    pub(crate) uid: String,
    pub(crate) fence: u64,
}

/// A plan of two phases that do not wait for each other; `more` is put into the first.
pub(crate) fn plan(id: &str, more: &str) -> String {
    let phase = |id: &str, more: &str| {
        format!(
            "      - {{ id: {id}, name: {id}, goal: {id}, depends_on: [], gate: {{ steps: [] }}, {more} }}\n"
        )
    };
    format!(
        "schema: autopack/plan/v1\nrun: {{ id: {id}, goal: Keep the contract, project: {PROJECT}, base: main }}\n\
         tiers:\n  - id: T1\n    name: One\n    phases:\n{}{}",
        phase("A", more),
        phase("B", "builder: { kind: noop }"),
    )
}

/// A request for a run of [`plan`].
pub(crate) fn creation(id: &str, more: &str) -> pb::CreateRunRequest {
    pb::CreateRunRequest {
        document: plan(id, more),
        repository: "/nowhere".into(),
        ..Default::default()
    }
}

/// The builder of a phase that is complete without work.
pub(crate) const NOOP: &str = "builder: { kind: noop }";

impl Book {
    /// A run that nobody has touched.
    pub(crate) async fn create(&mut self, id: &str, more: &str) -> types::Run {
        let request = creation(id, more);
        let created: pb::CreateRunResponse = self.ok("RegistryService/CreateRun", request).await;
        created.run.unwrap_or_default()
    }

    /// A run whose phases can be offered.
    pub(crate) async fn started(&mut self, id: &str, more: &str) -> types::Run {
        let run = self.create(id, more).await;
        self.bootstrap(&run).await;
        run
    }

    /// The bootstrap of a run, offered, taken and finished.
    pub(crate) async fn bootstrap(&mut self, run: &types::Run) {
        let offer = pb::OfferJobRequest {
            run_uid: run.uid.clone(),
            expected_version: self.version(run).await,
            kind: "bootstrap".into(),
        };
        let _: pb::OfferJobResponse = self.ok("DispatchService/OfferJob", offer).await;
        let held = self.take_job(run, "bootstrap").await;
        let found = pb::FinishBootstrapRequest {
            run_uid: run.uid.clone(),
            job_uid: held.uid,
            fence: held.fence,
            base_sha: "base".into(),
            tip: "base".into(),
            ..Default::default()
        };
        let _: pb::FinishBootstrapResponse = self.ok("WorkService/FinishBootstrap", found).await;
    }

    pub(crate) async fn snapshot(&mut self, run: &types::Run) -> pb::GetSnapshotResponse {
        let request = pb::GetSnapshotRequest {
            run_uid: run.uid.clone(),
        };
        self.ok("DispatchService/GetSnapshot", request).await
    }

    pub(crate) async fn version(&mut self, run: &types::Run) -> u64 {
        self.snapshot(run).await.run.unwrap_or_default().version
    }

    pub(crate) async fn offer(&mut self, run: &types::Run, phases: &[u32]) {
        let request = pb::OfferPhasesRequest {
            run_uid: run.uid.clone(),
            expected_version: self.version(run).await,
            phases: phases.to_vec(),
        };
        let _: pb::OfferPhasesResponse = self.ok("DispatchService/OfferPhases", request).await;
    }

    /// A worker of this test.
    pub(crate) async fn worker(&mut self) -> String {
        let request = pb::RegisterWorkerRequest {
            name: "by hand".into(),
            slots: 8,
            lanes: vec!["default".into()],
            ..Default::default()
        };
        let answer: pb::RegisterWorkerResponse =
            self.ok("WorkService/RegisterWorker", request).await;
        answer.worker_uid
    }

    /// Offers a phase and takes it.
    pub(crate) async fn lease(&mut self, run: &types::Run, phase: u32) -> Held {
        self.offer(run, &[phase]).await;
        let find = |s: &pb::GetSnapshotResponse| {
            let attempt = s.attempts.iter().find(|a| a.phase == phase)?;
            Some((attempt.job.clone(), attempt.uid.clone()))
        };
        self.take(run, "phase", find).await
    }

    /// Takes the job of a kind that is on offer.
    pub(crate) async fn take_job(&mut self, run: &types::Run, kind: &str) -> Held {
        let find = |s: &pb::GetSnapshotResponse| {
            let job = s.jobs.iter().find(|job| job.kind == kind)?;
            Some((job.uid.clone(), String::new()))
        };
        self.take(run, kind, find).await
    }

    /// Takes a job as the snapshot shows it; one that was offered again meanwhile is looked up once more.
    async fn take(
        &mut self,
        run: &types::Run,
        kind: &str,
        find: impl Fn(&pb::GetSnapshotResponse) -> Option<(String, String)>,
    ) -> Held {
        let worker_uid = self.worker().await;
        let end = Instant::now() + BOUND;
        loop {
            let snapshot = self.snapshot(run).await;
            let Some((job_uid, attempt_uid)) = find(&snapshot) else {
                self.fault(format!("{kind} of {} is not on offer", run.id));
                return Held::default();
            };
            let request = pb::LeaseJobRequest {
                job_uid: job_uid.clone(),
                kind: kind.into(),
                run_uid: run.uid.clone(),
                attempt_uid: attempt_uid.clone(),
                worker_uid: worker_uid.clone(),
            };
            let method = "WorkService/LeaseJob";
            let answer = self.try_call::<pb::LeaseJobResponse>(method, Caller::Allowed, &request);
            let answer = answer.await;
            let gone = |status: &tonic::Status| from_status(status).is(Reason::JobGone);
            if answer.as_ref().is_err_and(gone) && Instant::now() < end {
                continue;
            }
            let leased = self.note_answer(method, answer).unwrap_or_default();
            let uid = if attempt_uid.is_empty() {
                job_uid
            } else {
                attempt_uid
            };
            return Held {
                uid,
                fence: leased.fence,
            };
        }
    }

    /// Ends an attempt; without a cause well.
    pub(crate) async fn settle(&mut self, run: &types::Run, held: &Held, cause: &str) {
        let request = settlement(run, held, cause);
        let _: pb::SettleAttemptResponse = self.ok("WorkService/SettleAttempt", request).await;
    }

    /// A run that ended in success.
    pub(crate) async fn ended(&mut self, id: &str) -> types::Run {
        let run = self.started(id, NOOP).await;
        for phase in [0, 1] {
            let held = self.lease(&run, phase).await;
            self.settle(&run, &held, "").await;
        }
        run
    }

    /// A run that was cancelled.
    pub(crate) async fn cancelled(&mut self, id: &str) -> types::Run {
        let run = self.create(id, NOOP).await;
        self.cancel(id).await;
        run
    }

    pub(crate) async fn cancel(&mut self, id: &str) {
        let request = pb::CancelRunRequest {
            run_id: id.into(),
            ..Default::default()
        };
        let _: pb::CancelRunResponse = self.ok("RegistryService/CancelRun", request).await;
    }
}

/// The end of an attempt.
pub(crate) fn settlement(run: &types::Run, held: &Held, cause: &str) -> pb::SettleAttemptRequest {
    pb::SettleAttemptRequest {
        run_uid: run.uid.clone(),
        attempt_uid: held.uid.clone(),
        fence: held.fence,
        cause: cause.into(),
        outcome: if cause.is_empty() { "no_change" } else { "" }.into(),
        ..Default::default()
    }
}
