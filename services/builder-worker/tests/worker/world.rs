//! A repository, a bus, a scripted registry and a running worker.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use autopack_bus::{Bus, InProcessBus, JobEnvelope, JobMessage, Limits};
use autopack_domain::plan::{BuilderSpec, PatchSpec, PhaseSpec, Plan};
use autopack_domain::run::{JobKind, settle::Report};
use autopack_domain::{AttemptUid, JobUid, Timestamp};
use autopack_sandbox::CancellationToken;
use autopack_wire::client::Clients;
use autopack_wire::convert::time_to_proto;
use autopack_wire::server::Principal;
use builder_worker::models::List;
use builder_worker::{Control, Ports, WorkerConfig, WorkerError};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::fake::{Fake, Offer};
pub(crate) use crate::samples::*;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    temp: TempDir,
    pub(crate) fake: Arc<Fake>,
    pub(crate) bus: Arc<InProcessBus>,
    worker: Option<(JoinHandle<Result<(), WorkerError>>, CancellationToken)>,
    control: Option<Control>,
    /// Jobs are not to be begun before.
    pub(crate) due: Option<Timestamp>,
    next: u128,
}

impl World {
    /// A repository with a few files; a worker with two slots runs.
    pub(crate) fn new() -> Self {
        let mut world = Self::idle();
        world.start();
        world
    }

    /// The same with more files in the repository.
    pub(crate) fn with_files(files: &[(&str, &str)]) -> Self {
        let mut world = Self::idle_with(files);
        world.start();
        world
    }

    /// The same without a worker.
    pub(crate) fn idle() -> Self {
        Self::idle_with(&[])
    }

