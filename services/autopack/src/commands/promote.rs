//! `autopack promote` and `autopack integration`.
//!
//! Invariant: what needs the repository is done by a worker: of the registry that is asked, or, on a local data
//! directory that nobody serves, one of this process, which starts no phase. A pull request is opened by this process,
//! for the token is the caller's.

use std::time::Duration;

use autopack_domain::Reason;
use autopack_runtime::{IdSource as _, V7Ids};
use autopack_wire::{
    client::Clients,
    registry as rpc,
    status::from_status,
    types::{self, promotion::State},
};
use tokio::time::Instant;

use super::Context;
use crate::{
    cli::{IntegrationArgs, PromoteArgs},
    connect::{self, Connection},
    engine::Scope,
    error::{CliError, Exit, Outcome},
    host,
    output::promotion,
};

/// How long a worker may take.
const PATIENCE: Duration = Duration::from_mins(10);
/// How often it is asked whether it is done.
const PERIOD: Duration = Duration::from_millis(100);

/// A registry with somebody who works.
async fn with_worker(context: &Context) -> Result<Connection, CliError> {
    match &context.registry {
        Some(address) => connect::remote(&context.settings, address),
        None => connect::local(&context.settings, None, Scope::Worker).await,
    }
}

pub(super) async fn promote(context: &Context, args: PromoteArgs) -> Outcome {
    if args.abandon {
        return abandon(context, &args).await;
    }
    let connection = if args.pull_request {
        context.connect().await?
    } else {
        with_worker(context).await?
    };
    let done = if args.pull_request {
        pull_request(&connection.clients, &args).await
    } else {
        land(&connection.clients, &args).await
    };
    connection.close().await;
    let done = done?;
    if done.state() == State::Failed {
        return Err(failed(&done));
    }
    context
        .ui
        .data(|| promotion::json(&done), || promotion::sentence(&done));
    Ok(Exit::Success)
}

/// Gives up the promotion that is open; that it is FAILED then is what was asked for.
async fn abandon(context: &Context, args: &PromoteArgs) -> Outcome {
    let request = rpc::AbandonPromotionRequest {
        run_id: args.run.clone(),
        request_id: V7Ids.uuid().to_string(),
        requested_by: std::env::var("USER").unwrap_or_default(),
        why: args.why.clone(),
    };
    let connection = context.connect().await?;
    let mut promotions = connection.clients.promotions();
    let answer = promotions.abandon_promotion(request).await;
    connection.close().await;
    let ended = answer?.into_inner().promotion.unwrap_or_default();
    context
        .ui
        .data(|| promotion::json(&ended), || promotion::sentence(&ended));
    Ok(Exit::Success)
}

/// Asks for the promotion; a rule that does not hold is an exit of its own.
async fn ask(
    clients: &Clients,
    args: &PromoteArgs,
) -> Result<(types::Promotion, types::Run), CliError> {
    let request = rpc::PromoteRunRequest {
        run_id: args.run.clone(),
        request_id: V7Ids.uuid().to_string(),
        strategy: args.strategy.clone(),
        target_branch: args.to.clone(),
        expected_tip: args.expected_tip.clone(),
        pull_request: args.pull_request,
        requested_by: std::env::var("USER").unwrap_or_default(),
    };
    let asked = clients.promotions().promote_run(request).await;
    let answer = asked.map_err(|status| {
        let unmet = from_status(&status).is(Reason::PromotionIneligible);
        let error = CliError::from(status);
        if unmet {
            CliError {
                exit: Exit::RunFailed,
                ..error
            }
        } else {
            error
        }
    })?;
    let answer = answer.into_inner();
    let missing = || CliError::reason(Reason::InternalFault, "the registry sent no promotion");
    let promotion = answer.promotion.ok_or_else(missing)?;
    Ok((promotion, answer.run.unwrap_or_default()))
}

