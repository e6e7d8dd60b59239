//! The use cases, one a file, over one [`Core`].
//!
//! Invariant: a use case loads, lets the domain decide, and replies after the commit; it holds no rule of
//! its own.

pub mod add_phase;
pub mod approvals;
pub mod create_run;
pub mod dead_letters;
pub mod diagnose;
pub mod dispatch;
pub mod figures;
pub mod import;
mod issue_owner;
pub mod issues;
pub mod jobs;
pub mod leases;
pub(crate) mod ledger;
pub mod limits;
pub mod project;
pub mod promotions;
pub mod reads;
pub mod repair;
pub mod reports;
pub mod self_check;
pub mod submissions;
pub mod turns;
pub(crate) mod unreadable;
pub mod walk;
pub mod work;
pub mod workers;

use std::sync::{Arc, Mutex, PoisonError};

use autopack_domain::{
    AttemptUid, Cause, ErrorKind, Reason, Refusal, RunUid, Timestamp,
    catalogue::Charge,
    run::{Run, RunAggregate, settle::Follow},
};
use autopack_policy::fair::Load;
use autopack_store::{SetAside, StoreError, audit::Stretch, read, set_aside};
use autopack_store_write::{Database, RequestKey, WriteError, WriterHandle};

use crate::{Ports, RegistryConfig};

