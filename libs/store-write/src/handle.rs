//! What callers of the writer hold: commands in, replies out, and every commit as it happens.
//!
//! Invariant: the queue is bounded, so a slow disk slows the callers down; a caller waits for its commit no
//! longer than its patience, and less while the database cannot be reached.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use autopack_domain::{
    Reason, Refusal, RunUid,
    backlog::BacklogEntry,
    issue::NewIssue,
    run::{Changes, Run, RunAggregate},
};
use autopack_store::{StoreError, rows::event::StoredEvent};
use sea_orm::DbErr;
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    time::Instant,
};

use crate::{
    mend::Mend,
    session::{LoadError, RequestKey},
};

/// How long a caller waits for its commit.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a caller waits while the database cannot be reached.
const OUTAGE: Duration = Duration::from_secs(5);

/// Events of one commit, in order.
pub type Committed = Arc<Vec<StoredEvent>>;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It was refused; nothing was changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The same `request_id` was carried out before, on this run.
    #[error("this request was carried out before")]
    Repeated(RunUid),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another registry raised the epoch; whether the command was carried out, it knows.
    #[error("another registry has taken over this database")]
    TakenOver,
}

impl From<LoadError> for WriteError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Refused(refusal) => Self::Refused(refusal),
            LoadError::Store(error) => Self::Store(error),
        }
    }
}

impl From<DbErr> for WriteError {
    fn from(error: DbErr) -> Self {
        Self::Store(error.into())
    }
}

pub(crate) type Reply = Result<Box<dyn Any + Send>, WriteError>;
pub(crate) type OnRun =
    Box<dyn FnMut(&mut RunAggregate, &mut Changes) -> Result<Box<dyn Any + Send>, Refusal> + Send>;
/// What follows a commit, whether or not the caller is still there.
pub(crate) type Then = Box<dyn FnOnce(&(dyn Any + Send)) + Send>;
pub(crate) type Create = Box<dyn FnMut() -> (RunAggregate, Changes) + Send>;

/// A reader of the event log that remembers how far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cursor {
    /// The relay to the bus.
    Relay,
    /// The sender of spans.
    Traces,
}

/// What is stored beside runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// A project's ruleset.
    Ruleset(String, String),
    /// A project's share and limits.
    Limits {
        /// The project.
        project: String,
        /// Its share.
        share: u32,
        /// Its limits in their stored form.
        limits: String,
    },
    /// Whether a lane is paused.
    Lane(String, bool),
    /// A stored state that is mended.
    Mend(Mend),
    /// A run that cannot be read has this issue, unless it has it already.
    Unreadable(Unreadable),
}

/// An issue of a run whose rows cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The run.
    pub run: RunUid,
    /// Its id, as stored.
    pub run_id: String,
    /// Its project, as stored.
    pub project: String,
    /// What is wrong.
    pub issue: NewIssue,
}

/// An entry of a backlog that an operator closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// The project.
    pub project: String,
    /// The key.
    pub key: String,
    /// Why.
    pub note: String,
}

pub(crate) enum Work {
    OnRun(RunUid, OnRun),
    Close(Close),
    Create(Create),
    Setting(Setting),
    Cursor(Cursor, u64),
}

pub(crate) struct Command {
    pub(crate) work: Work,
    pub(crate) request: Option<RequestKey>,
    pub(crate) then: Option<Then>,
    pub(crate) reply: oneshot::Sender<Reply>,
}

impl Command {
    /// The command is committed, or refused.
    pub(crate) fn answer(self, reply: Reply) {
        if let (Ok(value), Some(then)) = (&reply, self.then) {
            then(value.as_ref());
        }
        let _ = self.reply.send(reply);
    }

    /// The run that it works on, if that exists already.
    pub(crate) fn run(&self) -> Option<RunUid> {
        match &self.work {
            Work::OnRun(uid, _) => Some(*uid),
            Work::Create(_) | Work::Close(_) | Work::Setting(_) | Work::Cursor(..) => None,
        }
    }
}

/// What the writer has done since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriterStats {
    /// Commands carried out, reads of the working set included.
    pub commands: u64,
    /// Transactions committed.
    pub commits: u64,
    /// Statements executed, the parts of a joined one counted singly; begin and commit are not counted.
    pub statements: u64,
    /// Events recorded.
    pub events: u64,
    /// Times that a lost connection was made again.
    pub reconnections: u64,
    /// Commits whose answer was lost and that were found in the database.
    pub settled: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) commands: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) statements: AtomicU64,
    pub(crate) events: AtomicU64,
    pub(crate) reconnections: AtomicU64,
    pub(crate) settled: AtomicU64,
}

/// What callers hold.
#[derive(Clone)]
pub struct WriterHandle {
    pub(crate) queue: mpsc::Sender<Command>,
    pub(crate) events: broadcast::Sender<Committed>,
    pub(crate) counters: Arc<Counters>,
    /// Since when the database cannot be reached.
    pub(crate) outage: watch::Receiver<Option<Instant>>,
}

impl std::fmt::Debug for WriterHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WriterHandle")
    }
}

