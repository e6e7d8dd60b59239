//! `autopack ruleset import|show`.

use autopack_wire::registry::{GetProjectRequest, ImportRulesetRequest};
use serde_json::Value;

use super::Context;
use crate::{
    cli::RulesetCommand,
    error::{Exit, Outcome},
    plan_files::Document,
};

pub(super) async fn run(context: &Context, command: RulesetCommand) -> Outcome {
    let document = match &command {
        RulesetCommand::Import { file, .. } => Some(Document::read(file)?),
        RulesetCommand::Show { .. } => None,
    };
    let connection = context.connect().await?;
    let mut registry = connection.clients.registry.clone();
    let (RulesetCommand::Import { project, .. } | RulesetCommand::Show { project }) = command;
    let answer = match document {
        Some(document) => {
            let request = ImportRulesetRequest {
                project,
                document: document.text,
            };
            registry
                .import_ruleset(request)
                .await
                .map(|answer| answer.into_inner().ruleset_json)
        }
        None => registry
            .get_project(GetProjectRequest { project })
            .await
            .map(|answer| answer.into_inner().ruleset_json),
    };
    drop(registry);
    connection.close().await;
    let text = answer?;
    let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    // A ruleset is data in one form only.
    context.ui.data(|| value.clone(), || format!("{value:#}\n"));
    Ok(Exit::Success)
}
