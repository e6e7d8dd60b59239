//! The in-process work queue as plain data: every method is one step under the caller's lock.
//!
//! Invariant: a stored job is in exactly one place (ready, delayed, taken), and gone only by an
//! acknowledgement, as a dead letter, or by [`Queue::lose`].

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    time::Duration,
};

use autopack_wire::r#gen::bus::v1::JobMessage;
use tokio::time::Instant;

use super::graves::Grave;
use crate::{dead_letter::DeadReason, error::BusError, message::JobEnvelope, subject};

/// How long a published id is remembered, as on the job stream.
pub(crate) const DEDUPE_WINDOW: Duration = Duration::from_mins(2);
/// Of so many jobs taken, one is of a less urgent priority, so that none waits for ever.
const TURN_OF_THE_REST: u64 = 8;
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
    id: String,
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
    max_deliver: u64,
    served: u64,
    fallen: Vec<Grave>,
    epoch: String,
    last: u64,
    jobs: HashMap<u64, Stored>,
    ready: HashMap<String, BTreeSet<Rank>>,
    due: BTreeSet<(Instant, u64)>,
    ids: HashMap<String, u64>,
    id_order: VecDeque<(Instant, String)>,
}

impl Queue {
    pub(crate) fn new(capacity: usize, max_deliver: u32) -> Self {
        Self {
            capacity,
            max_deliver: u64::from(max_deliver.max(1)),
            served: 0,
            fallen: Vec::new(),
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

    /// Uids of all that is stored.
    pub(crate) fn uids(&self) -> HashSet<String> {
        let uids = self.jobs.values().map(|stored| stored.job.job_uid.clone());
        uids.collect()
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
        self.id_order.push_back((now, envelope.id.clone()));
        let lane = subject::lane(&envelope.job.lane);
        let rank = rank(&envelope.job, sequence);
        self.ready.entry(lane.clone()).or_default().insert(rank);
        self.jobs.insert(
            sequence,
            Stored {
                id: envelope.id,
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

    /// The most urgent ready job of these lanes, and now and then a less urgent one.
    pub(crate) fn take(
        &mut self,
        lanes: &[String],
        ack_wait: Duration,
        now: Instant,
    ) -> Option<Taken> {
        self.wake_due(now);
        let ready: Vec<_> = lanes
            .iter()
            .filter_map(|lane| Some((lane, self.ready.get(lane)?)))
            .collect();
        let priority = self.turn(&ready)?;
        let (lane, rank) = ready
            .into_iter()
            .filter_map(|(lane, ranks)| Some((lane, *ranks.range((priority, 0)..).next()?)))
            .filter(|(_, rank)| rank.0 == priority)
            .min_by_key(|(_, rank)| *rank)?;
        self.served += 1;
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

    /// The most urgent priority that has a job; now and then another one, in turn.
    fn turn(&self, ready: &[(&String, &BTreeSet<Rank>)]) -> Option<Reverse<u32>> {
        let first = |from: Reverse<u32>| {
            let ranks = ready
                .iter()
                .filter_map(|(_, ranks)| ranks.range((from, 0)..).next());
            ranks.map(|rank| rank.0).min()
        };
        let top = first(Reverse(u32::MAX))?;
        if self.served % TURN_OF_THE_REST != TURN_OF_THE_REST - 1 {
            return Some(top);
        }
        let mut others = Vec::new();
        let mut last = top;
        while last.0 > 0
            && let Some(next) = first(Reverse(last.0 - 1))
        {
            others.push(next);
            last = next;
        }
        let turn = (self.served / TURN_OF_THE_REST) as usize;
        let other = turn.checked_rem(others.len()).and_then(|n| others.get(n));
        Some(other.copied().unwrap_or(top))
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
        let max_deliver = self.max_deliver;
        let Some(stored) = self.held(sequence, delivery) else {
            return;
        };
        let Place::Taken { until, .. } = stored.place else {
            return;
        };
        let at = now + delay;
        if delay.is_zero() && stored.deliveries >= max_deliver {
            self.due.remove(&(until, sequence));
            return self.fall(sequence);
        }
        let Some(stored) = self.held(sequence, delivery) else {
            return;
        };
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
        let last = self.last;
        *self = Self::new(self.capacity, self.max_deliver as u32);
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
            let deliveries = self.jobs.get(&sequence).map(|stored| stored.deliveries);
            if deliveries.is_some_and(|deliveries| deliveries >= self.max_deliver) {
                self.fall(sequence);
            } else if let Some(stored) = self.jobs.get_mut(&sequence) {
                stored.place = Place::Ready;
                let rank = rank(&stored.job, sequence);
                self.ready
                    .entry(stored.lane.clone())
                    .or_default()
                    .insert(rank);
            }
        }
    }

    /// Gives a job up: it leaves the queue as what becomes a dead letter.
    pub(crate) fn give_up(
        &mut self,
        sequence: u64,
        reason: DeadReason,
        detail: String,
    ) -> Option<Grave> {
        let stored = self.jobs.remove(&sequence)?;
        self.leave(&stored, sequence);
        Some(Grave {
            epoch: self.epoch.clone(),
            sequence,
            id: stored.id,
            reason,
            detail,
            deliveries: stored.deliveries,
            traceparent: stored.traceparent,
            job: stored.job,
        })
    }

    /// It was delivered once too often; its place in `due` or `ready` is left already.
    fn fall(&mut self, sequence: u64) {
        let detail = format!("delivered {} times, never acknowledged", self.max_deliver);
        let grave = self.give_up(sequence, DeadReason::MaxDeliveries, detail);
        self.fallen.extend(grave);
    }

    /// What was given up on since the last call.
    pub(crate) fn fallen(&mut self) -> Vec<Grave> {
        std::mem::take(&mut self.fallen)
    }

    /// Looks at the clock although nobody takes.
    pub(crate) fn look(&mut self, now: Instant) {
        self.wake_due(now);
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
