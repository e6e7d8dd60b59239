//! The relay: the only publisher of events and jobs. Reads the log in order, publishes, moves one cursor.
//!
//! Invariant: at least once and in order. What the bus loses is healed by the reconcilers; the cursor may
//! lag behind, never lead. An event that the bus can never take holds up no other: it is left out, told and counted.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use autopack_bus::BusError;
use autopack_store::{read, rows::event::StoredEvent};
use autopack_store_write::Cursor;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::{api::bus_messages, app::Core};

/// Events of one publication at most.
const PAGE: u64 = 500;
/// How often the cursor is stored while events flow.
const CURSOR_PERIOD: Duration = Duration::from_millis(500);
/// The first and the longest wait after the bus refused; doubles.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

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
        pause: RETRY.0,
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
    /// Before the next try, if that is needed.
    pause: Duration,
}

impl Relay {
    /// Reads the log from the cursor on until nothing is left.
    async fn catch_up(&mut self, shutdown: &CancellationToken) {
        while !shutdown.is_cancelled() {
            let page = match read::events(&self.core.database.read, self.cursor, PAGE).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(%error, "the relay cannot read the log");
                    self.wait(shutdown).await;
                    continue;
                }
            };
            if page.is_empty() {
                return;
            }
            if !self.publish(&page).await {
                self.wait(shutdown).await;
            }
        }
    }

    /// Longer each time, until something was published.
    async fn wait(&mut self, shutdown: &CancellationToken) {
        let pause = self.pause;
        self.pause = next(pause);
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    /// Publishes what belongs to these events.
    async fn send(&self, events: &[StoredEvent]) -> Result<(), BusError> {
        let (events, jobs) = bus_messages(events, &self.core.identity);
        (self.core.ports.failpoint)("registry.before_publish");
        // Events first: a scheduler that sees the settlement of a job must have seen its offer.
        self.core.ports.bus.publish_events(events).await?;
        if !jobs.is_empty() {
            self.core.ports.bus.publish_jobs(jobs).await?;
        }
        (self.core.ports.failpoint)("registry.after_publish");
        Ok(())
    }

    /// One by one after a message among them was refused for good. What is left out is a hole in the run's numbers,
    /// and whoever sees it reads the run; its job goes out all the same.
    async fn send_singly(&self, stored: &[StoredEvent]) -> Result<(), BusError> {
        let bus = &self.core.ports.bus;
        for event in stored {
            let (events, jobs) = bus_messages(std::slice::from_ref(event), &self.core.identity);
            let told = bus.publish_events(events).await;
            self.unless_for_good(event, told)?;
            if !jobs.is_empty() {
                let offered = bus.publish_jobs(jobs).await;
                self.unless_for_good(event, offered.map(drop))?;
            }
        }
        Ok(())
    }

    /// A message that the bus can never take is told and counted; every other refusal is passed on.
    fn unless_for_good(
        &self,
        event: &StoredEvent,
        sent: Result<(), BusError>,
    ) -> Result<(), BusError> {
        let Err(BusError::Message(why)) = sent else {
            return sent;
        };
        self.core.counts.left_out.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            sequence = event.sequence,
            run = %event.run,
            why,
            "the bus cannot take an event or its job; it is left out"
        );
        Ok(())
    }

    /// Publishes a page; false: try again later.
    async fn publish(&mut self, events: &[StoredEvent]) -> bool {
        let Some(last) = events.last().map(|e| e.sequence) else {
            return true;
        };
        let sent = match self.send(events).await {
            Err(BusError::Message(_)) => self.send_singly(events).await,
            sent => sent,
        };
        if let Err(error) = sent {
            tracing::warn!(%error, "the bus refused events or jobs; they stay in the log");
            return false;
        }
        self.pause = RETRY.0;
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

/// The wait after this one.
fn next(pause: Duration) -> Duration {
    (pause * 2).min(RETRY.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_that_refuses_for_ten_minutes_is_asked_a_bounded_number_of_times() {
        let waits = std::iter::successors(Some(RETRY.0), |pause| Some(next(*pause)));
        let mut left = Duration::from_mins(10);
        let tries = waits.take_while(|wait| {
            let goes_on = *wait <= left;
            left = left.saturating_sub(*wait);
            goes_on
        });
        let tries = tries.count();
        assert!((500..=610).contains(&tries), "{tries}");
        assert_eq!(next(RETRY.1), RETRY.1, "its return is seen within a second");
    }
}
