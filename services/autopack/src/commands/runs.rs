//! `autopack runs`.

use autopack_runtime::{Clock as _, SystemClock};
use autopack_wire::{
    client::Clients,
    registry::{GetInfoRequest, ListRunsRequest},
    types,
};
use serde_json::Value;

use super::Context;
use crate::{
    cli::RunsArgs,
    error::{CliError, Exit, Outcome},
    output::{json, text},
};

/// Runs of one page.
const PAGE: usize = 200;

/// Runs, newest first, and the rows that were set aside.
pub(super) async fn run(context: &Context, args: RunsArgs) -> Outcome {
    let connection = context.connect().await?;
    let result = list(&connection.clients, &args).await;
    let info = connection
        .clients
        .registry
        .clone()
        .get_info(GetInfoRequest {})
        .await;
    connection.close().await;
    let runs = result?;
    let now = SystemClock::new().now().0;
    context.ui.data(
        || {
            runs.iter()
                .map(|run| json::run(run, now))
                .collect::<Value>()
        },
        || text::runs(context.ui, &runs),
    );
    if runs.is_empty() {
        context
            .ui
            .say("no run; `autopack run PLAN --repo DIR` makes one");
    }
    match info {
        Ok(info) => {
            for row in info.into_inner().set_aside {
                context.ui.say(&format!("warning: set aside: {row}"));
            }
        }
        // The list stands; an older registry does not tell what it set aside.
        Err(status) if status.code() == tonic::Code::Unimplemented => {
            context.ui.say(&format!("warning: {}", status.message()));
        }
        Err(status) => return Err(status.into()),
    }
    Ok(Exit::Success)
}

/// Pages until there are enough.
pub(super) async fn list(clients: &Clients, args: &RunsArgs) -> Result<Vec<types::Run>, CliError> {
    let limit = if args.limit == 0 {
        usize::MAX
    } else {
        args.limit
    };
    let mut runs: Vec<types::Run> = Vec::new();
    let mut page_token = String::new();
    while runs.len() < limit {
        let request = ListRunsRequest {
            page_size: i32::try_from((limit - runs.len()).min(PAGE)).unwrap_or(0),
            page_token,
            state: args
                .state
                .as_deref()
                .unwrap_or_default()
                .to_ascii_uppercase(),
            project: args.project.clone().unwrap_or_default(),
        };
        let page = clients
            .registry
            .clone()
            .list_runs(request)
            .await?
            .into_inner();
        runs.extend(page.runs);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    runs.truncate(limit);
    Ok(runs)
}
