//! `autopack submit PLAN`.

use autopack_domain::Reason;
use autopack_runtime::{Clock as _, SystemClock};
use autopack_wire::contract;
use serde_json::json;

use super::{Context, watch};
use crate::{
    cli::SubmitArgs,
    connect::{self, Connection},
    engine::Scope,
    error::{CliError, Exit, Outcome},
    features,
    output::{json, one_line},
    plan_files::Document,
    submit::prepare,
    target,
    view::run_state,
};

pub(super) async fn run(context: &Context, args: SubmitArgs) -> Outcome {
    let document = Document::read(&args.plan)?;
    let target = target::discover(&args.new.repo).await?;
    let prepared = prepare(&context.settings, &document, &args.new, &target).await?;
    for warning in &prepared.warnings {
        context.ui.say(&format!("warning: {warning}"));
    }
    let prepared = prepared.hold(args.hold).validate_only(args.dry_run);
    let connection = match &context.registry {
        Some(address) => connect::remote(&context.settings, address)?,
        None => {
            connect::local(
                &context.settings,
                target::checkout(&target),
                Scope::Registry,
            )
            .await?
        }
    };
    let result = store(context, &connection, &args, &prepared).await;
    connection.close().await;
    result
}

async fn store(
    context: &Context,
    connection: &Connection,
    args: &SubmitArgs,
    prepared: &crate::submit::Prepared,
) -> Outcome {
    if args.dry_run {
        // An older registry would store what it is asked to check.
        features::require(&connection.clients, contract::VALIDATE_ONLY).await?;
    }
    let answer = prepared.create(&connection.clients).await?;
    let run = answer
        .run
        .ok_or_else(|| CliError::reason(Reason::InternalFault, "the registry sent no run"))?;
    if args.watch {
        context.ui.say(&format!("run {}", run.id));
        return watch::to_its_end(context, connection, &run.id).await;
    }
    let what = match (args.dry_run, answer.existing) {
        (true, _) => "is sound; nothing was stored",
        (false, true) => "exists already, from the same plan",
        (false, false) => "stored",
    };
    context.ui.data(
        || {
            let mut value = json::run(&run, SystemClock::new().now().0);
            value["existing"] = json!(answer.existing);
            value["validated_only"] = json!(args.dry_run);
            value
        },
        || format!("{}\n", run.id),
    );
    context.ui.say(&format!(
        "run {}: {what}; {}: {}",
        run.id,
        run_state(&run),
        one_line(&run.goal, 80)
    ));
    if !args.dry_run {
        let next = if args.hold { "start" } else { "watch" };
        context.ui.say(&format!("next: autopack {next} {}", run.id));
        if connection.engine.is_some() {
            context.ui.say("no process works on it; `autopack up` does");
        }
    }
    Ok(Exit::Success)
}
