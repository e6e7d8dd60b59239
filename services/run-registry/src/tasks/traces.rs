//! Tells the collector what ended: the spans of runs, phases and attempts, from the event log.
//!
//! Invariant: a cursor over the log makes each span arrive once, over restarts too; after a kill between sending and
//! storing the cursor the same span, with the same ids, arrives again. A collector that is down or slow delays nothing
//! but this task, which then reads the log from its cursor on; what is older than an hour is given up and counted.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use autopack_domain::{EventKind, RunUid};
use autopack_runtime::telemetry::Recorder;
use autopack_store::{StoreError, cursors, read, rows::event::StoredEvent};
use autopack_store_write::Cursor;
use autopack_wire::{convert::RecordedEvent, types};
use prost::Message as _;
use tokio::{
    sync::broadcast::error::{RecvError, TryRecvError},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    app::Core,
    spans::{Ends, KINDS, span},
};

/// How long spans are collected before they are sent.
const PERIOD: Duration = Duration::from_millis(500);
/// The longest pause after the collector refused.
const LONGEST: Duration = Duration::from_secs(5);
/// Events of one message to the collector.
const PAGE: usize = 500;
/// Events that are kept in memory for the next message; more are read back from the log.
const WAITING: usize = 5000;
/// Spans that ended earlier are given up, in microseconds.
const OLD: i64 = 3_600_000_000;
/// How long the last spans may take at the end.
const LAST: Duration = Duration::from_secs(1);

/// Runs until the token is cancelled.
pub async fn run(core: Arc<Core>, shutdown: CancellationToken) -> Result<(), String> {
    let Some(recorder) = core.ports.traces.clone() else {
        shutdown.cancelled().await;
        return Ok(());
    };
    let mut commits = core.writer.subscribe();
    let mut teller = Teller {
        cursor: 0,
        waiting: Vec::new(),
        head: 0,
        behind: true,
        recorder,
        core,
    };
    teller.begin().await.map_err(|e| e.to_string())?;
    let mut pause = PERIOD;
    let mut due = Instant::now();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            commit = commits.recv() => match commit {
                Ok(events) => teller.take(&events),
                Err(RecvError::Lagged(_)) => teller.fall_behind(),
                Err(RecvError::Closed) => break,
            },
            () = tokio::time::sleep_until(due), if teller.has_work() => {
                pause = if teller.tell().await { PERIOD } else { (pause * 2).min(LONGEST) };
                due = Instant::now() + pause;
            }
        }
    }
    loop {
        match commits.try_recv() {
            Ok(events) => teller.take(&events),
            Err(TryRecvError::Lagged(_)) => teller.fall_behind(),
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
        }
    }
    if teller.has_work() && tokio::time::timeout(LAST, teller.tell()).await.is_err() {
        tracing::debug!("the last spans were not sent; the next registry sends them");
    }
    Ok(())
}

struct Teller {
    core: Arc<Core>,
    recorder: Arc<Recorder>,
    /// Everything up to here was told.
    cursor: u64,
    /// What was committed since, as far as it is of interest.
    waiting: Vec<StoredEvent>,
    /// The last event that was seen.
    head: u64,
    /// `waiting` has holes: the log must be read.
    behind: bool,
}

impl Teller {
    /// From the stored cursor; the first registry that traces begins at the log's end.
    async fn begin(&mut self) -> Result<(), StoreError> {
        let db = &self.core.database.read;
        if let Some(cursor) = cursors::traces(db).await? {
            self.cursor = cursor;
        } else {
            self.cursor = read::last_sequence(db).await?;
            self.store(self.cursor).await;
        }
        self.head = self.cursor;
        Ok(())
    }

    fn has_work(&self) -> bool {
        self.behind || !self.waiting.is_empty()
    }

    fn take(&mut self, events: &[StoredEvent]) {
        let seen = self.head;
        self.head = events.last().map_or(seen, |last| last.sequence.max(seen));
        if self.behind {
            return;
        }
        let fresh = events.iter().filter(|event| event.sequence > seen);
        self.waiting
            .extend(fresh.filter(|event| is_wanted(event)).cloned());
        if self.waiting.len() > WAITING {
            self.fall_behind();
        }
    }