async fn land(clients: &Clients, args: &PromoteArgs) -> Result<types::Promotion, CliError> {
    let (mut promotion, _) = ask(clients, args).await?;
    let end = Instant::now() + PATIENCE;
    while promotion.state() == State::Pending {
        if Instant::now() > end {
            let mut text =
                "no worker has ended the promotion yet; it is still asked for".to_owned();
            if !promotion.detail.is_empty() {
                text = format!(
                    "{text}; the last try: {}: {}",
                    promotion.cause, promotion.detail
                );
            }
            return Err(CliError::new(text).hint(format!(
                "`autopack workers` lists workers; `autopack integration {}` shows how it stands",
                args.run
            )));
        }
        tokio::time::sleep(PERIOD).await;
        let request = rpc::GetPromotionRequest {
            promotion_uid: promotion.uid.clone(),
        };
        let answer = clients.promotions().get_promotion(request).await?;
        promotion = answer.into_inner().promotion.unwrap_or(promotion);
    }
    Ok(promotion)
}

async fn pull_request(clients: &Clients, args: &PromoteArgs) -> Result<types::Promotion, CliError> {
    // Before anything is stored: without an address and a token there is nothing to ask for.
    let known = crate::follow::get(clients, &args.run, true).await?.run;
    let host = host::of(&known, &args.host)?;
    let (asked, run) = ask(clients, args).await?;
    if asked.state() != State::Pending {
        return Ok(asked);
    }
    let opened = host.pull_request(&run, &asked).await;
    let (url, detail) = match &opened {
        Ok(url) => (url.clone(), String::new()),
        Err(host::Failed::Refused(error)) => (String::new(), error.message.clone()),
        // It stays asked for: the same command finds out.
        Err(host::Failed::Unclear(error)) => return Err(error.clone()),
    };
    let request = rpc::RecordPullRequestRequest {
        promotion_uid: asked.uid.clone(),
        url: url.clone(),
        detail,
    };
    let recorded = clients.promotions().record_pull_request(request).await;
    if let Err(host::Failed::Refused(error) | host::Failed::Unclear(error)) = opened {
        return Err(error);
    }
    match recorded {
        Ok(answer) => Ok(answer.into_inner().promotion.unwrap_or(asked)),
        Err(status) => {
            let error = CliError::from(status);
            let message = format!(
                "{url} is open, and the registry does not know: {}",
                error.message
            );
            Err(CliError { message, ..error }
                .hint("the same command finds the pull request and records it"))
        }
    }
}

fn failed(of: &types::Promotion) -> CliError {
    use autopack_domain::Cause;
    let remedy = Cause::parse(&of.cause).map_or("", Cause::remedy);
    let text = format!("not promoted to {}: {}", of.target_branch, of.detail);
    CliError {
        code: of.cause.clone(),
        ..CliError::new(text)
    }
    .hint(remedy)
    .hint(format!("more: autopack explain {}", of.cause))
}

pub(super) async fn integration(context: &Context, args: IntegrationArgs) -> Outcome {
    let connection = if args.refresh {
        with_worker(context).await?
    } else {
        context.connect().await?
    };
    let found = look(&connection.clients, &args).await;
    connection.close().await;
    let (status, promotions) = found?;
    context.ui.data(
        || promotion::status_json(&status, &promotions),
        || promotion::status(context.ui, &status, &promotions),
    );
    if args.refresh && !status.cause.is_empty() {
        return Ok(Exit::Error);
    }
    Ok(Exit::Success)
}

async fn look(
    clients: &Clients,
    args: &IntegrationArgs,
) -> Result<(types::IntegrationStatus, Vec<types::Promotion>), CliError> {
    let mut promotions = clients.promotions();
    if args.refresh {
        let request = rpc::RefreshIntegrationStatusRequest {
            run_id: args.run.clone(),
            target_branch: args.to.clone(),
        };
        promotions.refresh_integration_status(request).await?;
    }
    let end = Instant::now() + PATIENCE;
    let status = loop {
        let request = rpc::GetIntegrationStatusRequest {
            run_id: args.run.clone(),
        };
        let answer = promotions.get_integration_status(request).await?;
        let status = answer.into_inner().status.unwrap_or_default();
        if !args.refresh || !status.refreshing || Instant::now() > end {
            break status;
        }
        tokio::time::sleep(PERIOD).await;
    };
    let request = rpc::ListPromotionsRequest {
        run_id: args.run.clone(),
    };
    let listed = promotions.list_promotions(request).await?;
    Ok((status, listed.into_inner().promotions))
}
