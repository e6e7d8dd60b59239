//! The loop: take in what happened, decide, ask; answers are taken as they come. Idempotent.
//!
//! Invariant: a bounded number of requests is under way, all of them owned by the loop; a registry that cannot
//! answer is asked for its list of runs only, ever more seldom, until it answers.

use std::time::Duration;

use autopack_bus::{BusError, EventItem, EventOptions, EventSource};
use autopack_domain::RunUid;
use autopack_policy::{dispatch::Action, fair::Policy};
use autopack_wire::{
    client::Clients,
    convert::{NamedLimits, snapshot_from_proto},
    registry::{
        GetPolicyRequest, GetPolicyResponse, GetSnapshotRequest, GetSnapshotResponse,
        ListActiveRunsRequest, ListActiveRunsResponse,
    },
};
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::{Instrument as _, Span};

use crate::{
    Ports, SchedulerConfig,
    dispatch::{Asked, Offer, ask, offer_together, span},
    figures::Figures,
    inquiry::Inquiry,
    state::{Request, State},
};

/// Requests under way at a time.
const CONCURRENCY: usize = 32;
/// Runs whose offers share a call, at most.
const TOGETHER: usize = 32;
/// Events taken in before the next decision, at most.
const BURST: usize = 2000;
/// Wait after the bus or the registry could not answer, and while there is no worker; doubles.
const RETRY: Duration = Duration::from_millis(20);
/// The longest such wait.
const RETRY_MAX: Duration = Duration::from_secs(1);

/// What came back.
enum Done {
    Read(RunUid, Box<Result<GetSnapshotResponse, Status>>),
    /// With the number of phases that each was to offer.
    Asked(Vec<(RunUid, Asked, usize)>),
    Listed(Result<ListActiveRunsResponse, Status>),
    Policy(Result<GetPolicyResponse, Status>),
}

/// Something to look at.
enum Woken {
    Event(Result<Option<EventItem>, BusError>),
    Done(Option<Done>),
    Inquiry(Option<Inquiry>),
    Time,
    End,
}

pub(crate) async fn run(
    config: SchedulerConfig,
    ports: Ports,
    inquiries: mpsc::Receiver<Inquiry>,
    shutdown: CancellationToken,
) -> Result<(), String> {
    let now = Instant::now();
    let mut looper = Loop {
        state: State::default(),
        flights: FuturesUnordered::new(),
        list: Poll::at(now),
        policy: Poll::at(now),
        retry: None,
        figures: Figures::new(),
        inquiries,
        config,
        ports,
    };
    let mut wait = RETRY;
    while !shutdown.is_cancelled() {
        let source = looper.ports.bus.events(EventOptions::default()).await;
        let lost = match source {
            Ok(source) => {
                wait = RETRY;
                // What happened while nobody listened.
                looper.gap();
                looper.serve(source, &shutdown).await
            }
            Err(error) => Err(error),
        };
        let Err(error) = lost else { return Ok(()) };
        tracing::warn!(%error, "the scheduler has no subscription; subscribing again");
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
        wait = (wait * 2).min(RETRY_MAX);
    }
    Ok(())
}

/// A question that is asked again and again, once at a time.
#[derive(Debug)]
struct Poll {
    at: Instant,
    asked: bool,
}

impl Poll {
    fn at(at: Instant) -> Self {
        Self { at, asked: false }
    }

    fn is_due(&self, now: Instant) -> bool {
        !self.asked && self.at <= now
    }

    fn answered(&mut self, next: Duration) {
        self.asked = false;
        self.at = Instant::now() + next;
    }
}

struct Loop {
    config: SchedulerConfig,
    ports: Ports,
    state: State,
    flights: FuturesUnordered<BoxFuture<'static, Done>>,
    list: Poll,
    policy: Poll,
    /// The registry did not answer, or has no workers: how long to wait before the next list.
    retry: Option<Retry>,
    figures: Figures,
    inquiries: mpsc::Receiver<Inquiry>,
}

#[derive(Clone, Copy, Debug)]
struct Retry {
    down: bool,
    wait: Duration,
}