    fn idle_with(files: &[(&str, &str)]) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let repo = temp.path().join("repo");
        fs::create_dir_all(&repo).unwrap();
        git(&repo, &["init", "-q"]);
        for (name, content) in [
            ("README.md", "# Demo\n\nOne\nTwo\nThree\n"),
            ("src/lib.rs", "pub fn one() -> u32 {\n    1\n}\n"),
            (".gitignore", "*.log\n/out/\n"),
        ] {
            write(&repo, name, content);
        }
        for (name, content) in files {
            write(&repo, name, content);
        }
        git(&repo, &["add", "-A"]);
        git(&repo, &["commit", "-q", "-m", "First"]);
        let base = git(&repo, &["rev-parse", "HEAD"]);
        let fake = Fake::new(run(&repo, &base));
        let bus = Arc::new(InProcessBus::new(Limits::default()));
        Self {
            temp,
            fake,
            bus,
            worker: None,
            control: None,
            due: None,
            next: 100,
        }
    }

    pub(crate) fn config(&self) -> WorkerConfig {
        let mut config = WorkerConfig::new(self.temp.path().join("data"), 2);
        // Scripts tell tests by files beside the data directory how far they are.
        config.confinement.write = vec![self.temp.path().to_owned()];
        config.usage_poll = Duration::from_millis(50);
        config.agent_grace = Duration::from_millis(300);
        config.turn_wait = Duration::from_millis(100);
        config.retry_delay = Duration::from_millis(20);
        config.drain = Duration::from_secs(10);
        // Not those of whoever runs the tests.
        config.models = Some(List::default());
        config
    }

    pub(crate) fn start(&mut self) {
        self.start_with(|_| {});
    }

    pub(crate) fn start_with(&mut self, failpoint: fn(&str)) {
        let config = self.config();
        self.start_on(config, failpoint);
    }

    pub(crate) fn start_on(&mut self, config: WorkerConfig, failpoint: fn(&str)) {
        let ports = Ports {
            registry: self.fake.clone(),
            bus: self.bus.clone(),
            clock: Arc::new(|| Timestamp(1_700_000_000_000_000)),
            failpoint,
        };
        let shutdown = CancellationToken::new();
        let worker = builder_worker::build(config, ports);
        self.control = Some(worker.control());
        let task = tokio::spawn(worker.run(shutdown.clone()));
        self.worker = Some((task, shutdown));
    }

    /// Ends the worker as a crash would.
    pub(crate) async fn crash(&mut self) {
        let (task, _) = self.worker.take().unwrap();
        task.abort();
        let _ = task.await;
    }

    /// The worker's own service, as a client of it sees it.
    pub(crate) fn service(&self) -> Clients {
        Clients::in_process(self.control.as_ref().unwrap().routes(), Principal::User)
    }

    /// Waits until the worker has ended by itself.
    pub(crate) async fn ended(&mut self) {
        let (task, _) = self.worker.take().unwrap();
        tokio::time::timeout(PATIENCE, task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }

    /// Ends the worker as a service manager would.
    pub(crate) async fn shut_down(&mut self) {
        let (task, shutdown) = self.worker.take().unwrap();
        shutdown.cancel();
        tokio::time::timeout(PATIENCE, task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.temp.path().join("repo")
    }

    /// A folder that builders and gates may write, too.
    pub(crate) fn shared(&self, name: &str) -> PathBuf {
        let folder = self.temp.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    /// What git says in the target.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        git(&self.repo(), args)
    }

    /// The commit of the run's branch; `None` if it is absent.
    pub(crate) fn branch(&self) -> Option<String> {
        let found = self.git(&[
            "for-each-ref",
            "--format=%(objectname)",
            "refs/heads/autonomous/demo",
        ]);
        Some(found).filter(|found| !found.is_empty())
    }

    /// A private reference of our own clone.
    pub(crate) fn private_ref(&self, name: &str) -> Option<String> {
        let clones = fs::read_dir(self.path("data/repos")).ok()?;
        let clone = clones.flatten().next()?.path();
        let full = format!("refs/autopack/demo/{name}");
        let found = git(&clone, &["for-each-ref", "--format=%(objectname)", &full]);
        Some(found).filter(|found| !found.is_empty())
    }

    fn uid(&mut self) -> Uuid {
        self.next += 1;
        Uuid::from_u128(self.next)
    }

    pub(crate) async fn publish(&mut self, offer: Offer) -> JobUid {
        let job = JobUid(self.uid());
        let attempt = offer
            .attempt
            .as_ref()
            .map(|(attempt, _)| attempt.uid.to_string());
        let message = JobMessage {
            job_uid: job.to_string(),
            kind: offer.kind.as_str().to_owned(),
            run_uid: self.fake.state().run.uid.to_string(),
            attempt_uid: attempt.unwrap_or_default(),
            not_before_time: self.due.map(time_to_proto),
            ..JobMessage::default()
        };
        self.fake.state().offers.insert(job, offer);
        let envelope = JobEnvelope {
            id: job.to_string(),
            job: message,
            traceparent: None,
        };
        self.bus.publish_jobs(vec![envelope]).await.unwrap();
        job
    }

    /// Puts an attempt of a phase on offer.
    pub(crate) async fn offer(&mut self, phase: PhaseSpec) -> Uuid {
        let uid = AttemptUid(self.uid());
        let attempt = attempt(uid);
        let offer = Offer {
            kind: JobKind::Phase,
            attempt: Some((attempt, phase)),
            plan: None,
            taken: false,
        };
        self.publish(offer).await;
        uid.0
    }

    pub(crate) async fn offer_job(&mut self, kind: JobKind, plan: Option<Plan>) -> JobUid {
        self.publish(Offer {
            kind,
            attempt: None,
            plan,
            taken: false,
        })
        .await
    }

    /// The report of an attempt, once it was settled.
    pub(crate) async fn report(&self, uid: Uuid) -> Report {
        until("the attempt is settled", || {
            self.fake.state().settled.contains_key(&uid)
        })
        .await;
        self.fake.state().settled[&uid].clone()
    }

    /// Executes a phase to its end.
    pub(crate) async fn execute(&mut self, phase: PhaseSpec) -> Report {
        let uid = self.offer(phase).await;
        self.report(uid).await
    }

    /// A phase with one patch.
    pub(crate) fn patch_phase(&self, id: &str, patch: &[u8]) -> PhaseSpec {
        let digest = self.fake.store(patch);
        let path = format!("{id}.patch");
        phase(
            id,
            BuilderSpec::Patch {
                patches: vec![PatchSpec { path, digest }],
            },
        )
    }
}

/// Waits for a condition.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "waited too long: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
