//! One slot: one job at a time from the bus to its acknowledgement.
//!
//! Invariant: a message is never acknowledged before the registry has committed what became of its job; what a slot
//! started has ended when it takes the next job.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use autopack_bus::{JobDelivery, JobMessage, JobOptions};
use autopack_domain::Reason;
use autopack_domain::run::JobKind;
use autopack_sandbox::CancellationToken;
use futures::FutureExt;
use tokio::time::{Instant, sleep};
use tracing::{Instrument as _, Span};

use crate::board::{Doing, Work};
use crate::context::Context;
use crate::failpoints;
use crate::jobs::{self, Ended};
use crate::leases::{Lease, Why};
use crate::ports::{Held, JobHint, Leased};
use crate::spans::{self, Trace};

/// Pause after the bus failed.
const BUS_PAUSE: Duration = Duration::from_secs(1);
/// Deliveries of a job that a worker without free disk leaves to others, before it says that there is none.
const LEFT_TO_OTHERS: u64 = 3;
/// The longest delay of a job that is for another worker.
const LONGEST_PASS: Duration = Duration::from_secs(10);
/// The longest delay that is asked of the bus.
const LONGEST_DELAY: Duration = Duration::from_mins(1);

/// Serves jobs until `stop` is cancelled or the bus is closed.
pub(crate) async fn serve(cx: Arc<Context>, slot: usize, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let options = JobOptions {
            lanes: cx.config.lanes.clone(),
            ack_wait: cx.config.ack_wait,
        };
        let opened = tokio::select! {
            () = stop.cancelled() => return,
            opened = cx.ports.bus.jobs(options) => opened,
        };
        let error = match opened {
            Err(error) => error,
            Ok(mut source) => loop {
                if low_on_disk(&cx) {
                    // Whoever fails fast would take most of the work.
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = sleep(BUS_PAUSE) => {}
                    }
                }
                let next = tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    next = source.next() => next,
                };
                match next {
                    Ok(Some(delivery)) => {
                        cx.show(slot, Doing::Leasing);
                        take(&cx, slot, delivery).await;
                        cx.show(slot, Doing::Nothing);
                    }
                    Ok(None) => return,
                    Err(error) => break error,
                }
            },
        };
        if matches!(error, autopack_bus::BusError::Closed) {
            return;
        }
        tracing::warn!(%error, "no jobs from the bus; trying again");
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(BUS_PAUSE) => {}
        }
    }
}

/// What a message on the bus says; `None` if it cannot be read.
fn read(message: &JobMessage) -> Option<JobHint> {
    let kind = JobKind::parse(&message.kind)?;
    let attempt = match kind {
        JobKind::Phase => Some(message.attempt_uid.parse().ok()?),
        JobKind::Bootstrap | JobKind::Cleanup | JobKind::Promote | JobKind::IntegrationStatus => {
            None
        }
    };
    Some(JobHint {
        job: message.job_uid.parse().ok()?,
        kind,
        run: message.run_uid.parse().ok()?,
        attempt,
    })
}

async fn take(cx: &Context, slot: usize, delivery: Box<dyn JobDelivery>) {
    let Some(hint) = read(delivery.job()) else {
        tracing::error!(job = ?delivery.job(), "a job on the bus cannot be read");
        if let Err(error) = delivery.give_up("its ids cannot be read").await {
            tracing::warn!(%error, "the job was not made a dead letter; it comes again");
        }
        return;
    };
    if let Some(ours) = other_database(cx, delivery.job()) {
        let theirs = &delivery.job().database_identity;
        tracing::error!(
            job = %hint.job,
            "DATABASE_MISMATCH: the job belongs to the database {theirs}, and our registry keeps {ours}; two deployments \
             share one bus"
        );
        cx.figures.refused();
        return later(delivery, pass_on(cx.config.retry_delay, LEFT_TO_OTHERS)).await;
    }
    if let Some(early) = early_by(cx, delivery.job()) {
        return later(delivery, early).await;
    }
    let trace = Trace::of(delivery.traceparent());
    let span = trace.process(&hint, delivery.deliveries());
    Box::pin(handle(cx, slot, delivery, &hint, trace).instrument(span)).await;
}

