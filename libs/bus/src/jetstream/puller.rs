//! Pulls jobs for one source: exactly one message per demand.
//!
//! Invariant: a message that nobody waits for is handed back within [`GRACE`]; nothing is prefetched
//! for a worker that is busy. With several consumers each demand first asks one after the other without
//! waiting, most urgent first (now and then another one first, in turn), and only then waits at all of them;
//! the extra message that may arrive is one of those handed back.

use std::{sync::Arc, time::Duration};

use async_nats::{StatusCode, Subscriber, jetstream::Message};
use futures::StreamExt as _;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until, timeout},
};

use super::{
    Link, Shared,
    delivery::{self, Delivery},
    source::Answer,
};
use crate::{dead_letter::DeadReason, message::JobOptions, subject::JOBS_STREAM};

/// Of so many jobs, one is first looked for in a less urgent band, so that none waits for ever.
const TURN_OF_THE_REST: usize = 8;
/// How long a message is kept for a worker whose `next` was dropped and is called again.
const GRACE: Duration = Duration::from_millis(100);
/// How long the server keeps a waiting pull.
const EXPIRES: Duration = Duration::from_secs(5);
/// How much later than that we believe that the pull was lost.
const SLACK: Duration = Duration::from_secs(1);
/// Pause before binding again: the first, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

pub(super) struct Puller {
    shared: Arc<Shared>,
    options: JobOptions,
    consumers: Vec<String>,
    inbox: String,
    subscriber: Subscriber,
    asked: mpsc::Receiver<Answer>,
    link: watch::Receiver<Link>,
    connects: u64,
    /// Who waits for a job.
    demand: Option<Answer>,
    /// Per consumer: until when a pull may be answered.
    pulls: Vec<Option<Instant>>,
    /// The consumer being asked without waiting.
    probe: Option<usize>,
    /// The consumer that was asked first for this demand.
    first: usize,
    /// Jobs handed over so far.
    served: usize,
    held: Vec<Message>,
    held_until: Instant,
    retry_at: Option<Instant>,
    pause: Duration,
}

impl Puller {
    pub(super) fn new(
        shared: Arc<Shared>,
        options: JobOptions,
        (consumers, bound): (Vec<String>, bool),
        inbox: String,
        subscriber: Subscriber,
        asked: mpsc::Receiver<Answer>,
    ) -> Self {
        let mut link = shared.link.clone();
        let connects = link.borrow_and_update().connects;
        let pulls = vec![None; consumers.len()];
        Self {
            shared,
            options,
            consumers,
            inbox,
            subscriber,
            asked,
            link,
            connects,
            demand: None,
            pulls,
            probe: None,
            first: 0,
            served: 0,
            held: Vec::new(),
            held_until: Instant::now(),
            retry_at: (!bound).then(Instant::now),
            pause: RETRY.0,
        }
    }