    fn fall_behind(&mut self) {
        self.waiting = Vec::new();
        self.behind = true;
    }

    /// Sends what waits; false: try again later.
    async fn tell(&mut self) -> bool {
        while self.has_work() {
            let from_log = self.behind;
            let (page, reaches) = if from_log {
                match self.read_page().await {
                    Ok(page) => page,
                    Err(error) => {
                        tracing::warn!(%error, "the event log cannot be read for traces; trying again");
                        return false;
                    }
                }
            } else {
                let all = self.waiting.len() <= PAGE;
                let page: Vec<StoredEvent> = self.waiting.iter().take(PAGE).cloned().collect();
                let last = page.last().map_or(self.cursor, |event| event.sequence);
                (page, if all { self.head } else { last })
            };
            if !self.send(&page).await {
                self.behind = from_log;
                return false;
            }
            self.cursor = reaches;
            self.waiting.retain(|event| event.sequence > reaches);
            self.store(reaches).await;
        }
        true
    }

    /// The next events of the log that are of interest, and how far it was read.
    async fn read_page(&mut self) -> Result<(Vec<StoredEvent>, u64), StoreError> {
        let db = &self.core.database.read;
        let head = read::last_sequence(db).await?;
        let page = cursors::of_kinds(db, self.cursor, &KINDS, PAGE as u64).await?;
        if page.len() < PAGE {
            // What is committed from now on comes by the writer's word again.
            self.behind = false;
            let reaches = page.last().map_or(head, |last| last.sequence.max(head));
            self.head = self.head.max(reaches);
            return Ok((page, reaches));
        }
        let reaches = page.last().map_or(self.cursor, |last| last.sequence);
        Ok((page, reaches))
    }

    async fn send(&self, page: &[StoredEvent]) -> bool {
        let mut spans = Vec::with_capacity(page.len());
        let mut reopened: HashMap<RunUid, Ends> = HashMap::new();
        let never = Ends::default();
        for stored in page {
            let Some(recorded) = decode(stored) else {
                continue;
            };
            let run = &recorded.event.run;
            if run.revision == 0 {
                spans.extend(span(&recorded, &never));
                continue;
            }
            let ends = match reopened.entry(run.uid) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => match self.ends_before(&recorded).await {
                    Ok(ends) => place.insert(ends),
                    Err(error) => {
                        tracing::warn!(%error, "the event log cannot be read for traces; trying again");
                        return false;
                    }
                },
            };
            spans.extend(span(&recorded, ends));
            ends.note(&recorded);
        }
        if spans.is_empty() {
            return true;
        }
        let newest = spans.iter().map(|span| span.end).max();
        let count = spans.len();
        let Err(error) = self.recorder.send(spans).await else {
            return true;
        };
        let now = self.core.now();
        if newest.is_some_and(|newest| now.0.saturating_sub(newest.0) > OLD) {
            tracing::warn!(%error, "spans of more than an hour ago are given up");
            self.recorder.give_up(count);
            return true;
        }
        tracing::debug!(%error, "trying again");
        false
    }

    /// What had ended in a reopened run before an event of it.
    async fn ends_before(&self, recorded: &RecordedEvent) -> Result<Ends, StoreError> {
        let db = &self.core.database.read;
        let run = recorded.event.run.uid;
        let mut ends = Ends::default();
        for stored in cursors::ends_before(db, run, recorded.run_sequence).await? {
            if let Some(earlier) = decode(&stored) {
                ends.note(&earlier);
            }
        }
        Ok(ends)
    }

    async fn store(&self, sequence: u64) {
        let stored = self.core.writer.put_cursor(Cursor::Traces, sequence).await;
        if let Err(error) = stored {
            tracing::debug!(%error, "the cursor of traces was not stored");
        }
    }
}

fn is_wanted(event: &StoredEvent) -> bool {
    EventKind::parse(&event.kind).is_some_and(|kind| KINDS.contains(&kind))
}

fn decode(stored: &StoredEvent) -> Option<RecordedEvent> {
    let event = types::Event::decode(stored.body.as_slice()).ok()?;
    RecordedEvent::try_from(event).ok()
}
