//! Follows the log of events, and writes the files of every run that changed.
//!
//! Invariant: the log says what is to be written, from a stored cursor; the bus only says that it is time to look. What
//! was committed before a crash is written after it, each run once a pass; a run that cannot be written is stored with the
//! cursor and tried again, and holds up no other. At most a tenth of the time goes into it.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use autopack_bus::{Bus, EventOptions, EventSource};
use autopack_domain::Reason;
use autopack_wire::{
    registry::{GetInfoRequest, ListChangesRequest, ListChangesResponse, ListRunsRequest},
    types,
};
use futures::FutureExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    HEALTH, Layout, RunFiles,
    cursor::Cursor,
    folder::Folder,
    waiting::{MOST, Waiting},
    write,
};
use crate::error::CliError;

/// The least between two passes, and the pause after a subscription was lost.
const REST: Duration = Duration::from_secs(1);
/// A pass is followed by this many times its length without one.
const RESTS: u32 = 9;
/// How long the last pass may take.
const LAST: Duration = Duration::from_secs(3);
/// Runs that the log may name before their files are written.
const BATCH: usize = 5000;
/// How often the bounds are looked at.
const ROOM: Duration = Duration::from_mins(1);
/// Runs that are looked at where no cursor says how far the files are.
pub(crate) const LOOK_BACK: usize = 1000;
/// Runs of one page.
const PAGE: i32 = 500;

/// What has to be written, and how far the log was read.
#[derive(Debug, Default)]
struct Follower {
    cursor: Option<Cursor>,
    /// The cursor as it is stored.
    stored: Option<Cursor>,
    waiting: Waiting,
    /// When the bounds were kept.
    room: Option<Instant>,
    /// Folders that were said to be in the way of the bounds.
    named: BTreeSet<PathBuf>,
    /// What health checks were told.
    told: Option<bool>,
}

