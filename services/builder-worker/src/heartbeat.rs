//! One task renews all leases of the worker at once.
//!
//! Invariant: a lease that the registry names in `stop` is cancelled at once; a renewal counts from before its request
//! was sent.

use std::collections::HashMap;
use std::sync::Arc;

use autopack_domain::WorkerUid;
use autopack_sandbox::CancellationToken;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::context::Context;
use crate::leases::{Lease, Leases};

/// Renews until `end` is cancelled.
pub(crate) async fn beat(context: Arc<Context>, capabilities: Vec<String>, end: CancellationToken) {
    let mut every = context.terms().heartbeat;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            _ = ticks.tick() => {}
        }
        tokio::select! {
            () = end.cancelled() => return,
            () = renew_all(&context, &capabilities) => {}
        }
        let now = context.terms().heartbeat;
        if now != every {
            every = now;
            ticks = interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
    }
}

/// One request for each worker uid that still holds leases, and always one for the present uid.
async fn renew_all(context: &Context, capabilities: &[String]) {
    let present = context.terms().worker;
    let mut groups: HashMap<WorkerUid, Vec<Arc<Lease>>> = HashMap::from([(present, Vec::new())]);
    for lease in context.leases.snapshot() {
        groups.entry(lease.worker).or_default().push(lease);
    }
    let calls = groups
        .into_iter()
        .map(|(worker, leases)| renew(context, worker, leases, worker == present));
    if futures::future::join_all(calls)
        .await
        .into_iter()
        .any(|unknown| unknown)
    {
        register(context, capabilities).await;
    }
}

/// Whether the registry does not know the present worker.
async fn renew(
    context: &Context,
    worker: WorkerUid,
    leases: Vec<Arc<Lease>>,
    present: bool,
) -> bool {
    let refs: Vec<_> = leases
        .iter()
        .map(|lease| (lease.held.uid, lease.held.fence))
        .collect();
    let sent = Instant::now();
    let duration = context.terms().lease;
    // A hanging call must not keep the next one back: three fit before the work is ended.
    let call = context.ports.registry.heartbeat(worker, &refs);
    match tokio::time::timeout(duration.mul_f64(0.25), call).await {
        Ok(Ok(pulse)) => {
            Leases::apply(&leases, &pulse.stop, sent, duration);
            present && pulse.unknown_worker
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, leases = leases.len(), "leases could not be renewed");
            false
        }
        Err(_) => {
            tracing::warn!(leases = leases.len(), "a heartbeat was not answered");
            false
        }
    }
}

async fn register(context: &Context, capabilities: &[String]) {
    let slots = u32::try_from(context.config.slots).unwrap_or(u32::MAX);
    let call = context
        .ports
        .registry
        .register(&context.config.name, slots, capabilities);
    match call.await {
        Ok(terms) => {
            tracing::info!(worker = %terms.worker, "registered again");
            context.set_terms(terms);
        }
        Err(error) => tracing::warn!(%error, "could not register again"),
    }
}