async fn handle(
    cx: &Context,
    slot: usize,
    delivery: Box<dyn JobDelivery>,
    hint: &JobHint,
    trace: Trace,
) {
    if low_on_disk(cx) && delivery.deliveries() <= LEFT_TO_OTHERS {
        tracing::warn!(job = %hint.job, "the data directory has too little free space; the job is left to others");
        return later(delivery, cx.config.retry_delay).await;
    }
    let terms = cx.terms();
    let sent = Instant::now();
    let leased = match cx.ports.registry.lease_job(hint, terms.worker).await {
        Ok(leased) => leased,
        Err(error) if error.is(Reason::WorkerNotEligible) => {
            tracing::info!(job = %hint.job, %error, "the job is for another worker");
            cx.figures.refused();
            let delay = pass_on(cx.config.retry_delay, delivery.deliveries());
            return later(delivery, delay).await;
        }
        Err(error) if error.is_ours() => {
            tracing::warn!(job = %hint.job, %error, "the registry gives no lease now");
            cx.figures.refused();
            return later(delivery, cx.config.retry_delay).await;
        }
        Err(error) => {
            tracing::debug!(job = %hint.job, %error, "the job is gone");
            cx.figures.refused();
            return ack(delivery).await;
        }
    };
    let held = Held {
        run: hint.run,
        uid: hint.attempt.map_or(hint.job.0, |attempt| attempt.0),
        fence: leased.fence,
    };
    let lease = Lease::new(held, terms.worker, sent, terms.lease, trace);
    spans::leased(&Span::current(), &leased);
    cx.leases.insert(&lease);
    if cx.draining.is_cancelled() {
        lease.stop(Why::Drained);
    }
    cx.show(slot, working(hint.kind, &lease, &leased));
    cx.failpoint(failpoints::AFTER_LEASE);
    let work = AssertUnwindSafe(jobs::execute(cx, hint.kind, &lease, &leased)).catch_unwind();
    let ended = tokio::select! {
        ended = work => ended,
        () = pulse(delivery.as_ref(), cx.config.ack_wait) => Ok(Ended::Later),
        () = lease.watch() => Ok(Ended::Later),
    };
    let ended = if let Ok(ended) = ended {
        ended
    } else {
        tracing::error!(job = %hint.job, "executing a job panicked");
        jobs::panicked(cx, hint.kind, &lease).await
    };
    cx.leases.remove(&lease);
    cx.figures.job(hint.kind, ended);
    if let Some(why) = lease.why() {
        cx.figures.lost(why);
    }
    cx.failpoint(failpoints::BEFORE_ACK);
    match ended {
        Ended::Committed | Ended::Dropped | Ended::HandedBack => ack(delivery).await,
        Ended::Later => later(delivery, cx.config.retry_delay).await,
    }
}

/// Whether a phase could not begin here.
fn low_on_disk(cx: &Context) -> bool {
    cx.host
        .free_mb()
        .is_some_and(|free| free < cx.config.min_free_disk_mb)
}

/// For the board.
fn working(kind: JobKind, lease: &Arc<Lease>, leased: &Leased) -> Doing {
    if let Some(attempt) = &leased.attempt {
        lease.enter(attempt.state);
    }
    Doing::Working(Work {
        lease: Arc::clone(lease),
        kind,
        run_id: leased.run.id.to_string(),
        phase_id: leased
            .phase
            .as_ref()
            .map_or_else(String::new, |phase| phase.id.to_string()),
        attempt: leased.attempt.as_ref().map_or(0, |attempt| attempt.number),
    })
}

/// How long a job that is for another worker is put off: longer each time, so that it never goes round in circles.
fn pass_on(first: Duration, deliveries: u64) -> Duration {
    let doublings = u32::try_from(deliveries.saturating_sub(1).min(10)).unwrap_or(10);
    (first * 2_u32.pow(doublings)).min(LONGEST_PASS)
}

/// The database of our registry, if the job comes from another one.
fn other_database(cx: &Context, message: &JobMessage) -> Option<String> {
    let ours = cx.ports.registry.database()?;
    let is_known = !message.database_identity.is_empty();
    (is_known && message.database_identity != ours).then_some(ours)
}

/// How much too early the job came.
fn early_by(cx: &Context, message: &JobMessage) -> Option<Duration> {
    let due = message.not_before_time.as_ref()?;
    let due = due
        .seconds
        .saturating_mul(1_000_000)
        .saturating_add(i64::from(due.nanos / 1000));
    let early = due.saturating_sub(cx.now().0);
    let early = u64::try_from(early).ok().filter(|early| *early > 0)?;
    Some(Duration::from_micros(early))
}

/// Tells the bus that the job is in hand; never ends.
async fn pulse(delivery: &dyn JobDelivery, ack_wait: Duration) {
    loop {
        sleep(ack_wait / 3).await;
        if let Err(error) = delivery.progress().await {
            tracing::debug!(%error, "the bus was not told of progress");
        }
    }
}

async fn ack(delivery: Box<dyn JobDelivery>) {
    if let Err(error) = delivery.ack().await {
        tracing::warn!(%error, "a job was not acknowledged; it will come again and be refused");
    }
}

async fn later(delivery: Box<dyn JobDelivery>, delay: Duration) {
    if let Err(error) = delivery.nak(delay.min(LONGEST_DELAY)).await {
        tracing::warn!(%error, "a job was not put off; it will come again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_for_another_worker_is_put_off_longer_each_time() {
        let first = Duration::from_millis(500);
        let delays: Vec<u64> = [1, 2, 3, 5, 6, 1_000_000]
            .map(|n| u64::try_from(pass_on(first, n).as_millis()).unwrap())
            .into();
        assert_eq!(delays, [500, 1_000, 2_000, 8_000, 10_000, 10_000]);
        assert_eq!(pass_on(first, 0), first);
    }

    #[test]
    fn a_message_is_read_or_dropped() {
        let uid = "01970000-0000-7000-8000-000000000001".to_owned();
        let message = JobMessage {
            job_uid: uid.clone(),
            kind: "phase".to_owned(),
            run_uid: uid.clone(),
            attempt_uid: uid.clone(),
            ..JobMessage::default()
        };
        assert!(read(&message).is_some_and(|hint| hint.attempt.is_some()));
        let bootstrap = JobMessage {
            kind: "bootstrap".to_owned(),
            attempt_uid: String::new(),
            ..message.clone()
        };
        assert!(read(&bootstrap).is_some_and(|hint| hint.attempt.is_none()));
        for broken in [
            JobMessage {
                kind: "paint".into(),
                ..message.clone()
            },
            JobMessage {
                attempt_uid: String::new(),
                ..message.clone()
            },
            JobMessage {
                run_uid: "x".into(),
                ..message
            },
        ] {
            assert!(read(&broken).is_none());
        }
    }
}
