//! `autopack submit-result`, `autopack audit` and `autopack set-phase`.
//!
//! Invariant: what is submitted is the document that the registry checks; nothing is judged here.

use std::{io::Read as _, path::Path};

use autopack_domain::{
    states::PhaseState,
    submission::{AUDIT_V1, RESULT_V1},
};
use autopack_runtime::{IdSource as _, V7Ids};
use autopack_wire::{
    client::GrpcService,
    registry::{self as rpc, submission_service_client::SubmissionServiceClient},
    types,
};
use serde_json::{Value, json};

use super::Context;
use crate::{
    cli::{AuditArgs, SetPhaseArgs, SubmitResultArgs, Verdict},
    error::{CliError, Exit, Outcome},
    output::json,
    view::{has_ended, phase_state, run_state},
};

/// Bytes of a file at most: what a request may hold.
const MAX: u64 = 8 << 20;

/// Submits a result.
pub(super) async fn result(context: &Context, args: SubmitResultArgs) -> Outcome {
    let request = rpc::SubmitBuilderResultRequest {
        document: document(&args)?,
        run_id: args.run,
        phase_id: args.phase,
        request_id: args.request_id.unwrap_or_else(request_id),
    };
    carry_out(context, async |mut to| {
        let answer = to.submit_builder_result(request).await?.into_inner();
        Ok(Done::new(answer.run, answer.phase, "submitted"))
    })
    .await
}

/// Audits a result, or asks somebody to.
pub(super) async fn audit(context: &Context, args: AuditArgs) -> Outcome {
    if args.verdict == Verdict::Request {
        return request_audit(context, args).await;
    }
    let request = rpc::SubmitAuditorResultRequest {
        document: audit_document(&args)?,
        run_id: args.run,
        phase_id: args.phase,
        request_id: args.request_id.unwrap_or_else(request_id),
    };
    carry_out(context, async |mut to| {
        let answer = to.submit_auditor_result(request).await?.into_inner();
        Ok(Done::new(answer.run, answer.phase, "audited"))
    })
    .await
}

async fn request_audit(context: &Context, args: AuditArgs) -> Outcome {
    let request = rpc::RequestAuditRequest {
        run_id: args.run,
        phase_id: args.phase,
    };
    carry_out(context, async |mut to| {
        let answer = to.request_audit(request).await?.into_inner();
        Ok(Done {
            profile: answer.auditor_profile,
            ..Done::new(answer.run, answer.phase, "audit requested")
        })
    })
    .await
}

/// Sets a phase's state by hand.
pub(super) async fn set_phase(context: &Context, args: SetPhaseArgs) -> Outcome {
    let state = PhaseState::parse(&args.state.to_ascii_uppercase()).ok_or_else(|| {
        let known = PhaseState::spellings().join(", ");
        CliError::usage(format!(
            "`{}` is not a state of a phase: {known}",
            args.state
        ))
    })?;
    let request = rpc::UpdatePhaseStatusRequest {
        run_id: args.run,
        phase_id: args.phase,
        request_id: request_id(),
        state: types::phase::State::from(state).into(),
        why: args.why,
    };
    carry_out(context, async |mut to| {
        let answer = to.update_phase_status(request).await?.into_inner();
        Ok(Done::new(answer.run, answer.phase, "set"))
    })
    .await
}

/// What a call answered, as it is shown.
struct Done {
    run: types::Run,
    phase: types::Phase,
    /// In a word.
    what: &'static str,
    /// What an auditor is to look at; empty: nothing in particular.
    profile: String,
}

impl Done {
    fn new(run: Option<types::Run>, phase: Option<types::Phase>, what: &'static str) -> Self {
        Self {
            run: run.unwrap_or_default(),
            phase: phase.unwrap_or_default(),
            what,
            profile: String::new(),
        }
    }
}

/// Calls the registry and shows what it answers.
async fn carry_out(
    context: &Context,
    call: impl AsyncFnOnce(SubmissionServiceClient<GrpcService>) -> Result<Done, tonic::Status>,
) -> Outcome {
    let connection = context.connect().await?;
    let done = call(connection.clients.submissions()).await;
    let alone = connection.engine.is_some();
    connection.close().await;
    show(context, &done?, alone);
    Ok(Exit::Success)
}

fn show(context: &Context, done: &Done, alone: bool) {
    let Done {
        run,
        phase,
        what,
        profile,
    } = done;
    let handoff = phase.handoff.clone().unwrap_or_default();
    context.ui.data(
        || {
            json!({
                "run": run.id,
                "run_state": run_state(run),
                "phase": phase.id,
                "state": phase_state(phase),
                "cause": json::some(&phase.cause),
                "detail": json::some(&phase.detail),
                "handoff": json::handoff(phase.handoff.as_ref()),
                "auditor_profile": json::some(profile),
            })
        },
        || {
            let next = if handoff.awaited.is_empty() {
                String::new()
            } else {
                format!("; it waits for the {}", handoff.awaited)
            };
            let focus = if profile.is_empty() {
                String::new()
            } else {
                format!("; look at it as {profile}")
            };
            let state = context.ui.state(phase_state(phase));
            format!("phase {}: {what}; {state}{next}{focus}\n", phase.id)
        },
    );
    if alone && !has_ended(run) {
        context.ui.say("no process works on it; `autopack up` does");
    }
}

/// The builder's document, from a file or from the flags.
fn document(args: &SubmitResultArgs) -> Result<String, CliError> {
    if let Some(path) = &args.content.document {
        return read(path);
    }
    let mut document = json!({
        "schema": RESULT_V1,
        "phase_id": args.phase,
        "builder": args.builder,
        "status": "success",
        "changed_files": args.changed_file,
        "usage": usage(args.tokens),
        "notes": args.notes,
    });
    if args.needs_review {
        document["status"] = json!("needs_review");
    }
    if args.content.failed {
        document["status"] = json!("failed");
    }
    if let Some(path) = &args.content.patch {
        document["patch"] = json!(read(path)?);
    }
    if let Some(path) = &args.content.edits {
        document["edits"] = serde_json::from_str(&read(path)?)
            .map_err(|error| CliError::usage(format!("{}: {error}", path.display())))?;
    }
    Ok(document.to_string())
}

fn audit_document(args: &AuditArgs) -> Result<String, CliError> {
    let mut patches = Vec::new();
    for path in &args.patch {
        patches.push(json!({ "description": path.display().to_string(), "patch": read(path)? }));
    }
    let verdict = match args.verdict {
        Verdict::Approve => "approve",
        Verdict::Revise => "revise",
        Verdict::Escalate | Verdict::Request => "escalate",
    };
    let document = json!({
        "schema": AUDIT_V1,
        "phase_id": args.phase,
        "auditor": args.auditor,
        "recommendation": verdict,
        "notes": args.notes,
        "patches": patches,
        "usage": usage(args.tokens),
    });
    Ok(document.to_string())
}

fn usage(tokens: Option<u64>) -> Value {
    tokens
        .iter()
        .map(|total| json!({ "total": total, "provenance": "reported" }))
        .collect()
}

/// A text file, or standard input.
fn read(path: &Path) -> Result<String, CliError> {
    let mut text = String::new();
    let result = if path == Path::new("-") {
        std::io::stdin().take(MAX + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MAX + 1).read_to_string(&mut text))
    };
    result.map_err(|error| CliError::usage(format!("{}: {error}", path.display())))?;
    if text.len() as u64 > MAX {
        return Err(CliError::usage(format!(
            "{} has more than {MAX} bytes",
            path.display()
        )));
    }
    Ok(text)
}

fn request_id() -> String {
    V7Ids.uuid().to_string()
}
