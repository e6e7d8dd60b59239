//! Keeps an issue for each run that cannot be read.
//!
//! Invariant: it works when there is news, and never by the clock; only what failed is tried again after a pause.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::app::Core;

/// The pause after a failure.
const RETRY: Duration = Duration::from_secs(5);

/// Runs until the token is cancelled.
pub async fn run(core: Arc<Core>, shutdown: CancellationToken) -> Result<(), String> {
    loop {
        let told = core.tell_unreadable().await;
        // News that came meanwhile is kept for the next wait.
        let again = async {
            match &told {
                Ok(()) => core.news.notified().await,
                Err(refusal) => {
                    tracing::warn!(%refusal, "issues of runs that were set aside could not be recorded");
                    tokio::time::sleep(RETRY).await;
                }
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = again => {}
        }
    }
}
