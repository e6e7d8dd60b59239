//! `autopack issues`, `autopack record-issue` and `autopack backlog`.

use std::fmt::Write as _;

use autopack_runtime::{IdSource as _, V7Ids};
use autopack_wire::{
    client::Clients,
    registry::{
        GetBacklogRequest, GetBacklogResponse, ListIssuesRequest, ListIssuesResponse,
        RecordIssueRequest, ResolveIssueRequest,
    },
    types::NewIssue,
};
use serde_json::{Value, json};

use super::Context;
use crate::{
    cli::{BacklogArgs, IssuesArgs, IssuesCommand, RecordIssueArgs, ResolveIssueArgs},
    error::{CliError, Exit, Outcome},
    output::issues,
};

/// Rows of one page.
const PAGE: i32 = 500;

/// The issues of a run.
pub(super) async fn list(context: &Context, args: IssuesArgs) -> Outcome {
    if let Some(IssuesCommand::Resolve(args)) = &args.command {
        return resolve(context, args.clone()).await;
    }
    let connection = context.connect().await?;
    let result = all_issues(&connection.clients, args).await;
    connection.close().await;
    let found = result?;
    context.ui.data(
        || {
            json!({
                "counts": issues::counts_json(found.counts.as_ref()),
                "debt_status": found.debt_status,
                "issues": found.issues.iter().map(issues::json).collect::<Value>(),
            })
        },
        || {
            issues::table(
                context.ui,
                &found.issues,
                found.counts.as_ref(),
                &found.debt_status,
            )
        },
    );
    Ok(Exit::Success)
}

async fn all_issues(clients: &Clients, args: IssuesArgs) -> Result<ListIssuesResponse, CliError> {
    let mut request = ListIssuesRequest {
        run_id: args.run.unwrap_or_default(),
        phase_id: args.phase.unwrap_or_default(),
        severity: args.severity.unwrap_or_default(),
        include_resolved: args.all,
        page_size: PAGE,
        page_token: String::new(),
    };
    let mut all: Option<ListIssuesResponse> = None;
    loop {
        let page = clients.issues().list_issues(request.clone()).await?;
        let mut page = page.into_inner();
        request.page_token = std::mem::take(&mut page.next_page_token);
        match &mut all {
            Some(all) => all.issues.append(&mut page.issues),
            None => all = Some(page),
        }
        if request.page_token.is_empty() {
            return Ok(all.unwrap_or_default());
        }
    }
}

/// Closes an entry of a backlog.
async fn resolve(context: &Context, args: ResolveIssueArgs) -> Outcome {
    let request = ResolveIssueRequest {
        project: args.project,
        key: args.key,
        note: args.note,
        request_id: V7Ids.uuid().to_string(),
    };
    let connection = context.connect().await?;
    let answer = connection.clients.issues().resolve_issue(request).await;
    connection.close().await;
    let entry = answer?.into_inner().entry.unwrap_or_default();
    context.ui.data(
        || issues::entry(&entry),
        || {
            format!(
                "{}: {}; it comes back when it is reported again\n",
                entry.key, entry.status
            )
        },
    );
    Ok(Exit::Success)
}

/// Reports an issue.
pub(super) async fn record(context: &Context, args: RecordIssueArgs) -> Outcome {
    let connection = context.connect().await?;
    let request = RecordIssueRequest {
        request_id: V7Ids.uuid().to_string(),
        run_id: args.run,
        phase_id: args.phase.unwrap_or_default(),
        issue: Some(NewIssue {
            key: args.key,
            severity: args.severity,
            source: args.source,
            category: args.category,
            description: args.description,
            evidence: args.evidence,
            paths: args.path,
        }),
        ..RecordIssueRequest::default()
    };
    let answer = connection.clients.issues().record_issue(request).await;
    connection.close().await;
    let answer = answer?.into_inner();
    let issue = answer.issue.unwrap_or_default();
    let run = answer.run.unwrap_or_default();
    context.ui.data(
        || {
            json!({
                "issue": issues::json(&issue),
                "counts": issues::counts_json(run.issues.as_ref()),
                "debt_status": run.debt_status,
                "cleanliness": answer.tier.as_ref().map(|t| t.cleanliness.as_str()),
                "backlog": answer.backlog_entry.as_ref().map(issues::entry),
            })
        },
        || {
            issues::table(
                context.ui,
                std::slice::from_ref(&issue),
                run.issues.as_ref(),
                &run.debt_status,
            )
        },
    );
    Ok(Exit::Success)
}

/// The backlog of a project.
pub(super) async fn backlog(context: &Context, args: BacklogArgs) -> Outcome {
    let connection = context.connect().await?;
    let result = whole_backlog(&connection.clients, &args).await;
    connection.close().await;
    let found = result?;
    for row in &found.set_aside {
        context
            .ui
            .say(&format!("warning: an entry is left out: {row}"));
    }
    let proposals = found.cleanup_phases_json.iter();
    let phases: Value = proposals
        .filter_map(|p| serde_json::from_str::<Value>(p).ok())
        .collect();
    if args.phases {
        context.ui.data(|| phases.clone(), || yaml(&phases));
        return Ok(Exit::Success);
    }
    let ages = (found.aging_runs, found.aging_tiers);
    context.ui.data(
        || {
            json!({
                "project": args.project,
                "aging_runs": found.aging_runs,
                "aging_tiers": found.aging_tiers,
                "entries": found.entries.iter().map(issues::entry).collect::<Value>(),
                "cleanup_phases": phases,
                "set_aside": found.set_aside,
            })
        },
        || issues::backlog(context.ui, &found.entries, ages),
    );
    if phases.as_array().is_some_and(|list| !list.is_empty()) {
        let line = format!(
            "`autopack backlog {} --phases` prints phases that clean what has grown old",
            args.project
        );
        context.ui.say(&line);
    }
    Ok(Exit::Success)
}

async fn whole_backlog(
    clients: &Clients,
    args: &BacklogArgs,
) -> Result<GetBacklogResponse, CliError> {
    let mut request = GetBacklogRequest {
        project: args.project.clone(),
        safety_profile: args.safety_profile.clone(),
        page_size: PAGE,
        page_token: String::new(),
    };
    let mut all: Option<GetBacklogResponse> = None;
    loop {
        let page = clients.issues().get_backlog(request.clone()).await?;
        let mut page = page.into_inner();
        request.page_token = std::mem::take(&mut page.next_page_token);
        match &mut all {
            Some(all) => {
                all.entries.append(&mut page.entries);
                all.set_aside.append(&mut page.set_aside);
            }
            None => all = Some(page),
        }
        if request.page_token.is_empty() {
            return Ok(all.unwrap_or_default());
        }
    }
}

/// Phases as the lines of a plan: each is JSON, which YAML reads.
fn yaml(phases: &Value) -> String {
    let list = phases.as_array().into_iter().flatten();
    list.fold(String::new(), |mut text, phase| {
        let _ = writeln!(text, "      - {phase}");
        text
    })
}
