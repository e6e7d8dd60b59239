//! The in-process work queue as plain data: every method is one step under the caller's lock.
//!
//! Invariant: a stored job is in exactly one place (ready, delayed, taken), and gone only by an
//! acknowledgement or by [`Queue::lose`].

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap, VecDeque},
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    time::Duration,
};

use autopack_wire::r#gen::bus::v1::JobMessage;
use tokio::time::Instant;

use crate::{error::BusError, message::JobEnvelope, subject};

/// How long a published id is remembered, as on the job stream.
pub(crate) const DEDUPE_WINDOW: Duration = Duration::from_mins(2);
/// How many ids are remembered at most.
const DEDUPE_IDS: usize = 65_536;

/// Order in a lane: urgent first, then first come.
type Rank = (Reverse<u32>, u64);

/// Where a stored job is.
enum Place {
    Ready,
    /// Not before this.
    Delayed(Instant),
    /// In somebody's hands until this.
    Taken {
        until: Instant,
        ack_wait: Duration,
    },
}

struct Stored {
    job: Arc<JobMessage>,
    traceparent: Option<String>,
    lane: String,
    deliveries: u64,
    place: Place,
}

/// A job handed out.
pub(crate) struct Taken {
    pub(crate) sequence: u64,
    pub(crate) job: Arc<JobMessage>,
    pub(crate) traceparent: Option<String>,
    /// Which delivery this is; answers of an earlier one change nothing but the end.
    pub(crate) delivery: u64,
    /// Whether sleepers have to look at the clock again.
    pub(crate) rearm: bool,
}

/// All jobs of the process.
pub(crate) struct Queue {
    capacity: usize,
    epoch: String,
    last: u64,
    jobs: HashMap<u64, Stored>,
    ready: HashMap<String, BTreeSet<Rank>>,
    due: BTreeSet<(Instant, u64)>,
    ids: HashMap<String, u64>,
    id_order: VecDeque<(Instant, String)>,
}

