//! Follows a run to its end.
//!
//! Invariant: no event is missed or shown twice: after a lost connection the watch goes on from the last number.

use std::time::Duration;

use autopack_wire::{
    client::Clients,
    registry::{GetRunRequest, WatchRunRequest, WatchRunResponse, watch_run_response::Message},
    types,
};
use tokio::time::Instant;
use tonic::Streaming;

use crate::{
    error::CliError,
    output::live::Track,
    view::{View, is_end},
};

/// First pause before a lost watch is opened again.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(2);

/// The state of a run, with tiers, phases and plan.
pub(crate) async fn get(clients: &Clients, run: &str, brief: bool) -> Result<View, CliError> {
    let request = GetRunRequest {
        run_id: run.to_owned(),
        brief,
    };
    Ok(clients
        .registry
        .clone()
        .get_run(request)
        .await?
        .into_inner()
        .into())
}

/// Follows a run; while the registry cannot be reached, tries again for `patience`.
pub(crate) async fn follow(
    clients: &Clients,
    run: &str,
    track: &Track,
    patience: Duration,
) -> Result<View, CliError> {
    let mut view: Option<View> = None;
    let mut lost: Option<Instant> = None;
    let mut pause = PAUSE;
    loop {
        let after = view.as_ref().map_or(0, |view| view.run.last_event);
        let error = match watch(clients, run, after).await {
            Ok(mut stream) => match pump(&mut stream, &mut view, track).await {
                Ok(Some(ended)) => return Ok(ended),
                Ok(None) => CliError {
                    unreachable: true,
                    ..CliError::new("the watch ended before the run")
                },
                Err(error) => error,
            },
            Err(error) => error,
        };
        if view
            .as_ref()
            .is_some_and(|view| view.run.last_event > after)
        {
            (lost, pause) = (None, PAUSE);
        }
        let since = *lost.get_or_insert_with(Instant::now);
        if !error.unreachable || since.elapsed() >= patience {
            return Err(error);
        }
        if pause == LONGEST {
            track.note("the registry does not answer; trying again");
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
    }
}

/// The events of a run so far, but for the first, which says only that it was created.
pub(crate) async fn history(
    clients: &Clients,
    run: &str,
    last: u64,
) -> Result<Vec<types::Event>, CliError> {
    let mut events: Vec<types::Event> = Vec::new();
    let mut seen = 1;
    // A watch ends at each end of a run that was retried.
    while seen < last {
        let mut stream = watch(clients, run, seen).await?;
        let before = seen;
        while seen < last
            && let Some(answer) = stream.message().await?
        {
            if let Some(Message::Event(event)) = answer.message {
                seen = event.run_sequence;
                events.push(event);
            }
        }
        if seen == before {
            break;
        }
    }
    Ok(events)
}

async fn watch(
    clients: &Clients,
    run: &str,
    after_sequence: u64,
) -> Result<Streaming<WatchRunResponse>, CliError> {
    let request = WatchRunRequest {
        run_id: run.to_owned(),
        after_sequence,
    };
    Ok(clients
        .registry
        .clone()
        .watch_run(request)
        .await?
        .into_inner())
}

/// Takes messages over until the run or the stream ends.
async fn pump(
    stream: &mut Streaming<WatchRunResponse>,
    known: &mut Option<View>,
    track: &Track,
) -> Result<Option<View>, CliError> {
    while let Some(answer) = stream.message().await? {
        match answer.message {
            Some(Message::Snapshot(snapshot)) => {
                let view = View::from(snapshot);
                track.show(&view);
                if view.has_ended() {
                    return Ok(Some(view));
                }
                *known = Some(view);
            }
            Some(Message::Event(event)) => {
                let view = known.get_or_insert_with(View::default);
                view.absorb(&event);
                // Several events of one command share the run after it: the number is the event's own.
                view.run.last_event = event.run_sequence;
                track.event(&event);
                track.show(view);
                if is_end(&event) {
                    return Ok(known.take());
                }
            }
            Some(Message::Heartbeat(_)) | None => {}
        }
    }
    // A watch that starts behind the last event of an ended run has nothing to send.
    Ok(known.take_if(|view| view.has_ended()))
}
