//! `autopack approvals`: what waits for a person's word, and the word.
//!
//! Invariant: a word names the tree that was looked at; a short name is made whole from what the phase asks for, and never
//! guessed.

use autopack_runtime::{IdSource as _, V7Ids};
use autopack_wire::{
    client::Clients,
    registry::{
        DecideApprovalRequest, ListApprovalsRequest, PendingApproval,
        decide_approval_request::Decision,
    },
    types,
};
use serde_json::{Value, json};

use super::Context;
use crate::{
    cli::{ApprovalsArgs, DecideArgs, DecideCommand},
    error::{CliError, Exit, Outcome},
    facts::operator,
    output::{json, one_line, table::Table, text::moment},
    view::phase_state,
};

/// The shortest name of a tree.
const SHORT: usize = 7;

/// Lists, or decides.
pub(super) async fn approvals(context: &Context, args: ApprovalsArgs) -> Outcome {
    match args.decide {
        None => list(context, args.run.unwrap_or_default(), args.all).await,
        Some(DecideCommand::Approve(args)) => decide(context, args, Decision::Approve).await,
        Some(DecideCommand::Reject(args)) => decide(context, args, Decision::Reject).await,
    }
}

async fn list(context: &Context, run: String, all: bool) -> Outcome {
    let connection = context.connect().await?;
    let found = read(&connection.clients, &run, all).await;
    connection.close().await;
    let found = found?;
    context.ui.data(
        || found.iter().map(shown).collect::<Value>(),
        || {
            let mut table =
                Table::new(&["RUN", "PHASE", "RISK", "UNTIL", "TREE", "ASKS", "DECIDED"]);
            for pending in &found {
                table.row(row(pending));
            }
            if table.is_empty() {
                "nothing waits for a person's word\n".to_owned()
            } else {
                table.render()
            }
        },
    );
    Ok(Exit::Success)
}

/// Every page.
async fn read(clients: &Clients, run: &str, all: bool) -> Result<Vec<PendingApproval>, CliError> {
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListApprovalsRequest {
            run_id: run.to_owned(),
            with_decided: all,
            page_size: 0,
            page_token,
        };
        let answer = clients
            .approvals()
            .list_approvals(request)
            .await?
            .into_inner();
        found.extend(answer.approvals);
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return Ok(found);
        }
    }
}

async fn decide(context: &Context, args: DecideArgs, decision: Decision) -> Outcome {
    let connection = context.connect().await?;
    let answer = send(&connection.clients, args, decision).await;
    let alone = connection.engine.is_some();
    connection.close().await;
    let (run, phase) = answer?;
    let said = match decision {
        Decision::Approve => "approved",
        Decision::Reject | Decision::Unspecified => "rejected",
    };
    context.ui.data(
        || {
            json!({
                "run": run.id,
                "phase": phase.id,
                "state": phase_state(&phase),
                "cause": json::some(&phase.cause),
                "handoff": json::handoff(phase.handoff.as_ref()),
            })
        },
        || {
            format!(
                "phase {}: {said}; {}\n",
                phase.id,
                context.ui.state(phase_state(&phase))
            )
        },
    );
    if alone && decision == Decision::Approve {
        context
            .ui
            .say("no process works on it; `autopack up` or `autopack run` with the same plan does");
    }
    Ok(Exit::Success)
}

async fn send(
    clients: &Clients,
    args: DecideArgs,
    decision: Decision,
) -> Result<(types::Run, types::Phase), CliError> {
    let tree = whole(clients, &args).await?;
    let request = DecideApprovalRequest {
        run_id: args.run,
        phase_id: args.phase,
        tree,
        decision: decision.into(),
        decided_by: args.name.unwrap_or_else(operator),
        note: args.note,
        request_id: args.request_id.unwrap_or_else(|| V7Ids.uuid().to_string()),
    };
    let answer = clients
        .approvals()
        .decide_approval(request)
        .await?
        .into_inner();
    Ok((
        answer.run.unwrap_or_default(),
        answer.phase.unwrap_or_default(),
    ))
}

/// The name of the tree that the phase asks for, if the given one is its start; else as given.
async fn whole(clients: &Clients, args: &DecideArgs) -> Result<String, CliError> {
    if args.tree.len() < SHORT {
        let text = format!(
            "`{}` is too short for a tree: {SHORT} characters at least",
            args.tree
        );
        return Err(CliError::usage(text));
    }
    let found = read(clients, &args.run, true).await?;
    let asked = found.iter().filter_map(|pending| pending.phase.as_ref());
    let mut trees = asked
        .filter(|phase| phase.id == args.phase)
        .map(|phase| request(phase).tree);
    Ok(trees
        .find(|tree| tree.starts_with(&args.tree))
        .unwrap_or_else(|| args.tree.clone()))
}

fn approval(phase: &types::Phase) -> types::Approval {
    let handoff = phase.handoff.as_ref();
    handoff
        .and_then(|handoff| handoff.approval.clone())
        .unwrap_or_default()
}

fn request(phase: &types::Phase) -> types::ApprovalRequest {
    approval(phase).request.unwrap_or_default()
}

fn shown(pending: &PendingApproval) -> Value {
    let phase = pending.phase.clone().unwrap_or_default();
    json!({
        "run": pending.run_id,
        "run_uid": pending.run_uid,
        "phase": phase.id,
        "state": phase_state(&phase),
        "handoff": json::handoff(phase.handoff.as_ref()),
    })
}

fn row(pending: &PendingApproval) -> [String; 7] {
    let phase = pending.phase.clone().unwrap_or_default();
    let (approval, request) = (approval(&phase), request(&phase));
    let until = phase
        .handoff
        .as_ref()
        .and_then(|handoff| handoff.deadline_time);
    let asks: Vec<String> = request
        .asks
        .iter()
        .map(|ask| {
            if ask.path.is_empty() {
                ask.guard.clone()
            } else {
                ask.path.clone()
            }
        })
        .collect();
    let word = approval.decision.map_or_else(String::new, |word| {
        let said = if word.approved {
            "approved"
        } else {
            "rejected"
        };
        format!("{said} by {}", one_line(&word.decided_by, 40))
    });
    [
        one_line(&pending.run_id, 40),
        one_line(&phase.id, 40),
        request.risk,
        moment(until.as_ref()),
        request.tree.chars().take(12).collect(),
        one_line(&asks.join(", "), 60),
        word,
    ]
}
