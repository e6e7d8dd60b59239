//! The writer: one task owns the writing connection; commands queue, share a commit, get their replies.
//!
//! Invariant: a reply is sent after the commit; a command whose caller went away is still carried out, unless the
//! database was out of reach meanwhile; a batch that fails is replayed one by one.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use autopack_domain::Timestamp;
use autopack_store::{StoreError, read, rows::event::StoredEvent};
use futures::{FutureExt as _, future::BoxFuture, future::Shared};
use tokio::{
    sync::{broadcast, mpsc, watch},
    time::Instant,
};

use crate::{
    batch::Batch,
    connect::Database,
    flush::flush,
    handle::{Command, Committed, Counters, Reply, WriteError, WriterHandle},
    line::Line,
    session::{Encoder, Pending, Session},
    watch::{Nobody, Watch},
};

/// Commands that wait at most.
const QUEUE: usize = 1024;
/// Commands that share a commit at most.
pub(crate) const BATCH: usize = 256;
/// Batches of events that a subscriber may lag behind before it has to read the log.
const LAG: usize = 256;
/// Silence after which a writer that is to end does so.
const QUIET: Duration = Duration::from_millis(200);
/// Lost connections that a batch survives: one that loses the connection each time is not tried for ever.
const LOSSES: u32 = 3;

/// The writer's own side.
pub struct Writer {
    pub(crate) queue: mpsc::Receiver<Command>,
    /// Commands that waited through an outage, before those of the queue.
    pub(crate) backlog: Vec<Command>,
    events: broadcast::Sender<Committed>,
    pub(crate) session: Session,
    pub(crate) line: Line,
    pub(crate) outage: watch::Sender<Option<Instant>>,
    pub(crate) ending: Shared<BoxFuture<'static, ()>>,
    pub(crate) epoch: u64,
    pub(crate) counters: Arc<Counters>,
    pub(crate) clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    ids: Arc<dyn Fn() -> uuid::Uuid + Send + Sync>,
    failpoint: fn(&str),
    pub(crate) watch: Arc<dyn Watch>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

/// What a batch changed, once it is committed.
struct Done {
    replies: Vec<Reply>,
    events: Vec<StoredEvent>,
}

impl Writer {
    /// A writer on an open database whose epoch was just raised to `epoch` over this line.
    pub async fn new(
        database: &Database,
        line: Line,
        epoch: u64,
        encoder: Encoder,
        clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
        ids: Arc<dyn Fn() -> uuid::Uuid + Send + Sync>,
        failpoint: fn(&str),
    ) -> Result<(Self, WriterHandle), StoreError> {
        let (tx, rx) = mpsc::channel(QUEUE);
        let (events, _) = broadcast::channel(LAG);
        let (outage, reach) = watch::channel(None);
        let session = Session {
            read: database.read.clone(),
            cache: std::collections::HashMap::new(),
            touched: std::collections::HashSet::new(),
            pending: Pending::default(),
            sequence: read::last_sequence(&database.read).await?,
            encoder,
            recent: Vec::new(),
            resting: crate::resting::Resting::default(),
        };
        let counters = Arc::new(Counters::default());
        let handle = WriterHandle {
            queue: tx,
            events: events.clone(),
            counters: Arc::clone(&counters),
            outage: reach,
        };
        Ok((
            Self {
                queue: rx,
                backlog: Vec::new(),
                events,
                session,
                line,
                outage,
                ending: std::future::pending().boxed().shared(),
                epoch,
                counters,
                clock,
                ids,
                failpoint,
                watch: Arc::new(Nobody),
            },
            handle,
        ))
    }

    /// Tells `watch` of every change from now on.
    #[must_use]
    pub fn watched(mut self, watch: Arc<dyn Watch>) -> Self {
        self.watch = watch;
        self
    }