/// Everything the use cases share.
pub struct Core {
    pub(crate) config: RegistryConfig,
    pub(crate) ports: Ports,
    pub(crate) database: Database,
    pub(crate) writer: WriterHandle,
    pub(crate) leases: Arc<Mutex<leases::Leases>>,
    pub(crate) turns: turns::Turns,
    pub(crate) workers: Mutex<workers::Workers>,
    pub(crate) set_aside: Mutex<Vec<SetAside>>,
    /// Those of them that have an issue which says so.
    pub(crate) told: Mutex<unreadable::Told>,
    /// There is one more of them.
    pub(crate) news: tokio::sync::Notify,
    pub(crate) counts: figures::Counts,
    pub(crate) ledger: Arc<ledger::Ledger>,
    /// Limits of projects whose rows do not parse.
    pub(crate) corrupt_limits: Vec<String>,
    /// Settings are changed one at a time.
    pub(crate) settings: tokio::sync::Mutex<()>,
    pub(crate) epoch: u64,
    /// Which database it is.
    pub(crate) identity: String,
    /// The last event that the relay has published.
    pub(crate) published: tokio::sync::watch::Sender<u64>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core")
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

/// Takes a lock; a panic elsewhere does not make the data unusable.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    pub(crate) async fn new(
        config: RegistryConfig,
        ports: Ports,
        database: Database,
        writer: WriterHandle,
        (ledger, corrupt_limits): (Arc<ledger::Ledger>, Vec<String>),
        (epoch, identity): (u64, String),
    ) -> Result<Self, StoreError> {
        let set_aside = set_aside::find(&database.read, &Stretch::Open).await?;
        set_aside.iter().for_each(self_check::tell);
        Ok(Self {
            leases: Arc::new(Mutex::new(leases::Leases::new(config.lease))),
            turns: turns::Turns::default(),
            workers: Mutex::new(workers::Workers::default()),
            set_aside: Mutex::new(set_aside),
            told: Mutex::default(),
            news: tokio::sync::Notify::new(),
            ledger,
            corrupt_limits,
            settings: tokio::sync::Mutex::new(()),
            config,
            ports,
            database,
            writer,
            counts: figures::Counts::default(),
            epoch,
            identity,
            published: tokio::sync::watch::Sender::new(0),
        })
    }

    /// After the start: what an earlier registry left. Embedded: its workers died with it, so their leases
    /// end now; else each live lease gets a fresh deadline (DESIGN rule 3).
    pub(crate) async fn grant_leases(&self) -> Result<(), Refusal> {
        let db = &self.database.read;
        let open = self.sound(read::open_runs(db).await)?;
        // Of a run that has ended, too, jobs may be leased.
        let beside = self.sound(autopack_store::jobs::runs_with_jobs(db).await)?;
        let runs: std::collections::BTreeSet<RunUid> = open.into_iter().chain(beside).collect();
        for uid in runs {
            self.take_in(uid).await?;
        }
        Ok(())
    }

    /// A run that an earlier registry left, or whose rows were mended.
    async fn take_in(&self, uid: RunUid) -> Result<(), Refusal> {
        let look = |a: &RunAggregate| (a.run.project.clone(), Load::of(a), leases::held(a));
        let held = match self.writer.read(uid, look).await {
            Ok((project, load, held)) => {
                self.ledger.found(uid, &project, load);
                held
            }
            Err(error @ (WriteError::TakenOver | WriteError::Refused(_))) => {
                return Err(write_refusal(error));
            }
            Err(error) => {
                self.note(uid, &error);
                return Ok(());
            }
        };
        for lease in held {
            if self.config.embedded {
                self.lose(uid, lease.uid, true).await?;
            } else {
                self.grant(lease.uid, uid, lease.worker);
            }
        }
        Ok(())
    }

    /// The time by the registry's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    /// The run that a caller names by id or uid.
    pub(crate) async fn find(&self, id: &str) -> Result<RunUid, Refusal> {
        if let Some(found) = self.aside(id) {
            let corrupt = StoreError::Corrupt(found.corrupt);
            return Err(store_refusal(corrupt).with("run", id));
        }
        let found = read::find_run(&self.database.read, id)
            .await
            .map_err(store_refusal)?;
        found.ok_or_else(|| reads::no_run(id))
    }

    /// Carries a command out on a run and returns the run after it. A repeated request returns the run as it is.
    pub(crate) async fn command(
        &self,
        uid: RunUid,
        request: Option<RequestKey>,
        mut command: impl FnMut(
            &mut RunAggregate,
            &mut autopack_domain::run::Changes,
            Timestamp,
        ) -> Result<(), Refusal>
        + Send
        + 'static,
    ) -> Result<Run, Refusal> {
        let clock = Arc::clone(&self.ports.clock);
        let done = self
            .writer
            .on_run(uid, request, move |a, c| {
                command(a, c, clock.now()).map(|()| a.run.clone())
            })
            .await;
        self.answered(done).await
    }

    /// The same for a command that may end leases: their deadlines are forgotten with the commit, so that the next
    /// heartbeat stops their workers.
    pub(crate) async fn command_on_leases(
        &self,
        uid: RunUid,
        request: Option<RequestKey>,
        mut command: impl FnMut(
            &mut RunAggregate,
            &mut autopack_domain::run::Changes,
            Timestamp,
        ) -> Result<(), Refusal>
        + Send
        + 'static,
    ) -> Result<Run, Refusal> {
        let clock = Arc::clone(&self.ports.clock);
        let deadlines = Arc::clone(&self.leases);
        let done = self.writer.on_run_then(
            uid,
            request,
            move |a, c| {
                command(a, c, clock.now())?;
                Ok((a.run.clone(), leases::held(a)))
            },
            move |(_, held)| {
                let live: Vec<_> = held.iter().map(|h| h.uid).collect();
                lock(&deadlines).keep_only(uid, &live);
            },
        );
        self.answered(done.await.map(|(run, _)| run)).await
    }

    /// The run that a command left, or an earlier one of the same request.
    async fn answered(&self, done: Result<Run, WriteError>) -> Result<Run, Refusal> {
        let result = match done {
            Err(WriteError::Repeated(run)) => self
                .writer
                .read(run, |a| a.run.clone())
                .await
                .map_err(write_refusal),
            other => other.map_err(write_refusal),
        };
        (self.ports.failpoint)("registry.before_reply");
        result
    }

    /// `policy::retry`, with the seed that spreads the back-off.
    pub(crate) fn decide(&self) -> impl Fn(&RunAggregate, usize, Cause) -> Follow + Send + use<> {
        let clock = Arc::clone(&self.ports.clock);
        let ids = Arc::clone(&self.ports.ids);
        move |run, phase, cause| {
            let seed = match cause.charge() {
                Charge::Attempt | Charge::Infrastructure | Charge::Pause => {
                    ids.uuid().as_u128() as u64
                }
                Charge::Crash | Charge::Nothing | Charge::Final => 0,
            };
            autopack_policy::retry::decide(run, phase, cause, clock.now(), seed)
        }
    }

    /// Ends a lease that is over: by expiry, or because its worker gives it back.
    pub(crate) async fn lose(
        &self,
        run: RunUid,
        uid: uuid::Uuid,
        handed_over: bool,
    ) -> Result<(), Refusal> {
        let decide = self.decide();
        let ids = Arc::clone(&self.ports.ids);
        let attempt = AttemptUid(uid);
        let lost = self.command(run, None, move |a, c, now| {
            if a.attempts.contains_key(&attempt) {
                return a.lose(attempt, handed_over, &decide, now, c);
            }
            let job = autopack_domain::JobUid(uid);
            if a.job(job).is_err() {
                return Ok(());
            }
            let cause = if handed_over {
                Cause::HandedOver
            } else {
                Cause::LeaseExpired
            };
            if a.job(job)?.kind.is_aside() {
                let of = (job, None, autopack_domain::JobUid(ids.uuid()));
                return a.fail_aside(of, (cause, cause.text()), jobs::later(a, now), now, c);
            }
            a.fail_job((job, None), (cause, cause.text()), now, now, c)
        });
        let lost = lost.await;
        // Kept where the database failed: forgotten here, it would be nobody's to end.
        let failed = lost.as_ref().is_err_and(|refusal| {
            let kind = refusal.reason.kind();
            matches!(kind, ErrorKind::Unavailable | ErrorKind::Exhausted)
        });
        if !failed {
            lock(&self.leases).end(uid);
        }
        lost?;
        self.turns.leave(run, attempt);
        Ok(())
    }

    /// What the writer has done since the start.
    pub fn writer_stats(&self) -> autopack_store_write::WriterStats {
        self.writer.stats()
    }

    /// Runs that are left alone because a stored value is not known, each with table, row, column, value and the
    /// valid values.
    pub fn corrupt_rows(&self) -> Vec<String> {
        lock(&self.set_aside)
            .iter()
            .map(ToString::to_string)
            .chain(self.corrupt_limits.iter().cloned())
            .collect()
    }

    /// How many runs are left alone, for health and metrics.
    pub fn rows_set_aside(&self) -> usize {
        lock(&self.set_aside).len()
    }

    /// Whether the database could be reached when it was last needed.
    pub fn is_database_reachable(&self) -> bool {
        self.writer.is_connected()
    }

    /// The id that the database got when it was made.
    pub fn database_identity(&self) -> &str {
        &self.identity
    }

    /// The epoch that this registry serves in.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}

