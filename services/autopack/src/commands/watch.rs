//! `autopack watch RUN`.

use std::time::Duration;

use autopack_runtime::{Clock as _, SystemClock, signals::EndSignals};

use super::Context;
use crate::{
    connect::Connection,
    error::{CliError, Exit, Outcome},
    follow::{self, follow},
    output::{json, live::Live, text},
    view::{View, exit_of, run_state},
};

/// How long a registry may be away before the watch gives up.
const PATIENCE: Duration = Duration::from_mins(1);

pub(super) async fn run(context: &Context, run: &str) -> Outcome {
    let connection = context.connect().await?;
    let result = to_its_end(context, &connection, run).await;
    connection.close().await;
    result
}

/// Follows a run on a connection, and shows how it ended.
pub(super) async fn to_its_end(context: &Context, connection: &Connection, run: &str) -> Outcome {
    let mut signals = EndSignals::new()
        .map_err(|error| CliError::new(format!("signals cannot be caught: {error}")))?;
    if connection.engine.is_some() {
        let view = follow::get(&connection.clients, run, false).await?;
        if !view.has_ended() {
            return Err(CliError::new(format!(
                "no process works on run {}; it is {}",
                view.run.id,
                run_state(&view.run)
            ))
            .hint("`autopack up` works on it, or the `autopack run` that made it"));
        }
        show(context, &view);
        return Ok(exit_of(&view.run));
    }
    let live = Live::new(context.ui);
    let track = live.track("");
    let view = tokio::select! {
        view = follow(&connection.clients, run, &track, PATIENCE) => view?,
        signal = signals.next() => {
            track.end();
            context.ui.say(&format!("{signal}: stopped watching; the run goes on. `autopack watch {run}` follows it again, `autopack cancel {run}` ends it"));
            return Ok(Exit::Interrupted);
        }
    };
    track.end();
    show(context, &view);
    Ok(exit_of(&view.run))
}

fn show(context: &Context, view: &View) {
    let now = SystemClock::new().now().0;
    context.ui.data(
        || json::view(view, now),
        || text::status(context.ui, view, now),
    );
}
