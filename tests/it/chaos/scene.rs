//! A real run over real processes: repository, cluster, plan, and how far it has come.
//!
//! Invariant: progress is what stands on the branch; whoever is down, it can be read.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use autopack_testkit::{Cluster, TempRepo, git, repo, within};

use crate::plan::{self, Step};

/// The id of the run.
pub(crate) const RUN: &str = "chaos";
/// The lease of a [`Cluster`].
pub(crate) const LEASE: Duration = Duration::from_secs(1);
/// After this long without a sign of life the bus delivers a job again.
pub(crate) const ACK_WAIT: Duration = Duration::from_millis(1_500);
/// Once faults have stopped, the next phase lands within the lease, the back-off (none here) and 5 s; beside that it may
/// take the time that a phase takes on a busy machine.
const STALL: Duration = Duration::from_secs(1 + 5 + 3);
/// How long a fault may last.
const FAULT: Duration = Duration::from_mins(1);

/// Scenes of one process follow one another: each is a machine full of processes.
static ONE: Mutex<()> = Mutex::new(());

/// Everything that a fault may meet.
pub(crate) struct Scene {
    pub(crate) cluster: Cluster,
    pub(crate) repo: TempRepo,
    pub(crate) steps: Vec<Step>,
    /// Where every builder leaves a line, whatever becomes of its attempt.
    pub(crate) ledger: PathBuf,
    pub(crate) base: String,
    /// What was on the branch when it was last looked at: it is never taken back.
    pub(crate) seen: Mutex<Vec<String>>,
    _one: MutexGuard<'static, ()>,
}

impl Scene {
    /// Nothing but nats-server and the database run yet.
    #[track_caller]
    pub(crate) fn new(steps: Vec<Step>) -> Self {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        Self::on(Cluster::new(), steps, one)
    }

    /// The same with a PostgreSQL server that may be killed.
    #[track_caller]
    pub(crate) fn on_own_database(steps: Vec<Step>) -> Self {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        Self::on(Cluster::on_own_database(), steps, one)
    }

    /// The same with its files in a folder that `prepare` is given while it is empty.
    #[track_caller]
    pub(crate) fn on_own_database_in(steps: Vec<Step>, prepare: impl FnOnce(&Path)) -> Self {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        Self::on(Cluster::on_own_database_in(prepare), steps, one)
    }

    fn on(mut cluster: Cluster, steps: Vec<Step>, one: MutexGuard<'static, ()>) -> Self {
        let wait = ACK_WAIT.as_millis().to_string();
        cluster.registry.set("AUTOPACK_BUS__ACK_WAIT_MS", &wait);
        cluster.set_all("AUTOPACK_BUS__ACK_WAIT_MS", &wait);
        if let Ok(level) = std::env::var("AUTOPACK_CHAOS_LOG") {
            cluster.registry.set("AUTOPACK_LOG__LEVEL", &level);
            cluster.set_all("AUTOPACK_LOG__LEVEL", &level);
        }
        let repo = TempRepo::empty();
        repo.write("README.md", "# Scene\n");
        let base = repo.commit("Base");
        Self {
            ledger: repo.outside().join("ledger"),
            cluster,
            repo,
            steps,
            base,
            seen: Mutex::default(),
            _one: one,
        }
    }

    /// Registry, scheduler and four workers, ready, and the run submitted.
    #[track_caller]
    pub(crate) fn running(steps: Vec<Step>) -> Self {
        Self::new(steps).up()
    }

    /// Starts registry, scheduler and four workers as they are, and submits the run.
    #[track_caller]
    pub(crate) fn up(mut self) -> Self {
        self.cluster.registry.start();
        self.cluster.add_scheduler();
        for _ in 0..4 {
            self.cluster.add_worker();
        }
        self.submit();
        self
    }

    /// Submits the run by the command line, once everything is ready.
    #[track_caller]
    pub(crate) fn submit(&mut self) {
        let cluster = &mut self.cluster;
        cluster.registry.ready();
        for node in cluster.schedulers.iter_mut().chain(&mut cluster.workers) {
            node.ready();
        }
        let folder = self.cluster.folder("plan");
        let plan = plan::write(RUN, &self.steps, &self.ledger, &folder);
        let (plan, repo) = (plan.to_str().unwrap(), self.repo.path().to_str().unwrap());
        let cli = self.cluster.cli("operator");
        cli.call(&["submit", plan, "--repo", repo]).expect_code(0);
    }

