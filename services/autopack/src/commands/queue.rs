//! `autopack queue|limits|lane`: what waits in which order, and what steers it.

use std::fmt::Write as _;

use autopack_wire::{
    client::Clients,
    registry::{GetProjectRequest, SetProjectLimitsRequest},
    scheduler::{
        ExplainRequest, ListQueueRequest, ListQueueResponse, PauseLaneRequest, WaitingPhase,
    },
    types::ProjectLimits,
};
use serde_json::{Value, json};

use super::Context;
use crate::{
    cli::{LaneCommand, LimitsArgs, QueueArgs},
    connect::{Connection, remote},
    error::{CliError, Exit, Outcome},
    output::table::Table,
};

/// Phases of one page.
const PAGE: usize = 500;

/// Clients of the scheduler: its own address, else that of the registry.
fn scheduler(
    context: &Context,
    address: Option<&str>,
    connection: &Connection,
) -> Result<Clients, CliError> {
    match address.filter(|a| !a.is_empty()) {
        Some(address) => Ok(remote(&context.settings, address)?.clients),
        None => Ok(connection.clients.clone()),
    }
}

/// The error of a scheduler that is not there, with what mends it.
fn unserved(status: tonic::Status) -> CliError {
    let missing = status.code() == tonic::Code::Unimplemented;
    let error = CliError::from(status);
    if missing {
        return CliError::new("no scheduler is served at this address")
            .hint("`autopack up` serves one; else name it with --scheduler");
    }
    error
}

/// `autopack queue`.
pub(super) async fn queue(context: &Context, args: QueueArgs) -> Outcome {
    let connection = context.connect().await?;
    let clients = scheduler(context, args.scheduler.as_deref(), &connection);
    let result = match &clients {
        Ok(clients) => list(clients, &args).await,
        Err(error) => Err(error.clone()),
    };
    drop(clients);
    connection.close().await;
    let queue = result?;
    context.ui.data(
        || {
            json!({
                "total": queue.total,
                "in_flight": queue.in_flight,
                "window": queue.window,
                "slots": queue.slots,
                "paused_lanes": queue.paused_lanes,
                "phases": queue.phases.iter().map(waiting).collect::<Value>(),
            })
        },
        || text(&queue),
    );
    Ok(Exit::Success)
}

async fn list(clients: &Clients, args: &QueueArgs) -> Result<ListQueueResponse, CliError> {
    let limit = if args.limit == 0 {
        usize::MAX
    } else {
        args.limit
    };
    let mut all = ListQueueResponse::default();
    loop {
        let left = limit - all.phases.len();
        let request = ListQueueRequest {
            page_size: i32::try_from(left.min(PAGE)).unwrap_or(0),
            page_token: all.next_page_token.clone(),
            lane: args.lane.clone().unwrap_or_default(),
            project: args.project.clone().unwrap_or_default(),
        };
        let answer = clients.scheduler.clone().list_queue(request).await;
        let page = answer.map_err(unserved)?.into_inner();
        let mut phases = std::mem::take(&mut all.phases);
        phases.extend(page.phases);
        all = ListQueueResponse { phases, ..page };
        if all.next_page_token.is_empty() || all.phases.len() >= limit {
            all.phases.truncate(limit);
            return Ok(all);
        }
    }
}

fn text(queue: &ListQueueResponse) -> String {
    let mut table = Table::new(&[
        "LANE",
        "#",
        "RUN",
        "PHASE",
        "PROJECT",
        "PRIORITY",
        "AGE",
        "WAITS FOR",
    ]);
    for w in &queue.phases {
        let holds: Vec<&str> = w.holds.iter().map(|h| h.rule.as_str()).collect();
        table.row([
            w.lane.clone(),
            w.position.to_string(),
            w.run_id.clone(),
            w.phase_id.clone(),
            w.project.clone(),
            w.priority.to_string(),
            format!("{} s", w.age.map_or(0, |a| a.seconds)),
            if holds.is_empty() {
                "its offer".to_owned()
            } else {
                holds.join(", ")
            },
        ]);
    }
    let mut text = if table.is_empty() {
        String::new()
    } else {
        table.render()
    };
    let _ = writeln!(
        text,
        "{} ready, {} on offer or running, {} slots",
        queue.total, queue.in_flight, queue.slots
    );
    if !queue.paused_lanes.is_empty() {
        let _ = writeln!(text, "paused: {}", queue.paused_lanes.join(", "));
    }
    text
}

