//! The writer: one task owns the writing connection; commands queue, share a commit, get their replies.
//!
//! Invariant: a reply is sent after the commit; a command whose caller went away is still carried out; a
//! batch that fails is replayed one by one.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use autopack_domain::{
    Reason, Refusal, RunUid, Timestamp,
    run::{Changes, Run},
};
use autopack_store::{StoreError, read, rows::event::StoredEvent};
use sea_orm::ConnectionTrait;
use tokio::sync::{broadcast, mpsc};

use crate::{
    connect::{Database, epoch},
    flush::flush,
    handle::{Command, Committed, Counters, Reply, Work, WriteError, WriterHandle},
    session::{Encoder, LoadError, Pending, RequestKey, Session},
    watch::{Nobody, Watch},
};

/// Commands that wait at most.
const QUEUE: usize = 1024;
/// Commands that share a commit at most.
const BATCH: usize = 256;
/// Batches of events that a subscriber may lag behind before it has to read the log.
const LAG: usize = 256;
/// Silence after which a writer that is to end does so.
const QUIET: Duration = Duration::from_millis(200);

/// The writer's own side.
pub struct Writer {
    queue: mpsc::Receiver<Command>,
    events: broadcast::Sender<Committed>,
    session: Session,
    epoch: u64,
    counters: Arc<Counters>,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    ids: Arc<dyn Fn() -> uuid::Uuid + Send + Sync>,
    failpoint: fn(&str),
    watch: Arc<dyn Watch>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl Writer {
    /// A writer on an open database whose epoch was just raised to `epoch`.
    pub async fn new(
        database: &Database,
        epoch: u64,
        encoder: Encoder,
        clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
        ids: Arc<dyn Fn() -> uuid::Uuid + Send + Sync>,
        failpoint: fn(&str),
    ) -> Result<(Self, WriterHandle), StoreError> {
        let (tx, rx) = mpsc::channel(QUEUE);
        let (events, _) = broadcast::channel(LAG);
        let session = Session {
            db: database.write.clone(),
            read: database.read.clone(),
            cache: std::collections::HashMap::new(),
            touched: std::collections::HashSet::new(),
            pending: Pending::default(),
            sequence: read::last_sequence(&database.write).await?,
            encoder,
            recent: Vec::new(),
        };
        let counters = Arc::new(Counters::default());
        let handle = WriterHandle {
            queue: tx,
            events: events.clone(),
            counters: Arc::clone(&counters),
        };
        Ok((
            Self {
                queue: rx,
                events,
                session,
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
    /// the last reports of a process that stops still find their writer.
    pub async fn run(mut self, ending: impl Future<Output = ()> + Send) -> Result<(), WriteError> {
        let mut batch: Vec<Command> = Vec::with_capacity(BATCH);
        let mut ended = false;
        tokio::pin!(ending);
        loop {
            tokio::select! {
                biased;
                received = self.queue.recv_many(&mut batch, BATCH) => if received == 0 { return Ok(()) },
                () = &mut ending, if !ended => { ended = true; continue; }
                () = tokio::time::sleep(QUIET), if ended => return Ok(()),
            }
            let runs = batch.iter().filter_map(Command::run).collect();
            self.session.prefetch(runs).await;
            if let Err(error) = self.attempt(&mut batch).await {
                tracing::warn!(%error, commands = batch.len(), "a batch failed; replaying its commands one by one");
                for command in batch.drain(..) {
                    let mut single = vec![command];
                    if let Err(error) = self.attempt(&mut single).await
                        && let Some(command) = single.pop()
                    {
                        let _ = command.reply.send(Err(error));
                    }
                }
            }
        }
    }

    /// Commands in memory, then one transaction. On success every command has its reply and `batch` is empty.
    async fn attempt(&mut self, batch: &mut Vec<Command>) -> Result<(), WriteError> {
        let before = self.session.sequence;
        let outcome = self.transaction(batch).await;
        match outcome {
            Ok((replies, events)) => {
                self.watch.committed();
                self.session.trim();
                if !events.is_empty() {
                    // No subscriber is fine: everything is in the log.
                    let _ = self.events.send(Arc::new(events));
                }
                for (command, reply) in batch.drain(..).zip(replies) {
                    let _ = command.reply.send(reply);
                }
                Ok(())
            }
            Err(error) => {
                let _ = self.session.db.execute_unprepared("ROLLBACK").await;
                self.session.forget(before);
                self.watch.undone();
                Err(self.taken_over().await.unwrap_or(error))
            }
        }
    }

    /// Whether the batch failed because another registry raised the epoch.
    async fn taken_over(&self) -> Option<WriteError> {
        let now = epoch(&self.session.db).await.ok()?;
        (now != self.epoch).then(|| {
            let text = "another registry has taken over this database";
            Refusal::new(Reason::RegistryUnavailable, text).into()
        })
    }

    async fn transaction(
        &mut self,
        batch: &mut [Command],
    ) -> Result<(Vec<Reply>, Vec<StoredEvent>), WriteError> {
        let alone = batch.len() == 1;
        self.counters
            .commands
            .fetch_add(batch.len() as u64, Ordering::Relaxed);
        let mut replies = Vec::with_capacity(batch.len());
        for command in batch.iter_mut() {
            replies.push(self.carry_out(command, alone).await?);
        }
        if self.session.pending.is_empty() {
            return Ok((replies, Vec::new()));
        }
        let now = (self.clock)();
        let ids = Arc::clone(&self.ids);
        let events = self.session.encode_events(now, &*ids);
        let written = flush(&mut self.session, self.epoch, &events, now).await?;
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        // And the commit.
        self.counters
            .statements
            .fetch_add(written + 1, Ordering::Relaxed);
        self.counters
            .events
            .fetch_add(events.len() as u64, Ordering::Relaxed);
        (self.failpoint)("registry.before_commit");
        self.session.db.execute_unprepared("COMMIT").await?;
        (self.failpoint)("registry.after_commit");
        self.session.pending = Pending::default();
        Ok((replies, events))
    }

    /// The outer error fails the batch; the inner one is this command's reply.
    async fn carry_out(&mut self, command: &mut Command, alone: bool) -> Result<Reply, WriteError> {
        if let Some(key) = &command.request
            && let Some(earlier) = self.repeated(key).await?
        {
            return Ok(Err(earlier));
        }
        let request = command.request.clone();
        match &mut command.work {
            Work::OnRun(uid, step) => {
                let uid = *uid;
                let aggregate = match self.session.load(uid).await {
                    Ok(aggregate) => aggregate,
                    Err(LoadError::Refused(refusal)) => return Ok(Err(refusal.into())),
                    Err(LoadError::Store(StoreError::Corrupt(corrupt))) => {
                        return Ok(Err(StoreError::from(corrupt).into()));
                    }
                    Err(LoadError::Store(error)) => return Err(error.into()),
                };
                let mut changes = Changes::default();
                match step(aggregate, &mut changes) {
                    Ok(reply) => {
                        if !changes.attempts.is_empty() {
                            self.watch.changed(aggregate);
                        }
                        self.session.keep(uid, changes);
                        self.session
                            .pending
                            .requests
                            .extend(request.map(|r| (r, uid)));
                        Ok(Ok(reply))
                    }
                    Err(refusal) => {
                        let dirty =
                            changes.run || !changes.events.is_empty() || !changes.phases.is_empty();
                        if dirty && !alone {
                            // It changed something before it refused: its neighbours must not inherit that.
                            return Err(refusal.into());
                        }
                        if dirty {
                            self.session.cache.remove(&uid);
                            self.watch.undone();
                        }
                        Ok(Err(refusal.into()))
                    }
                }
            }
            Work::Create(create) => {
                let (aggregate, changes) = create();
                let uid = aggregate.run.uid;
                if let Some(taken) =
                    read::find_run(&self.session.db, aggregate.run.id.as_str()).await?
                {
                    return Ok(Err(exists(&aggregate.run, taken).into()));
                }
                let fold = aggregate.run.id.as_str().to_ascii_lowercase();
                let twin = self.session.pending.created.iter().find(|u| {
                    self.session
                        .cache
                        .get(u)
                        .is_some_and(|a| a.run.id.as_str().eq_ignore_ascii_case(&fold))
                });
                if let Some(twin) = twin {
                    return Ok(Err(exists(&aggregate.run, *twin).into()));
                }
                let run = aggregate.run.clone();
                self.session.cache.insert(uid, aggregate);
                self.session.recent.push(uid);
                self.session.touched.insert(uid);
                self.session.pending.created.insert(uid);
                self.session.keep(uid, changes);
                self.session
                    .pending
                    .requests
                    .extend(request.map(|r| (r, uid)));
                Ok(Ok(Box::new(run)))
            }
            Work::Setting(setting) => {
                self.session.pending.settings.push(setting.clone());
                Ok(Ok(Box::new(())))
            }
            Work::Cursor(sequence) => {
                self.session.pending.cursor = Some(*sequence);
                Ok(Ok(Box::new(())))
            }
        }
    }

    async fn repeated(&self, key: &RequestKey) -> Result<Option<WriteError>, WriteError> {
        let in_batch = self
            .session
            .pending
            .requests
            .iter()
            .find(|(k, _)| k.id == key.id);
        let (method, digest, run) = if let Some((earlier, run)) = in_batch {
            (earlier.method.to_owned(), earlier.digest.clone(), *run)
        } else if let Some(row) = read::request(&self.session.db, &key.id).await? {
            let Ok(run) = row.run_uid.parse() else {
                return Ok(None);
            };
            (row.method, row.digest, run)
        } else {
            return Ok(None);
        };
        if method == key.method && digest == key.digest {
            return Ok(Some(WriteError::Repeated(run)));
        }
        let refusal = Refusal::new(
            Reason::RequestIdReused,
            format!(
                "request_id `{}` was used for another request ({method})",
                key.id
            ),
        )
        .with("requestId", &key.id);
        Ok(Some(refusal.into()))
    }
}

fn exists(run: &Run, taken: RunUid) -> Refusal {
    Refusal::new(
        Reason::RunExists,
        format!("a run `{}` exists already", run.id),
    )
    .with("run", &run.id)
    .with("uid", taken)
}
