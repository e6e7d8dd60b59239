//! Makes dead letters of what the bus gave up on, and says so.
//!
//! Invariant: the bus keeps the letters; losing them loses nothing, because the registry still knows what is on
//! offer.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use autopack_bus::Measurement;
use tokio_util::sync::CancellationToken;

use crate::app::Core;

/// How often the bus is asked.
const PERIOD: Duration = Duration::from_secs(1);
/// Longest pause after failures.
const LONGEST: Duration = Duration::from_secs(30);

/// Runs until the token is cancelled.
pub async fn run(core: Arc<Core>, shutdown: CancellationToken) -> Result<(), String> {
    let mut pause = PERIOD;
    loop {
        match core.ports.bus.bury(core.now().0).await {
            Ok(buried) => {
                pause = PERIOD;
                if buried > 0 {
                    tell(&core, buried);
                }
            }
            Err(error) => {
                tracing::debug!(%error, "dead letters are collected later");
                pause = (pause * 2).min(LONGEST);
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn tell(core: &Core, buried: u64) {
    tracing::warn!(
        buried,
        "jobs became dead letters; `autopack dlq list` shows them"
    );
    core.ports.bus.send_telemetry(Measurement {
        kind: "dead_letters".to_owned(),
        at: core.now().0,
        labels: BTreeMap::new(),
        values: BTreeMap::from([("buried".to_owned(), buried as f64)]),
    });
}