impl Loop {
    async fn serve(
        &mut self,
        mut source: Box<dyn EventSource>,
        shutdown: &CancellationToken,
    ) -> Result<(), BusError> {
        loop {
            self.pass();
            let pause = self.pause();
            let woken = tokio::select! {
                () = shutdown.cancelled() => Woken::End,
                done = self.flights.next(), if !self.flights.is_empty() => Woken::Done(done),
                item = source.next() => Woken::Event(item),
                inquiry = self.inquiries.recv(), if !self.inquiries.is_closed() => Woken::Inquiry(inquiry),
                () = tokio::time::sleep(pause) => Woken::Time,
            };
            match woken {
                Woken::End | Woken::Event(Ok(None)) => return Ok(()),
                Woken::Event(Err(error)) => return Err(error),
                Woken::Event(Ok(Some(item))) => self.take(item),
                Woken::Done(done) => done.into_iter().for_each(|d| self.done(d)),
                Woken::Inquiry(inquiry) => self.inquire(inquiry),
                Woken::Time => {}
            }
            // What is there already belongs to the same decision.
            for _ in 0..BURST {
                match source.next().now_or_never() {
                    Some(Ok(Some(item))) => self.take(item),
                    Some(Ok(None)) => return Ok(()),
                    Some(Err(error)) => return Err(error),
                    None => break,
                }
            }
            while let Some(Some(done)) = self.flights.next().now_or_never() {
                self.done(done);
            }
        }
    }

    fn take(&mut self, item: EventItem) {
        match item {
            EventItem::Gap => self.gap(),
            EventItem::Event(event) => self.state.views.absorb(&event),
        }
    }

    fn gap(&mut self) {
        self.state.gap();
        self.list.at = Instant::now();
    }

    fn inquire(&mut self, inquiry: Option<Inquiry>) {
        match inquiry {
            Some(Inquiry::PolicyChanged) => self.policy.at = Instant::now(),
            Some(inquiry) => inquiry.answer(&self.state, self.ports.clock.now()),
            None => {}
        }
    }

    /// Until the next run or poll wants to be looked at.
    fn pause(&self) -> Duration {
        let now = Instant::now();
        let polls = [&self.list, &self.policy].into_iter().filter(|p| !p.asked);
        let poll = polls.map(|p| p.at.saturating_duration_since(now)).min();
        let wall = self.ports.clock.now();
        let run = self.state.next_wake().map(|at| at.since(wall));
        let due = poll.into_iter().chain(run).min();
        due.unwrap_or(self.config.period)
            .clamp(Duration::from_millis(1), self.config.period)
    }

    fn pass(&mut self) {
        let now = Instant::now();
        if self.list.is_due(now) {
            self.list.asked = true;
            let mut dispatch = self.ports.clients.dispatch.clone();
            self.flights.push(Box::pin(async move {
                let answer = dispatch.list_active_runs(ListActiveRunsRequest {}).await;
                Done::Listed(answer.map(tonic::Response::into_inner))
            }));
        }
        if self.retry.is_some_and(|r| r.down) {
            return;
        }
        if self.policy.is_due(now) {
            self.policy.asked = true;
            let known_version = self.state.policy_version;
            let mut dispatch = self.ports.clients.dispatch.clone();
            self.flights.push(Box::pin(async move {
                let answer = dispatch
                    .get_policy(GetPolicyRequest { known_version })
                    .await;
                Done::Policy(answer.map(tonic::Response::into_inner))
            }));
        }
        let wall = self.ports.clock.now();
        let begun = Instant::now();
        self.state.decide(wall);
        self.send();
        // What is asked late is decided late: nothing new while earlier requests wait.
        if self.state.outbox.is_empty() {
            self.state.offer(wall, self.config.window);
            self.send();
        }
        self.figures.planned(begun.elapsed());
        self.figures.count(&self.state, wall);
    }

