//! What the bus lost, read back from the registry.
//!
//! Invariant: a run is read from the last event that counted, so nothing counts twice; a registry that does not answer
//! is asked again with growing pauses, and meanwhile the feed goes on.

use std::{collections::HashMap, time::Duration};

use autopack_runtime::metrics;
use autopack_wire::{
    registry::{ListRunsRequest, WatchRunRequest, watch_run_response::Message},
    status::from_status,
    types::Run,
};
use opentelemetry::metrics::Histogram;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::{Shared, feed::record, usage};

/// The first and the longest pause after the registry did not answer.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// How long the next event of a run that is read back may take.
const NEXT: Duration = Duration::from_secs(10);
/// Runs of one page.
const PAGE: i32 = 200;
/// How often usage that may have changed is read.
const USAGE: Duration = Duration::from_secs(1);

/// A run of which events are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// Its uid.
    pub run: String,
    /// Number of an event that exists.
    pub until: u64,
    /// It was known, and events of it were missed.
    pub missed: bool,
}

/// Reads back one run after the other until the token is cancelled.
pub async fn run(shared: Shared, mut waiting: mpsc::Receiver<Behind>, shutdown: CancellationToken) {
    let seconds = metrics::seconds(metrics::TELEMETRY_PHASE_SECONDS);
    let mut usage_at = tokio::time::interval(USAGE);
    usage_at.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let work = async {
        loop {
            tokio::select! {
                behind = waiting.recv() => match behind {
                    Some(behind) => insist(&shared, &behind, &seconds).await,
                    None => return,
                },
                _ = usage_at.tick() => usage::read_stale(&shared).await,
            }
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = work => {}
    }
}

/// Reads a run back, again and again while the registry cannot answer.
async fn insist(shared: &Shared, behind: &Behind, seconds: &Histogram<f64>) {
    let (mut pause, longest) = PAUSE;
    while shared.ledger().last(&behind.run) < behind.until {
        match read_back(shared, behind, seconds).await {
            Ok(()) => {
                if behind.missed {
                    shared.ledger().add(metrics::TELEMETRY_REFILLS.name, &[], 1);
                }
                return;
            }
            Err(status) => {
                let error = from_status(&status);
                if !error.kind.is_transient() {
                    tracing::warn!(
                        run = behind.run,
                        error = error.message,
                        "a run cannot be read back; it is left out"
                    );
                    return;
                }
                tracing::debug!(
                    run = behind.run,
                    error = error.message,
                    "the registry does not answer; asking again"
                );
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

async fn read_back(
    shared: &Shared,
    behind: &Behind,
    seconds: &Histogram<f64>,
) -> Result<(), Status> {
    let after_sequence = {
        let mut ledger = shared.ledger();
        ledger.begin(&behind.run);
        ledger.last(&behind.run)
    };
    if after_sequence >= behind.until {
        return Ok(());
    }
    let request = WatchRunRequest {
        run_id: behind.run.clone(),
        after_sequence,
    };
    let mut registry = shared.ports.clients.registry.clone();
    let late = |_| Status::unavailable("the registry sends no more events of the run");
    let asked = tokio::time::timeout(NEXT, registry.watch_run(request)).await;
    let mut events = asked.map_err(late)??.into_inner();
    loop {
        let next = tokio::time::timeout(NEXT, events.message()).await;
        let Some(message) = next.map_err(late)?? else {
            return Ok(());
        };
        if let Some(Message::Event(event)) = message.message {
            let taken = shared.ledger().take(&event);
            if let crate::ledger::Taken::Counted(phase) = taken {
                record(phase, seconds);
            }
            if event.run_sequence >= behind.until {
                return Ok(());
            }
        }
    }
}

/// Compares the registry's runs with what is known, at the start and then again and again.
pub async fn compare(shared: Shared, shutdown: CancellationToken) {
    let work = async {
        let mut first = true;
        let mut behind_before = HashMap::new();
        let mut pause = PAUSE.0;
        loop {
            match compare_once(&shared, first, &mut behind_before).await {
                Ok(()) => {
                    first = false;
                    pause = PAUSE.0;
                    tokio::time::sleep(shared.config.compare).await;
                }
                Err(status) => {
                    tracing::debug!(
                        error = status.message(),
                        "the registry does not list its runs; asking again"
                    );
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = work => {}
    }
}

/// One comparison. A run that is as far behind as at the last one was missed: the bus had a whole period to catch up.
async fn compare_once(
    shared: &Shared,
    first: bool,
    before: &mut HashMap<String, u64>,
) -> Result<(), Status> {
    let mut behind = HashMap::new();
    for run in list(shared).await? {
        let known = shared.ledger().last(&run.uid);
        if run.last_event <= known {
            continue;
        }
        behind.insert(run.uid.clone(), known);
        let missed = before.get(&run.uid) == Some(&known) && known > 0;
        if !first && !missed && known > 0 {
            continue;
        }
        if missed {
            shared.ledger().add(metrics::TELEMETRY_GAPS.name, &[], 1);
        }
        let waiting = Behind {
            run: run.uid,
            until: run.last_event,
            missed,
        };
        if shared.behind.send(waiting).await.is_err() {
            return Ok(());
        }
    }
    *before = behind;
    Ok(())
}

/// The newest runs.
async fn list(shared: &Shared) -> Result<Vec<Run>, Status> {
    let mut runs = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListRunsRequest {
            page_size: PAGE,
            page_token,
            ..ListRunsRequest::default()
        };
        let mut registry = shared.ports.clients.registry.clone();
        let page = registry.list_runs(request).await?.into_inner();
        runs.extend(page.runs);
        page_token = page.next_page_token;
        if page_token.is_empty() || runs.len() >= shared.config.history_runs {
            runs.truncate(shared.config.history_runs);
            return Ok(runs);
        }
    }
}
