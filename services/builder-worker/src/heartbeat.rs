//! One task renews all leases of the worker at once.
//!
//! Invariant: a lease that the registry names in `stop` is cancelled at once; a renewal counts from before its request
//! was sent.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use autopack_domain::{Reason, WorkerUid};
use autopack_sandbox::CancellationToken;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::context::Context;
use crate::leases::{Lease, Leases};
use crate::ports::Presence;
use crate::profile;

/// How long the registry may take to hear that the worker has ended; it finds out anyway.
const FAREWELL: Duration = Duration::from_secs(1);

/// Tools are asked for their versions after this long even if the worker never rests: some start a virtual machine, which
/// phases would pay for.
const VERSIONS_LATEST: Duration = Duration::from_mins(2);

/// Renews until `end` is cancelled, then takes leave.
pub(crate) async fn beat(context: Arc<Context>, end: CancellationToken) {
    let mut every = context.terms().heartbeat;
    let mut ticks = ticking(every);
    // Asked for in the background: a registration must not wait for slow tools.
    let versions = versions(&context);
    tokio::pin!(versions);
    let mut known: Option<BTreeMap<String, String>> = None;
    let mut asking = true;
    loop {
        tokio::select! {
            () = end.cancelled() => break,
            _ = ticks.tick() => {}
            () = context.nudge.notified() => {}
            found = &mut versions, if asking => {
                asking = false;
                known = Some(found).filter(|found| !found.is_empty());
            }
        }
        tokio::select! {
            () = end.cancelled() => break,
            told = renew_all(&context, known.as_ref()) => if !told {
                // What the worker says about itself must never cost it its leases.
                known = None;
            },
        }
        let now = context.terms().heartbeat;
        if now != every {
            every = now;
            ticks = ticking(every);
        }
    }
    let presence = Presence {
        draining: true,
        leaving: true,
        ..Presence::default()
    };
    let call = context
        .ports
        .registry
        .heartbeat(context.terms().worker, &[], &presence);
    if !matches!(timeout(FAREWELL, call).await, Ok(Ok(_))) {
        tracing::debug!("the registry did not hear that the worker has ended");
    }
}

fn ticking(every: Duration) -> tokio::time::Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn versions(context: &Context) -> BTreeMap<String, String> {
    let Some(after) = context.config.versions_after else {
        return BTreeMap::new();
    };
    let begun = Instant::now();
    loop {
        let left = after.saturating_sub(context.control.board().rested());
        if left.is_zero() || begun.elapsed() >= VERSIONS_LATEST {
            break;
        }
        sleep(left).await;
    }
    profile::versions(&context.host, &context.profile).await
}

/// One request for each worker uid that still holds leases, and always one for the present uid. `false`: the registry
/// refuses what the request says, and would again.
async fn renew_all(context: &Context, versions: Option<&BTreeMap<String, String>>) -> bool {
    let present = context.terms().worker;
    let mut groups: HashMap<WorkerUid, Vec<Arc<Lease>>> = HashMap::from([(present, Vec::new())]);
    for lease in context.leases.snapshot() {
        groups.entry(lease.worker).or_default().push(lease);
    }
    let presence = Presence {
        draining: context.draining.is_cancelled(),
        leaving: false,
        tool_versions: versions.cloned().unwrap_or_default(),
    };
    let calls = groups
        .into_iter()
        .map(|(worker, leases)| renew(context, worker, leases, worker == present, &presence));
    let answers = futures::future::join_all(calls).await;
    if answers.contains(&Answer::Unknown) {
        register(context).await;
    }
    !answers.contains(&Answer::Refused)
}

/// What became of a heartbeat.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// It was heard, or may be next time.
    Heard,
    /// The registry does not know the present worker.
    Unknown,
    /// The registry refuses its content.
    Refused,
}

async fn renew(
    context: &Context,
    worker: WorkerUid,
    leases: Vec<Arc<Lease>>,
    present: bool,
    presence: &Presence,
) -> Answer {
    let refs: Vec<_> = leases
        .iter()
        .map(|lease| (lease.held.uid, lease.held.fence))
        .collect();
    let sent = Instant::now();
    let duration = context.terms().lease;
    // A hanging call must not keep the next one back: three fit before the work is ended.
    let call = context.ports.registry.heartbeat(worker, &refs, presence);
    match timeout(duration.mul_f64(0.25), call).await {
        Ok(Ok(pulse)) => {
            Leases::apply(&leases, &pulse.stop, sent, duration);
            context.control.board().heard();
            context.set_clock(pulse.time);
            if present && pulse.unknown_worker {
                Answer::Unknown
            } else {
                Answer::Heard
            }
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, leases = leases.len(), "leases could not be renewed");
            if error.is(Reason::ArgumentInvalid) {
                Answer::Refused
            } else {
                Answer::Heard
            }
        }
        Err(_) => {
            tracing::warn!(leases = leases.len(), "a heartbeat was not answered");
            Answer::Heard
        }
    }
}

async fn register(context: &Context) {
    match context.ports.registry.register(&context.profile).await {
        Ok(terms) => {
            tracing::info!(worker = %terms.worker, "registered again");
            context.set_terms(terms);
        }
        Err(error) => tracing::warn!(%error, "could not register again"),
    }
}
