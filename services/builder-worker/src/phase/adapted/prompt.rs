//! What an agent is asked: the phase's goal, what failed before, and the plan's own words.
//!
//! Invariant: the prompt is a file outside of the checkout, whatever way it takes to the agent.

use std::path::PathBuf;

use autopack_domain::plan::AgentSpec;

use super::super::Job;
use super::super::agent::{Files, worker_error};
use crate::error::Stop;
use crate::repo::bench::{Bench, blocking};

/// A prompt and where it lies.
pub(super) struct Prompt {
    pub(super) text: String,
    pub(super) file: PathBuf,
    /// Where an agent that writes its events to a file writes them.
    pub(super) events: PathBuf,
}

/// Makes the prompt and writes its file.
pub(super) async fn write(
    job: &Job<'_>,
    bench: &Bench,
    files: &Files,
    agent: &AgentSpec,
) -> Result<Prompt, Stop> {
    let mut text = files.goal_text.clone();
    if !agent.prompt.is_empty() {
        text.push_str("\n\n");
        text.push_str(&agent.prompt);
    }
    text.push_str("\n\nWork in the present folder. Do not commit, and do not change branches.\n");
    if job.attempt.number > 1 {
        text.push_str("An earlier attempt failed; what failed stands above.\n");
    }
    let folder = bench.exchange();
    let (file, content) = (folder.join("prompt.md"), text.clone());
    let path = file.clone();
    blocking(move || std::fs::write(path, content))
        .await
        .map_err(worker_error)?;
    Ok(Prompt {
        text,
        file,
        events: folder.join("events.jsonl"),
    })
}
