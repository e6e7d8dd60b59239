//! `autopack dlq list|show|requeue|discard`.
//!
//! Invariant: whether a job may be offered again is decided by the registry; here it is only asked and shown.

use std::fmt::Write as _;

use autopack_wire::{
    client::Clients,
    registry::{
        DeadLetter, DiscardDeadLetterRequest, ListDeadLettersRequest, RequeueDeadLetterRequest,
    },
};
use serde_json::{Value, json};

use super::Context;
use crate::{
    cli::DlqCommand,
    error::{CliError, Exit, Outcome},
    output::{json, one_line, table::Table, text},
};

/// Letters of one page.
const PAGE: usize = 200;

pub(super) async fn run(context: &Context, command: DlqCommand) -> Outcome {
    let connection = context.connect().await?;
    let done = carry_out(context, &connection.clients, command).await;
    connection.close().await;
    done.map(|()| Exit::Success)
}

async fn carry_out(
    context: &Context,
    clients: &Clients,
    command: DlqCommand,
) -> Result<(), CliError> {
    let ui = context.ui;
    let mut registry = clients.registry.clone();
    match command {
        DlqCommand::List { limit } => {
            let letters = list(clients, if limit == 0 { usize::MAX } else { limit }).await?;
            ui.data(
                || letters.iter().map(as_json).collect(),
                || listed(&letters),
            );
            if letters.is_empty() {
                ui.say("no dead letter: the bus gave up on no job");
            }
        }
        DlqCommand::Show { id } => {
            let request = ListDeadLettersRequest {
                id,
                ..ListDeadLettersRequest::default()
            };
            let answer = registry.list_dead_letters(request).await?.into_inner();
            for letter in &answer.dead_letters {
                ui.data(|| as_json(letter), || shown(letter));
            }
        }
        DlqCommand::Requeue { id } => {
            let request = RequeueDeadLetterRequest { id: id.clone() };
            let answer = registry.requeue_dead_letter(request).await?.into_inner();
            let (run, job) = (answer.run_id, answer.job_uid);
            ui.data(
                || json!({ "id": id, "run": run, "job": job }),
                || format!("dead letter {id}: run {run} offers it again as job {job}\n"),
            );
        }
        DlqCommand::Discard { id } => {
            let request = DiscardDeadLetterRequest { id: id.clone() };
            registry.discard_dead_letter(request).await?;
            ui.data(
                || json!({ "id": id }),
                || format!("dead letter {id}: forgotten\n"),
            );
        }
    }
    Ok(())
}

async fn list(clients: &Clients, limit: usize) -> Result<Vec<DeadLetter>, CliError> {
    let mut letters = Vec::new();
    let mut page_token = String::new();
    while letters.len() < limit {
        let request = ListDeadLettersRequest {
            page_size: i32::try_from((limit - letters.len()).min(PAGE)).unwrap_or(0),
            page_token,
            id: String::new(),
        };
        let mut registry = clients.registry.clone();
        let page = registry.list_dead_letters(request).await?.into_inner();
        letters.extend(page.dead_letters);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    Ok(letters)
}

/// What the job was for.
fn job(letter: &DeadLetter) -> String {
    match (letter.run_id.as_str(), letter.phase_id.as_str()) {
        ("", _) => "-".to_owned(),
        (run, "") => format!("{run} ({})", letter.kind),
        (run, phase) => format!("{run} {phase}"),
    }
}

fn wanted(letter: &DeadLetter) -> &'static str {
    if letter.wanted { "waiting" } else { "moved on" }
}

fn listed(letters: &[DeadLetter]) -> String {
    let mut table = Table::new(&["ID", "TIME", "REASON", "JOB OF", "RUN", "DETAIL"]);
    for letter in letters {
        table.row([
            letter.id.clone(),
            text::moment(letter.time.as_ref()),
            letter.reason.clone(),
            job(letter),
            wanted(letter).to_owned(),
            one_line(&letter.detail, 60),
        ]);
    }
    if table.is_empty() {
        return String::new();
    }
    table.render()
}

fn shown(letter: &DeadLetter) -> String {
    let mut lines = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(lines, "{name:<11} {value}");
    };
    line("id", &letter.id);
    line("time", &text::moment(letter.time.as_ref()));
    line("reason", &letter.reason);
    line("detail", &letter.detail);
    line("deliveries", &letter.deliveries.to_string());
    line("subject", &letter.subject);
    line("sequence", &letter.sequence.to_string());
    line("job of", &job(letter));
    line("job", &letter.job_uid);
    line("run", wanted(letter));
    let mut headers: Vec<_> = letter.headers.iter().collect();
    headers.sort();
    for (name, value) in headers {
        line("header", &format!("{name}: {value}"));
    }
    line("body", &hex(&letter.body));
    lines
}

fn as_json(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id,
        "time": json::time(letter.time.as_ref()),
        "reason": letter.reason,
        "detail": letter.detail,
        "deliveries": letter.deliveries,
        "subject": letter.subject,
        "sequence": letter.sequence,
        "run": json::some(&letter.run_id),
        "phase": json::some(&letter.phase_id),
        "kind": json::some(&letter.kind),
        "job": json::some(&letter.job_uid),
        "wanted": letter.wanted,
        "headers": letter.headers,
        "body_hex": hex(&letter.body),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
