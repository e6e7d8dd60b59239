//! `WatchRun`: a snapshot, then gapless events, a sign of life while idle, an end after the terminal event.
//!
//! Invariant: events are sent by their number, so a watch that starts at any number misses none and doubles none: those
//! of a commit if they are the next ones, else what the log has. The stream ends on shutdown.

use std::pin::Pin;

use autopack_domain::{Reason, Refusal, RunUid, states::RunState};
use autopack_store::rows::event::StoredEvent;
use autopack_store_write::Committed;
use autopack_wire::{
    registry::{WatchRunResponse, watch_run_response::Message},
    status::to_status,
    types,
};
use futures::Stream;
use prost::Message as _;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{Api, registry_service::whole};
use crate::app::write_refusal;

/// What a client gets.
pub(crate) type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchRunResponse, Status>> + Send>>;

/// Events of one read at most.
const PAGE: u64 = 200;
/// Messages that wait for a slow client at most.
const BUFFER: usize = 64;

pub(super) async fn watch(api: Api, id: &str, after: u64) -> Result<WatchStream, Refusal> {
    let run = api.core.find(id).await?;
    // Subscribed before the first read: nothing can be committed in between unseen.
    let commits = api.core.writer.subscribe();
    let aggregate = api
        .core
        .writer
        .read(run, autopack_domain::run::RunAggregate::clone)
        .await
        .map_err(write_refusal)?;
    let last = aggregate.run.last_event;
    if after > last {
        return Err(Refusal::new(
            Reason::SnapshotTooOld,
            format!("run {id} has {last} events, not {after}"),
        )
        .with("last", last)
        .with("after", after));
    }
    let (tx, rx) = mpsc::channel(BUFFER);
    let start = if after == 0 { last } else { after };
    let snapshot = (after == 0).then(|| Message::Snapshot(whole(&aggregate, false)));
    let ended = aggregate.run.state.is_terminal() && start == last;
    let watcher = Watcher {
        api,
        run,
        sent: start,
        ended: false,
        tx,
        commits,
    };
    // The stream owns the task: when the client goes away, the channel closes and the task ends.
    tokio::spawn(async move { watcher.run(snapshot, ended).await });
    Ok(Box::pin(ReceiverStream::new(rx)))
}

/// What ended the wait for a commit.
enum Wake {
    Committed(Committed),
    /// Commits were missed.
    Behind,
    /// The registry has ended.
    End,
}

struct Watcher {
    api: Api,
    run: RunUid,
    sent: u64,
    /// The run had ended by the last event sent.
    ended: bool,
    tx: mpsc::Sender<Result<WatchRunResponse, Status>>,
    commits: broadcast::Receiver<Committed>,
}

impl Watcher {
    async fn run(mut self, snapshot: Option<Message>, ended: bool) {
        if let Some(snapshot) = snapshot
            && self.send(snapshot).await.is_err()
        {
            return;
        }
        if ended {
            return;
        }
        let mut woken: Option<Committed> = None;
        loop {
            let sent = match woken.take() {
                Some(events) => self.forward(&events).await,
                None => self.send_new().await,
            };
            match sent {
                Ok(true) | Err(()) => return,
                Ok(false) => {}
            }
            let shutdown = self.api.shutdown.clone();
            let idle = self.api.core.config.watch_heartbeat;
            let tx = self.tx.clone();
            tokio::select! {
                () = shutdown.cancelled() => {
                    let refusal = Refusal::new(Reason::RegistryUnavailable, "the registry is stopping; watch again from the last sequence");
                    let _ = self.tx.send(Err(to_status(&refusal))).await;
                    return;
                }
                () = tx.closed() => return,
                commit = tokio::time::timeout(idle, self.wake()) => match commit {
                    Ok(Wake::Committed(events)) => woken = Some(events),
                    Ok(Wake::Behind) => {}
                    Ok(Wake::End) => return,
                    Err(_) => if self.send(Message::Heartbeat(self.sent)).await.is_err() { return },
                },
            }
        }
    }

    /// Waits for a commit that concerns the run.
    async fn wake(&mut self) -> Wake {
        loop {
            match self.commits.recv().await {
                Ok(events)
                    if events
                        .iter()
                        .any(|e| e.run == self.run && e.run_sequence > self.sent) =>
                {
                    return Wake::Committed(events);
                }
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => return Wake::Behind,
                Err(broadcast::error::RecvError::Closed) => return Wake::End,
            }
        }
    }

    /// Sends the run's events of a commit; what is missing before them is read, and an end is looked up in the log.
    async fn forward(&mut self, events: &Committed) -> Result<bool, ()> {
        let run = self.run;
        for stored in events.iter().filter(|e| e.run == run) {
            if stored.run_sequence <= self.sent {
                continue;
            }
            if stored.run_sequence > self.sent + 1 {
                return self.send_new().await;
            }
            self.send_stored(stored).await?;
        }
        if self.ended {
            return self.send_new().await;
        }
        Ok(false)
    }

    /// Sends what the log has beyond the last number; true once the last event there is the terminal one. A run
    /// that was retried has ended more than once, and only its last end counts.
    async fn send_new(&mut self) -> Result<bool, ()> {
        loop {
            let page = match self.api.core.run_events(self.run, self.sent, PAGE).await {
                Ok(page) => page,
                Err(refusal) => {
                    let _ = self.tx.send(Err(to_status(&refusal))).await;
                    return Err(());
                }
            };
            if page.is_empty() {
                return Ok(self.ended);
            }
            let whole = page.len() as u64 == PAGE;
            for stored in page {
                self.send_stored(&stored).await?;
            }
            if !whole && !self.ended {
                return Ok(false);
            }
        }
    }

    async fn send_stored(&mut self, stored: &StoredEvent) -> Result<(), ()> {
        self.sent = stored.run_sequence;
        let Ok(event) = types::Event::decode(stored.body.as_slice()) else {
            return Ok(());
        };
        // Of a run that has ended there may be more to tell: its promotions.
        self.ended = event
            .run
            .as_ref()
            .and_then(|run| RunState::try_from(run.state()).ok())
            .is_some_and(RunState::is_terminal);
        self.send(Message::Event(event)).await
    }

    async fn send(&self, message: Message) -> Result<(), ()> {
        self.tx
            .send(Ok(WatchRunResponse {
                message: Some(message),
            }))
            .await
            .map_err(drop)
    }
}
