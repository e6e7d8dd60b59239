//! The relay: the only publisher of events and jobs. Reads the log in order, publishes, moves one cursor.
//!
//! Invariant: at least once and in order. What the bus loses is healed by the reconcilers; the cursor may
//! lag behind, never lead.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use autopack_bus::{EventEnvelope, JobEnvelope};
use autopack_store::{read, rows::event::StoredEvent};
use autopack_store_write::Cursor;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::{api::bus_messages, app::Core};

/// Events of one publication at most.
const PAGE: u64 = 500;
/// How often the cursor is stored while events flow.
const CURSOR_PERIOD: Duration = Duration::from_millis(500);
/// Wait after the bus refused.
const RETRY: Duration = Duration::from_millis(200);

/// Runs until the token is cancelled.
pub async fn run(core: Arc<Core>, shutdown: CancellationToken) -> Result<(), String> {
    let head = note_head(Arc::clone(&core));
    tokio::select! {
        ended = relay(core, shutdown) => ended,
        () = head => Ok(()),
    }
}

/// Notes how far the log goes, also while the bus takes nothing; ends with the writer.
async fn note_head(core: Arc<Core>) {
    let mut commits = core.writer.subscribe();
    loop {
        match commits.recv().await {
            Ok(events) => {
                if let Some(last) = events.last() {
                    let order = Ordering::Relaxed;
                    core.counts.committed.fetch_max(last.sequence, order);
                }
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

async fn relay(core: Arc<Core>, shutdown: CancellationToken) -> Result<(), String> {
    let mut commits = core.writer.subscribe();
    let mut relay = Relay {
        cursor: core.cursor().await.map_err(|e| e.to_string())?,
        stored_at: core.ports.clock.monotonic(),
        stored: 0,
        core,
    };
    relay.stored = relay.cursor;
    relay.note_published();
    relay.catch_up(&shutdown).await;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => { relay.store_cursor().await; return Ok(()); }
            commit = commits.recv() => match commit {
                Ok(events) if events.first().is_some_and(|e| e.sequence == relay.cursor + 1) => {
                    if !relay.publish(&events).await { relay.catch_up(&shutdown).await; }
                }
                Ok(events) if events.last().is_some_and(|e| e.sequence <= relay.cursor) => {}
                Ok(_) | Err(RecvError::Lagged(_)) => relay.catch_up(&shutdown).await,
                Err(RecvError::Closed) => return Ok(()),
            },
            () = tokio::time::sleep(CURSOR_PERIOD), if relay.stored < relay.cursor => relay.store_cursor().await,
        }
    }
}

struct Relay {
    core: Arc<Core>,
    cursor: u64,
    stored: u64,
    stored_at: Duration,
}

impl Relay {
    /// Reads the log from the cursor on until nothing is left.
    async fn catch_up(&mut self, shutdown: &CancellationToken) {
        while !shutdown.is_cancelled() {
            let page = match read::events(&self.core.database.read, self.cursor, PAGE).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(%error, "the relay cannot read the log");
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            };
            if page.is_empty() {
                return;
            }
            if !self.publish(&page).await {
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// Publishes a page; false: try again later.
    async fn publish(&mut self, events: &[StoredEvent]) -> bool {
        let Some(last) = events.last().map(|e| e.sequence) else {
            return true;
        };
        let (events, jobs): (Vec<EventEnvelope>, Vec<JobEnvelope>) =
            bus_messages(events, &self.core.identity);
        (self.core.ports.failpoint)("registry.before_publish");
        // Events first: a scheduler that sees the settlement of a job must have seen its offer.
        if let Err(error) = self.core.ports.bus.publish_events(events).await {
            tracing::warn!(%error, "the bus refused events; they stay in the log");
            return false;
        }
        if !jobs.is_empty()
            && let Err(error) = self.core.ports.bus.publish_jobs(jobs).await
        {
            tracing::warn!(%error, "the bus refused jobs; they stay in the log");
            return false;
        }
        (self.core.ports.failpoint)("registry.after_publish");
        self.cursor = last;
        self.note_published();
        if self
            .core
            .ports
            .clock
            .monotonic()
            .saturating_sub(self.stored_at)
            > CURSOR_PERIOD
        {
            self.store_cursor().await;
        }
        true
    }

    fn note_published(&self) {
        self.core.published.send_replace(self.cursor);
    }

    async fn store_cursor(&mut self) {
        if self
            .core
            .writer
            .put_cursor(Cursor::Relay, self.cursor)
            .await
            .is_ok()
        {
            self.stored = self.cursor;
        }
        self.stored_at = self.core.ports.clock.monotonic();
    }
}
