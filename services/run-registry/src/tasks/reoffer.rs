//! Offers again what the bus lost: an attempt that has been on offer for long, in a stream that is new.
//!
//! Invariant: a message that the stream still holds is never doubled; with the in-process bus that means
//! once, after the start, because a new process has a new stream (DESIGN 5.4).

use std::{sync::Arc, time::Duration};

use autopack_domain::{JobUid, RunUid, states::AttemptState};
use autopack_store::read;
use tokio_util::sync::CancellationToken;

use crate::app::Core;

/// How often the stream's identity is compared.
const PERIOD: Duration = Duration::from_secs(2);

/// Runs until the token is cancelled.
pub async fn run(core: Arc<Core>, shutdown: CancellationToken) -> Result<(), String> {
    // At the start every offer of an earlier process is suspect.
    let mut known: Option<String> = None;
    loop {
        // A bus that cannot be reached says nothing about its stream: the next look decides.
        if let Ok(epoch) = core.ports.bus.stream_epoch().await
            && known.as_ref() != Some(&epoch)
            && pass(&core).await
        {
            known = Some(epoch);
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

/// Whether everything that was on offer was offered again.
async fn pass(core: &Core) -> bool {
    let Ok(runs) = core.sound(read::open_runs(&core.database.read).await) else {
        return false;
    };
    for run in runs {
        if let Err(refusal) = core.offer_again(run).await {
            tracing::debug!(%run, %refusal, "not offered again");
        }
    }
    true
}

impl Core {
    async fn offer_again(&self, run: RunUid) -> Result<(), autopack_domain::Refusal> {
        let ids = Arc::clone(&self.ports.ids);
        self.command(run, None, move |a, c, now| {
            let offered: Vec<_> = a
                .attempts
                .values()
                .filter(|x| x.state == AttemptState::Offered)
                .map(|x| x.uid)
                .collect();
            for attempt in offered {
                a.offer_again(attempt, JobUid(ids.uuid()), now, c)?;
            }
            a.reoffer_job(JobUid(ids.uuid()), now, c);
            Ok(())
        })
        .await
        .map(drop)
    }

    /// The relay's cursor as stored.
    pub(crate) async fn cursor(&self) -> Result<u64, autopack_store::StoreError> {
        read::relay_cursor(&self.database.read).await
    }
}