    /// Runs until the source is dropped or the bus is closed, and hands back what is left.
    pub(super) async fn run(mut self) {
        let closed = self.shared.closed.clone();
        loop {
            let timer = self.timer();
            tokio::select! {
                biased;
                () = closed.cancelled() => break,
                () = gone(&mut self.demand) => self.demand = None,
                asked = self.asked.recv(), if self.demand.is_none() => match asked {
                    Some(answer) => self.start(answer).await,
                    None => break,
                },
                message = self.subscriber.next() => match message {
                    Some(message) => self.accept(message).await,
                    None => break,
                },
                changed = self.link.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    self.relink().await;
                }
                () = at(timer) => {
                    tokio::select! {
                        () = closed.cancelled() => break,
                        () = self.on_timer() => {}
                    }
                }
            }
        }
        self.end().await;
    }

    async fn start(&mut self, answer: Answer) {
        self.demand = Some(answer);
        while self.demand.is_some() {
            let Some(message) = self.held.pop() else {
                return self.pull_more().await;
            };
            self.deliver(message).await;
        }
    }

    /// Asks for one message: first without waiting, then at all consumers.
    async fn pull_more(&mut self) {
        if self.demand.is_none() || self.retry_at.is_some() || self.probe.is_some() {
            return;
        }
        if self.consumers.len() > 1 && self.pulls.iter().all(Option::is_none) {
            self.first = first_of(self.served, self.consumers.len());
            self.probe = Some(self.first);
            return self.pull(self.first, false).await;
        }
        self.wait_at_all().await;
    }

    async fn wait_at_all(&mut self) {
        for index in 0..self.consumers.len() {
            if self.pulls[index].is_none() {
                self.pull(index, true).await;
            }
        }
    }

    async fn pull(&mut self, index: usize, wait: bool) {
        let subject = format!(
            "$JS.API.CONSUMER.MSG.NEXT.{JOBS_STREAM}.{}",
            self.consumers[index]
        );
        let body = if wait {
            format!(r#"{{"batch":1,"expires":{}}}"#, EXPIRES.as_nanos())
        } else {
            r#"{"batch":1,"no_wait":true}"#.to_owned()
        };
        let reply = format!("{}.{index}", self.inbox);
        let send = self
            .shared
            .client
            .publish_with_reply(subject, reply, body.into());
        let until = Instant::now() + if wait { EXPIRES + SLACK } else { SLACK };
        self.pulls[index] = Some(until);
        if !matches!(timeout(self.shared.request_timeout, send).await, Ok(Ok(()))) {
            self.bind_later();
        }
    }

    async fn accept(&mut self, message: async_nats::Message) {
        let Some(status) = message.status else {
            let message = Message {
                context: self.shared.context.clone(),
                message,
            };
            return self.on_job(message).await;
        };
        let last = message.subject.as_str().rsplit('.').next();
        let Some(index) = last
            .and_then(|index| index.parse::<usize>().ok())
            .filter(|index| *index < self.pulls.len())
        else {
            return;
        };
        match status {
            StatusCode::IDLE_HEARTBEAT => {}
            StatusCode::NOT_FOUND | StatusCode::TIMEOUT => {
                self.pulls[index] = None;
                if self.probe == Some(index) {
                    self.probe_next(index).await;
                } else {
                    self.pull_more_here(index).await;
                }
            }
            other => {
                let why = message.description.as_deref().unwrap_or_default();
                tracing::debug!(status = other.as_u16(), why, "a pull was refused");
                self.pulls[index] = None;
                self.bind_later();
            }
        }
    }

    async fn probe_next(&mut self, index: usize) {
        self.probe = None;
        if self.demand.is_none() {
            return;
        }
        let next = (index + 1) % self.consumers.len();
        if next == self.first {
            self.wait_at_all().await;
        } else {
            self.probe = Some(next);
            self.pull(next, false).await;
        }
    }

    async fn pull_more_here(&mut self, index: usize) {
        if self.demand.is_some() && self.retry_at.is_none() && self.probe.is_none() {
            self.pull(index, true).await;
        }
    }

    async fn on_job(&mut self, message: Message) {
        let name = message.info().ok().map(|info| info.consumer.to_owned());
        if let Some(index) = self.consumers.iter().position(|c| Some(c) == name.as_ref()) {
            self.pulls[index] = None;
            if self.probe == Some(index) {
                self.probe = None;
            }
        }
        self.pause = RETRY.0;
        self.deliver(message).await;
        self.pull_more().await;
    }

    /// Hands a message over, or keeps it for a moment if nobody waits.
    async fn deliver(&mut self, message: Message) {
        let delivery = match Delivery::read(Arc::clone(&self.shared), message) {
            Ok(delivery) => delivery,
            Err(unreadable) => {
                let why = &unreadable.why;
                tracing::error!(why, "a job cannot be read");
                let (message, reason) = (&unreadable.message, DeadReason::Unreadable);
                if let Err(error) = delivery::bury(&self.shared, message, reason, why).await {
                    tracing::warn!(%error, "it comes again, because it could not be buried");
                }
                return;
            }
        };
        let refused = match self.demand.take() {
            Some(answer) => {
                self.served += 1;
                answer.send(Ok(delivery)).err().and_then(Result::ok)
            }
            None => Some(delivery),
        };
        if let Some(message) = refused.and_then(Delivery::into_message) {
            self.held.push(message);
            self.held_until = Instant::now() + GRACE;
        }
    }

    /// A server that came back knows nothing of our pulls.
    async fn relink(&mut self) {
        let connects = self.link.borrow_and_update().connects;
        if connects != self.connects {
            self.connects = connects;
            self.pulls.fill(None);
            self.probe = None;
            self.retry_at = None;
            self.pull_more().await;
        }
    }

    fn timer(&self) -> Option<Instant> {
        let held = (!self.held.is_empty()).then_some(self.held_until);
        let waiting = self.demand.is_some();
        let pulls = self.pulls.iter().flatten().min().copied();
        [
            held,
            self.retry_at.filter(|_| waiting),
            pulls.filter(|_| waiting),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    async fn on_timer(&mut self) {
        let now = Instant::now();
        if now >= self.held_until {
            for message in std::mem::take(&mut self.held) {
                delivery::give_back(&message).await;
            }
        }
        for pull in &mut self.pulls {
            if pull.is_some_and(|until| now >= until) {
                *pull = None;
                self.probe = None;
                self.retry_at.get_or_insert(now);
            }
        }
        if self.retry_at.is_some_and(|at| now >= at) {
            self.bind().await;
        }
    }

    fn bind_later(&mut self) {
        self.probe = None;
        if self.retry_at.is_none() {
            self.retry_at = Some(Instant::now() + self.pause);
            self.pause = (self.pause * 2).min(RETRY.1);
        }
    }

    /// Makes stream and consumers anew if they are gone; tells the one who waits if that failed.
    async fn bind(&mut self) {
        self.retry_at = None;
        let (lanes, ack_wait) = (&self.options.lanes, self.options.ack_wait);
        match self.shared.bind(lanes, ack_wait).await {
            Ok(()) => self.pull_more().await,
            Err(error) => {
                tracing::debug!(%error, "the consumers could not be bound");
                self.bind_later();
                if let Some(answer) = self.demand.take() {
                    let _ = answer.send(Err(error));
                }
            }
        }
    }

    /// Hands back what was kept and what is still on its way.
    async fn end(mut self) {
        self.demand = None;
        let _ = timeout(GRACE, self.subscriber.drain()).await;
        while let Ok(Some(message)) = timeout(GRACE, self.subscriber.next()).await {
            if message.status.is_none() {
                self.held.push(Message {
                    context: self.shared.context.clone(),
                    message,
                });
            }
        }
        for message in &self.held {
            delivery::give_back(message).await;
        }
    }
}

/// The consumer to ask first for the job after so many.
fn first_of(served: usize, consumers: usize) -> usize {
    if served % TURN_OF_THE_REST == TURN_OF_THE_REST - 1 {
        1 + (served / TURN_OF_THE_REST) % (consumers - 1)
    } else {
        0
    }
}

/// Ends when whoever waits went away.
async fn gone(demand: &mut Option<Answer>) {
    match demand {
        Some(answer) => answer.closed().await,
        None => std::future::pending().await,
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
