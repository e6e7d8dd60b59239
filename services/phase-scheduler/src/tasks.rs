//! The loop: take in what happened, read what is stale, decide, ask. Idempotent.

use std::time::Duration;

use autopack_bus::{BusError, EventItem, EventOptions, EventSource};
use autopack_domain::RunUid;
use autopack_policy::dispatch::{Action, plan_next};
use autopack_wire::{
    convert::snapshot_from_proto,
    registry::{GetSnapshotRequest, ListActiveRunsRequest},
};
use futures::{StreamExt as _, stream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    Ports, SchedulerConfig,
    dispatch::{Asked, ask},
    views::Views,
};

/// Requests in flight at a time.
const CONCURRENCY: usize = 32;
/// Events taken in before the next decision, at most.
const BURST: usize = 2000;
/// Wait after the bus or the registry could not answer.
const RETRY: Duration = Duration::from_millis(200);

pub(crate) async fn run(
    config: SchedulerConfig,
    ports: Ports,
    shutdown: CancellationToken,
) -> Result<(), String> {
    let mut looper = Loop {
        views: Views::default(),
        slots: 0,
        reload_at: Instant::now(),
        config,
        ports,
    };
    while !shutdown.is_cancelled() {
        let source = match looper.ports.bus.events(EventOptions::default()).await {
            Ok(source) => source,
            Err(error) => {
                tracing::warn!(%error, "the scheduler cannot subscribe; trying again");
                tokio::time::sleep(RETRY).await;
                continue;
            }
        };
        match looper.serve(source, &shutdown).await {
            Ok(()) => return Ok(()),
            Err(error) => {
                tracing::warn!(%error, "the scheduler lost its subscription; subscribing again");
            }
        }
    }
    Ok(())
}

struct Loop {
    config: SchedulerConfig,
    ports: Ports,
    views: Views,
    slots: u32,
    reload_at: Instant,
}