    /// Commits on the branch, oldest first.
    pub(crate) fn commits(&self) -> Vec<String> {
        let branch = repo::branch(RUN);
        if self.repo.branch(RUN).is_none() {
            return Vec::new();
        }
        let range = format!("{}..{branch}", self.base);
        let text = self.repo.git(&["rev-list", "--reverse", &range]);
        text.lines().map(str::to_owned).collect()
    }

    /// Phases that have landed. What has landed stays.
    #[track_caller]
    pub(crate) fn landed(&self) -> usize {
        let now = self.commits();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(
            now.starts_with(&seen),
            "what had landed was taken back: {seen:?}, now {now:?}"
        );
        seen.clone_from(&now);
        now.len()
    }

    /// Waits until so many phases have landed, with nothing broken.
    #[track_caller]
    pub(crate) fn await_landed(&self, count: usize) {
        self.rests_never_until(|landed| landed >= count || self.state().starts_with("DONE_"));
    }

    /// Waits until a builder has noted itself in the ledger; its process.
    #[track_caller]
    pub(crate) fn await_builder(&self, phase: &str) -> u32 {
        within(FAULT, &format!("the builder of {phase} runs"), || {
            let text = std::fs::read_to_string(&self.ledger).ok()?;
            let line = text
                .lines()
                .find(|line| line.starts_with(&format!("{phase} ")))?;
            line.split(' ').nth(2)?.parse().ok()
        })
    }

    /// The state of the run, as it is stored.
    pub(crate) fn state(&self) -> String {
        self.cluster
            .database
            .try_sql(&format!("SELECT state FROM run WHERE id = '{RUN}'"))
            .unwrap_or_default()
    }

    /// The faults have stopped: from here on the run never rests for long, until it has ended.
    #[track_caller]
    pub(crate) fn settle(&self) {
        let longest = self.rests_never_until(|_| self.state().starts_with("DONE_"));
        eprintln!("chaos: settled, the longest pause was {longest:?}");
    }

    /// Waits until `holds` for the number of phases that have landed; the longest pause between landings.
    #[track_caller]
    fn rests_never_until(&self, holds: impl Fn(usize) -> bool) -> Duration {
        let (mut landed, mut since, mut longest) = (self.landed(), Instant::now(), Duration::ZERO);
        loop {
            let now = self.landed();
            longest = longest.max(since.elapsed());
            if now != landed {
                (landed, since) = (now, Instant::now());
            }
            if holds(now) {
                return longest;
            }
            assert!(
                since.elapsed() < STALL,
                "nothing landed for {STALL:?} after {landed} phases; the run is {}\n{}",
                self.state(),
                self.why()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What holds the run back, for people.
    pub(crate) fn why(&self) -> String {
        let cli = self.cluster.cli("operator");
        let why = autopack_testkit::program::run(&mut cli.command(&["why", RUN]), FAULT);
        let rows = self.cluster.database.try_sql(
            "SELECT phase, number, state, fence, worker_uid, cause, leased_at, intent_commit, intent_resolved \
             FROM attempt WHERE state <> 'SUCCEEDED' ORDER BY phase, number; \
             SELECT kind, state, fence, failures FROM job WHERE state <> 'DONE'; \
             SELECT 'open intents', open_intents FROM run",
        );
        format!(
            "{}{}\n{}",
            why.stdout,
            why.stderr,
            rows.unwrap_or_else(|e| e)
        )
    }

    /// No attempt of any phase was charged, to its builder or to the machine.
    #[track_caller]
    pub(crate) fn nobody_is_charged(&self) {
        let charged = "SELECT sum(crashes + attempts_charged + infra_charged) FROM phase";
        let charged = self.cluster.database.sql(charged);
        assert_eq!(charged, "0", "nobody is charged for it");
    }

    /// The tree of the branch.
    #[track_caller]
    pub(crate) fn tree(&self) -> String {
        git::tree_of(self.repo.path(), &repo::branch(RUN))
    }
}

/// Stands still for a quarter of a second again and again, for longer than a lease.
pub(crate) fn slow(freeze: impl Fn(), thaw: impl Fn()) {
    for _ in 0..20 {
        freeze();
        std::thread::sleep(Duration::from_millis(250));
        thaw();
        std::thread::sleep(Duration::from_millis(30));
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("AUTOPACK_CHAOS_KEEP").is_some() {
            let name = std::thread::current()
                .name()
                .unwrap_or("scene")
                .replace("::", "-");
            let name = format!("autopack-chaos-{}-{name}", std::process::id());
            let kept = std::env::temp_dir().join(name);
            let mut copy = std::process::Command::new("cp");
            let _ = copy.arg("-a").arg(self.cluster.path()).arg(&kept).status();
            eprintln!("chaos: logs are kept in {}", kept.display());
        }
    }
}
