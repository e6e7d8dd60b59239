//! The services as processes, with a durable database, and runs of `noop` phases to load them.

use std::time::{Duration, Instant};

use autopack_testkit::cluster::key_of;
use autopack_testkit::{Cluster, Postgres, TempRepo};
use autopack_wire::client::Clients;
use autopack_wire::{registry as pb, types};
use futures::{StreamExt as _, stream};

/// Runs that are created at a time.
const CONCURRENCY: usize = 16;

/// One cluster with a client.
pub(crate) struct Rig {
    pub(crate) cluster: Cluster,
    pub(crate) clients: Clients,
    repo: TempRepo,
}

/// What a figure of the registry was before.
pub(crate) struct Counted {
    commits: f64,
    statements: f64,
    calls: f64,
    events: f64,
}

impl Rig {
    /// So many workers with so many slots each, and the default lease of 10 s.
    pub(crate) fn start(workers: usize, slots: usize) -> Self {
        Self::with(workers, slots, &[])
    }

    /// The same with variables for every service.
    pub(crate) fn with(workers: usize, slots: usize, env: &[(&str, &str)]) -> Self {
        // Left to end with this process: its keeper sees that.
        let server: &'static Postgres = Box::leak(Box::new(Postgres::start_durable()));
        let mut cluster = Cluster::on(server);
        cluster.registry.set("AUTOPACK_LEASE_MS", "10000");
        cluster.registry.set("AUTOPACK_HEARTBEAT_MS", "3000");
        cluster.set_all("AUTOPACK_SLOTS", &slots.to_string());
        for (name, value) in env {
            cluster.registry.set(name, value);
            cluster.set_all(name, value);
        }
        cluster.registry.start();
        cluster.registry.ready();
        cluster.add_scheduler().ready();
        for _ in 0..workers {
            cluster.add_worker().ready();
        }
        let address = cluster.registry.address();
        let key = key_of("operator");
        Self {
            clients: Clients::connect_http(&address, Some(&key)).unwrap(),
            cluster,
            repo: TempRepo::small(),
        }
    }

    /// Stores a run of `noop` phases, held, and waits until it is frozen. `phase` gives what a phase says about itself
    /// beyond its name, such as `"depends_on": []`.
    pub(crate) async fn prepare(&self, id: &str, phases: usize, phase: impl Fn(usize) -> String) {
        self.prepare_in("bench", id, phases, phase).await;
    }

