//! Ends leases whose deadline has passed: the ordinary command with a time-out, never a second path.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::app::{Core, lock};

/// Looks at least this often, whatever the deadlines say.
const PERIOD: Duration = Duration::from_millis(200);

/// Runs until the token is cancelled.
pub async fn run(core: Arc<Core>, shutdown: CancellationToken) -> Result<(), String> {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(PERIOD) => pass(&core).await,
        }
    }
}

async fn pass(core: &Core) {
    let expired = lock(&core.leases).expired(core.ports.clock.monotonic());
    for (run, uid) in expired {
        tracing::warn!(%run, lease = %uid, "a lease expired");
        match core.lose(run, uid, false).await {
            Ok(()) => {
                core.counts.expired.fetch_add(1, Ordering::Relaxed);
            }
            // The attempt settled in the same instant, or the database failed: the next pass looks again.
            Err(refusal) => {
                tracing::debug!(%run, lease = %uid, %refusal, "the expired lease was over already");
            }
        }
    }
}
