//! A bus that doubles, reorders and drops what is published, for tests of those who rely on it.
//!
//! Invariant: the same seed and the same calls give the same faults; whatever is not published is forwarded
//! untouched. A dropped job reports the sequence 0, as if it had been stored and lost.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    dead_letter::{DeadLetter, DeadLetters, DeadPage},
    error::BusError,
    message::{EventEnvelope, EventOptions, JobEnvelope, JobOptions},
    port::{Bus, EventSource, JobSource},
    stats::BusStats,
    telemetry::{Measurement, TelemetryBus, TelemetryOptions, TelemetrySource},
};

/// How often each fault happens, in percent of the messages (of the batches, for the order).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Published once more, under another id.
    pub doubled: u8,
    /// Not published, and reported as if it were.
    pub dropped: u8,
    /// Published backwards.
    pub reordered: u8,
}

/// What was done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Messages published twice.
    pub doubled: u64,
    /// Messages lost.
    pub dropped: u64,
    /// Batches turned round.
    pub reordered: u64,
    /// How often somebody asked what is stored.
    pub looks: u64,
}

/// Another bus with faults.
pub struct ChaosBus {
    inner: Arc<dyn Bus>,
    faults: Faults,
    draws: Mutex<u64>,
    doubled: AtomicU64,
    dropped: AtomicU64,
    reordered: AtomicU64,
    looks: AtomicU64,
}

impl ChaosBus {
    /// Wraps a bus; the seed decides when what happens.
    pub fn new(inner: Arc<dyn Bus>, faults: Faults, seed: u64) -> Self {
        Self {
            inner,
            faults,
            draws: Mutex::new(seed),
            doubled: AtomicU64::default(),
            dropped: AtomicU64::default(),
            reordered: AtomicU64::default(),
            looks: AtomicU64::default(),
        }
    }

    /// What was done so far.
    pub fn done(&self) -> Done {
        let of = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        Done {
            doubled: of(&self.doubled),
            dropped: of(&self.dropped),
            reordered: of(&self.reordered),
            looks: of(&self.looks),
        }
    }

    fn happens(&self, percent: u8, counter: &AtomicU64) -> bool {
        let mut state = self.draws.lock().unwrap_or_else(PoisonError::into_inner);
        // splitmix64
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let yes = (z ^ (z >> 31)) % 100 < u64::from(percent);
        if yes {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        yes
    }

    /// What becomes of a batch: each message with its first place, doubled ones twice, dropped ones not.
    fn disturb<T: Clone>(&self, batch: &[T], rename: impl Fn(&mut T)) -> Vec<(usize, T)> {
        let mut sent = Vec::with_capacity(batch.len());
        for (place, message) in batch.iter().enumerate() {
            if self.happens(self.faults.dropped, &self.dropped) {
                continue;
            }
            sent.push((place, message.clone()));
            if self.happens(self.faults.doubled, &self.doubled) {
                let mut double = message.clone();
                rename(&mut double);
                sent.push((place, double));
            }
        }
        if sent.len() > 1 && self.happens(self.faults.reordered, &self.reordered) {
            sent.reverse();
        }
        sent
    }
}

#[async_trait]
impl Bus for ChaosBus {
    async fn publish_jobs(&self, jobs: Vec<JobEnvelope>) -> Result<Vec<u64>, BusError> {
        let sent = self.disturb(&jobs, |job| job.id.push_str("-double"));
        let (places, sent): (Vec<usize>, Vec<JobEnvelope>) = sent.into_iter().unzip();
        let stored = self.inner.publish_jobs(sent).await?;
        let mut sequences = vec![0; jobs.len()];
        for (place, sequence) in places.into_iter().zip(stored) {
            sequences[place] = sequence;
        }
        Ok(sequences)
    }

    async fn publish_events(&self, events: Vec<EventEnvelope>) -> Result<(), BusError> {
        let sent = self.disturb(&events, |event| event.id.push_str("-double"));
        let sent = sent.into_iter().map(|(_, event)| event).collect();
        self.inner.publish_events(sent).await
    }

    async fn jobs(&self, options: JobOptions) -> Result<Box<dyn JobSource>, BusError> {
        self.inner.jobs(options).await
    }

    async fn events(&self, options: EventOptions) -> Result<Box<dyn EventSource>, BusError> {
        self.inner.events(options).await
    }

    async fn has_job(&self, sequence: u64) -> Result<bool, BusError> {
        self.inner.has_job(sequence).await
    }

    async fn stored_jobs(&self) -> Result<HashSet<String>, BusError> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.inner.stored_jobs().await
    }

    async fn maintain(&self) -> Result<(), BusError> {
        self.inner.maintain().await
    }

    async fn stream_epoch(&self) -> Result<String, BusError> {
        self.inner.stream_epoch().await
    }

    fn is_connected(&self) -> bool {
        self.inner.is_connected()
    }

    fn stats(&self) -> BusStats {
        self.inner.stats()
    }

    async fn close(&self, deadline: Duration) {
        self.inner.close(deadline).await;
    }
}

#[async_trait]
impl DeadLetters for ChaosBus {
    async fn bury(&self, now: i64) -> Result<u64, BusError> {
        self.inner.bury(now).await
    }

    async fn dead_letters(&self, before: Option<u64>, limit: usize) -> Result<DeadPage, BusError> {
        self.inner.dead_letters(before, limit).await
    }

    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, BusError> {
        self.inner.dead_letter(id).await
    }

    async fn forget_dead_letter(&self, id: &str) -> Result<bool, BusError> {
        self.inner.forget_dead_letter(id).await
    }
}

#[async_trait]
impl TelemetryBus for ChaosBus {
    fn send_telemetry(&self, measurement: Measurement) -> bool {
        self.inner.send_telemetry(measurement)
    }

    async fn telemetry(
        &self,
        options: TelemetryOptions,
    ) -> Result<Box<dyn TelemetrySource>, BusError> {
        self.inner.telemetry(options).await
    }
}