impl RunFiles {
    /// Writes the files of every run that changes until the token is cancelled.
    pub(crate) async fn keep_up(self, bus: Arc<dyn Bus>, shutdown: CancellationToken) {
        let mut follower = Follower::default();
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.follow_bus(&bus, &mut follower) => {}
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(REST) => {}
            }
        }
    }

    /// Writes what changed since the stored cursor, once everything that changes runs has ended.
    pub(crate) async fn finish(&self) {
        let mut follower = Follower::default();
        let last = self.pass_or_warn(&mut follower);
        if tokio::time::timeout(LAST, last).await.is_err() {
            tracing::info!("files of runs that changed last are written at the next start");
        }
    }

    /// The same without a bus: the registry is asked again and again.
    pub(crate) async fn keep_asking(self, shutdown: &CancellationToken) {
        let mut follower = Follower::default();
        while !shutdown.is_cancelled() {
            let start = Instant::now();
            self.pass_or_warn(&mut follower).await;
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(REST.max(start.elapsed() * RESTS)) => {}
            }
        }
    }

    /// Until the subscription is lost. A dropped call leaves the follower as it was or further.
    async fn follow_bus(&self, bus: &Arc<dyn Bus>, follower: &mut Follower) {
        let Ok(mut source) = bus.events(EventOptions::default()).await else {
            // The log can be read without it.
            self.pass_or_warn(follower).await;
            return;
        };
        let mut look = true;
        loop {
            if !look {
                // What could not be written is tried again without being asked.
                let next = follower.waiting.next(Instant::now());
                tokio::select! {
                    item = source.next() => if !is_some(item) { return },
                    () = until(next) => {}
                }
            }
            let start = Instant::now();
            let read = self.pass_or_warn(follower).await;
            tokio::time::sleep(REST.max(start.elapsed() * RESTS)).await;
            match drain(&mut *source) {
                Some(news) => look = news || !read,
                None => return,
            }
        }
    }

    /// Whether the log was read to its end.
    async fn pass_or_warn(&self, follower: &mut Follower) -> bool {
        let read = self.pass(follower).await;
        self.tell(follower).await;
        read.unwrap_or_else(|error| {
            tracing::warn!(error = %error.message, "files of runs are late");
            false
        })
    }

    /// Health checks hear whether something is parked.
    async fn tell(&self, follower: &mut Follower) {
        let well = follower.waiting.parked().is_empty();
        if let Some(probes) = &self.probes
            && follower.told != Some(well)
        {
            probes.set(HEALTH, well).await;
            follower.told = Some(well);
        }
    }

    /// Reads the log to its end, or as far as one pass goes, and writes every run that it names; whether it was the end.
    async fn pass(&self, follower: &mut Follower) -> Result<bool, CliError> {
        let more = self.read(follower).await?;
        let last = self.write_waiting(&mut follower.waiting).await?;
        self.keep_bounds(follower, last.as_ref()).await;
        let parked = follower.waiting.parked();
        if let Some(cursor) = &mut follower.cursor {
            cursor.parked = parked;
        }
        if follower.stored != follower.cursor {
            self.store(follower).await?;
        }
        Ok(!more)
    }

    /// Reads which runs changed; whether there is more.
    async fn read(&self, follower: &mut Follower) -> Result<bool, CliError> {
        loop {
            let cursor = match &follower.cursor {
                Some(cursor) => cursor.clone(),
                None => self.begin(follower, true).await?,
            };
            if follower.waiting.len() >= MOST {
                follower.cursor = Some(cursor);
                return Ok(false);
            }
            let mut found = self.changes(cursor.sequence).await?;
            if found.sequence < cursor.sequence {
                // A log that is shorter than what was read is another one: an older copy was restored.
                follower.cursor = Some(self.begin(follower, false).await?);
                continue;
            }
            for uid in found.run_uids.drain(..) {
                follower.waiting.name(uid);
            }
            follower.cursor = Some(Cursor {
                sequence: found.sequence,
                ..cursor
            });
            if !found.more || follower.waiting.due(Instant::now()).len() >= BATCH {
                return Ok(found.more);
            }
        }
    }

    async fn changes(&self, after_sequence: u64) -> Result<ListChangesResponse, CliError> {
        let asked = ListChangesRequest {
            after_sequence,
            page_size: 0,
        };
        let mut registry = self.clients.registry.clone();
        Ok(registry.list_changes(asked).await?.into_inner())
    }

    /// From the stored cursor; without one, from the end of the log, with the newest runs whose folders are of
    /// another version.
    async fn begin(&self, follower: &mut Follower, resume: bool) -> Result<Cursor, CliError> {
        let mut registry = self.clients.registry.clone();
        let info = registry.get_info(GetInfoRequest {}).await?.into_inner();
        let database = info.database_identity;
        let (base, of) = (self.base.clone(), database.clone());
        let read = tokio::task::spawn_blocking(move || Cursor::read(&base, &of)).await;
        if let (Ok(Some(cursor)), true) = (read, resume) {
            follower.stored = Some(cursor.clone());
            follower.waiting.resume(&cursor.parked);
            return Ok(cursor);
        }
        let sequence = self.changes(u64::MAX).await?.sequence;
        for run in self.newest(LOOK_BACK.min(self.bounds.entries)).await? {
            if !self.is_current(&run).await {
                follower.waiting.name(run.uid);
            }
        }
        Ok(Cursor {
            database,
            sequence,
            ..Cursor::default()
        })
    }

    /// The newest runs.
    async fn newest(&self, most: usize) -> Result<Vec<types::Run>, CliError> {
        let mut request = ListRunsRequest {
            page_size: PAGE,
            ..ListRunsRequest::default()
        };
        let mut all = Vec::new();
        loop {
            let mut registry = self.clients.registry.clone();
            let mut page = registry.list_runs(request.clone()).await?.into_inner();
            all.append(&mut page.runs);
            all.truncate(most);
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() || all.len() == most {
                return Ok(all);
            }
        }
    }

    /// Whether the folder of a run says that it is of this version.
    async fn is_current(&self, run: &types::Run) -> bool {
        let (base, folder) = (self.base.clone(), Layout::Guide.run(&run.id));
        let mark = move || {
            let folder = Folder::there(&base)?.map(|base| base.open(&folder));
            let folder = folder.transpose()?.flatten();
            folder.map_or(Ok(None), |folder| write::mark(&folder))
        };
        let found: Result<std::io::Result<_>, _> = tokio::task::spawn_blocking(mark).await;
        matches!(found, Ok(Ok(Some(mark))) if mark.uid == run.uid && mark.version == run.version)
    }

    /// Writes what is due; what fails is parked. The last folder.
    async fn write_waiting(&self, waiting: &mut Waiting) -> Result<Option<PathBuf>, CliError> {
        let mut last = None;
        for uid in waiting.due(Instant::now()) {
            match self.write(&uid).await {
                Ok(folder) => {
                    last = Some(folder);
                    waiting.done(&uid);
                }
                Err(error) if error.unreachable => return Err(error),
                Err(error) if error.code == Reason::RunNotFound.code() => waiting.done(&uid),
                Err(error) => {
                    let why = error.message;
                    tracing::warn!(run = uid, error = %why, "the files of a run were not written");
                    waiting.failed(&uid, &why, Instant::now());
                }
            }
        }
        Ok(last)
    }

    /// Keeps the bounds, now and then; what cannot be removed now is so later.
    async fn keep_bounds(&self, follower: &mut Follower, last: Option<&PathBuf>) {
        let Some(last) = last.cloned() else { return };
        if follower.room.is_some_and(|at| at.elapsed() < ROOM) {
            return;
        }
        follower.room = Some(Instant::now());
        let (bounds, base) = (self.bounds, self.base.clone());
        let kept = match tokio::task::spawn_blocking(move || bounds.keep(&base, &last)).await {
            Ok(Ok(kept)) => kept,
            Ok(Err(error)) => {
                tracing::warn!(%error, "files of runs were not looked at");
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "files of runs were not looked at");
                return;
            }
        };
        for (path, why) in &kept.failed {
            if !follower.named.contains(path) {
                let path = path.display();
                tracing::warn!(%path, why, "a folder is in the way of the bounds and was passed over");
            }
        }
        follower.named = kept.failed.into_iter().map(|(path, _)| path).collect();
        if kept.removed > 0 {
            if let Some(cursor) = &mut follower.cursor {
                cursor.removed_until_us = cursor.removed_until_us.max(kept.until_us);
            }
            tracing::info!(kept.removed, "files of runs that ended long ago went");
        }
    }

    async fn store(&self, follower: &mut Follower) -> Result<(), CliError> {
        let Some(cursor) = follower.cursor.clone() else {
            return Ok(());
        };
        let (base, stored) = (self.base.clone(), cursor.clone());
        let done = tokio::task::spawn_blocking(move || stored.store(&base)).await;
        done.map_err(|error| CliError::new(error.to_string()))?
            .map_err(|error| CliError::io("cannot write in", &self.base, &error))?;
        follower.stored = Some(cursor);
        Ok(())
    }
}

/// Waits for a moment; without one, for ever.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

fn is_some<T, E>(item: Result<Option<T>, E>) -> bool {
    matches!(item, Ok(Some(_)))
}

/// Takes what is there: whether it was anything; `None`: the subscription is lost.
fn drain(source: &mut dyn EventSource) -> Option<bool> {
    let mut news = false;
    while let Some(item) = source.next().now_or_never() {
        if !is_some(item) {
            return None;
        }
        news = true;
    }
    Some(news)
}
