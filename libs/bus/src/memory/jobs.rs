//! Sources and deliveries of the in-process queue.
//!
//! Invariant: nothing is taken before the last await of `next`, so dropping it loses nothing.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use autopack_wire::r#gen::bus::v1::JobMessage;
use tokio::time::{Instant, sleep_until};

use super::{Shared, queue::Taken};
use crate::{
    dead_letter::{self, DeadReason},
    error::BusError,
    port::{JobDelivery, JobSource},
    stats::count,
};

/// One consumer of the queue.
pub(super) struct Jobs {
    pub(super) shared: Arc<Shared>,
    pub(super) lanes: Vec<String>,
    pub(super) ack_wait: Duration,
}

#[async_trait]
impl JobSource for Jobs {
    async fn next(&mut self) -> Result<Option<Box<dyn JobDelivery>>, BusError> {
        loop {
            let woken = self.shared.wake.notified();
            tokio::pin!(woken);
            // Enlisted before looking: a job that arrives between the two wakes us.
            woken.as_mut().enable();
            if self.shared.closed.is_cancelled() {
                return Ok(None);
            }
            let due = {
                let mut queue = self.shared.queue();
                if let Some(taken) = queue.take(&self.lanes, self.ack_wait, Instant::now()) {
                    drop(queue);
                    if taken.rearm {
                        self.shared.wake.notify_waiters();
                    }
                    if taken.delivery > 1 {
                        count(&self.shared.counters.redeliveries);
                    }
                    let shared = Arc::clone(&self.shared);
                    return Ok(Some(Box::new(Delivery {
                        shared,
                        taken,
                        answered: false,
                    })));
                }
                queue.next_due()
            };
            let due_comes = async {
                match due {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = woken => {}
                () = due_comes => {}
                () = self.shared.closed.cancelled() => {}
            }
        }
    }
}

struct Delivery {
    shared: Arc<Shared>,
    taken: Taken,
    answered: bool,
}

impl Delivery {
    fn give_back(&mut self, delay: Duration) {
        self.answered = true;
        let (sequence, delivery) = (self.taken.sequence, self.taken.delivery);
        self.shared
            .queue()
            .give_back(sequence, delivery, delay, Instant::now());
        self.shared.wake.notify_waiters();
    }
}

#[async_trait]
impl JobDelivery for Delivery {
    fn job(&self) -> &JobMessage {
        &self.taken.job
    }

    fn deliveries(&self) -> u64 {
        self.taken.delivery
    }

    fn sequence(&self) -> u64 {
        self.taken.sequence
    }

    fn traceparent(&self) -> Option<&str> {
        self.taken.traceparent.as_deref()
    }

    async fn ack(mut self: Box<Self>) -> Result<(), BusError> {
        self.answered = true;
        self.shared.queue().ack(self.taken.sequence);
        Ok(())
    }

    async fn nak(mut self: Box<Self>, delay: Duration) -> Result<(), BusError> {
        self.give_back(delay);
        Ok(())
    }

    async fn give_up(mut self: Box<Self>, detail: &str) -> Result<(), BusError> {
        self.answered = true;
        let detail = dead_letter::detail(detail);
        let mut queue = self.shared.queue();
        let grave = queue.give_up(self.taken.sequence, DeadReason::Refused, detail);
        drop(queue);
        if let Some(grave) = grave {
            self.shared.graves().add(grave);
            count(&self.shared.counters.dead_letters);
        }
        Ok(())
    }

    async fn progress(&self) -> Result<(), BusError> {
        let (sequence, delivery) = (self.taken.sequence, self.taken.delivery);
        self.shared
            .queue()
            .progress(sequence, delivery, Instant::now());
        Ok(())
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.answered {
            self.give_back(Duration::ZERO);
        }
    }
}