impl Queue {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            epoch: random_epoch(),
            last: 0,
            jobs: HashMap::new(),
            ready: HashMap::new(),
            due: BTreeSet::new(),
            ids: HashMap::new(),
            id_order: VecDeque::new(),
        }
    }

    pub(crate) fn epoch(&self) -> String {
        self.epoch.clone()
    }

    pub(crate) fn has(&self, sequence: u64) -> bool {
        self.jobs.contains_key(&sequence)
    }

    /// Stores all of them or, beyond the bound, none.
    pub(crate) fn publish(
        &mut self,
        jobs: Vec<JobEnvelope>,
        now: Instant,
    ) -> Result<Vec<u64>, BusError> {
        if self.jobs.len().saturating_add(jobs.len()) > self.capacity {
            return Err(BusError::Full(format!("{} jobs at most", self.capacity)));
        }
        self.forget_ids(now);
        Ok(jobs.into_iter().map(|job| self.store(job, now)).collect())
    }

    fn store(&mut self, envelope: JobEnvelope, now: Instant) -> u64 {
        if let Some(sequence) = self.ids.get(&envelope.id) {
            return *sequence;
        }
        self.last += 1;
        let sequence = self.last;
        self.ids.insert(envelope.id.clone(), sequence);
        self.id_order.push_back((now, envelope.id));
        let lane = subject::lane(&envelope.job.lane);
        let rank = rank(&envelope.job, sequence);
        self.ready.entry(lane.clone()).or_default().insert(rank);
        self.jobs.insert(
            sequence,
            Stored {
                job: Arc::new(envelope.job),
                traceparent: envelope.traceparent,
                lane,
                deliveries: 0,
                place: Place::Ready,
            },
        );
        sequence
    }

    fn forget_ids(&mut self, now: Instant) {
        while let Some((at, _)) = self.id_order.front() {
            if self.id_order.len() <= DEDUPE_IDS && now.duration_since(*at) < DEDUPE_WINDOW {
                return;
            }
            if let Some((_, id)) = self.id_order.pop_front() {
                self.ids.remove(&id);
            }
        }
    }

    /// The most urgent ready job of these lanes.
    pub(crate) fn take(
        &mut self,
        lanes: &[String],
        ack_wait: Duration,
        now: Instant,
    ) -> Option<Taken> {
        self.wake_due(now);
        let (lane, rank) = lanes
            .iter()
            .filter_map(|lane| Some((lane, *self.ready.get(lane)?.first()?)))
            .min_by_key(|(_, rank)| *rank)?;
        self.unready(lane, rank);
        let until = now + ack_wait;
        let sequence = rank.1;
        let stored = self.jobs.get_mut(&sequence)?;
        stored.deliveries += 1;
        stored.place = Place::Taken { until, ack_wait };
        let rearm = self.due.first().is_none_or(|(first, _)| until < *first);
        self.due.insert((until, sequence));
        Some(Taken {
            sequence,
            job: Arc::clone(&stored.job),
            traceparent: stored.traceparent.clone(),
            delivery: stored.deliveries,
            rearm,
        })
    }

    /// When something becomes ready by itself.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The job is done; as on JetStream, whoever says so.
    pub(crate) fn ack(&mut self, sequence: u64) {
        if let Some(stored) = self.jobs.remove(&sequence) {
            self.leave(&stored, sequence);
        }
    }

    /// Back, now or later, if this delivery still holds it.
    pub(crate) fn give_back(
        &mut self,
        sequence: u64,
        delivery: u64,
        delay: Duration,
        now: Instant,
    ) {
        let Some(stored) = self.held(sequence, delivery) else {
            return;
        };
        let Place::Taken { until, .. } = stored.place else {
            return;
        };
        let at = now + delay;
        stored.place = if delay.is_zero() {
            Place::Ready
        } else {
            Place::Delayed(at)
        };
        let (lane, rank) = (stored.lane.clone(), rank(&stored.job, sequence));
        self.due.remove(&(until, sequence));
        if delay.is_zero() {
            self.ready.entry(lane).or_default().insert(rank);
        } else {
            self.due.insert((at, sequence));
        }
    }

    /// Its time starts anew, if this delivery still holds it.
    pub(crate) fn progress(&mut self, sequence: u64, delivery: u64, now: Instant) {
        let Some(stored) = self.held(sequence, delivery) else {
            return;
        };
        if let Place::Taken { until, ack_wait } = &mut stored.place {
            let before = *until;
            *until = now + *ack_wait;
            let after = *until;
            self.due.remove(&(before, sequence));
            self.due.insert((after, sequence));
        }
    }

    /// Forgets everything and becomes another stream, as a broker that lost its disk does.
    pub(crate) fn lose(&mut self) {
        let (capacity, last) = (self.capacity, self.last);
        *self = Self::new(capacity);
        self.last = last;
    }

    fn held(&mut self, sequence: u64, delivery: u64) -> Option<&mut Stored> {
        self.jobs
            .get_mut(&sequence)
            .filter(|stored| stored.deliveries == delivery)
    }

    fn wake_due(&mut self, now: Instant) {
        while let Some((at, sequence)) = self.due.first().copied() {
            if at > now {
                return;
            }
            self.due.remove(&(at, sequence));
            if let Some(stored) = self.jobs.get_mut(&sequence) {
                stored.place = Place::Ready;
                let rank = rank(&stored.job, sequence);
                self.ready
                    .entry(stored.lane.clone())
                    .or_default()
                    .insert(rank);
            }
        }
    }

    fn leave(&mut self, stored: &Stored, sequence: u64) {
        match stored.place {
            Place::Ready => self.unready(&stored.lane, rank(&stored.job, sequence)),
            Place::Delayed(at) | Place::Taken { until: at, .. } => {
                self.due.remove(&(at, sequence));
            }
        }
    }

    fn unready(&mut self, lane: &str, rank: Rank) {
        if let Some(ranks) = self.ready.get_mut(lane) {
            ranks.remove(&rank);
            if ranks.is_empty() {
                self.ready.remove(lane);
            }
        }
    }
}

fn rank(job: &JobMessage, sequence: u64) -> Rank {
    (Reverse(job.priority.min(subject::MAX_PRIORITY)), sequence)
}

/// Another one in each process, without a clock: the hasher's keys are seeded by the system.
fn random_epoch() -> String {
    let draw = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", draw(), draw())
}