    /// Serves commands until every handle is gone, or until `ending` is done and nothing was asked for a while:
    /// the last reports of a process that stops still find their writer. [`WriteError::TakenOver`]: another
    /// registry is active now. The session ends with it, and so does the lock.
    pub async fn run(
        mut self,
        ending: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), WriteError> {
        self.ending = ending.boxed().shared();
        let outcome = self.serve().await;
        self.line.close().await;
        match outcome {
            Err(WriteError::TakenOver) | Ok(()) => outcome,
            Err(_) if self.ending.peek().is_some() => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn serve(&mut self) -> Result<(), WriteError> {
        let mut asked = self.ending.clone();
        let mut batch: Vec<Command> = Vec::with_capacity(BATCH);
        let mut ended = false;
        loop {
            batch.append(&mut self.backlog);
            if batch.is_empty() {
                let patience = if ended { QUIET } else { self.line.beat() };
                tokio::select! {
                    biased;
                    received = self.queue.recv_many(&mut batch, BATCH) => if received == 0 { return Ok(()) },
                    () = &mut asked, if !ended => { ended = true; continue; }
                    () = tokio::time::sleep(patience) => {
                        if ended {
                            return Ok(());
                        }
                        self.give_sign_of_life().await?;
                        continue;
                    }
                }
            }
            self.serve_batch(&mut batch).await?;
        }
    }

    /// Every command of the batch has its reply afterwards. The error ends the writer.
    async fn serve_batch(&mut self, batch: &mut Vec<Command>) -> Result<(), WriteError> {
        let Some(error) = self.through_losses(batch).await? else {
            return Ok(());
        };
        tracing::warn!(%error, commands = batch.len(), "a batch failed; replaying its commands one by one");
        for command in std::mem::take(batch) {
            let mut single = vec![command];
            let outcome = self.through_losses(&mut single).await;
            if let Some(error) = outcome?
                && let Some(command) = single.pop()
            {
                let _ = command.reply.send(Err(error));
            }
        }
        Ok(())
    }

    /// Tries a batch, again after each lost connection. `None`: every command has its reply; else what was wrong
    /// with the batch.
    async fn through_losses(
        &mut self,
        batch: &mut Vec<Command>,
    ) -> Result<Option<WriteError>, WriteError> {
        for _ in 0..LOSSES {
            let runs = batch.iter().filter_map(Command::run).collect();
            self.session.prefetch(runs).await;
            let Err(error) = self.attempt(batch).await else {
                return Ok(None);
            };
            if matches!(error, WriteError::TakenOver) {
                return self.overtaken(batch);
            }
            if !self.is_loss(&error) {
                return Ok(Some(error));
            }
            tracing::warn!(%error, commands = batch.len(), "the connection to the database was lost");
            match self.regain().await {
                Ok(_) => batch.retain(|c| !c.reply.is_closed()),
                Err(WriteError::TakenOver) => return self.overtaken(batch),
                Err(stopping) => return Err(stopping),
            }
        }
        for command in batch.drain(..) {
            let _ = command.reply.send(Err(crate::regain::out_of_reach()));
        }
        Ok(None)
    }

    /// Tells the callers. An embedded writer goes on refusing; another ends, and its process becomes a standby.
    fn overtaken(&self, batch: &mut Vec<Command>) -> Result<Option<WriteError>, WriteError> {
        for command in batch.drain(..) {
            let _ = command.reply.send(Err(WriteError::TakenOver));
        }
        if self.line.is_embedded() {
            return Ok(None);
        }
        Err(WriteError::TakenOver)
    }

    /// Commands in memory, then one transaction. On success every command has its reply and `batch` is empty.
    async fn attempt(&mut self, batch: &mut Vec<Command>) -> Result<(), WriteError> {
        let before = self.session.sequence;
        match self.transaction(batch).await {
            Ok(Done { replies, events }) => {
                self.watch.committed();
                self.session.trim();
                if !events.is_empty() {
                    // No subscriber is fine: everything is in the log.
                    let _ = self.events.send(Arc::new(events));
                }
                for (command, reply) in batch.drain(..).zip(replies) {
                    command.answer(reply);
                }
                Ok(())
            }
            Err(error) => {
                let _ = self.line.execute("ROLLBACK").await;
                self.session.forget(before);
                self.watch.undone();
                Err(self.taken_over().await.unwrap_or(error))
            }
        }
    }

    /// Whether the batch failed because another registry raised the epoch.
    async fn taken_over(&mut self) -> Option<WriteError> {
        let standing = self.line.standing().await.ok()??;
        (standing.epoch != self.epoch).then_some(WriteError::TakenOver)
    }

    async fn transaction(&mut self, batch: &mut [Command]) -> Result<Done, WriteError> {
        let alone = batch.len() == 1;
        self.counters
            .commands
            .fetch_add(batch.len() as u64, Ordering::Relaxed);
        let mut replies = Vec::with_capacity(batch.len());
        for command in batch.iter_mut() {
            replies.push(self.carry_out(command, alone).await?);
        }
        if self.session.pending.is_empty() {
            let events = Vec::new();
            return Ok(Done { replies, events });
        }
        let now = (self.clock)();
        let ids = Arc::clone(&self.ids);
        let id = ids();
        let events = self.session.encode_events(now, &*ids);
        let statements = Batch::begin(self.line.backend(), self.epoch, id);
        (self.failpoint)("registry.before_commit");
        let written = flush(&mut self.session, &mut self.line, statements, &events, now).await;
        let written = self.settle(written, &id.to_string()).await?;
        (self.failpoint)("registry.after_commit");
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        self.counters
            .statements
            .fetch_add(written, Ordering::Relaxed);
        self.counters
            .events
            .fetch_add(events.len() as u64, Ordering::Relaxed);
        self.session.pending = Pending::default();
        Ok(Done { replies, events })
    }
}
