//! Commands that change a run: start, pause, resume, cancel, retry, add a phase.
//!
//! Invariant: each call carries a request id, so that a repeated one changes nothing more.

use autopack_runtime::{IdSource as _, V7Ids};
use autopack_wire::{client::Clients, registry as rpc, types};

use super::Context;
use crate::{
    cli::{AddPhaseArgs, CancelArgs, PhaseRef},
    connect::Connection,
    error::{CliError, Exit, Outcome},
    output::json,
    plan_files::Document,
    submit::put_artifact,
    view::{has_ended, run_state},
};

fn request_id() -> String {
    V7Ids.uuid().to_string()
}

/// Makes the call and shows the run after it.
async fn change<F>(context: &Context, done: &str, call: impl FnOnce(Clients) -> F) -> Outcome
where
    F: Future<Output = Result<Option<types::Run>, CliError>>,
{
    let connection = context.connect().await?;
    let result = call(connection.clients.clone()).await;
    let alone = connection.engine.is_some();
    connection.close().await;
    let run = result?.unwrap_or_default();
    show(context, &run, done, alone);
    Ok(Exit::Success)
}

fn show(context: &Context, run: &types::Run, done: &str, alone: bool) {
    let now = autopack_runtime::Clock::now(&autopack_runtime::SystemClock::new()).0;
    let text = || {
        format!(
            "run {}: {done}; {}\n",
            run.id,
            context.ui.state(run_state(run))
        )
    };
    context.ui.data(|| json::run(run, now), text);
    if alone && !has_ended(run) {
        context.ui.say("no process works on it; `autopack up` does");
    }
}

pub(super) async fn start(context: &Context, run_id: String) -> Outcome {
    change(context, "started", async |clients| {
        let request = rpc::StartRunRequest {
            run_id,
            request_id: request_id(),
        };
        Ok(clients
            .registry
            .clone()
            .start_run(request)
            .await?
            .into_inner()
            .run)
    })
    .await
}

pub(super) async fn pause(context: &Context, run_id: String) -> Outcome {
    change(
        context,
        "paused; running attempts finish",
        async |clients| {
            let request = rpc::PauseRunRequest {
                run_id,
                request_id: request_id(),
            };
            Ok(clients
                .registry
                .clone()
                .pause_run(request)
                .await?
                .into_inner()
                .run)
        },
    )
    .await
}

pub(super) async fn resume(context: &Context, run_id: String) -> Outcome {
    change(context, "resumed", async |clients| {
        let request = rpc::ResumeRunRequest {
            run_id,
            request_id: request_id(),
        };
        Ok(clients
            .registry
            .clone()
            .resume_run(request)
            .await?
            .into_inner()
            .run)
    })
    .await
}

pub(super) async fn cancel(context: &Context, args: CancelArgs) -> Outcome {
    change(context, "cancel requested", async |clients| {
        let request = rpc::CancelRunRequest {
            run_id: args.run,
            request_id: request_id(),
            why: args.why,
        };
        Ok(clients
            .registry
            .clone()
            .cancel_run(request)
            .await?
            .into_inner()
            .run)
    })
    .await
}

pub(super) async fn retry(context: &Context, args: PhaseRef) -> Outcome {
    change(context, "runs again", async |clients| {
        let request = rpc::RetryRunRequest {
            run_id: args.run,
            request_id: request_id(),
            phase_id: args.phase.unwrap_or_default(),
        };
        Ok(clients
            .registry
            .clone()
            .retry_run(request)
            .await?
            .into_inner()
            .run)
    })
    .await
}

pub(super) async fn add_phase(context: &Context, args: AddPhaseArgs) -> Outcome {
    let document = Document::read(&args.file)?;
    let files = document.phase_files()?;
    let connection = context.connect().await?;
    let result = add(&connection, args, document, &files).await;
    let alone = connection.engine.is_some();
    connection.close().await;
    let answer = result?;
    let added = answer.phase.unwrap_or_default().id;
    show(
        context,
        &answer.run.unwrap_or_default(),
        &format!("phase {added} added"),
        alone,
    );
    Ok(Exit::Success)
}

async fn add(
    connection: &Connection,
    args: AddPhaseArgs,
    document: Document,
    files: &std::collections::BTreeMap<String, Vec<u8>>,
) -> Result<rpc::AddPhaseResponse, CliError> {
    let mut request = rpc::AddPhaseRequest {
        run_id: args.run,
        request_id: request_id(),
        tier_id: args.tier,
        document: document.text,
        files: std::collections::HashMap::new(),
    };
    for (name, content) in files {
        let digest = put_artifact(&connection.clients, content).await?;
        request.files.insert(name.clone(), digest);
    }
    Ok(connection
        .clients
        .registry
        .clone()
        .add_phase(request)
        .await?
        .into_inner())
}