/// A waiting phase as JSON.
pub(super) fn waiting(w: &WaitingPhase) -> Value {
    json!({
        "run": w.run_id,
        "phase": w.phase_id,
        "project": w.project,
        "lane": w.lane,
        "priority": w.priority,
        "position": (w.position > 0).then_some(w.position),
        "age_seconds": w.age.map(|a| a.seconds),
        "holds": w.holds.iter().map(|h| json!({ "rule": h.rule, "facts": h.facts, "remedy": h.remedy })).collect::<Vec<_>>(),
    })
}

/// What the scheduler knows of a run's phases; nothing where none is served or it does not decide on the run.
pub(super) async fn places(
    context: &Context,
    address: Option<&str>,
    connection: &Connection,
    run: &str,
) -> Vec<WaitingPhase> {
    let Ok(clients) = scheduler(context, address, connection) else {
        return Vec::new();
    };
    let request = ExplainRequest {
        run_id: run.to_owned(),
        phase_id: String::new(),
    };
    let answer = clients.scheduler.clone().explain(request).await;
    answer.map_or_else(|_| Vec::new(), |a| a.into_inner().phases)
}

/// `autopack limits PROJECT`.
pub(super) async fn limits(context: &Context, args: LimitsArgs) -> Outcome {
    let connection = context.connect().await?;
    let mut registry = connection.clients.registry.clone();
    let project = args.project.clone();
    let set = if args.is_change() {
        let request = SetProjectLimitsRequest {
            project: args.project,
            share: args.share,
            max_running: args.max_running,
            per_run: args.per_run,
            labels: args.label.into_iter().collect(),
        };
        registry.set_project_limits(request).await.map(drop)
    } else {
        Ok(())
    };
    let answer = match set {
        Ok(()) => registry.get_project(GetProjectRequest { project }).await,
        Err(status) => Err(status),
    };
    drop(registry);
    connection.close().await;
    let found = answer?.into_inner();
    let limits = found.limits.unwrap_or_default();
    context.ui.data(
        || {
            json!({
                "project": limits.project,
                "share": limits.share,
                "max_running": limits.max_running,
                "per_run": limits.per_run,
                "labels": limits.labels,
                "running": found.running,
            })
        },
        || limits_text(&limits, found.running),
    );
    Ok(Exit::Success)
}

fn limits_text(limits: &ProjectLimits, running: u32) -> String {
    let value = |v: Option<u32>| v.map_or_else(|| "no limit".to_owned(), |v| v.to_string());
    let mut table = Table::new(&[
        "PROJECT",
        "SHARE",
        "RUNNING",
        "MAX RUNNING",
        "PER RUN",
        "LABELS",
    ]);
    let mut labels: Vec<String> = limits
        .labels
        .iter()
        .map(|(label, n)| format!("{label}:{n}"))
        .collect();
    labels.sort();
    table.row([
        limits.project.clone(),
        limits.share.to_string(),
        running.to_string(),
        value(limits.max_running),
        value(limits.per_run),
        labels.join(" "),
    ]);
    table.render()
}

/// `autopack lane pause|resume LANE`.
pub(super) async fn lane(context: &Context, command: LaneCommand) -> Outcome {
    let (LaneCommand::Pause(args) | LaneCommand::Resume(args)) = &command;
    let request = PauseLaneRequest {
        lane: args.lane.clone(),
        paused: matches!(command, LaneCommand::Pause(_)),
    };
    let connection = context.connect().await?;
    let answer = match scheduler(context, args.scheduler.as_deref(), &connection) {
        Ok(clients) => clients
            .scheduler
            .clone()
            .pause_lane(request)
            .await
            .map_err(unserved),
        Err(error) => Err(error),
    };
    connection.close().await;
    let paused = answer?.into_inner().paused_lanes;
    context.ui.data(
        || json!({ "paused_lanes": paused }),
        || match paused.as_slice() {
            [] => "no lane is paused\n".to_owned(),
            lanes => format!("paused: {}\n", lanes.join(", ")),
        },
    );
    Ok(Exit::Success)
}
