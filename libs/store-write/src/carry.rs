//! One command, in memory: what it changes is kept for the batch, or it is refused.
//!
//! Invariant: a command that refuses leaves nothing behind, and a request that was carried out before is not
//! carried out again.

use autopack_domain::{
    Reason, Refusal, RunUid,
    run::{Changes, Run},
};
use autopack_store::{StoreError, read};

use crate::{
    handle::{Command, Reply, Setting, Work, WriteError},
    session::{LoadError, RequestKey},
    writer::Writer,
};

impl Writer {
    /// The outer error fails the batch; the inner one is this command's reply.
    pub(crate) async fn carry_out(
        &mut self,
        command: &mut Command,
        alone: bool,
    ) -> Result<Reply, WriteError> {
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
                        let heard = crate::backlog::Heard::take(aggregate, &mut changes);
                        if !changes.attempts.is_empty() {
                            self.watch.changed(aggregate);
                        }
                        if let Some(heard) = heard {
                            let now = (self.clock)();
                            self.session.hear(heard, now).await?;
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
                    read::find_run(&self.session.read, aggregate.run.id.as_str()).await?
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
                if let Setting::Mend(mend) = setting {
                    if self.session.pending.changes.contains_key(&mend.run) {
                        let text = "the run is being changed; try again";
                        return Ok(Err(Refusal::new(Reason::VersionConflict, text).into()));
                    }
                    // What is in memory was read before the row is mended.
                    self.session.cache.remove(&mend.run);
                }
                if let Setting::Unreadable(found) = setting {
                    let now = (self.clock)();
                    self.session.note_unreadable(found, now).await?;
                    return Ok(Ok(Box::new(())));
                }
                self.session.pending.settings.push(setting.clone());
                Ok(Ok(Box::new(())))
            }
            Work::Close(close) => {
                let now = (self.clock)();
                let closed = self.session.close(close, now).await;
                match closed {
                    Ok(entry) => {
                        if let Some(request) = request {
                            let run = read::find_run(&self.session.read, &entry.last_run).await?;
                            let kept = run.map(|run| (request, run));
                            self.session.pending.requests.extend(kept);
                        }
                        Ok(Ok(Box::new(entry)))
                    }
                    Err(LoadError::Refused(refusal)) => Ok(Err(refusal.into())),
                    Err(LoadError::Store(StoreError::Corrupt(corrupt))) => {
                        Ok(Err(StoreError::from(corrupt).into()))
                    }
                    Err(LoadError::Store(error)) => Err(error.into()),
                }
            }
            Work::Cursor(cursor, sequence) => {
                self.session.pending.cursors.insert(*cursor, *sequence);
                Ok(Ok(Box::new(())))
            }
        }
    }

    async fn repeated(&mut self, key: &RequestKey) -> Result<Option<WriteError>, WriteError> {
        let in_batch = self
            .session
            .pending
            .requests
            .iter()
            .find(|(k, _)| k.id == key.id);
        let (method, digest, run) = if let Some((earlier, run)) = in_batch {
            (earlier.method.to_owned(), earlier.digest.clone(), *run)
        } else if let Some(row) = read::request(&self.session.read, &key.id).await? {
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
