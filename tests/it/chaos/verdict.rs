//! What must hold once a run has ended, whatever broke on the way: the same for every scenario.
//!
//! Invariant: judged by git, by tables, by the bus and by the process list; of the product's own words only `doctor` and
//! exit codes count, and they come last.

use std::collections::BTreeSet;
use std::time::Duration;

use autopack_testkit::nats_line::NatsLine;
use autopack_testkit::{processes, within};

use crate::plan::{self, TOKENS};
use crate::scene::{ACK_WAIT, LEASE, RUN, Scene};
use crate::{ledger, stored};

/// What may take a moment once everything has ended.
const SOON: Duration = Duration::from_secs(5);

impl Scene {
    /// The faults have stopped: the run ends, and everything is as if nothing had happened.
    #[track_caller]
    pub(crate) fn verdict(mut self) {
        self.settle();
        self.landed_as_planned();
        stored::check(&self.cluster.database);
        ledger::check(&self);
        self.nothing_is_left();
        self.doctor();
        self.everything_stops();
    }

    /// The tree of a run without faults, by one commit a phase, each after what it waits for, with the fence of the attempt
    /// that the registry accepted.
    #[track_caller]
    fn landed_as_planned(&self) {
        let state = self.state();
        assert_eq!(state, "DONE_SUCCESS", "{}", self.why());
        let _ = self.landed();
        assert_eq!(
            self.tree(),
            plan::tree(&self.repo, &self.base, &self.steps),
            "the tree of a run without faults"
        );
        let commits = self.repo.landed(&self.base, RUN);
        let phases: Vec<&str> = commits
            .iter()
            .map(|c| c.trailer("Autopack-Phase"))
            .collect();
        let once: BTreeSet<&str> = phases.iter().copied().collect();
        assert_eq!(once.len(), phases.len(), "one commit a phase: {phases:?}");
        assert_eq!(phases.len(), self.steps.len(), "every phase: {phases:?}");
        let place = |id: &str| phases.iter().position(|phase| *phase == id);
        for step in &self.steps {
            let after = step.after.as_deref().map(place);
            assert!(
                after.is_none_or(|after| after < place(&step.id)),
                "{} too early",
                step.id
            );
        }
        let accepted = self.cluster.database.sql(
            "SELECT p.id || ' ' || a.fence || ' ' || a.number || ' ' || p.commit_sha FROM phase p JOIN attempt a ON \
             a.run_uid = p.run_uid AND a.phase = p.idx WHERE a.state = 'SUCCEEDED' OR a.commit_sha <> '' ORDER BY 1",
        );
        let word = |c: &autopack_testkit::git::Commit, name: &str| c.trailer(name).to_owned();
        let mut said: Vec<String> = commits
            .iter()
            .map(|c| {
                let names = ["Autopack-Phase", "Autopack-Fence", "Autopack-Attempt"];
                [names.map(|name| word(c, name)).join(" "), c.oid.clone()].join(" ")
            })
            .collect();
        said.sort();
        let mut accepted: Vec<&str> = accepted.lines().collect();
        accepted.sort_unstable();
        assert_eq!(said, accepted, "commits and accepted attempts");
        let used = self
            .cluster
            .database
            .sql("SELECT phases_used, tokens_settled FROM run");
        let (phases_used, tokens) = used.split_once('|').unwrap();
        assert_eq!(
            phases_used,
            self.steps.len().to_string(),
            "phases dispatched"
        );
        // What a lost attempt used, or was estimated at, is counted beside.
        assert!(
            tokens.parse::<u64>().unwrap() >= TOKENS * self.steps.len() as u64,
            "{tokens}"
        );
    }

    /// No lease, no message, no event that waits, no process, no lock.
    #[track_caller]
    pub(crate) fn nothing_is_left(&mut self) {
        let registry = self.cluster.registry.metrics_address().to_owned();
        within(
            LEASE + SOON,
            &format!("no lease is in force at {registry}"),
            || {
                (self.cluster.registry.metric("autopack_registry_leases") == Some(0.0))
                    .then_some(())
            },
        );
        within(SOON, "everything is published", || {
            let behind = "SELECT sequence = (SELECT max(sequence) FROM event) FROM relay_cursor";
            (self.cluster.database.sql(behind) == "t").then_some(())
        });
        let mut bus = NatsLine::connect(self.cluster.nats.port());
        let mut jobs = None;
        let empty = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            within(ACK_WAIT * 2 + SOON, "the job stream is empty", || {
                jobs = bus.messages("AUTOPACK_JOBS");
                (jobs == Some(0)).then_some(())
            });
        }));
        assert!(empty.is_ok(), "messages left in the job stream: {jobs:?}");
        let letters = bus.messages("AUTOPACK_DLQ").unwrap_or(0);
        let list = || self.cluster.cli("operator").call(&["dlq", "list"]).stdout;
        assert_eq!(letters, 0, "dead letters: {}", list());
        let known = self.processes();
        processes::none_left_but(&[self.cluster.path(), self.repo.outside()], &known);
        let worktrees = self.repo.git(&["worktree", "list"]);
        assert_eq!(worktrees.lines().count(), 1, "worktrees: {worktrees}");
        let refs = self.repo.git_dir().join("refs/heads/autonomous");
        let locks = std::fs::read_dir(refs).unwrap().flatten();
        let locks: Vec<_> = locks
            .filter(|entry| entry.path().extension().is_some_and(|end| end == "lock"))
            .collect();
        assert!(locks.is_empty(), "{locks:?}");
    }

    /// The services that run.
    fn processes(&mut self) -> Vec<u32> {
        let cluster = &mut self.cluster;
        let nats = cluster.nats.id();
        let nodes = cluster.schedulers.iter_mut().chain(&mut cluster.workers);
        let nodes = nodes.chain([&mut cluster.registry, &mut cluster.telemetry]);
        let running = nodes.filter_map(|node| node.is_running().then(|| node.id()));
        running.chain([nats]).collect()
    }

    /// Registry, branch and counters agree, says the product's own checker.
    #[track_caller]
    fn doctor(&self) {
        let cli = self.cluster.cli("operator");
        let answer = cli.ask(&["doctor", "--verify"]);
        answer.done.expect_code(0);
        assert_eq!(answer.json["runs"], 1, "{:#}", answer.json);
        assert_eq!(answer.json["differences"], serde_json::json!([]));
    }

    /// Every service ends in time and says that all was well; nothing outlives them.
    #[track_caller]
    fn everything_stops(mut self) {
        let cluster = &mut self.cluster;
        let nodes = cluster.workers.iter_mut().chain(&mut cluster.schedulers);
        for node in nodes.chain([&mut cluster.registry]) {
            if node.is_running() {
                assert_eq!(node.stop(), Some(0), "see {}", node.log_text());
            }
        }
        cluster.nats.kill();
        processes::none_left(&[self.cluster.path(), self.repo.outside()]);
    }
}