impl Loop {
    async fn serve(
        &mut self,
        mut source: Box<dyn EventSource>,
        shutdown: &CancellationToken,
    ) -> Result<(), BusError> {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                item = source.next() => {
                    let Some(item) = item? else { return Ok(()) };
                    self.take(item);
                    // What is there already belongs to the same decision.
                    for _ in 0..BURST {
                        match futures::FutureExt::now_or_never(source.next()) {
                            Some(Ok(Some(item))) => self.take(item),
                            Some(Ok(None)) => return Ok(()),
                            Some(Err(error)) => return Err(error),
                            None => break,
                        }
                    }
                }
                () = tokio::time::sleep(self.pause()) => {}
            }
            self.pass().await;
        }
    }

    fn take(&mut self, item: EventItem) {
        match item {
            EventItem::Gap => {
                self.reload_at = Instant::now();
                // What was missed may have been the last event for a long time: nothing else would tell.
                self.views.doubt_all();
            }
            EventItem::Event(event) => self.views.absorb(&event),
        }
    }

    /// Until the next run wants to be looked at, at most one period.
    fn pause(&self) -> Duration {
        if self.slots == 0 {
            return Duration::from_millis(20);
        }
        let now = self.ports.clock.now();
        let due = self
            .views
            .next_wake()
            .map_or(self.config.period, |at| at.since(now));
        due.min(self.config.period).max(Duration::from_millis(1))
    }

    async fn pass(&mut self) {
        if Instant::now() >= self.reload_at {
            self.reload().await;
        }
        self.read_stale().await;
        self.views.forget_idle();
        self.views.wake(self.ports.clock.now());
        self.decide().await;
    }

    /// Reads the list of runs and slots; every unknown run is read.
    async fn reload(&mut self) {
        match self
            .ports
            .clients
            .dispatch
            .clone()
            .list_active_runs(ListActiveRunsRequest {})
            .await
        {
            Ok(answer) => {
                let answer = answer.into_inner();
                let quick = self.slots == 0 && answer.slots == 0;
                self.slots = answer.slots;
                self.reload_at = Instant::now()
                    + if quick {
                        Duration::from_millis(20)
                    } else {
                        self.config.reload
                    };
                for uid in answer
                    .run_uids
                    .iter()
                    .filter_map(|u| u.parse::<RunUid>().ok())
                {
                    if let Some(view) = self.views.known.get(&uid) {
                        if view.awaits > view.run.run.version {
                            self.views.stale.insert(uid);
                        }
                    } else if !self.views.parked.contains(&uid) {
                        self.views.stale.insert(uid);
                    }
                }
            }
            Err(status) => {
                tracing::debug!(code = ?status.code(), "the registry does not list its runs; trying again");
                self.reload_at = Instant::now() + RETRY;
            }
        }
    }

    async fn read_stale(&mut self) {
        let stale: Vec<RunUid> = self.views.stale.drain().collect();
        let clients = self.ports.clients.clone();
        let mut answers = stream::iter(stale)
            .map(|uid| {
                let mut dispatch = clients.dispatch.clone();
                async move {
                    (
                        uid,
                        dispatch
                            .get_snapshot(GetSnapshotRequest {
                                run_uid: uid.to_string(),
                            })
                            .await,
                    )
                }
            })
            .buffer_unordered(CONCURRENCY);
        let mut again = Vec::new();
        while let Some((uid, answer)) = answers.next().await {
            match answer.map(|a| snapshot_from_proto(a.into_inner())) {
                Ok(Ok(run)) => self.views.put(run),
                Ok(Err(faults)) => {
                    tracing::error!(run = %uid, ?faults, "a snapshot does not convert; the run is left alone");
                }
                Err(status) if status.code() == tonic::Code::Unavailable => again.push(uid),
                Err(status) => {
                    tracing::warn!(run = %uid, error = status.message(), "a run cannot be read");
                }
            }
        }
        self.views.stale.extend(again);
    }

    /// Decides on every dirty run, in order, within the window of offers that workers can soon take.
    async fn decide(&mut self) {
        let now = self.ports.clock.now();
        let limit = (2 * self.slots as usize).max(16);
        let mut room = limit
            .saturating_sub(self.views.in_flight())
            .min(self.config.window);
        let mut requests: Vec<(RunUid, u64, Action)> = Vec::new();
        for uid in self.views.take_dirty() {
            let Some(view) = self.views.known.get_mut(&uid) else {
                continue;
            };
            if view.awaits > view.run.run.version {
                continue;
            }
            let next = plan_next(&view.run, now, room);
            view.wake_at = next.wake_at;
            let version = view.run.run.version;
            let Some(action) = next.actions.into_iter().next() else {
                if room == 0 && view.run.run.counts.queued > 0 {
                    // It may have work for the slots that free up next.
                    self.views.starved.insert(uid);
                }
                continue;
            };
            if let Action::OfferPhases(phases) = &action {
                room = room.saturating_sub(phases.len());
            }
            requests.push((uid, version, action));
        }
        let clients = self.ports.clients.clone();
        let mut answers = stream::iter(requests)
            .map(|(uid, version, action)| {
                let clients = clients.clone();
                async move { (uid, ask(&clients, uid, version, action).await) }
            })
            .buffer_unordered(CONCURRENCY);
        while let Some((uid, asked)) = answers.next().await {
            self.views.served(uid);
            let Some(view) = self.views.known.get_mut(&uid) else {
                continue;
            };
            match asked {
                Asked::Done(version) => view.awaits = version,
                Asked::Stale => {
                    self.views.stale.insert(uid);
                }
                Asked::Later => view.wake_at = Some(now.plus(RETRY)),
            }
        }
        if self.views.in_flight() < limit {
            let starved: Vec<RunUid> = self.views.starved.drain().collect();
            self.views.dirty.extend(starved);
        }
    }
}
