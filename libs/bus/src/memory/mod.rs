//! The in-process bus of the embedded form.
//!
//! Invariant: bounded, and without a task of its own: whoever waits for a job also watches the clock
//! for delayed and forgotten ones.

mod events;
mod graves;
mod jobs;
mod queue;
mod telemetry;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::{Notify, broadcast},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    error::BusError,
    message::{EventEnvelope, EventOptions, JobEnvelope, JobOptions},
    port::{Bus, EventSource, JobSource},
    stats::{BusStats, Counters},
    subject,
};

/// Bounds of the in-process bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Jobs stored at once; beyond it publishers are refused.
    pub jobs: usize,
    /// Events a consumer may lag behind before it gets a gap instead.
    pub events: usize,
    /// Measurements a reader may lag behind before it misses some.
    pub telemetry: usize,
    /// Deliveries of a job before it becomes a dead letter.
    pub deliveries: u32,
    /// Dead letters kept; beyond it the oldest go.
    pub dead: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            jobs: 65_536,
            events: 4_096,
            telemetry: 4_096,
            deliveries: 64,
            dead: 1_024,
        }
    }
}

/// Jobs and events within one process.
pub struct InProcessBus {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<queue::Queue>,
    wake: Notify,
    graves: Mutex<graves::Graves>,
    events: broadcast::Sender<events::Sent>,
    telemetry: telemetry::Hub,
    counters: Counters,
    closed: CancellationToken,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, queue::Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn graves(&self) -> MutexGuard<'_, graves::Graves> {
        self.graves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InProcessBus {
    /// An empty bus.
    pub fn new(limits: Limits) -> Self {
        Self {
            shared: Arc::new(Shared {
                queue: Mutex::new(queue::Queue::new(limits.jobs, limits.deliveries)),
                wake: Notify::new(),
                graves: Mutex::new(graves::Graves::new(limits.dead)),
                telemetry: telemetry::Hub::new(limits.telemetry),
                counters: Counters::default(),
                events: broadcast::channel(limits.events.max(1)).0,
                closed: CancellationToken::new(),
            }),
        }
    }

    /// Forgets all jobs and becomes another stream; for tests of what happens then.
    pub fn lose_jobs(&self) {
        self.shared.queue().lose();
        self.shared.wake.notify_waiters();
    }

    fn open(&self) -> Result<&Shared, BusError> {
        if self.shared.closed.is_cancelled() {
            return Err(BusError::Closed);
        }
        Ok(&self.shared)
    }
}

impl Drop for InProcessBus {
    fn drop(&mut self) {
        self.shared.closed.cancel();
    }
}

#[async_trait]
impl Bus for InProcessBus {
    async fn publish_jobs(&self, jobs: Vec<JobEnvelope>) -> Result<Vec<u64>, BusError> {
        let shared = self.open()?;
        let published = shared.queue().publish(jobs, Instant::now());
        let sequences =
            published.inspect_err(|_| crate::stats::count(&shared.counters.publish_failures))?;
        shared.wake.notify_waiters();
        Ok(sequences)
    }

    async fn publish_events(&self, events: Vec<EventEnvelope>) -> Result<(), BusError> {
        let shared = self.open()?;
        for event in events {
            // An error means that nobody listens, which is fine.
            let _ = shared.events.send(events::Sent::from(event));
        }
        Ok(())
    }

    async fn jobs(&self, options: JobOptions) -> Result<Box<dyn JobSource>, BusError> {
        self.open()?;
        if options.lanes.is_empty() {
            return Err(BusError::Config("a job source needs a lane".into()));
        }
        let lanes = options.lanes.iter().map(|lane| subject::lane(lane));
        Ok(Box::new(jobs::Jobs {
            shared: Arc::clone(&self.shared),
            lanes: lanes.collect(),
            ack_wait: options.ack_wait,
        }))
    }

    async fn events(&self, options: EventOptions) -> Result<Box<dyn EventSource>, BusError> {
        let shared = self.open()?;
        Ok(Box::new(events::Events::new(
            shared.events.subscribe(),
            options.run_uid,
            shared.closed.clone(),
        )))
    }

    async fn has_job(&self, sequence: u64) -> Result<bool, BusError> {
        Ok(self.open()?.queue().has(sequence))
    }

    async fn stored_jobs(&self) -> Result<HashSet<String>, BusError> {
        Ok(self.open()?.queue().uids())
    }

    async fn maintain(&self) -> Result<(), BusError> {
        self.open().map(|_| ())
    }

    async fn stream_epoch(&self) -> Result<String, BusError> {
        Ok(self.open()?.queue().epoch())
    }

    fn is_connected(&self) -> bool {
        !self.shared.closed.is_cancelled()
    }

    fn stats(&self) -> BusStats {
        self.shared.counters.read()
    }

    async fn close(&self, _deadline: Duration) {
        self.shared.closed.cancel();
    }
}
