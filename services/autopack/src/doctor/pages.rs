//! The pages of the self-check, from the first to the last.
//!
//! Invariant: a walk ends with its last page or with the most findings that are shown; a token that a registry repeats
//! ends it with an error, never with a loop.

use autopack_wire::{
    client::Clients,
    registry::{DiagnoseRequest, DiagnoseResponse, RepairRecord, RepairRequest},
};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::{error::CliError, output::Ui};

/// Findings that are shown, as of one page.
const MOST: usize = 1000;

/// Everything that is found, as one answer: all findings and rows, the rest as the last page has it.
pub(crate) async fn diagnose(
    clients: &Clients,
    run: &str,
    ui: Ui,
) -> Result<DiagnoseResponse, CliError> {
    let line = line(ui);
    let mut doctor = clients.doctor();
    let mut whole = DiagnoseResponse::default();
    let mut page_token = String::new();
    loop {
        let room = MOST - whole.findings.len();
        let request = DiagnoseRequest {
            run_id: run.to_owned(),
            limit: u32::try_from(room).unwrap_or(u32::MAX),
            page_token: page_token.clone(),
        };
        let page = doctor.diagnose(request).await?.into_inner();
        let rows = whole.rows + page.rows;
        let mut findings = std::mem::take(&mut whole.findings);
        findings.extend(page.findings.iter().take(room).cloned());
        whole = DiagnoseResponse {
            findings,
            rows,
            ..page
        };
        if whole.next_page_token.is_empty() || whole.findings.len() >= MOST {
            return Ok(whole);
        }
        page_token = advanced(page_token, &whole.next_page_token)?;
        line.set_message(format!("self-check: {} rows", HumanCount(rows)));
    }
}

/// Everything that is safe is mended; the records.
pub(crate) async fn repair(clients: &Clients, ui: Ui) -> Result<Vec<RepairRecord>, CliError> {
    let line = line(ui);
    let mut doctor = clients.doctor();
    let mut repairs = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = RepairRequest {
            validate_only: false,
            page_token: page_token.clone(),
        };
        let page = doctor.repair(request).await?.into_inner();
        repairs.extend(page.repairs);
        if page.next_page_token.is_empty() {
            return Ok(repairs);
        }
        page_token = advanced(page_token, &page.next_page_token)?;
        let mended = HumanCount(repairs.len() as u64);
        line.set_message(format!("self-check: {mended} mended"));
    }
}

fn advanced(before: String, next: &str) -> Result<String, CliError> {
    if before == next {
        let text = "the registry gives the same page of its self-check again and again";
        return Err(CliError::new(text));
    }
    Ok(next.to_owned())
}

/// A line on standard error that goes with the value, if that is a terminal.
fn line(ui: Ui) -> Line {
    let bar = if ui.bars {
        ProgressBar::no_length()
    } else {
        ProgressBar::hidden()
    };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    Line(bar)
}

struct Line(ProgressBar);

impl Line {
    fn set_message(&self, text: String) {
        self.0.set_message(text);
        self.0.tick();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests;
