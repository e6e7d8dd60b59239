//! The working set of a batch: aggregates loaded once, changed in memory, flushed together.
//!
//! Invariant: an aggregate in the cache equals what is committed, or belongs to the batch being built; a
//! batch that fails drops every aggregate it touched.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use autopack_domain::{
    Reason, Refusal, RunUid, Timestamp,
    backlog::BacklogEntry,
    event::Event,
    issue::Issue,
    run::{Changes, RunAggregate},
};
use autopack_store::{StoreError, read, rows::event::StoredEvent};
use futures::{StreamExt as _, stream};
use sea_orm::DatabaseConnection;

use crate::{
    handle::{Cursor, Setting},
    resting::{self, Rest, Resting},
};

/// Turns an event into the bytes that are stored, relayed and watched.
pub type Encoder = Arc<dyn Fn(&EventHeader, &Event) -> Vec<u8> + Send + Sync>;

/// The numbers of an event.
#[derive(Clone, Copy, Debug)]
pub struct EventHeader {
    /// Number within the log.
    pub sequence: u64,
    /// Number within the run.
    pub run_sequence: u64,
    /// When it is committed.
    pub at: Timestamp,
}

/// A caller's name for one intention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// The `request_id`.
    pub id: String,
    /// The method.
    pub method: &'static str,
    /// Digest of the request.
    pub digest: String,
}

/// Runs kept in memory between batches: those that rest, and others.
const CACHE: usize = resting::KEPT + 512;
/// Phases of a run that is kept while it rests, at most: a larger one takes more memory than reading it again is worth.
const RESTING_PHASES: usize = 100;
/// Runs that are loaded at a time; as many as there are readers.
const LOADS: usize = 4;

/// What one batch changes.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) changes: HashMap<RunUid, Changes>,
    pub(crate) created: HashSet<RunUid>,
    pub(crate) requests: Vec<(RequestKey, RunUid)>,
    pub(crate) settings: Vec<Setting>,
    pub(crate) cursors: BTreeMap<Cursor, u64>,
    pub(crate) events: Vec<(RunUid, u64, Event)>,
    /// Entries of projects' backlogs, by project and key.
    pub(crate) backlog: BTreeMap<(String, String), BacklogEntry>,
    /// Issues of runs that cannot be read, by run and key.
    pub(crate) unreadable: BTreeMap<(RunUid, String), Issue>,
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
            && self.requests.is_empty()
            && self.settings.is_empty()
            && self.cursors.is_empty()
            && self.unreadable.is_empty()
            && self.backlog.is_empty()
    }
}

/// The working set; lives as long as the writer.
pub(crate) struct Session {
    /// Reads what is committed: all reads of a batch come before its transaction.
    pub(crate) read: DatabaseConnection,
    pub(crate) cache: HashMap<RunUid, RunAggregate>,
    pub(crate) touched: HashSet<RunUid>,
    pub(crate) pending: Pending,
    pub(crate) sequence: u64,
    pub(crate) encoder: Encoder,
    pub(crate) recent: Vec<RunUid>,
    /// Runs of the cache that nobody works on.
    pub(crate) resting: Resting,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("sequence", &self.sequence)
            .field("cached", &self.cache.len())
            .finish_non_exhaustive()
    }
}

impl Session {
    /// The run, loaded if need be.
    pub(crate) async fn load(&mut self, uid: RunUid) -> Result<&mut RunAggregate, LoadError> {
        if !self.cache.contains_key(&uid) {
            let found = read::aggregate(&self.read, uid).await?;
            let aggregate = found.ok_or_else(|| {
                Refusal::new(Reason::RunNotFound, format!("no run {uid}")).with("run", uid)
            })?;
            self.cache.insert(uid, aggregate);
            self.recent.push(uid);
        }
        self.touched.insert(uid);
        self.cache
            .get_mut(&uid)
            .ok_or_else(|| Refusal::new(Reason::InternalFault, "the cache lost a run").into())
    }

