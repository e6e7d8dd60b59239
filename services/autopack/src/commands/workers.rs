//! `autopack workers`.

use autopack_wire::{
    client::Clients,
    registry::{ListWorkersRequest, Worker},
};
use serde_json::Value;

use super::Context;
use crate::{
    error::{CliError, Exit, Outcome},
    output::workers,
};

/// Workers of one page.
const PAGE: i32 = 500;

/// Every worker that is alive or was until lately, and what it holds.
pub(super) async fn run(context: &Context) -> Outcome {
    let connection = context.connect().await?;
    let result = list(&connection.clients).await;
    connection.close().await;
    let found = result?;
    context.ui.data(
        || found.iter().map(workers::json).collect::<Value>(),
        || workers::table(&found),
    );
    if found.is_empty() {
        context
            .ui
            .say("no worker is registered; `autopack up` starts one");
    }
    Ok(Exit::Success)
}

async fn list(clients: &Clients) -> Result<Vec<Worker>, CliError> {
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListWorkersRequest {
            page_size: PAGE,
            page_token,
        };
        let page = clients.registry.clone().list_workers(request).await?;
        let page = page.into_inner();
        found.extend(page.workers);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(found);
        }
    }
}
