//! Looks at the runs that have ended, once after each start, beside the service.
//!
//! Invariant: it takes at most half of one reader's time, and what it found bad is set aside like what a start finds.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::app::Core;

/// The pause after the database failed.
const RETRY: Duration = Duration::from_secs(5);

/// Runs until the token is cancelled.
pub async fn run(core: Arc<Core>, shutdown: CancellationToken) -> Result<(), String> {
    let look = async {
        let mut after = String::new();
        loop {
            let began = core.ports.clock.monotonic();
            match core.check_next(&after).await {
                Ok(Some(last)) => after = last,
                Ok(None) => return,
                Err(refusal) => {
                    tracing::warn!(%refusal, "the self-check goes on later");
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            }
            // As long as it worked: readers of the service come between.
            let worked = core.ports.clock.monotonic().saturating_sub(began);
            tokio::time::sleep(worked).await;
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        () = look => tracing::debug!("every stored run was looked at"),
    }
    shutdown.cancelled().await;
    Ok(())
}