    /// The same in a project.
    pub(crate) async fn prepare_in(
        &self,
        project: &str,
        id: &str,
        phases: usize,
        phase: impl Fn(usize) -> String,
    ) {
        let list: Vec<String> = (0..phases)
            .map(|n| {
                let more = phase(n);
                let builder = if more.contains("\"builder\"") {
                    ""
                } else {
                    r#", "builder": {"kind": "noop"}"#
                };
                let comma = if more.is_empty() { "" } else { ", " };
                format!(
                    r#"{{"id": "P{n}", "name": "p", "goal": "g", "gate": {{"steps": []}}{builder}{comma}{more}}}"#
                )
            })
            .collect();
        let document = format!(
            r#"{{"schema": "autopack/plan/v1", "run": {{"id": "{id}", "goal": "bench", "project": "{project}",
                "budgets": {{"minutes": 1000}}}}, "tiers": [{{"id": "T1", "name": "t", "phases": [{}]}}]}}"#,
            list.join(",")
        );
        let request = pb::CreateRunRequest {
            document,
            repository: self.repo.path().display().to_string(),
            hold: true,
            ..pb::CreateRunRequest::default()
        };
        let mut registry = self.clients.registry.clone();
        if let Err(status) = registry.create_run(request).await {
            panic!("run {id} was refused: {status}");
        }
        self.wait(id, |run| run.frozen).await;
    }

    /// Many runs at a time.
    pub(crate) async fn prepare_all(
        &self,
        ids: &[String],
        phases: usize,
        phase: impl Fn(usize) -> String + Copy,
    ) {
        stream::iter(ids)
            .map(|id| self.prepare(id, phases, phase))
            .buffer_unordered(CONCURRENCY)
            .collect::<Vec<()>>()
            .await;
    }

    /// Starts a prepared run.
    pub(crate) async fn begin(&self, id: &str) {
        let request = pb::StartRunRequest {
            run_id: id.to_owned(),
            ..pb::StartRunRequest::default()
        };
        let mut registry = self.clients.registry.clone();
        registry.start_run(request).await.unwrap();
    }

    /// Starts prepared runs.
    pub(crate) async fn begin_all(&self, ids: &[String]) {
        stream::iter(ids)
            .map(|id| self.begin(id))
            .buffer_unordered(CONCURRENCY)
            .collect::<Vec<()>>()
            .await;
    }

    /// Waits until a run is as asked, over broken connections; the run must not fail.
    pub(crate) async fn wait(&self, id: &str, ready: impl Fn(&types::Run) -> bool) -> types::Run {
        let patience = Instant::now() + Duration::from_mins(30);
        loop {
            match self.watch(id, &ready).await {
                Ok(Some(run)) => return run,
                Ok(None) | Err(_) if Instant::now() < patience => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                answer => panic!("run {id} was not seen ready: {answer:?}"),
            }
        }
    }

    async fn watch(
        &self,
        id: &str,
        ready: &impl Fn(&types::Run) -> bool,
    ) -> Result<Option<types::Run>, tonic::Status> {
        let request = pb::WatchRunRequest {
            run_id: id.to_owned(),
            after_sequence: 0,
        };
        let mut registry = self.clients.registry.clone();
        let mut watch = registry.watch_run(request).await?.into_inner();
        while let Some(message) = watch.message().await? {
            let run = match message.message {
                Some(pb::watch_run_response::Message::Snapshot(s)) => s.run,
                Some(pb::watch_run_response::Message::Event(e)) => e.run,
                _ => None,
            };
            let Some(run) = run else { continue };
            if ready(&run) {
                return Ok(Some(run));
            }
            let failed =
                run.complete_time.is_some() && run.state() != types::run::State::DoneSuccess;
            assert!(!failed, "run {id}: {} {}", run.cause, run.detail);
        }
        Ok(None)
    }

    /// Waits for the good end of a run.
    pub(crate) async fn finish(&self, id: &str) -> types::Run {
        self.wait(id, |run| run.complete_time.is_some()).await
    }

    /// Waits for the good end of all, one after the other.
    pub(crate) async fn finish_all(&self, ids: &[String]) -> Vec<types::Run> {
        let mut ended = Vec::with_capacity(ids.len());
        for id in ids {
            ended.push(self.finish(id).await);
        }
        ended
    }

    /// Attempts of a run.
    pub(crate) async fn attempts(&self, id: &str) -> Vec<types::Attempt> {
        let request = pb::ListAttemptsRequest {
            run_id: id.to_owned(),
            phase_id: String::new(),
        };
        let mut registry = self.clients.registry.clone();
        let answer = registry.list_attempts(request).await;
        answer.unwrap().into_inner().attempts
    }

    /// Phases of a run.
    pub(crate) async fn phases(&self, id: &str) -> Vec<types::Phase> {
        let request = pb::GetRunRequest {
            run_id: id.to_owned(),
            brief: true,
        };
        let mut registry = self.clients.registry.clone();
        registry.get_run(request).await.unwrap().into_inner().phases
    }

    /// The registry's counters now.
    pub(crate) fn counted(&self) -> Counted {
        let figure = |name: &str| self.cluster.registry.metric(name).unwrap_or(0.0);
        Counted {
            commits: figure("autopack_registry_commits_total"),
            statements: figure("autopack_registry_statements_total"),
            calls: figure("autopack_service_calls_total"),
            events: figure("autopack_registry_events_total"),
        }
    }

    /// Commits, statements, calls and events per phase since then.
    pub(crate) fn per_phase(
        &self,
        id: &'static str,
        before: &Counted,
        phases: usize,
    ) -> Vec<crate::Line> {
        let now = self.counted();
        let line = |what: &str, now: f64, then: f64| {
            crate::Line::plain(
                id,
                format!("{what} per phase"),
                (now - then) / phases as f64,
                "",
            )
        };
        vec![
            line("commits", now.commits, before.commits),
            line("statements", now.statements, before.statements),
            line("RPCs to the registry", now.calls, before.calls),
            line("events to the bus", now.events, before.events),
        ]
    }
}

/// Microseconds of a stored time.
pub(crate) fn micros(time: Option<&prost_types::Timestamp>) -> i64 {
    time.map_or(0, |t| t.seconds * 1_000_000 + i64::from(t.nanos) / 1000)
}

/// From the first start to the last end, by the registry's clock, in seconds.
pub(crate) fn span(runs: &[types::Run]) -> f64 {
    let first = runs.iter().map(|r| micros(r.start_time.as_ref())).min();
    let last = runs.iter().map(|r| micros(r.complete_time.as_ref())).max();
    (last.unwrap_or(0) - first.unwrap_or(0)) as f64 / 1e6
}

/// A phase that waits for none.
pub(crate) fn free(_: usize) -> String {
    r#""depends_on": []"#.to_owned()
}

/// A phase that waits for the one before it.
pub(crate) fn chained(_: usize) -> String {
    String::new()
}