impl WriterHandle {
    /// Carries out a command on a run. `command` may run more than once, on fresh state, if a batch fails.
    pub async fn on_run<T: Send + 'static>(
        &self,
        run: RunUid,
        request: Option<RequestKey>,
        command: impl FnMut(&mut RunAggregate, &mut Changes) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, WriteError> {
        self.send(Work::OnRun(run, boxed(command)), request, None)
            .await
    }

    /// The same, and once it is committed `then`: also for a caller that is gone by that time, or gave up waiting.
    /// `then` is short and does not block.
    pub async fn on_run_then<T: Send + 'static>(
        &self,
        run: RunUid,
        request: Option<RequestKey>,
        command: impl FnMut(&mut RunAggregate, &mut Changes) -> Result<T, Refusal> + Send + 'static,
        then: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, WriteError> {
        let then: Then = Box::new(move |value| {
            if let Some(value) = value.downcast_ref() {
                then(value);
            }
        });
        self.send(Work::OnRun(run, boxed(command)), request, Some(then))
            .await
    }

    /// Reads a run as the next command would find it.
    pub async fn read<T: Send + 'static>(
        &self,
        run: RunUid,
        mut look: impl FnMut(&RunAggregate) -> T + Send + 'static,
    ) -> Result<T, WriteError> {
        self.on_run(run, None, move |a, _| Ok(look(a))).await
    }

    /// Stores a new run.
    pub async fn create(
        &self,
        request: Option<RequestKey>,
        create: impl FnMut() -> (RunAggregate, Changes) + Send + 'static,
    ) -> Result<Run, WriteError> {
        self.send(Work::Create(Box::new(create)), request, None)
            .await
    }

    /// Stores a setting in place of the one before.
    pub async fn put(&self, setting: Setting) -> Result<(), WriteError> {
        self.send(Work::Setting(setting), None, None).await
    }

    /// Closes an entry of a backlog, and returns it. The request is kept with the run that reported the entry last.
    pub async fn close(
        &self,
        close: Close,
        request: Option<RequestKey>,
    ) -> Result<BacklogEntry, WriteError> {
        self.send(Work::Close(close), request, None).await
    }

    /// Moves the cursor of a reader of the event log.
    pub async fn put_cursor(&self, cursor: Cursor, sequence: u64) -> Result<(), WriteError> {
        self.send(Work::Cursor(cursor, sequence), None, None).await
    }

    /// What the writer has done since its start.
    pub fn stats(&self) -> WriterStats {
        let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
        WriterStats {
            commands: get(&self.counters.commands),
            commits: get(&self.counters.commits),
            statements: get(&self.counters.statements),
            events: get(&self.counters.events),
            reconnections: get(&self.counters.reconnections),
            settled: get(&self.counters.settled),
        }
    }

    /// Whether the database could be reached when it was last needed.
    pub fn is_connected(&self) -> bool {
        self.outage.borrow().is_none()
    }

    /// Every commit from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Committed> {
        self.events.subscribe()
    }

    async fn send<T: 'static>(
        &self,
        work: Work,
        request: Option<RequestKey>,
        then: Option<Then>,
    ) -> Result<T, WriteError> {
        let (reply, answer) = oneshot::channel();
        let gone = || Refusal::new(Reason::RegistryUnavailable, "the registry is stopping");
        let late = |_| {
            Refusal::new(
                Reason::DeadlineExceeded,
                "the registry did not commit in time",
            )
        };
        let command = Command {
            work,
            request,
            then,
            reply,
        };
        let exchange = async {
            let queued = self.queue.send_timeout(command, PATIENCE).await;
            queued.map_err(|e| match e {
                mpsc::error::SendTimeoutError::Timeout(_) => {
                    Refusal::new(Reason::LimitExceeded, "the registry's queue is full")
                }
                mpsc::error::SendTimeoutError::Closed(_) => gone(),
            })?;
            tokio::time::timeout(PATIENCE, answer)
                .await
                .map_err(late)?
                .map_err(|_| gone())?
        };
        let reply = tokio::select! {
            biased;
            reply = exchange => reply?,
            () = outage(self.outage.clone()) => {
                let text = "the database cannot be reached; the registry tries again by itself";
                return Err(Refusal::new(Reason::RegistryUnavailable, text).into());
            }
        };
        reply.downcast::<T>().map(|t| *t).map_err(|_| {
            Refusal::new(Reason::InternalFault, "a command replied with another type").into()
        })
    }
}

fn boxed<T: Send + 'static>(
    mut command: impl FnMut(&mut RunAggregate, &mut Changes) -> Result<T, Refusal> + Send + 'static,
) -> OnRun {
    Box::new(move |a, c| command(a, c).map(|t| Box::new(t) as Box<dyn Any + Send>))
}

/// Ends once the database has been out of reach for as long as a caller waits for it.
async fn outage(mut since: watch::Receiver<Option<Instant>>) {
    loop {
        let down = *since.borrow_and_update();
        let change = match down {
            Some(at) => match tokio::time::timeout_at(at + OUTAGE, since.changed()).await {
                Ok(change) => change,
                Err(_) => return,
            },
            None => since.changed().await,
        };
        if change.is_err() {
            // The writer is gone, and the reply with it: the caller learns of that.
            std::future::pending::<()>().await;
        }
    }
}
