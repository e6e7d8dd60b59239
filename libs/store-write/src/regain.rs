//! The way back after a lost connection: connect, hold the lock, look whether the epoch is still ours.
//!
//! Invariant: nothing is written by a registry that lost the lock and does not know its standing; a commit whose
//! answer was lost counts if its batch is the last one in the database, and the lock proves that the old session
//! can change nothing any more.

use std::{sync::atomic::Ordering, time::Duration};

use autopack_domain::{Reason, Refusal};
use autopack_store::StoreError;
use sea_orm::DbErr;
use tokio::time::Instant;

use crate::{
    handle::WriteError,
    line::{Reclaim, Standing},
    loss::is_connection_lost,
    writer::{BATCH, Writer},
};

/// First pause between two tries; it doubles.
const FIRST: Duration = Duration::from_millis(20);
/// Longest pause.
const LONGEST: Duration = Duration::from_millis(500);

impl Writer {
    /// Whether an error means that the connection is gone.
    pub(crate) fn is_loss(&self, error: &WriteError) -> bool {
        match error {
            WriteError::Store(StoreError::Database(e)) => {
                !self.line.is_embedded() && is_connection_lost(e)
            }
            _ => false,
        }
    }

    /// Between commands: the server must not take silence for death, nor this side.
    pub(crate) async fn give_sign_of_life(&mut self) -> Result<(), WriteError> {
        match self.line.ping().await {
            Ok(()) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, "the connection to the database was lost");
                self.regain().await.map(drop)
            }
        }
    }

    /// What became of the batch `id`: if its answer was lost, it is looked up. Tells how many statements it had, none if
    /// nobody heard.
    pub(crate) async fn settle(
        &mut self,
        answer: Result<u64, DbErr>,
        id: &str,
    ) -> Result<u64, WriteError> {
        let error = match answer {
            Ok(written) => return Ok(written),
            Err(error) => WriteError::from(error),
        };
        if !self.is_loss(&error) {
            return Err(error);
        }
        tracing::warn!(%error, batch = id, "the answer to a commit was lost");
        if self.regain().await?.last_batch != id {
            return Err(error);
        }
        self.counters.settled.fetch_add(1, Ordering::Relaxed);
        Ok(0)
    }

    /// Tries until the session is back, another registry has taken over, or the process is to end.
    pub(crate) async fn regain(&mut self) -> Result<Standing, WriteError> {
        let mut pause = FIRST;
        loop {
            match self.line.reclaim().await {
                Ok(Reclaim::Held(standing) | Reclaim::Waiting(standing))
                    if standing.epoch != self.epoch =>
                {
                    return Err(WriteError::TakenOver);
                }
                Ok(Reclaim::Held(standing)) => {
                    self.back_in_reach();
                    return Ok(standing);
                }
                // Our own old session, or a standby that has not raised the epoch yet.
                Ok(Reclaim::Waiting(_)) => {}
                Err(error) => tracing::debug!(%error, "the database cannot be reached"),
            }
            self.outage.send_if_modified(|since| {
                let fresh = since.is_none();
                since.get_or_insert_with(Instant::now);
                fresh
            });
            tokio::select! {
                () = self.ending.clone() => return Err(out_of_reach()),
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST),
            }
        }
    }

    /// Callers that gave up were told so: their commands are dropped, and they ask again.
    fn back_in_reach(&mut self) {
        self.counters.reconnections.fetch_add(1, Ordering::Relaxed);
        let Some(since) = self.outage.send_replace(None) else {
            return;
        };
        tracing::info!(down = ?since.elapsed(), "the database is in reach again");
        while self.backlog.len() < BATCH
            && let Ok(command) = self.queue.try_recv()
        {
            if !command.reply.is_closed() {
                self.backlog.push(command);
            }
        }
    }
}

/// What callers hear whose command was not carried out for want of a database.
pub(crate) fn out_of_reach() -> WriteError {
    let text = "the database cannot be reached; try again";
    Refusal::new(Reason::RegistryUnavailable, text).into()
}
