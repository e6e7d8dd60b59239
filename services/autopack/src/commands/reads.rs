//! Commands that read one run: status, why, attempts.

use std::fmt::Write as _;

use autopack_runtime::{Clock as _, SystemClock};
use autopack_wire::{
    registry::{ExplainRunRequest, Hold, ListAttemptsRequest, PhaseExplanation},
    scheduler::WaitingPhase,
};
use serde_json::Value;

use super::{Context, queue};
use crate::{
    cli::{PhaseRef, WhyArgs},
    error::{Exit, Outcome},
    follow,
    output::{json, text},
    view::View,
};

/// `autopack status RUN`.
pub(super) async fn status(context: &Context, run: &str) -> Outcome {
    let connection = context.connect().await?;
    let result = follow::get(&connection.clients, run, false).await;
    connection.close().await;
    let view = result?;
    let now = SystemClock::new().now().0;
    context.ui.data(
        || json::view(&view, now),
        || text::status(context.ui, &view, now),
    );
    Ok(Exit::Success)
}

/// `autopack why RUN [PHASE]`.
pub(super) async fn why(context: &Context, args: WhyArgs) -> Outcome {
    let connection = context.connect().await?;
    let view = follow::get(&connection.clients, &args.run, true).await;
    let request = ExplainRunRequest {
        run_id: args.run,
        phase_id: args.phase.clone().unwrap_or_default(),
    };
    let answer = connection
        .clients
        .registry
        .clone()
        .explain_run(request)
        .await;
    let alone = connection.engine.is_some();
    let mut places = Vec::new();
    if let Some(view) = view.as_ref().ok().filter(|v| !alone && !v.has_ended()) {
        let address = args.scheduler.as_deref();
        places = queue::places(context, address, &connection, &view.run.id).await;
    }
    connection.close().await;
    let (view, mut phases) = (view?, answer?.into_inner().phases);
    // Ready, and nothing that the registry knows holds it: the scheduler tells its place in the queue.
    for phase in phases.iter_mut().filter(|p| p.holds.is_empty()) {
        let place = places.iter().find(|w| w.phase_id == phase.phase_id);
        let holds = place.into_iter().flat_map(|w| &w.holds);
        phase.holds.extend(holds.map(|h| Hold {
            rule: h.rule.clone(),
            facts: h.facts.clone(),
            remedy: h.remedy.clone(),
        }));
    }
    context.ui.data(
        || {
            phases
                .iter()
                .map(|p| explanation(p, &places))
                .collect::<Value>()
        },
        || explained(&view, &phases, args.phase.is_some(), alone),
    );
    Ok(Exit::Success)
}

/// A phase with its place in the queue, if it has one.
fn explanation(phase: &PhaseExplanation, places: &[WaitingPhase]) -> Value {
    let mut value = json::explanation(phase);
    let mut places = places.iter().filter(|w| w.position > 0);
    if let Some(place) = places.find(|w| w.phase_id == phase.phase_id) {
        value["queue"] = queue::waiting(place);
    }
    value
}

fn explained(view: &View, phases: &[PhaseExplanation], one: bool, alone: bool) -> String {
    let mut text = String::new();
    for phase in phases {
        let _ = writeln!(text, "{}: {}", phase.phase_id, phase.state);
        for hold in &phase.holds {
            let _ = writeln!(text, "  {}: {}\n    {}", hold.rule, hold.facts, hold.remedy);
        }
        let ended = view
            .phases
            .iter()
            .find(|p| p.id == phase.phase_id)
            .filter(|p| !p.cause.is_empty());
        if let Some(p) = ended {
            let _ = writeln!(
                text,
                "  {}: {}\n    autopack explain {}",
                p.cause,
                crate::output::one_line(&p.detail, 300),
                p.cause
            );
        } else if phase.holds.is_empty() && phase.state == "QUEUED" {
            text.push_str("  nothing holds it back: it is offered next, or waits for a worker\n");
        }
    }
    if phases.is_empty() && !one {
        let _ = writeln!(
            text,
            "every phase has ended; the run is {}",
            crate::view::run_state(&view.run)
        );
        text.push_str(&text::why_it_ended(&view.run));
    } else if alone && !view.has_ended() {
        text.push_str("no process works on this run; `autopack up` does\n");
    }
    text
}

/// `autopack attempts RUN [PHASE]`.
pub(super) async fn attempts(context: &Context, args: PhaseRef) -> Outcome {
    let connection = context.connect().await?;
    let view = follow::get(&connection.clients, &args.run, true).await;
    let request = ListAttemptsRequest {
        run_id: args.run,
        phase_id: args.phase.unwrap_or_default(),
    };
    let answer = connection
        .clients
        .registry
        .clone()
        .list_attempts(request)
        .await;
    connection.close().await;
    let (view, attempts) = (view?, answer?.into_inner().attempts);
    let phase = |index: u32| {
        view.phases
            .iter()
            .find(|p| p.index == index)
            .map_or("?", |p| p.id.as_str())
    };
    context.ui.data(
        || {
            attempts
                .iter()
                .map(|a| json::attempt(a, phase(a.phase)))
                .collect::<Value>()
        },
        || text::attempts(context.ui, &view, &attempts),
    );
    Ok(Exit::Success)
}