/// A store failure as a refusal.
pub(crate) fn store_refusal(error: StoreError) -> Refusal {
    match error {
        StoreError::Corrupt(corrupt) => Refusal::new(Reason::DataCorrupt, corrupt.to_string())
            .with("table", corrupt.table)
            .with("row", &corrupt.id)
            .with("column", corrupt.column)
            .with("value", &corrupt.value)
            .with("valid", &corrupt.valid),
        StoreError::Database(error) => {
            let text = error.to_string();
            tracing::error!(error = %text, "the database failed");
            // SQLite's words, and those of the system that PostgreSQL passes on.
            let full = ["database or disk is full", "No space left on device"];
            if full.iter().any(|words| text.contains(words)) {
                return Refusal::new(
                    Reason::DiskFullDatabase,
                    "the database could not grow: the disk is full",
                );
            }
            let lost = autopack_store_write::is_connection_lost(&error);
            let text = if lost {
                "the database cannot be reached; try again"
            } else {
                "the database failed; the log has the cause"
            };
            Refusal::new(Reason::RegistryUnavailable, text)
        }
    }
}

/// A failure of the bus as a refusal.
pub(crate) fn bus_refusal(error: autopack_bus::BusError) -> Refusal {
    tracing::warn!(%error, "the bus failed");
    Refusal::new(Reason::BusUnavailable, error.to_string())
}

/// A write failure as a refusal.
pub(crate) fn write_refusal(error: WriteError) -> Refusal {
    match error {
        WriteError::Refused(refusal) => refusal,
        WriteError::Repeated(run) => Refusal::new(
            Reason::RequestIdReused,
            "this request was carried out before",
        )
        .with("run", run),
        WriteError::Store(error) => store_refusal(error),
        WriteError::TakenOver => {
            let text = "another registry has taken over this database";
            Refusal::new(Reason::RegistryUnavailable, text)
        }
    }
}

/// The idempotency key of a request; `None` without a `request_id`.
pub(crate) fn request_key(
    id: &str,
    method: &'static str,
    body: &str,
) -> Result<Option<RequestKey>, Refusal> {
    if id.is_empty() {
        return Ok(None);
    }
    if id.len() > 36 || !id.bytes().all(|b| b.is_ascii_graphic()) {
        let fault = autopack_domain::Fault::new(
            "request_id",
            "must be at most 36 printable ASCII characters",
        )
        .example("0197a4c2-0000-7000-8000-000000000000");
        return Err(Refusal::invalid(Reason::ArgumentInvalid, vec![fault]));
    }
    Ok(Some(RequestKey {
        id: id.to_owned(),
        method,
        digest: sha256(body.as_bytes()),
    }))
}

/// SHA-256 in hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut s, b| {
            use std::fmt::Write as _;
            let _ = write!(s, "{b:02x}");
            s
        })
}
