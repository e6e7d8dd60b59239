//! Keeps an issue for each run that cannot be read.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::app::Core;

/// Looks this often; without news a pass costs nothing.
const PERIOD: Duration = Duration::from_millis(500);

/// Runs until the token is cancelled.
pub async fn run(core: Arc<Core>, shutdown: CancellationToken) -> Result<(), String> {
    loop {
        if let Err(refusal) = core.tell_unreadable().await {
            // The next pass tries again.
            tracing::warn!(%refusal, "issues of runs that were set aside could not be recorded");
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}