    /// Loads runs that the next batch needs, side by side and before its transaction begins. Only the writer
    /// changes a run, so what is committed now is what the transaction would read. A run that cannot be
    /// loaded is left to [`Self::load`], which says why.
    pub(crate) async fn prefetch(&mut self, mut wanted: HashSet<RunUid>) {
        wanted.retain(|uid| !self.cache.contains_key(uid));
        let read = &self.read;
        let loaded: Vec<_> = stream::iter(wanted)
            .map(|uid| async move { (uid, read::aggregate(read, uid).await) })
            .buffer_unordered(LOADS)
            .collect()
            .await;
        for (uid, found) in loaded {
            if let Ok(Some(aggregate)) = found {
                self.cache.insert(uid, aggregate);
                self.recent.push(uid);
            }
        }
    }

    /// Takes over what a command changed.
    pub(crate) fn keep(&mut self, uid: RunUid, mut changes: Changes) {
        if !changes.run && changes.events.is_empty() {
            return;
        }
        let last = self.cache.get(&uid).map_or(0, |a| a.run.last_event);
        let first = last + 1 - changes.events.len() as u64;
        for (number, event) in (first..).zip(std::mem::take(&mut changes.events)) {
            self.pending.events.push((uid, number, event));
        }
        let merged = self.pending.changes.entry(uid).or_default();
        merged.run |= changes.run;
        merged.document |= changes.document;
        merged.tiers.extend(changes.tiers);
        merged.phases.extend(changes.phases);
        merged.attempts.extend(changes.attempts);
        merged.jobs.extend(changes.jobs);
        merged.promotions.extend(changes.promotions);
        merged.integration = changes.integration.or(merged.integration.take());
        merged.usage.extend(changes.usage);
        merged.failures.extend(changes.failures);
        merged.issues.extend(changes.issues);
        merged.repairs.extend(changes.repairs);
        if !changes.source.is_empty() {
            merged.source = changes.source;
        }
    }

    /// Forgets everything that a failed batch touched.
    pub(crate) fn forget(&mut self, sequence: u64) {
        for uid in self.touched.drain() {
            self.cache.remove(&uid);
        }
        self.pending = Pending::default();
        self.sequence = sequence;
    }

    /// After a commit: drops runs that nobody works on, so that idle runs cost little memory. The latest are kept: who
    /// waited for the end of a run reads it, and a run that was prepared is often started soon.
    pub(crate) fn trim(&mut self) {
        let cache = &mut self.cache;
        for uid in self.touched.drain() {
            let Some(found) = cache.get(&uid).filter(|a| a.is_idle()) else {
                continue;
            };
            let Some(rest) = Rest::of(found) else {
                continue;
            };
            if found.phases.len() > RESTING_PHASES || !self.resting.keeps(rest, uid) {
                cache.remove(&uid);
            }
        }
        while let Some((rest, oldest)) = self.resting.next_out() {
            // It may go on since.
            if cache
                .get(&oldest)
                .is_some_and(|a| Rest::of(a) == Some(rest))
            {
                cache.remove(&oldest);
            }
        }
        // Each entry came with one of the cache.
        if self.recent.len() != cache.len() {
            self.recent.retain(|uid| cache.contains_key(uid));
        }
        while self.recent.len() > CACHE {
            let oldest = self.recent.remove(0);
            cache.remove(&oldest);
        }
        if self.cache.is_empty() {
            self.cache.shrink_to_fit();
            self.recent.shrink_to_fit();
        }
    }

    /// Numbers and encodes the events of the batch.
    pub(crate) fn encode_events(
        &mut self,
        now: Timestamp,
        ids: &dyn Fn() -> uuid::Uuid,
    ) -> Vec<StoredEvent> {
        let mut stored = Vec::with_capacity(self.pending.events.len());
        for (run, run_sequence, event) in std::mem::take(&mut self.pending.events) {
            self.sequence += 1;
            let header = EventHeader {
                sequence: self.sequence,
                run_sequence,
                at: now,
            };
            stored.push(StoredEvent {
                sequence: self.sequence,
                uid: ids(),
                run,
                run_sequence,
                kind: event.kind.code().to_owned(),
                at: now.0,
                body: (self.encoder)(&header, &event),
            });
        }
        stored
    }
}

/// Why a run could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}
