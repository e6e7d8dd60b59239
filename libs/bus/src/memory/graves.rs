//! The dead letters of the in-process bus.
//!
//! Invariant: bounded, the oldest go first; they end with the process, as its queue does.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use async_trait::async_trait;
use autopack_wire::r#gen::bus::v1::JobMessage;
use prost::Message as _;
use tokio::time::Instant;

use super::InProcessBus;
use crate::{
    dead_letter::{DeadLetter, DeadLetters, DeadPage, DeadReason},
    error::BusError,
    stats::add,
    subject,
};

/// A job that was given up on and left the queue.
pub(crate) struct Grave {
    pub(crate) epoch: String,
    pub(crate) sequence: u64,
    pub(crate) id: String,
    pub(crate) reason: DeadReason,
    pub(crate) detail: String,
    pub(crate) deliveries: u64,
    pub(crate) traceparent: Option<String>,
    pub(crate) job: Arc<JobMessage>,
}

/// The letters, oldest first.
pub(crate) struct Graves {
    capacity: usize,
    last: u64,
    letters: VecDeque<DeadLetter>,
}

impl Graves {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            last: 0,
            letters: VecDeque::new(),
        }
    }

    /// Keeps it; its time is set by the next [`DeadLetters::bury`].
    pub(crate) fn add(&mut self, grave: Grave) {
        self.last += 1;
        let mut headers = BTreeMap::from([("Nats-Msg-Id".to_owned(), grave.id)]);
        headers.extend(grave.traceparent.map(|t| ("traceparent".to_owned(), t)));
        self.letters.push_back(DeadLetter {
            id: format!("{}-{}", grave.epoch, grave.sequence),
            place: self.last,
            reason: grave.reason,
            detail: grave.detail,
            subject: subject::job(grave.job.priority, &grave.job.lane),
            sequence: grave.sequence,
            deliveries: grave.deliveries,
            at: 0,
            headers,
            body: grave.job.encode_to_vec().into(),
        });
        if self.letters.len() > self.capacity {
            self.letters.pop_front();
        }
    }
}

#[async_trait]
impl DeadLetters for InProcessBus {
    async fn bury(&self, now: i64) -> Result<u64, BusError> {
        let shared = self.open()?;
        let fallen = {
            let mut queue = shared.queue();
            queue.look(Instant::now());
            queue.fallen()
        };
        add(&shared.counters.dead_letters, fallen.len() as u64);
        let mut graves = shared.graves();
        for grave in fallen {
            graves.add(grave);
        }
        let mut buried = 0;
        for letter in graves.letters.iter_mut().rev() {
            if letter.at != 0 {
                break;
            }
            letter.at = now;
            buried += 1;
        }
        drop(graves);
        shared.wake.notify_waiters();
        Ok(buried)
    }

    async fn dead_letters(&self, before: Option<u64>, limit: usize) -> Result<DeadPage, BusError> {
        let graves = self.open()?.graves();
        let older = |letter: &&DeadLetter| before.is_none_or(|place| letter.place < place);
        let mut found = graves.letters.iter().rev().filter(older);
        let letters: Vec<_> = found.by_ref().take(limit).cloned().collect();
        let more = found.next().is_some();
        let before = letters.last().map(|letter| letter.place);
        Ok(DeadPage {
            before: before.filter(|_| more),
            letters,
        })
    }

    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, BusError> {
        let graves = self.open()?.graves();
        Ok(graves.letters.iter().find(|l| l.id == id).cloned())
    }

    async fn forget_dead_letter(&self, id: &str) -> Result<bool, BusError> {
        let mut graves = self.open()?.graves();
        let before = graves.letters.len();
        graves.letters.retain(|letter| letter.id != id);
        Ok(graves.letters.len() < before)
    }
}