    fn send(&mut self) {
        while self.flights.len() < CONCURRENCY {
            let Some(request) = self.state.outbox.pop_front() else {
                return;
            };
            let clients = self.ports.clients.clone();
            let flight: BoxFuture<'static, Done> = match request {
                Request::Read(uid) => Box::pin(async move {
                    let request = GetSnapshotRequest {
                        run_uid: uid.to_string(),
                    };
                    let answer = clients.dispatch.clone().get_snapshot(request).await;
                    Done::Read(uid, Box::new(answer.map(tonic::Response::into_inner)))
                }),
                Request::Ask(uid, version, action) => {
                    let view = self.state.views.known.get(&uid);
                    let span = view.map_or_else(Span::none, |v| span(&v.run.run, &action));
                    match action {
                        // What a traced run is asked for is a call of its trace.
                        Action::OfferPhases(phases) if !self.is_traced(uid) => {
                            let first = Offer {
                                run: uid,
                                version,
                                phases,
                            };
                            Box::pin(together(clients, self.with_others(first)))
                        }
                        action => Box::pin(alone(clients, uid, version, action).instrument(span)),
                    }
                }
            };
            self.flights.push(flight);
        }
    }

    /// An offer with those that wait behind it, so that they cost one call and share a commit.
    fn with_others(&mut self, first: Offer) -> Vec<Offer> {
        let mut offers = vec![first];
        while offers.len() < TOGETHER {
            let Some(next) = self.state.outbox.pop_front() else {
                break;
            };
            match next {
                Request::Ask(run, version, Action::OfferPhases(phases)) if !self.is_traced(run) => {
                    offers.push(Offer {
                        run,
                        version,
                        phases,
                    });
                }
                other => {
                    self.state.outbox.push_front(other);
                    break;
                }
            }
        }
        offers
    }

    fn is_traced(&self, run: RunUid) -> bool {
        let view = self.state.views.known.get(&run);
        view.is_some_and(|view| view.run.run.trace().is_some())
    }

    fn done(&mut self, done: Done) {
        let now = self.ports.clock.now();
        match done {
            Done::Asked(answers) => {
                if answers.iter().any(|(_, asked, _)| *asked == Asked::Later) {
                    self.is_down();
                }
                for (uid, asked, phases) in answers {
                    if phases > 0 {
                        self.figures.offered(phases, asked);
                    }
                    if matches!(asked, Asked::Held(version) if version != self.state.policy_version)
                    {
                        self.policy.at = Instant::now();
                    }
                    self.state.answered(uid, asked, now);
                }
            }
            Done::Read(uid, answer) => match answer.map(snapshot_from_proto) {
                Ok(Ok(run)) => self.state.read(uid, run),
                Ok(Err(faults)) => {
                    tracing::error!(run = %uid, ?faults, "a snapshot does not convert; the run is left alone for a while");
                    self.state.unreadable(uid, now);
                }
                Err(status)
                    if autopack_wire::status::from_status(&status)
                        .kind
                        .is_transient() =>
                {
                    self.state.read_later(uid);
                    self.is_down();
                }
                Err(status) => {
                    tracing::warn!(run = %uid, error = status.message(), "a run cannot be read; it is left alone for a while");
                    self.state.unreadable(uid, now);
                }
            },
            Done::Listed(Ok(answer)) => self.listed(&answer),
            Done::Listed(Err(status)) => {
                tracing::debug!(code = ?status.code(), "the registry does not list its runs; trying again");
                self.list.asked = false;
                self.is_down();
            }
            Done::Policy(Ok(answer)) => {
                self.policy.answered(self.config.period);
                if answer.version != self.state.policy_version {
                    let version = answer.version;
                    self.state.set_policy(policy_of(answer), version);
                }
            }
            Done::Policy(Err(status)) => {
                tracing::debug!(code = ?status.code(), "the registry does not tell its limits; trying again");
                self.policy.answered(self.config.period);
            }
        }
    }

    fn listed(&mut self, answer: &ListActiveRunsResponse) {
        let down = self.retry.is_some_and(|r| r.down);
        // Without workers the list is read more often: the first one is to find its work on offer.
        self.retry = (answer.slots == 0).then(|| Retry {
            down: false,
            wait: self.retry.map_or(RETRY, |r| (r.wait * 2).min(RETRY_MAX)),
        });
        let wait = self.retry.map_or(self.config.reload, |r| r.wait);
        self.list.answered(wait);
        if down {
            tracing::info!("the registry answers again");
            self.policy.at = Instant::now();
        }
        self.state.set_slots(answer.slots);
        let runs = answer.run_uids.iter().filter_map(|u| u.parse().ok());
        self.state.listed(runs);
    }

    /// Only the list is asked for until it is answered.
    fn is_down(&mut self) {
        let wait = match self.retry {
            Some(Retry { down: true, wait }) if self.list.asked => return self.keep_down(wait),
            Some(Retry { down: true, wait }) => (wait * 2).min(RETRY_MAX),
            Some(_) | None => RETRY * 10,
        };
        self.keep_down(wait);
        self.list.at = Instant::now() + wait;
    }

    fn keep_down(&mut self, wait: Duration) {
        self.retry = Some(Retry { down: true, wait });
    }
}

async fn alone(clients: Clients, run: RunUid, version: u64, action: Action) -> Done {
    let phases = match &action {
        Action::OfferPhases(phases) => phases.len(),
        _ => 0,
    };
    Done::Asked(vec![(
        run,
        ask(&clients, run, version, action).await,
        phases,
    )])
}

async fn together(clients: Clients, offers: Vec<Offer>) -> Done {
    let asked: Vec<_> = offers.iter().map(|o| (o.run, o.phases.len())).collect();
    let answers = offer_together(&clients, offers).await;
    let answers = asked.into_iter().zip(answers);
    Done::Asked(
        answers
            .map(|((run, phases), answer)| (run, answer, phases))
            .collect(),
    )
}

fn policy_of(answer: GetPolicyResponse) -> Policy {
    let mut policy = Policy::default();
    for message in answer.projects {
        let (project, limits) = NamedLimits::from(message);
        policy.set_limits(&project, limits);
    }
    for lane in answer.paused_lanes {
        policy.pause(&lane, true);
    }
    policy
}
